from __future__ import annotations

import pytest

from blueprint_tune.tasks.classes import ALIASES, CLASSES, recognise, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mug", "mug"),
        ("Coffee Mug", "mug"),
        ("dining_table_003", "table"),
        ("KitchenCabinet", "cabinet"),
        ("cabinet door", "cabinet_door"),
        ("Refrigerator", "fridge"),
        ("plates", "plate"),
        ("glasses", "glass"),
        ("table lamp", "lamp"),
        ("dish rack", "rack"),
        ("mug (blue)", "mug"),
        ("Towel rack", "towel_rack"),
        ("drying_rack_001", "drying_rack"),
        ("Pallet rack", "racking"),
        ("fume hood", "fume_hood"),
        ("bath mat", "rug"),
        ("petri dish", "petri_dish"),
        ("quux", None),
        ("", None),
    ],
)
def test_the_head_noun_decides(text: str, expected: str | None) -> None:
    assert recognise([text]) == expected


def test_the_first_text_that_says_something_wins() -> None:
    assert recognise(["thing", "kitchenware", "Coffee Mug", "table_1"]) == "mug"


def test_words_drop_numbers_and_split_camel_case() -> None:
    assert words("Coffee-MugBlue_001") == ["coffee", "mug", "blue"]


def test_aliases_name_classes_and_hide_none() -> None:
    assert set(ALIASES.values()) <= set(CLASSES)
    assert not set(ALIASES) & set(CLASSES)


def test_defaults_are_physical() -> None:
    for name, known in CLASSES.items():
        assert min(known.size) > 0, name
        assert known.mass_kg > 0, name
        assert (known.opening is None) == (known.upper == 0), name
