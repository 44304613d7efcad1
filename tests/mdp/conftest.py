"""A scene state small enough to compute every term by hand."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, sin

import pytest
import torch

from blueprint_tune.mdp import observations, rewards, success  # noqa: F401  registers the terms
from blueprint_tune.mdp.state import Catalog, SceneState


@pytest.fixture
def catalog() -> Catalog:
    """A robot of two joints with two fingers; a box, a drawer with a handle, a bin, items and buttons."""
    return Catalog(
        frames=("robot/ee", "target", "drawer/handle", "bin", "item_0", "item_1"),
        joints=("j1", "j2", "drawer/joint", "button_0/joint", "button_1/joint"),
        bodies={
            "robot/gripper": ("left", "right"),
            "robot/arm": ("wrist", "hand"),
            "target": ("box_1",),
            "drawer/handle": ("drawer_1_handle",),
            "item_0": ("tin_0",),
            "item_1": ("tin_1",),
        },
        command_positions=("goal",),
        commands=("goal", "opening"),
        members={"item": ("item_0", "item_1"), "button": ("button_0", "button_1")},
        regions={"bin": (0.2, 0.1, 0.1)},
        boxes={"target": (0.02, 0.02, 0.05), "item_0": (0.02, 0.03, 0.05), "item_1": (0.02, 0.03, 0.05)},
        outward={"drawer/joint": 1.0},
        wrist="j2",
    )


@pytest.fixture
def scene(catalog: Catalog) -> Callable[[], SceneState]:
    """scene() -> two environments; call it after binding, so that contacts have columns."""

    def build() -> SceneState:
        state = SceneState(catalog, num_envs=2, num_robot_joints=2, num_actions=3)
        state.frame_pos[:] = torch.tensor(
            [
                [[0, 0, 1], [0.3, 0, 0.6], [1, 0, 0.5], [1, 1, 0.5], [1.1, 1.05, 0.5], [1.25, 1, 0.5]],
                [[0, 0, 1], [0, 0, 1.02], [1, 0.2, 0.5], [1, 1, 0.5], [1.15, 1, 0.5], [1, 1.15, 0.5]],
            ]
        )
        state.frame_quat[:, :, 0] = 1.0
        state.frame_quat[1, 3] = torch.tensor([0.5**0.5, 0.0, 0.0, 0.5**0.5])  # the bin, a quarter turn
        state.frame_quat[1, 4] = torch.tensor([cos(0.15), sin(0.15), 0.0, 0.0])  # an item, tilted by 0.3
        state.start_frame_pos[:, :3] = torch.tensor([[0.0, 0.0, 1.0], [0.3, 0.0, 0.5], [1.0, 0.0, 0.5]])
        state.frame_linvel[1, 4, 0], state.frame_angvel[0, 5, 2] = 0.2, 1.0
        state.frame_linvel[:, 1] = torch.tensor([[0.1, 0.2, -0.3], [0.0, 0.0, 0.5]])
        state.joint_limits = torch.tensor([[-1.0, 1.0], [-2.0, 2.0], [0.0, 0.4], [0.0, 0.01], [0.0, 0.01]])
        state.joint_pos[:] = torch.tensor([[0.5, -1.0, 0.1, 0.009, 0.001], [0.0, 2.0, 0.4, 0.002, 0.01]])
        state.start_joint_pos[:, :3] = torch.tensor([[0.0, 0.0, 0.2], [0.0, 0.0, 0.1]])
        state.joint_vel[:, :3] = torch.tensor([[1.0, -2.0, 0.25], [0.0, 0.5, 0.0]])
        state.joint_targets[:] = torch.tensor([[0.6, -1.0], [0.0, 1.5]])
        state.commands = {
            "goal": torch.tensor([[0.3, 0.3, 1.0], [0.0, 0.0, 1.0]]),
            "opening": torch.tensor([[1.0], [0.0]]),
        }
        state.action[:] = torch.tensor([[1.0, -0.5, 0.0], [0.0, 0.0, 0.0]])
        state.previous_action[:] = torch.tensor([[0.0, 0.5, 0.0], [0.2, 0.0, -0.2]])
        state.elapsed_steps[:] = torch.tensor([1.0, 4.0])
        state.episode_steps = 4
        # the first has its first member's turn, the second has done its first member, number 1
        state.order = torch.tensor([[0, 1], [1, 0]])
        state.stage, state.active = torch.tensor([0, 1]), torch.tensor([0, 0])
        state.success_condition = torch.tensor([False, True])
        return state

    return build
