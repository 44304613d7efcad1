"""Every observation term against numbers computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.mdp.state import Catalog, SceneState
from blueprint_tune.mdp.terms import REGISTRY, bind_term
from blueprint_tune.tasks.geometry import quat_matrix

Scene = Callable[[], SceneState]

CASES: list[tuple[dict[str, Any], list[list[float]]]] = [
    ({"term": "relative_position", "a": "robot/ee", "b": "target"}, [[0.3, 0.0, -0.4], [0.0, 0.0, 0.02]]),
    (
        {"term": "relative_position", "a": "target", "b": "command/goal", "scale": 5.0},
        [[0.0, 1.5, 2.0], [0.0, 0.0, -0.1]],
    ),
    ({"term": "frame_height", "frame": "target", "above_m": 0.5}, [[0.1], [0.52]]),
    ({"term": "frame_velocity", "frame": "target", "scale": 2.0}, [[0.2, 0.4, -0.6], [0.0, 0.0, 1.0]]),
    ({"term": "robot_joint_positions"}, [[0.5, -1.0], [0.0, 2.0]]),
    ({"term": "robot_joint_velocities", "scale": 0.1}, [[0.1, -0.2], [0.0, 0.05]]),
    ({"term": "robot_target_lag", "scale": 10.0}, [[1.0, 0.0], [0.0, -5.0]]),
    ({"term": "joint_fraction", "joint": "drawer/joint"}, [[0.25], [1.0]]),
    ({"term": "joint_fraction", "joint": "j2"}, [[0.25], [1.0]]),
    ({"term": "joint_error", "joint": "drawer/joint", "to": "opening", "scale": 2.0}, [[0.6], [-0.8]]),
    ({"term": "joint_velocity", "joint": "drawer/joint"}, [[0.25], [0.0]]),
    ({"term": "command", "of": "opening"}, [[1.0], [0.0]]),
    ({"term": "command", "of": "goal"}, [[0.3, 0.3, 1.0], [0.0, 0.0, 1.0]]),
    ({"term": "last_action"}, [[1.0, -0.5, 0.0], [0.0, 0.0, 0.0]]),
    ({"term": "elapsed_fraction"}, [[0.25], [1.0]]),
    ({"term": "sequence_stage"}, [[0.0], [0.5]]),
    ({"term": "whose_turn", "role": "item"}, [[1.0, 0.0], [1.0, 0.0]]),
    ({"term": "relative_position", "a": "bin", "b": "item"}, [[0.1, 0.05, 0.0], [0.15, 0.0, 0.0]]),
    ({"term": "joint_fraction", "joint": "button/joint"}, [[0.9], [0.2]]),
    ({"term": "body_size", "of": "target", "scale": 10.0}, [[0.4, 0.4, 1.0], [0.4, 0.4, 1.0]]),
    # from the mouth, 10 cm above the bin's middle, to an underside 5 cm below an item's middle
    ({"term": "hole_offset", "part": "item_1", "hole": "bin"}, [[0.25, 0.0, -0.15], [0.15, 0.0, -0.15]]),
    (
        {"term": "hole_offset", "part": "item_1", "hole": "bin", "scale": 10.0, "limit": 1.0},
        [[1.0, 0.0, -1.0], [1.0, 0.0, -1.0]],
    ),
    # the bin of the second environment is turned by a quarter
    ({"term": "folded_angle", "frame": "item_1", "of": "bin", "axis": "x"}, [[1.0, 0.0], [-1.0, 0.0]]),
    (
        {"term": "folded_angle", "frame": "item_1", "of": "bin", "axis": "y", "folds": 4},
        [[1.0, 0.0], [1.0, 0.0]],
    ),
    (
        {"term": "wrist_turn", "wrist": "robot/wrist", "joint": "drawer/joint", "to": "opening"},
        [[-1.3], [2.4]],
    ),
]


@pytest.mark.parametrize(("entry", "expected"), CASES, ids=lambda v: v["term"] if isinstance(v, dict) else "")
def test_observation(
    catalog: Catalog, scene: Scene, entry: dict[str, Any], expected: list[list[float]]
) -> None:
    bound = bind_term("observation", "o", entry, catalog, "test")
    found = bound.function(scene())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("what", ["target", None])
def test_contact_forces_saturate(catalog: Catalog, scene: Scene, what: str | None) -> None:
    bind_term("observation", "other", {"term": "contact_forces", "by": "robot/arm"}, catalog, "test")
    entry = {"term": "contact_forces", "by": "robot/gripper", "saturation_n": 10.0}
    bound = bind_term("observation", "o", entry | ({"what": what} if what else {}), catalog, "test")
    state = scene()
    state.contact_force[:, 2:] = torch.tensor([[0.0, 5.0], [10.0, 1000.0]])
    expected = np.tanh([[0.0, 0.5], [1.0, 100.0]])
    np.testing.assert_allclose(bound.function(state), expected, rtol=1e-6)


def test_contact_columns_need_not_be_neighbours(catalog: Catalog, scene: Scene) -> None:
    bind_term("observation", "o", {"term": "contact_forces", "by": "robot/gripper"}, catalog, "test")
    catalog.bodies["pair"] = ("right", "hand")
    bound = bind_term("observation", "o", {"term": "contact_forces", "by": "pair"}, catalog, "test")
    state = scene()
    assert state.contact_force.shape == (2, 3)
    state.contact_force[:] = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    found = torch.atanh(bound.function(state)) * 20.0
    torch.testing.assert_close(found, torch.tensor([[2.0, 3.0], [5.0, 6.0]]))


def random_quaternions(count: int) -> Tensor:
    quat = torch.randn(count, 4, generator=torch.Generator().manual_seed(0))
    return quat / quat.norm(dim=1, keepdim=True)


def test_frame_axes_are_the_first_columns_of_the_rotation_matrix(catalog: Catalog, scene: Scene) -> None:
    bound = bind_term("observation", "o", {"term": "frame_axes", "frame": "target"}, catalog, "test")
    state = scene()
    for quat in random_quaternions(50).split(2):
        state.frame_quat[:, 1] = quat
        found = bound.function(state).numpy()
        for row in range(2):
            matrix = quat_matrix(quat[row])
            np.testing.assert_allclose(found[row], np.concatenate([matrix[:, 0], matrix[:, 1]]), atol=1e-6)


def test_opposite_quaternions_look_alike(catalog: Catalog, scene: Scene) -> None:
    bound = bind_term("observation", "o", {"term": "frame_axes", "frame": "target"}, catalog, "test")
    state, (quat,) = scene(), random_quaternions(1)
    state.frame_quat[:, 1] = torch.stack([quat, -quat])
    found = bound.function(state)
    assert torch.equal(found[0], found[1])


def test_every_observation_term_is_tested() -> None:
    tested = {entry["term"] for entry, _ in CASES} | {"contact_forces", "frame_axes"}
    assert tested == {name for name, r in REGISTRY.items() if "observation" in r.kinds}
