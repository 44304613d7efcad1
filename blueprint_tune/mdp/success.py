"""Success and termination conditions. Each returns (N,) bool, judged on the scene's state alone."""

from __future__ import annotations

from torch import Tensor

from blueprint_tune.mdp.state import Command, Frame, Joint, SceneState
from blueprint_tune.mdp.terms import Positive, term


@term("success", start_margin={"distance_m": 0.05})
def within_distance(state: SceneState, a: Frame, b: Frame, distance_m: Positive) -> Tensor:
    """Two frames are within ``distance_m`` metres of each other."""
    return state.distance(a, b) <= distance_m


@term("success", start_margin={"tolerance": 0.3})
def joint_at(state: SceneState, joint: Joint, at: Command, tolerance: Positive) -> Tensor:
    """A joint is within ``tolerance`` (a fraction of its range) of the commanded fraction."""
    lower, upper = state.joint_limits[joint.index]
    fraction = (state.joint_pos[:, joint.index] - lower) / (upper - lower)
    return (fraction - state.commands[at.name][:, 0]).abs() <= tolerance


@term("success", start_margin={"distance": 0.3})
def joint_within(state: SceneState, joint: Joint, at: Command, distance: Positive) -> Tensor:
    """A joint is within ``distance`` (rad or m) of the commanded fraction of its range."""
    return state.joint_error(joint, at).abs() <= distance


@term("termination")
def below_height(state: SceneState, frame: Frame, height_m: float) -> Tensor:
    """A frame has fallen below ``height_m`` metres over the floor."""
    return state.position(frame)[:, 2] < height_m


@term("termination")
def farther_than(state: SceneState, a: Frame, b: Frame, distance_m: Positive) -> Tensor:
    """Two frames are farther apart than ``distance_m`` metres."""
    return state.distance(a, b) > distance_m
