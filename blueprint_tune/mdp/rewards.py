"""Reward terms. Each returns (N,) float32, raw; the policy file's weight is applied by the environment."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from blueprint_tune.mdp.frames import (
    beside_middle,
    in_frame,
    insertion,
    lower_end,
    tilt,
    turned_from,
    way_into,
    within_outline,
    wrist_end,
)
from blueprint_tune.mdp.state import Body, Command, Contact, Frame, Joint, Region, SceneState
from blueprint_tune.mdp.terms import Against, BoundTerm, Positive, term

MIN_JOINT_ERROR = 1e-3
"""rad or m; honest starts are far from the command, so this only guards the division."""
MIN_WAY_M = 1e-3
"""For the same reason."""


@term("reward")
def distance_kernel(state: SceneState, a: Frame, b: Frame, std_m: Positive, slack_m: float = 0.0) -> Tensor:
    """1 within ``slack_m`` metres between two frames, falling as 1 - tanh(excess / ``std_m``)."""
    excess = state.distance(a, b)
    if slack_m > 0:
        excess = (excess - slack_m).clamp_min(0.0)
    return 1.0 - torch.tanh(excess / std_m)


@term("reward")
def grasped(state: SceneState, by: Annotated[Contact, Against("what")], force_n: Positive = 1.0) -> Tensor:
    """1 where every finger of ``by`` presses on ``what`` with at least ``force_n`` newtons."""
    return state.grasped(by, force_n)


@term("reward")
def carried_to(
    state: SceneState,
    by: Annotated[Contact, Against("what")],
    a: Frame,
    b: Frame,
    std_m: Positive,
    force_n: Positive = 1.0,
) -> Tensor:
    """:func:`distance_kernel` between ``a`` and ``b`` while ``what`` is held by every finger of ``by``."""
    return state.grasped(by, force_n) * distance_kernel(state, a, b, std_m)


@term("reward")
def carried_towards(
    state: SceneState,
    by: Annotated[Contact, Against("what")],
    a: Frame,
    b: Frame,
    wrong_way: float = 0.2,
    force_n: Positive = 1.0,
) -> Tensor:
    """How much of its way to ``b``, which stays where it is, a held frame ``a`` has come: 1 at ``b``.

    The distance in metres between them, as a part of what it was at the start of the episode. Farther away
    than that it falls at ``wrong_way`` times the slope.
    """
    left, at_start = state.distance(a, b), (state.start_position(a) - state.position(b)).norm(dim=1)
    return state.grasped(by, force_n) * come_so_far(left, at_start, wrong_way)


def come_so_far(left: Tensor, at_start: Tensor, wrong_way: float) -> Tensor:
    """Part of a way that is behind; below 0, where more is left than at the start, times ``wrong_way``."""
    progress = 1.0 - left / at_start.clamp_min(MIN_WAY_M)
    return torch.where(progress < 0, wrong_way * progress, progress)


@term("reward")
def over_region(
    state: SceneState, frame: Frame, region: Region, std_m: Positive, clearance_m: float = 0.05
) -> Tensor:
    """How near a frame, held or not, is to where it drops into a region: 1 - tanh(way / ``std_m``).

    The way leads over the rim: beside the middle half of the region a frame has to be ``clearance_m``
    metres higher than the region's top and than where it began; within it height does not matter. For
    cloth, which fingers do not feel.
    """
    local = in_frame(state, state.position(frame), region.frame)
    aside, z, half_z = beside_middle(local, region), local[:, 2], region.half_extents[2]
    top = torch.clamp_min(state.start_position(frame)[:, 2] - state.position(frame)[:, 2] + z, half_z)
    below = (top + clearance_m - z).clamp_min(0.0) * (aside > 0)
    return 1.0 - torch.tanh(torch.hypot(aside, below) / std_m)


@term("reward")
def carried_into(
    state: SceneState,
    by: Annotated[Contact, Against("what")],
    part: Body,
    region: Region,
    from_above: bool = True,
    clearance_m: float = 0.03,
    wrong_way: float = 0.2,
    force_n: Positive = 1.0,
) -> Tensor:
    """How much of its way into a region a held part has come, at most 1.

    0 where it began the episode, 1 with its underside on the floor of the region's middle half. The way is as
    long as its pieces together: up, across and down. So height over the region costs as much as the way
    there, and what has been gained on one piece is not lost on the next. Where more is left than at the start
    it falls at ``wrong_way`` times the slope: lifted too high, every move back is worth something.

    ``from_above``: it leads ``clearance_m`` metres over the region's rim, otherwise, as for a shelf that is
    open in front, over the edge of its floor; in either case as much higher than where it began.
    """
    at, half_z = lower_end(state, part), region.half_extents[2]
    start = state.start_position(part.frame) + at - state.position(part.frame)
    local, begun = in_frame(state, at, region.frame), in_frame(state, start, region.frame)
    top = begun[:, 2].clamp_min(half_z if from_above else -half_z) + clearance_m
    left, at_start = way_into(local, top, region), way_into(begun, top, region)
    return state.grasped(by, force_n) * come_so_far(left, at_start, wrong_way)


@term("reward")
def horizontal_kernel(state: SceneState, a: Frame, b: Frame, std_m: Positive) -> Tensor:
    """:func:`distance_kernel` with heights left out."""
    return 1.0 - torch.tanh(state.horizontal_distance(a, b) / std_m)


@term("reward")
def carried_facing(
    state: SceneState,
    by: Annotated[Contact, Against("what")],
    frame: Frame,
    like: Frame,
    std_rad: Positive,
    region: Region,
    std_m: Positive,
    force_n: Positive = 1.0,
) -> Tensor:
    """1 with a held frame's front pointing as that of ``like``, falling as 1 - tanh(angle / ``std_rad``).

    Times 1 - tanh(way / ``std_m``) of the horizontal way to the middle half of ``region``: where it was paid
    anywhere, a training learned to turn a thing where it was picked up, and not to carry it.
    """
    turned = 1.0 - torch.tanh(turned_from(state, frame, like).abs() / std_rad)
    aside = beside_middle(in_frame(state, state.position(frame), region.frame), region)
    return state.grasped(by, force_n) * turned * (1.0 - torch.tanh(aside / std_m))


@term("reward")
def tilt_kernel(state: SceneState, frame: Frame, std_rad: Positive) -> Tensor:
    """1 with a frame upright, falling as 1 - tanh(tilt / ``std_rad``)."""
    return 1.0 - torch.tanh(tilt(state, frame) / std_rad)


@term("reward")
def lifted(
    state: SceneState,
    by: Annotated[Contact, Against("what")],
    frame: Frame,
    height_m: Positive,
    region: Region | None = None,
    force_n: Positive = 1.0,
) -> Tensor:
    """Height of a held frame over where it began the episode, as a fraction of ``height_m``, at most 1.

    In ``region`` and over it 1 at any height: pay for lifting must not keep a thing from being put down.
    """
    height = risen(state, frame, height_m)
    if region is not None:
        there = within_outline(in_frame(state, state.position(frame), region.frame), region)
        height = height.masked_fill(there, 1.0)
    return state.grasped(by, force_n) * height


@term("reward")
def risen(state: SceneState, frame: Frame, height_m: Positive) -> Tensor:
    """Height of a frame over where it began the episode, as a fraction of ``height_m``, in [0, 1]."""
    height = state.position(frame)[:, 2] - state.start_position(frame)[:, 2]
    return (height / height_m).clamp(0.0, 1.0)


@term("reward")
def joint_progress(state: SceneState, joint: Joint, to: Command, wrong_way: float = 0.3) -> Tensor:
    """Part of the way from where a joint began the episode to the commanded fraction of its range.

    1 at the command, 0 at the start: nothing is earned by a start that happens to lie near the command.
    Beyond the start it falls at ``wrong_way`` times the slope: a clumsy first touch costs little, so that
    the handle is worth approaching, and every move back is worth something.
    """
    signed = state.joint_error(joint, to)
    wanted = state.joint_position(joint) + signed
    error, at_start = signed.abs(), (state.start_joint_position(joint) - wanted).abs()
    progress = 1.0 - error / at_start.clamp_min(MIN_JOINT_ERROR)
    return torch.where(progress < 0, wrong_way * progress, progress)


@term("reward")
def joint_kernel(state: SceneState, joint: Joint, to: Command, std: Positive) -> Tensor:
    """1 with a joint at its commanded position, falling as 1 - tanh(error / ``std``) in rad or m."""
    return 1.0 - torch.tanh(state.joint_error(joint, to).abs() / std)


@term("reward")
def wrist_room(
    state: SceneState, wrist: Joint, joint: Joint, to: Command, std_rad: Positive, margin_rad: float = 0.2
) -> Tensor:
    """1 where the wrist can turn a joint to its command in one go, else falling with what it lacks.

    Right turning moves wrist and joint together and leaves this as it is; only how a hand is twisted
    before it grips changes it. What lacks is counted from ``margin_rad`` before the wrist's limits.
    """
    end = wrist_end(state, wrist, joint, to)
    lower, upper = state.joint_range(wrist)
    lacking = torch.maximum(end - upper, lower - end) + margin_rad
    return 1.0 - torch.tanh(lacking.clamp_min(0.0) / std_rad)


@term("reward")
def contact_force_above(
    state: SceneState, by: Annotated[Contact, Against("what")], threshold_n: Positive
) -> Tensor:
    """Number of bodies of ``by`` that touch ``what`` (anything if left out) harder than ``threshold_n``."""
    return (state.forces(by) > threshold_n).sum(dim=1).float()


@term("reward")
def action_rate(state: SceneState) -> Tensor:
    """Sum of squared changes of the action since the previous env step."""
    change = state.action - state.previous_action
    return (change * change).sum(dim=1)


@term("reward")
def action_magnitude(state: SceneState) -> Tensor:
    """Sum of squared actions."""
    return (state.action * state.action).sum(dim=1)


@term("reward")
def joint_speed(state: SceneState) -> Tensor:
    """Sum of squared velocities of the robot's joints, (rad/s)²."""
    speed = state.joint_vel[:, : state.num_robot_joints]
    return (speed * speed).sum(dim=1)


