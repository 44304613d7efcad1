"""Every reward term against numbers computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, hypot, pi, tanh
from typing import Any

import pytest
import torch

from blueprint_tune.mdp.state import Catalog, SceneState
from blueprint_tune.mdp.terms import REGISTRY, bind_term

Scene = Callable[[], SceneState]

HELD = {"by": "robot/gripper", "what": "target"}
KERNEL = 1 - tanh(0.5 / 0.1)

CASES: list[tuple[dict[str, Any], list[float]]] = [
    ({"term": "distance_kernel", "a": "robot/ee", "b": "target", "std_m": 0.1}, [KERNEL, 1 - tanh(0.2)]),
    (
        {"term": "distance_kernel", "a": "robot/ee", "b": "target", "std_m": 0.5, "slack_m": 0.02},
        [1 - tanh(0.96), 1.0],
    ),
    # env 0 began 0.2 m open and is to go to 0.4 m: at 0.1 m it went half of its way in the wrong direction
    ({"term": "joint_progress", "joint": "drawer/joint", "to": "opening", "wrong_way": 0.5}, [-0.25, -1.5]),
    ({"term": "joint_progress", "joint": "drawer/joint", "to": "opening"}, [-0.15, -0.9]),
    # 0.3 m to go in env 0, 0.4 m in env 1
    (
        {"term": "joint_kernel", "joint": "drawer/joint", "to": "opening", "std": 0.3},
        [1 - tanh(1), 1 - tanh(4 / 3)],
    ),
    ({"term": "action_rate"}, [2.0, 0.08]),
    ({"term": "action_magnitude"}, [1.25, 0.0]),
    ({"term": "joint_speed"}, [5.0, 0.25]),
    ({"term": "success_bonus"}, [0.0, 1.0]),
    ({"term": "elapsed_time"}, [0.25, 0.0]),
    ({"term": "condition_met", "condition": {"term": "settled", "frame": "item_0"}}, [1.0, 0.0]),
    # the last output is 0, half open, in both
    ({"term": "letting_go", "condition": {"term": "settled", "frame": "item_0"}}, [0.5, 0.0]),
    # env 0 rose by 0.1 m; what env 1 tells of it started at the origin
    ({"term": "risen", "frame": "target", "height_m": 0.4}, [0.25, 1.0]),
    ({"term": "risen", "frame": "robot/ee", "height_m": 0.4}, [0.0, 0.0]),
    ({"term": "joint_depressed", "joint": "button/joint"}, [0.9, 0.2]),
    ({"term": "sequence_progress"}, [0.0, 0.5]),
    ({"term": "horizontal_kernel", "a": "target", "b": "command/goal", "std_m": 0.3}, [1 - tanh(1), 1.0]),
    ({"term": "tilt_kernel", "frame": "item_0", "std_rad": 0.3}, [1.0, 1 - tanh(1)]),
    # in one go the wrist would end at -1.3 and 2.4, its limits are -2 and 2
    (
        {
            "term": "wrist_room",
            "wrist": "robot/wrist",
            "joint": "drawer/joint",
            "to": "opening",
            "std_rad": 0.6,
        },
        [1.0, 1 - tanh(1)],
    ),
    # the lower ends are 15 cm down a hole of 20, 11 and 15 cm off its axis, 25 in the third case
    ({"term": "insertion_depth", "part": "item_0", "hole": "bin"}, [0.75, 0.5 + 0.05 * cos(0.3) / 0.2]),
    ({"term": "insertion_depth", "part": "item_1", "hole": "bin"}, [0.0, 0.75]),
    ({"term": "over_hole", "part": "item_1", "hole": "bin", "std_m": 0.25}, [1 - tanh(1), 1 - tanh(0.6)]),
]


@pytest.mark.parametrize(("entry", "expected"), CASES, ids=lambda v: v["term"] if isinstance(v, dict) else "")
def test_reward(catalog: Catalog, scene: Scene, entry: dict[str, Any], expected: list[float]) -> None:
    found = bind_term("reward", "r", entry, catalog, "test").function(scene())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_joint_progress_counts_from_where_the_episode_began(catalog: Catalog, scene: Scene) -> None:
    entry = {"term": "joint_progress", "joint": "drawer/joint", "to": "opening"}
    bound = bind_term("reward", "r", entry, catalog, "test")
    state = scene()
    for opening, expected in (([0.2, 0.1], 0.0), ([0.3, 0.05], 0.5), ([0.4, 0.0], 1.0)):
        state.joint_pos[:, 2] = torch.tensor(opening)
        torch.testing.assert_close(bound.function(state), torch.full((2,), expected))


FORCES = torch.tensor([[[4.0, 0.9], [4.0, 1.0]], [[0.0, 9.0], [5.0, 5.0]]])
"""Per case, (N, fingers): held needs every finger to press with 1 N."""


def held(catalog: Catalog, scene: Scene, entry: dict[str, Any], forces: torch.Tensor) -> torch.Tensor:
    bound = bind_term("reward", "r", entry, catalog, "test")
    state = scene()
    state.contact_force[:] = forces
    return bound.function(state)


def test_grasped_needs_every_finger(catalog: Catalog, scene: Scene) -> None:
    assert held(catalog, scene, {"term": "grasped", **HELD}, FORCES[0]).tolist() == [0.0, 1.0]
    assert held(catalog, scene, {"term": "grasped", **HELD, "force_n": 0.5}, FORCES[0]).tolist() == [1.0, 1.0]
    assert held(catalog, scene, {"term": "grasped", **HELD}, FORCES[1]).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("right", "is_held"), [([-3.0, 0.0, 0.0], 1.0), ([-3.0, 0.0, 6.0], 0.0), ([3.0, 0.0, 0.0], 0.0)]
)
def test_fingers_that_press_the_same_way_do_not_hold(
    catalog: Catalog, scene: Scene, right: list[float], is_held: float
) -> None:
    bound = bind_term("reward", "r", {"term": "grasped", **HELD}, catalog, "test")
    state = scene()
    state.contact_vector[:, 0], state.contact_vector[:, 1] = (
        torch.tensor([3.0, 0.0, 0.0]),
        torch.tensor(right),
    )
    state.contact_force[:] = state.contact_vector.norm(dim=2)
    assert bound.function(state).tolist() == [is_held] * 2


def test_lifted_counts_the_height_won_while_held(catalog: Catalog, scene: Scene) -> None:
    entry = {"term": "lifted", **HELD, "frame": "target", "height_m": 0.4}
    everyone = torch.full((2, 2), 2.0)
    torch.testing.assert_close(held(catalog, scene, entry, everyone), torch.tensor([0.25, 1.0]))
    assert held(catalog, scene, entry, FORCES[1])[0] == 0.0
    entry |= {"frame": "robot/ee"}
    assert held(catalog, scene, entry, everyone).tolist() == [0.0, 0.0], (
        "never negative, never without rising"
    )


def test_carried_to_is_a_kernel_while_held(catalog: Catalog, scene: Scene) -> None:
    entry = {"term": "carried_to", **HELD, "a": "target", "b": "command/goal", "std_m": 0.5}
    expected = torch.tensor([1 - tanh(1.0), 1 - tanh(0.04)])
    torch.testing.assert_close(held(catalog, scene, entry, torch.full((2, 2), 2.0)), expected)
    assert held(catalog, scene, entry, torch.zeros(2, 2)).tolist() == [0.0, 0.0]


def test_carried_towards_is_the_part_of_the_way_that_is_behind_it(catalog: Catalog, scene: Scene) -> None:
    entry = {"term": "carried_towards", **HELD, "a": "target", "b": "command/goal"}
    begun = hypot(0.3, 0.5)  # the target started at (0.3, 0, 0.5), the goal of env 0 is at (0.3, 0.3, 1.0)
    expected = torch.tensor([1 - 0.5 / begun, 1 - 0.02 / begun])
    torch.testing.assert_close(held(catalog, scene, entry, torch.full((2, 2), 2.0)), expected)
    assert held(catalog, scene, entry, torch.zeros(2, 2)).tolist() == [0.0, 0.0], "only while held"


def test_carried_towards_takes_a_fifth_of_the_wrong_way(catalog: Catalog, scene: Scene) -> None:
    bound = bind_term(
        "reward",
        "r",
        {"term": "carried_towards", **HELD, "a": "target", "b": "command/goal"},
        catalog,
        "test",
    )
    state = scene()
    state.contact_force[:] = 2.0
    state.frame_pos[0, 1] = torch.tensor([0.3, 0.3, 3.0])
    state.changed()
    assert bound.function(state)[0].item() == pytest.approx(0.2 * (1 - 2.0 / hypot(0.3, 0.5)), abs=1e-5)


INTO = {"by": "robot/gripper", "what": "target", "region": "bin"}


def at(
    catalog: Catalog, scene: Scene, entry: dict[str, Any], offset: list[float], start_m: float = 0.5
) -> float:
    """A reward with the target held, upright, at an offset from the middle of the bin (not turned)."""
    bound = bind_term("reward", "r", entry, catalog, "test")
    state = scene()
    state.contact_force[:] = 2.0
    state.frame_pos[0, 1] = state.frame_pos[0, 3] + torch.tensor(offset)
    state.start_frame_pos[0, 1, 2] = start_m
    state.changed()
    return bound.function(state)[0].item()


@pytest.mark.parametrize(
    ("offset", "way_m"),
    [
        ([0.0, 0.0, -0.05], 0.0),  # in the middle half of the bin, height does not matter
        ([0.09, 0.04, 0.5], 0.0),
        ([0.4, 0.0, 0.2], 0.3),  # beside it and high enough: only the way across is left
        ([0.4, 0.45, 0.05], hypot(0.3, 0.4, 0.1)),  # and lower than 5 cm above its rim: up first
    ],
)
def test_over_region_leads_over_the_rim(
    catalog: Catalog, scene: Scene, offset: list[float], way_m: float
) -> None:
    entry = {"term": "over_region", "region": "bin", "frame": "target", "std_m": 0.5}
    assert at(catalog, scene, entry, offset) == pytest.approx(1 - tanh(way_m / 0.5), abs=1e-5)
    if offset == [0.4, 0.0, 0.2]:  # it began 30 cm above the bin's middle: 15 cm more are asked for
        higher = at(catalog, scene, entry, offset, start_m=0.8)
        assert higher == pytest.approx(1 - tanh(hypot(way_m, 0.15) / 0.5), abs=1e-5)


ACROSS_M = hypot(0.6, 0.95)
"""From where the target begins to the middle half of the bin; its underside is 5 cm over the bin's floor."""
AT_START_M = ACROSS_M + 0.18 + 0.23
"""Across, up to 3 cm over the rim, and down to the floor."""


