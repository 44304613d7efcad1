"""Geometry between frames that several terms share. Elementwise: rounding never depends on their number."""

from __future__ import annotations

import torch
from torch import Tensor

from blueprint_tune.mdp.state import Body, Command, Frame, Joint, Region, SceneState


def in_frame(state: SceneState, point: Tensor, frame: Frame) -> Tensor:
    """(N, 3) world points seen from a frame, in metres along its axes."""
    return rotate_back(state.quaternion(frame), point - state.position(frame))


def rotate_back(quat: Tensor, vector: Tensor) -> Tensor:
    """(N, 3) vectors turned by the inverse of unit quaternions (N, 4) wxyz.

    Source: v' = v + 2 w (v × u) + 2 u × (u × v) with q = (w, u), from q* v q.
    """
    w, u = quat[:, :1], quat[:, 1:]
    cross = torch.linalg.cross(vector, u)
    return vector + 2.0 * (w * cross + torch.linalg.cross(cross, u))


def beside_middle(local: Tensor, region: Region) -> Tensor:
    """(N,) metres, horizontally, from points (N, 3) in a region's axes to its middle half; 0 over it."""
    x, y, _ = local.unbind(dim=1)
    half_x, half_y, _ = region.half_extents
    return torch.hypot((x.abs() - half_x / 2).clamp_min(0.0), (y.abs() - half_y / 2).clamp_min(0.0))


def within_outline(local: Tensor, region: Region) -> Tensor:
    """(N,) bool: whether points (N, 3) in a region's axes lie in it or over it or under it."""
    half_x, half_y, _ = region.half_extents
    return (local[:, 0].abs() <= half_x) & (local[:, 1].abs() <= half_y)


def way_into(local: Tensor, top: Tensor, region: Region) -> Tensor:
    """(N,) metres from points (N, 3) in a region's axes to the floor of its middle half, piece by piece.

    Within the region's outline across and down; beside it up to the height ``top`` (N,) first.
    """
    z = local[:, 2]
    height = torch.where(within_outline(local, region), z, torch.maximum(2 * top - z, z))
    return beside_middle(local, region) + (height + region.half_extents[2]).clamp_min(0.0)


def insertion(state: SceneState, part: Body, hole: Region) -> tuple[Tensor, Tensor]:
    """((N,) depth of the part's lower end as a fraction of the hole's; (N,) metres off the hole's axis)."""
    local = in_frame(state, lower_end(state, part), hole.frame)
    deep = hole.half_extents[2]
    return (deep - local[:, 2]) / (2 * deep), torch.linalg.vector_norm(local[:, :2], dim=1)


def lower_end(state: SceneState, part: Body) -> Tensor:
    """(N, 3) m: the middle of the underside of a part, as it stands in its own frame."""
    down = torch.zeros_like(state.position(part.frame))
    down[:, 2] = -part.half_extents[2]
    return state.position(part.frame) + rotate(state.quaternion(part.frame), down)


def rotate(quat: Tensor, vector: Tensor) -> Tensor:
    """(N, 3) vectors turned by unit quaternions (N, 4) wxyz; see :func:`rotate_back`."""
    w, u = quat[:, :1], quat[:, 1:]
    cross = torch.linalg.cross(u, vector)
    return vector + 2.0 * (w * cross + torch.linalg.cross(u, cross))


def wrist_end(state: SceneState, wrist: Joint, joint: Joint, to: Command) -> Tensor:
    """(N,) rad: where the wrist ends if it turns a joint to its command in one go, gripping it as it is."""
    return state.joint_position(wrist) - joint.outward * state.joint_error(joint, to)


def tilt(state: SceneState, frame: Frame) -> Tensor:
    """(N,) angle in rad between a frame's z axis and the vertical."""
    quat = state.quaternion(frame)
    x, y = quat[:, 1], quat[:, 2]
    # sin(tilt / 2)² = x² + y² of a unit quaternion
    return 2.0 * torch.asin((x * x + y * y).clamp(0.0, 1.0).sqrt())


def turned_from(state: SceneState, frame: Frame, like: Frame) -> Tensor:
    """(N,) rad in (-π, π], seen from above: how far a frame's front (-y) is turned from that of ``like``."""
    return torch.remainder(_heading(state, frame) - _heading(state, like) + torch.pi, 2 * torch.pi) - torch.pi


def _heading(state: SceneState, frame: Frame) -> Tensor:
    """(N,) rad: the direction of a frame's y axis in the horizontal plane."""
    w, x, y, z = state.quaternion(frame).unbind(dim=1)
    return torch.atan2(1.0 - 2.0 * (x * x + z * z), 2.0 * (x * y - w * z))
