from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from blueprint_tune.tasks.overlaps import deep_overlaps, inside, support, top_below
from blueprint_tune.tasks.scene import Scene

Json = dict[str, Any]
MOVES = "manipulable_object"


def test_two_boxes_in_the_same_place_are_found_with_their_depth(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    scene = read_objects(
        obj("a", "box", (0, 0, 0.1), (0.2, 0.2, 0.2), MOVES),
        obj("b", "box", (0.12, 0, 0.1), (0.2, 0.2, 0.2), MOVES),
        obj("far", "box", (3, 0, 0.1), (0.2, 0.2, 0.2), MOVES),
    )
    (overlap,) = deep_overlaps(scene.entities)
    assert {overlap.a.id, overlap.b.id} == {"a", "b"}
    assert overlap.depth_m == pytest.approx(0.08)
    assert not overlap.expected
    assert str(overlap) == "'a' and 'b' overlap by 8 cm"
    assert overlap.other(scene.by_id["a"]) is scene.by_id["b"]
    assert overlap.other(scene.by_id["far"]) is None


def test_a_little_overlap_is_left_to_settle(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    table = obj("table", "table", (0, 0, 0.4), (1, 1, 0.8))
    sunk = obj("box", "box", (0, 0, 0.88), (0.2, 0.2, 0.2), MOVES)
    assert deep_overlaps(read_objects(table, sunk).entities) == []


@pytest.mark.parametrize(
    ("outer", "inner", "role", "expected"),
    [
        ("fridge", "carton", MOVES, True),
        ("counter", "drawer", "articulated_furniture", True),
        ("counter", "carton", MOVES, False),
        ("table", "chair", "static", True),
        ("stove", "pot", MOVES, True),
        ("stove", "carton", MOVES, False),
        ("floor", "carton", MOVES, False),
        ("floor", "table", "static", True),
    ],
)
def test_contents_and_fixtures_are_expected(
    read_objects: Callable[..., Scene],
    obj: Callable[..., Json],
    outer: str,
    inner: str,
    role: str,
    expected: bool,
) -> None:
    big = obj("big", outer, (0, 0, 0.5), (1, 1, 0.4))
    scene = read_objects(big, obj("small", inner, (0, 0, 0.5), (0.2, 0.2, 0.2), role))
    (overlap,) = deep_overlaps(scene.entities)
    assert overlap.expected is expected


def test_what_lies_inside_what(read_objects: Callable[..., Scene], obj: Callable[..., Json]) -> None:
    scene = read_objects(
        obj("fridge", "fridge", (0, 0, 0.9), (0.7, 0.7, 1.8)),
        obj("milk", "carton", (0.1, 0, 1.0), (0.07, 0.07, 0.2), MOVES),
        obj("jug", "carton", (0.5, 0, 1.0), (0.07, 0.07, 0.2), MOVES),
        obj("bowl", "bowl", (2, 0, 0.05), (0.3, 0.3, 0.1), MOVES),
        obj("apple", "fruit", (2, 0, 0.06), (0.07, 0.07, 0.07), MOVES),
    )
    found = {entity.id: inside(entity, scene.entities) for entity in scene.entities}
    assert found["milk"] is scene.by_id["fridge"]
    assert found["apple"] is scene.by_id["bowl"]
    assert found["jug"] is found["fridge"] is found["bowl"] is None


def test_support_is_the_highest_top_under_the_middle(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    scene = read_objects(
        obj("table", "table", (0, 0, 0.4), (1, 1, 0.8)),
        obj("board", "cutting_board", (0, 0, 0.81), (0.3, 0.3, 0.02), MOVES),
        obj("on_board", "box", (0.1, 0, 0.87), (0.1, 0.1, 0.1), MOVES),
        obj("on_table", "box", (0.4, 0, 0.85), (0.1, 0.1, 0.1), MOVES),
        obj("on_floor", "box", (3, 0, 0.05), (0.1, 0.1, 0.1), MOVES),
        obj("falling", "box", (-0.4, 0, 1.1), (0.1, 0.1, 0.1), MOVES),
        obj("hanging", "box", (3, 3, 1.5), (0.1, 0.1, 0.1), MOVES),
    )
    by, all_of = scene.by_id, scene.entities
    assert support(by["on_board"], all_of) is by["board"]
    assert support(by["on_table"], all_of) is by["table"]
    assert support(by["on_floor"], all_of) is None
    assert top_below(by["on_floor"], all_of) == 0.0
    assert top_below(by["falling"], all_of) == pytest.approx(0.8)
    assert top_below(by["hanging"], all_of) is None