def test_lifted_costs_nothing_to_lower_into_its_region(catalog: Catalog, scene: Scene) -> None:
    entry = {"term": "lifted", **INTO, "frame": "target", "height_m": 0.4}
    assert at(catalog, scene, entry, [0.05, 0.0, -0.05]) == 1.0, "in it, lower than where it began"
    assert at(catalog, scene, entry, [0.15, 0.09, 0.5]) == 1.0, "over it"
    assert at(catalog, scene, entry, [0.25, 0.0, 0.1]) == pytest.approx(0.25), "beside it the height counts"
    assert held(catalog, scene, entry, torch.zeros(2, 2)).tolist() == [0.0, 0.0], "only while held"


@pytest.mark.parametrize(
    ("offset", "left_m"),
    [
        ([0.4, 0.0, 0.0], 0.3 + 0.18 + 0.23),
        ([0.4, 0.0, 0.1], 0.3 + 0.08 + 0.23),  # higher
        ([0.4, 0.0, 0.58], 0.3 + 0.63),  # too high: all of that has to be lowered
        ([0.15, 0.0, 0.18], 0.05 + 0.23),
        ([0.15, 0.0, 0.0], 0.05 + 0.05),  # within the rim there is nothing to be lifted over
        ([0.05, 0.0, 0.0], 0.05),
        ([0.05, 0.0, -0.05], 0.0),
        ([0.05, 0.0, 2.0], AT_START_M + 0.2 * (2.05 - AT_START_M)),  # farther than it began: a fifth is taken
    ],
)
def test_carried_into_counts_the_way_up_across_and_down(
    catalog: Catalog, scene: Scene, offset: list[float], left_m: float
) -> None:
    entry = {"term": "carried_into", **INTO, "part": "target"}
    assert at(catalog, scene, entry, offset) == pytest.approx(1 - left_m / AT_START_M, abs=1e-5)
    assert held(catalog, scene, entry, torch.zeros(2, 2)).tolist() == [0.0, 0.0], "only while held"


