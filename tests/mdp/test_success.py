"""Every success and termination condition against numbers computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from blueprint_tune.mdp.state import Catalog, SceneState
from blueprint_tune.mdp.terms import REGISTRY, bind_term

CASES: list[tuple[str, dict[str, Any], list[bool]]] = [
    (
        "success",
        {"term": "within_distance", "a": "target", "b": "command/goal", "distance_m": 0.1},
        [False, True],
    ),
    (
        "success",
        {"term": "within_distance", "a": "target", "b": "command/goal", "distance_m": 0.51},
        [True, True],
    ),
    (
        "success",
        {"term": "joint_at", "joint": "drawer/joint", "at": "opening", "tolerance": 0.76},
        [True, False],
    ),
    (
        "success",
        {"term": "joint_at", "joint": "drawer/joint", "at": "opening", "tolerance": 0.7},
        [False, False],
    ),
    (
        "success",
        {"term": "joint_within", "joint": "drawer/joint", "at": "opening", "distance": 0.35},
        [True, False],
    ),
    (
        "success",
        {"term": "within_horizontal_distance", "a": "target", "b": "command/goal", "distance_m": 0.2},
        [False, True],
    ),
    ("success", {"term": "apart", "a": "target", "b": "command/goal", "distance_m": 0.4}, [True, False]),
    ("success", {"term": "joint_beyond", "joint": "button/joint", "fraction": 0.8}, [True, False]),
    ("success", {"term": "joint_beyond", "joint": "button_1/joint", "fraction": 0.8}, [False, True]),
    ("success", {"term": "inside_region", "frame": "item_0", "region": "bin"}, [True, False]),
    ("success", {"term": "inside_region", "frame": "item_1", "region": "bin"}, [False, True]),
    ("success", {"term": "inside_region", "frame": "item_1", "region": "bin", "slack_m": 0.06}, [True, True]),
    ("success", {"term": "settled", "frame": "item_0"}, [True, False]),
    ("success", {"term": "settled", "frame": "item_1"}, [False, True]),
    ("success", {"term": "settled", "frame": "item_0", "speed_mps": 0.3}, [True, True]),
    ("success", {"term": "upright", "frame": "item_0", "tilt_rad": 0.29}, [True, False]),
    ("success", {"term": "upright", "frame": "item_0", "tilt_rad": 0.31}, [True, True]),
    ("success", {"term": "facing", "frame": "item_1", "like": "bin", "angle_rad": 1.5}, [True, False]),
    ("success", {"term": "facing", "frame": "item_1", "like": "bin", "angle_rad": 1.6}, [True, True]),
    ("success", {"term": "sequence_completed"}, [False, False]),
    # the lower end is 15 cm down a hole of 20 cm, a little less where the part is tilted
    ("success", {"term": "inserted", "part": "item_0", "hole": "bin", "fraction": 0.73}, [True, True]),
    ("success", {"term": "inserted", "part": "item_0", "hole": "bin", "fraction": 0.745}, [True, False]),
    ("success", {"term": "inserted", "part": "item_1", "hole": "bin", "fraction": 0.5}, [False, True]),
    (
        "success",
        {
            "term": "all_of",
            "conditions": {
                "inside": {"term": "inside_region", "frame": "item_1", "region": "bin"},
                "still": {"term": "settled", "frame": "item_0"},
            },
        },
        [False, False],
    ),
    (
        "success",
        {
            "term": "every_member",
            "role": "item",
            "condition": {"term": "inside_region", "frame": "item", "region": "bin", "slack_m": 0.06},
        },
        [True, True],
    ),
    (
        "success",
        {
            "term": "every_member",
            "role": "item",
            "condition": {"term": "inside_region", "frame": "item", "region": "bin", "slack_m": 0.04},
        },
        [False, False],
    ),
    ("termination", {"term": "faster_than", "frame": "item_0", "speed_mps": 0.19}, [False, True]),
    ("termination", {"term": "faster_than", "frame": "item_0", "speed_mps": 0.21}, [False, False]),
    ("termination", {"term": "below_height", "frame": "target", "height_m": 0.7}, [True, False]),
    (
        "termination",
        {"term": "farther_than", "a": "robot/ee", "b": "target", "distance_m": 0.4},
        [True, False],
    ),
]


@pytest.mark.parametrize(("kind", "entry", "expected"), CASES)
def test_condition(
    catalog: Catalog, scene: Callable[[], SceneState], kind: str, entry: dict[str, Any], expected: list[bool]
) -> None:
    found = bind_term(kind, "c", entry, catalog, "test").function(scene())
    assert found.dtype == torch.bool
    assert found.tolist() == expected


def test_released_means_that_no_finger_touches(catalog: Catalog, scene: Callable[[], SceneState]) -> None:
    entry = {"term": "released", "by": "robot/gripper", "what": "item"}
    bound = bind_term("success", "c", entry, catalog, "test")
    assert [request.against for request in catalog.contacts] == ["tin_0", "tin_0", "tin_1", "tin_1"]
    state = scene()
    state.active = torch.tensor([0, 1])
    state.contact_force[:] = torch.tensor([[0.0, 0.0, 5.0, 5.0], [0.0, 0.0, 0.0, 0.2]])
    assert bound.function(state).tolist() == [True, False], "only the fingers on the member whose turn it is"


PRESSED = {"term": "joint_beyond", "joint": "button/joint", "fraction": 0.8}


@pytest.mark.parametrize(
    ("order", "stage", "wrong"),
    [
        ([[0, 1], [1, 0]], [0, 0], [False, False]),  # each presses the one whose turn it is
        ([[1, 0], [0, 1]], [0, 0], [True, True]),  # each presses the other one
        ([[0, 1], [1, 0]], [1, 2], [False, False]),  # what is done may stay pressed
        ([[1], [0]], [0, 1], [True, True]),  # also what is no part of the sequence
    ],
)
def test_a_wrong_member_is_one_whose_turn_it_never_was(
    catalog: Catalog,
    scene: Callable[[], SceneState],
    order: list[list[int]],
    stage: list[int],
    wrong: list[bool],
) -> None:
    bound = bind_term(
        "termination", "c", {"term": "wrong_member", "role": "button", "condition": PRESSED}, catalog, "test"
    )
    state = scene()
    state.order, state.stage = torch.tensor(order), torch.tensor(stage)
    before = state.active.clone()
    assert bound.function(state).tolist() == wrong
    assert torch.equal(state.active, before), "looking at the members changes nobody's turn"


def test_a_sequence_is_completed_when_every_turn_is_over(
    catalog: Catalog, scene: Callable[[], SceneState]
) -> None:
    bound = bind_term("success", "c", {"term": "sequence_completed"}, catalog, "test")
    state = scene()
    state.stage = torch.tensor([1, 2])
    assert bound.function(state).tolist() == [False, True]


def test_conditions_within_conditions_are_widened_too(
    catalog: Catalog, scene: Callable[[], SceneState]
) -> None:
    inside = {"term": "inside_region", "frame": "item_1", "region": "bin", "slack_m": 0.01}
    bound = bind_term("success", "c", {"term": "all_of", "conditions": {"in": inside}}, catalog, "test")
    assert bound.function(scene()).tolist() == [False, True]
    assert bound.widened(scene()).tolist() == [True, True], "5 cm outside, 1 + 5 allowed"


WITHOUT_MARGIN = {
    "apart": "what is released is judged together with where it is",
    "joint_beyond": "a start that is pressed is none of the sequence's",
    "released": "nothing is held where nothing is near",
    "settled": "everything starts at rest",
    "inserted": "a start above the hole is not in it",
    "sequence_completed": "no turn is over at the start",
    "all_of": "its conditions have margins of their own",
    "every_member": "its condition has a margin of its own",
}


def test_every_condition_is_tested_and_success_has_a_margin() -> None:
    registered = {n: r for n, r in REGISTRY.items() if r.kinds & {"success", "termination"}}
    assert {entry["term"] for _, entry, _ in CASES} | {"released", "wrong_member"} == set(registered)
    for name, entry in registered.items():
        if "success" in entry.kinds and name not in WITHOUT_MARGIN:
            assert entry.start_margin and all(m > 0 for m in entry.start_margin.values()), name