@term("reward")
def insertion_depth(state: SceneState, part: Body, hole: Region) -> Tensor:
    """How deep a part's lower end is in a hole, in [0, 1]; 0 beside it."""
    depth, off_m = insertion(state, part, hole)
    return depth.clamp(0.0, 1.0) * (off_m <= max(hole.half_extents[:2]))


@term("reward")
def over_hole(state: SceneState, part: Body, hole: Region, std_m: Positive) -> Tensor:
    """1 with a part's lower end on a hole's axis, falling as 1 - tanh(offset / ``std_m``)."""
    return 1.0 - torch.tanh(insertion(state, part, hole)[1] / std_m)


@term("reward")
def condition_met(state: SceneState, condition: BoundTerm) -> Tensor:
    """1 in every env step in which ``condition`` holds."""
    return condition.function(state).float()


@term("reward")
def letting_go(state: SceneState, condition: BoundTerm) -> Tensor:
    """How far the last action asks the gripper to open, 0 to 1, where ``condition`` holds.

    A policy that has learned to hold tight never opens the hand by chance any more; this leads it there.
    """
    return condition.function(state) * 0.5 * (state.action[:, -1] + 1.0)


@term("reward")
def joint_depressed(state: SceneState, joint: Joint) -> Tensor:
    """Position of a joint as a fraction of its range, in [0, 1]."""
    return state.joint_fraction(joint).clamp(0.0, 1.0)


@term("reward")
def sequence_progress(state: SceneState) -> Tensor:
    """How many members are done, as a fraction of the sequence."""
    return state.stage.float() / state.order.shape[1]


@term("reward")
def success_bonus(state: SceneState) -> Tensor:
    """1 in every env step in which the success condition holds."""
    return state.success_condition.float()


@term("reward")
def elapsed_time(state: SceneState) -> Tensor:
    """Elapsed part of the episode in [0, 1] while the success condition does not hold."""
    return (state.elapsed_steps / state.episode_steps) * (~state.success_condition).float()
