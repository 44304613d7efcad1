"""Conditions of success and of an episode's early end. Each returns (N,) bool, judged on the state alone."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from blueprint_tune.mdp.frames import in_frame, insertion, tilt, turned_from
from blueprint_tune.mdp.state import Body, Command, Contact, Frame, Joint, Members, Region, SceneState
from blueprint_tune.mdp.terms import Against, BoundTerm, Positive, term


@term("success", start_margin={"distance_m": 0.05})
def within_distance(state: SceneState, a: Frame, b: Frame, distance_m: Positive) -> Tensor:
    """Two frames are within ``distance_m`` metres of each other."""
    return state.distance(a, b) <= distance_m


@term("success")
def apart(state: SceneState, a: Frame, b: Frame, distance_m: Positive) -> Tensor:
    """Two frames are at least ``distance_m`` metres from each other: cloth that far away is not held."""
    return state.distance(a, b) >= distance_m


@term("success", start_margin={"distance_m": 0.05})
def within_horizontal_distance(state: SceneState, a: Frame, b: Frame, distance_m: Positive) -> Tensor:
    """Two frames are within ``distance_m`` metres of each other, heights left out."""
    return state.horizontal_distance(a, b) <= distance_m


@term("success", start_margin={"tolerance": 0.3})
def joint_at(state: SceneState, joint: Joint, at: Command, tolerance: Positive) -> Tensor:
    """A joint is within ``tolerance`` (a fraction of its range) of the commanded fraction."""
    return (state.joint_fraction(joint) - state.commands[at.name][:, 0]).abs() <= tolerance


@term("success", start_margin={"distance": 0.3})
def joint_within(state: SceneState, joint: Joint, at: Command, distance: Positive) -> Tensor:
    """A joint is within ``distance`` (rad or m) of the commanded fraction of its range."""
    return state.joint_error(joint, at).abs() <= distance


@term("success")
def joint_beyond(state: SceneState, joint: Joint, fraction: Positive) -> Tensor:
    """A joint is past ``fraction`` of its range."""
    return state.joint_fraction(joint) >= fraction


@term("success", start_margin={"slack_m": 0.05})
def inside_region(state: SceneState, frame: Frame, region: Region, slack_m: float = 0.0) -> Tensor:
    """A frame's origin lies in a region that is ``slack_m`` metres larger on every side."""
    local = in_frame(state, state.position(frame), region.frame)
    half = torch.tensor(region.half_extents, device=state.device) + slack_m
    return (local.abs() <= half).all(dim=1)


@term("success")
def released(state: SceneState, by: Annotated[Contact, Against("what")], force_n: Positive = 0.1) -> Tensor:
    """No body of ``by`` touches ``what`` with ``force_n`` newtons or more."""
    return (state.forces(by) < force_n).all(dim=1)


@term("success")
def settled(
    state: SceneState, frame: Frame, speed_mps: Positive = 0.05, speed_radps: Positive = 0.5
) -> Tensor:
    """A frame moves slower than ``speed_mps`` and turns slower than ``speed_radps``."""
    moving = torch.linalg.vector_norm(state.velocity(frame), dim=1) > speed_mps
    return ~(moving | (torch.linalg.vector_norm(state.angular_velocity(frame), dim=1) > speed_radps))


@term("success")
def inserted(state: SceneState, part: Body, hole: Region, fraction: Positive) -> Tensor:
    """A part's lower end is in a hole, at least ``fraction`` of its depth down."""
    depth, off_m = insertion(state, part, hole)
    return (depth >= fraction) & (off_m <= max(hole.half_extents[:2]))


@term("success", start_margin={"tilt_rad": 0.3})
def upright(state: SceneState, frame: Frame, tilt_rad: Positive) -> Tensor:
    """A frame's z axis is within ``tilt_rad`` of the vertical."""
    return tilt(state, frame) <= tilt_rad


@term("success", start_margin={"angle_rad": 0.3})
def facing(state: SceneState, frame: Frame, like: Frame, angle_rad: Positive) -> Tensor:
    """Seen from above, a frame's front points the way that of ``like`` does, within ``angle_rad``."""
    return turned_from(state, frame, like).abs() <= angle_rad


@term("success")
def sequence_completed(state: SceneState) -> Tensor:
    """Every member of the sequence has had its turn and is done."""
    return state.stage >= state.order.shape[1]


@term("success")
def all_of(state: SceneState, conditions: dict[str, BoundTerm]) -> Tensor:
    """Every one of some named conditions holds."""
    met = [condition.function(state) for condition in conditions.values()]
    return torch.stack(met, dim=1).all(dim=1)


@term("success")
def every_member(state: SceneState, role: Members, condition: BoundTerm) -> Tensor:
    """A condition holds for each member of a role."""
    met = [state.on_member(member, condition.function) for member in range(role.count)]
    return torch.stack(met, dim=1).all(dim=1)


@term("termination")
def wrong_member(state: SceneState, role: Members, condition: BoundTerm) -> Tensor:
    """A condition holds for a member whose turn it neither is nor was."""
    turns = torch.arange(state.order.shape[1], device=state.device)
    past = turns <= state.stage.unsqueeze(1)
    wrong = [
        state.on_member(member, condition.function) & ~((state.order == member) & past).any(dim=1)
        for member in range(role.count)
    ]
    return torch.stack(wrong, dim=1).any(dim=1)


@term("termination")
def below_height(state: SceneState, frame: Frame, height_m: float) -> Tensor:
    """A frame has fallen below ``height_m`` metres over the floor."""
    return state.position(frame)[:, 2] < height_m


@term("termination")
def faster_than(state: SceneState, frame: Frame, speed_mps: Positive) -> Tensor:
    """A frame moves faster than ``speed_mps``: what fell 30 cm does 2.4 m/s."""
    velocity = state.velocity(frame)
    return (velocity * velocity).sum(dim=1) > speed_mps**2


@term("termination")
def farther_than(state: SceneState, a: Frame, b: Frame, distance_m: Positive) -> Tensor:
    """Two frames are farther apart than ``distance_m`` metres."""
    return state.distance(a, b) > distance_m
