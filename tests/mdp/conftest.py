"""A scene state small enough to compute every term by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from blueprint_tune.mdp import observations, rewards, success  # noqa: F401  registers the terms
from blueprint_tune.mdp.state import Catalog, SceneState


@pytest.fixture
def catalog() -> Catalog:
    """A robot of two joints with two fingers, a box, and a drawer with a handle."""
    return Catalog(
        frames=("robot/ee", "target", "drawer/handle"),
        joints=("j1", "j2", "drawer/joint"),
        bodies={
            "robot/gripper": ("left", "right"),
            "robot/arm": ("wrist", "hand"),
            "target": ("box_1",),
            "drawer/handle": ("drawer_1_handle",),
        },
        command_positions=("goal",),
        commands=("goal", "opening"),
    )


@pytest.fixture
def scene(catalog: Catalog) -> Callable[[], SceneState]:
    """scene() -> two environments; call it after binding, so that contacts have columns."""

    def build() -> SceneState:
        state = SceneState(catalog, num_envs=2, num_robot_joints=2, num_actions=3)
        state.frame_pos[:] = torch.tensor(
            [
                [[0.0, 0.0, 1.0], [0.3, 0.0, 0.6], [1.0, 0.0, 0.5]],
                [[0.0, 0.0, 1.0], [0.0, 0.0, 1.02], [1.0, 0.2, 0.5]],
            ]
        )
        state.start_frame_pos[:] = torch.tensor([[0.0, 0.0, 1.0], [0.3, 0.0, 0.5], [1.0, 0.0, 0.5]])
        state.frame_linvel[:, 1] = torch.tensor([[0.1, 0.2, -0.3], [0.0, 0.0, 0.5]])
        state.joint_limits = torch.tensor([[-1.0, 1.0], [-2.0, 2.0], [0.0, 0.4]])
        state.joint_pos[:] = torch.tensor([[0.5, -1.0, 0.1], [0.0, 2.0, 0.4]])
        state.start_joint_pos[:] = torch.tensor([[0.0, 0.0, 0.2], [0.0, 0.0, 0.1]])
        state.joint_vel[:] = torch.tensor([[1.0, -2.0, 0.25], [0.0, 0.5, 0.0]])
        state.joint_targets[:] = torch.tensor([[0.6, -1.0], [0.0, 1.5]])
        state.commands = {
            "goal": torch.tensor([[0.3, 0.3, 1.0], [0.0, 0.0, 1.0]]),
            "opening": torch.tensor([[1.0], [0.0]]),
        }
        state.action[:] = torch.tensor([[1.0, -0.5, 0.0], [0.0, 0.0, 0.0]])
        state.previous_action[:] = torch.tensor([[0.0, 0.5, 0.0], [0.2, 0.0, -0.2]])
        state.elapsed_steps[:] = torch.tensor([1.0, 4.0])
        state.episode_steps = 4
        state.success_condition = torch.tensor([False, True])
        return state

    return build
