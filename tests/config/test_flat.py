from __future__ import annotations

from blueprint_tune.config.flat import ABSENT, Change, changes, flat, shown


def test_settings_become_dotted_keys() -> None:
    tree = {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": {}, "f": None}
    assert flat(tree) == {"a.b": 1, "a.c.d": [1, 2], "e": {}, "f": None}


def test_what_differs_is_told_once() -> None:
    before = flat({"same": 1.0, "list": [1], "gone": "x", "filled": {}, "flag": True})
    after = flat({"same": 1, "list": [2], "filled": {"inner": 3}, "flag": 1})
    assert changes(before, after) == [
        Change("list", [1], [2]),
        Change("filled.inner", ABSENT, 3),
        Change("flag", True, 1),
        Change("gone", "x", ABSENT),
    ]


def test_values_are_shown_as_they_are_written() -> None:
    assert [shown(v) for v in ("a", 0.5, None, True, [1, "b"], ABSENT)] == [
        "a", "0.5", "null", "true", '[1, "b"]', "(none)",
    ]  # fmt: skip
    assert shown("x" * 50, 10) == "x" * 9 + "…"