def test_carried_into_from_the_front_leads_over_the_edge_of_the_floor(catalog: Catalog, scene: Scene) -> None:
    entry = {"term": "carried_into", **INTO, "part": "target", "from_above": False}
    found = at(catalog, scene, entry, [0.4, 0.0, 0.0])  # begun above the edge: 3 cm more
    assert found == pytest.approx(1 - (0.3 + 0.03 + 0.08) / (ACROSS_M + 0.03 + 0.08), abs=1e-5)
    lower = at(catalog, scene, entry, [0.4, 0.0, 0.0], start_m=0.35)  # from 10 cm below it 13 up and 3 down
    assert lower == pytest.approx(1 - (0.3 + 0.05) / (ACROSS_M + 0.13 + 0.03), abs=1e-5)


def test_carried_into_is_lifted_from_a_higher_place_first(catalog: Catalog, scene: Scene) -> None:
    entry = {"term": "carried_into", **INTO, "part": "target"}
    found = at(catalog, scene, entry, [0.4, 0.0, 0.2], start_m=0.8)
    assert found == pytest.approx(1 - (0.3 + 0.13 + 0.38) / AT_START_M, abs=1e-5)


def test_carried_facing_is_a_kernel_of_the_angle_between_fronts_and_of_the_way(
    catalog: Catalog, scene: Scene
) -> None:
    entry = {"term": "carried_facing", "like": "bin", "region": "bin", "std_rad": pi / 2, "std_m": 1e9}
    turned = entry | HELD | {"frame": "item_1"}
    expected = torch.tensor([1.0, 1 - tanh(1)])
    torch.testing.assert_close(held(catalog, scene, turned, torch.full((2, 2), 2.0)), expected)
    assert held(catalog, scene, turned, torch.zeros(2, 2)).tolist() == [0.0, 0.0], "only while held"
    carried = entry | INTO | {"frame": "target", "std_m": 0.2}
    assert at(catalog, scene, carried, [0.05, 0.0, 0.3]) == pytest.approx(1.0), "over the middle half"
    assert at(catalog, scene, carried, [0.4, 0.0, 0.3]) == pytest.approx(1 - tanh(0.3 / 0.2), abs=1e-5)


def test_contact_force_above_counts_bodies(catalog: Catalog, scene: Scene) -> None:
    entry = {"term": "contact_force_above", "by": "robot/arm", "threshold_n": 5.0}
    found = held(catalog, scene, entry, torch.tensor([[5.0, 5.1], [50.0, 6.0]]))
    assert found.tolist() == [1.0, 2.0]
    entry |= {"what": "target"}
    assert catalog.contacts[-1].against is None
    bind_term("reward", "r", entry, catalog, "test")
    assert catalog.contacts[-1].against == "box_1"


def test_every_reward_term_is_tested() -> None:
    tested = {entry["term"] for entry, _ in CASES}
    tested |= {"grasped", "lifted", "carried_to", "contact_force_above", "joint_progress"}
    tested |= {"carried_into", "carried_towards", "over_region", "carried_facing"}
    assert tested == {name for name, r in REGISTRY.items() if "reward" in r.kinds}
