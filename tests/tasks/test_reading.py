from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprint_tune.errors import ManifestError
from blueprint_tune.tasks import reading
from blueprint_tune.tasks.reading import Names, Notes, load, number, numbers, show


def named(*ids: object) -> tuple[list[str], Notes]:
    notes = Notes("m.json")
    names = Names(notes)
    names.reserve(ids)
    return [names.take(raw, i)[0] for i, raw in enumerate(ids)], notes


def test_sane_ids_are_kept_and_others_are_made_sane_with_a_note() -> None:
    names, notes = named("mug_1", "Coffee Mug", "カップ", "a.b", 7)
    assert names == ["mug_1", "Coffee_Mug", "object_2", "a_b", "7"]
    assert len(notes.entries) == 4
    assert "'Coffee Mug' is called 'Coffee_Mug'" in notes.entries[0]


def test_ids_that_become_the_same_are_told_apart() -> None:
    assert named("a b", "a_b", "a.b")[0] == ["a_b_2", "a_b", "a_b_3"]


def test_names_do_not_collide_with_what_a_simulator_adds() -> None:
    assert named("drawer", "drawer_handle", "drawer_joint", "world")[0] == [
        "drawer",
        "drawer_handle_2",
        "drawer_joint_2",
        "world_2",
    ]


@pytest.mark.parametrize("raw", ["../x", "a/../b", "/etc/passwd", "C:\\x", "\\\\host\\x", "a\x00b", "a\nb"])
def test_hostile_ids_are_refused_by_place(raw: str) -> None:
    with pytest.raises(ManifestError, match=r"m\.json: objects\[0\]"):
        named(raw)


@pytest.mark.parametrize("raw", ["", "  ", None, True, 1.5, ["x"], {}])
def test_ids_that_are_none_are_refused(raw: object) -> None:
    with pytest.raises(ManifestError, match="no usable 'id'"):
        named(raw)


def test_duplicated_ids_are_refused_by_name() -> None:
    with pytest.raises(ManifestError, match="'mug' is used twice"):
        named("mug", "cup", "mug")


@given(st.lists(st.text(min_size=1), max_size=8, unique=True))
def test_names_are_always_unique_and_sane(ids: list[str]) -> None:
    try:
        names, _ = named(*ids)
    except ManifestError:
        return
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_]{1,80}", name) for name in names)


@pytest.mark.parametrize("value", ["x", [], {}, True, float("inf"), "nan", 10**400])
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    with pytest.raises(ManifestError, match="here is .*; (expected|every)"):
        number(value, "here", Notes("m.json"))


def test_numbers_written_as_text_or_list_are_noted() -> None:
    notes = Notes("m.json")
    assert number("0.5", "here", notes) == 0.5
    assert numbers([1, 2, 3], ("x", "y", "z"), "there", notes) == [1.0, 2.0, 3.0]
    assert numbers(None, ("x",), "there", notes) == [None]
    assert len(notes.entries) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{not json", "is not JSON"),
        (b"", "is not JSON"),
        (b"[]", "holds a list"),
        (b'{"objects": NaN}', "contains NaN"),
        (b'{"objects": -Infinity}', "contains -Infinity"),
        (b"\xff\xfe{}", "is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_files_that_are_no_manifest(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "scene_manifest.json"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_missing_files_folders_and_impossible_paths(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no such file"):
        load(tmp_path / "nowhere.json")
    with pytest.raises(ManifestError, match="is not a file"):
        load(tmp_path)
    with pytest.raises(ManifestError, match="m\\.json"):
        load("a\x00m.json")
    with pytest.raises(ManifestError, match="cannot be read"):
        load("a" * 5000)


def test_huge_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.json"
    path.write_text('{"a": 1}')
    monkeypatch.setattr(reading, "MAX_BYTES", 4)
    with pytest.raises(ManifestError, match="MB"):
        load(path)


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    tree, digest = load(path)
    assert tree == {"a": 1}
    assert len(digest) == 64


def test_show_is_short_and_printable() -> None:
    assert show("a\x1b[31m\nb") == "a?[31m?b"
    assert len(show("x" * 500)) == 58
