"""Terms that only evaluations measure, against numbers computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from blueprint_tune.errors import ConfigError
from blueprint_tune.mdp import metrics  # noqa: F401  registers the terms
from blueprint_tune.mdp.state import Catalog, SceneState
from blueprint_tune.mdp.terms import REGISTRY, bind_term

Scene = Callable[[], SceneState]
HELD = {"by": "robot/gripper", "what": "target"}


def measured(catalog: Catalog, scene: Scene, entry: dict[str, Any], forces: Tensor | None = None) -> Tensor:
    bound = bind_term("metric", "m", entry, catalog, "test")
    state = scene()
    if forces is not None:
        state.contact_force[:] = forces
    return bound.function(state)


def test_the_grips_force_is_that_of_a_finger_while_all_press(catalog: Catalog, scene: Scene) -> None:
    forces = torch.tensor([[4.0, 6.0], [0.5, 8.0]])
    found = measured(catalog, scene, {"term": "grip_force", **HELD}, forces)
    assert found.tolist() == [5.0, 0.0]


def test_the_largest_contact_force_counts(catalog: Catalog, scene: Scene) -> None:
    forces = torch.tensor([[4.0, 6.0], [0.5, 0.0]])
    found = measured(catalog, scene, {"term": "contact_force", "by": "robot/arm"}, forces)
    assert found.tolist() == [6.0, 0.5]


def test_distances_of_frames_and_joints(catalog: Catalog, scene: Scene) -> None:
    found = measured(catalog, scene, {"term": "distance", "a": "robot/ee", "b": "target"})
    torch.testing.assert_close(found, torch.tensor([0.5, 0.02]))
    entry = {"term": "joint_deviation", "joint": "drawer/joint", "to": "opening"}
    torch.testing.assert_close(measured(catalog, scene, entry), torch.tensor([0.3, 0.4]))


def test_members_that_meet_a_condition_are_counted(catalog: Catalog, scene: Scene) -> None:
    at_rest = {"term": "settled", "frame": "item"}
    entry = {"term": "members_meeting", "role": "item", "condition": at_rest}
    assert measured(catalog, scene, entry).tolist() == [1.0, 1.0]
    fallen = {
        "term": "members_meeting",
        "role": "item",
        "condition": {"term": "below_height", "frame": "item", "height_m": 1.0},
    }
    assert measured(catalog, scene, fallen).tolist() == [2.0, 2.0]


def test_rewards_and_conditions_are_metrics_too_and_observations_are_not(
    catalog: Catalog, scene: Scene
) -> None:
    assert measured(catalog, scene, {"term": "action_magnitude"}).tolist() == [1.25, 0.0]
    held = {"term": "within_distance", "a": "robot/ee", "b": "target", "distance_m": 0.1}
    assert measured(catalog, scene, held).tolist() == [False, True]
    with pytest.raises(ConfigError, match="metric 'm' uses term 'last_action'"):
        measured(catalog, scene, {"term": "last_action"})
    with pytest.raises(ConfigError, match="reward 'm' uses term 'grip_force'"):
        bind_term("reward", "m", {"term": "grip_force", **HELD}, catalog, "test")


def test_every_metric_is_tested() -> None:
    own = {name for name, registered in REGISTRY.items() if "metric" in registered.kinds}
    assert own == {"grip_force", "contact_force", "distance", "joint_deviation", "members_meeting"}
