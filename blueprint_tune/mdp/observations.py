"""Terms that a policy sees. Each returns (N, d) float32."""

from __future__ import annotations

from functools import cache
from typing import Annotated

import torch
from torch import Tensor

from blueprint_tune.mdp.frames import in_frame, lower_end, rotate, rotate_back, wrist_end
from blueprint_tune.mdp.state import Body, Command, Contact, Frame, Joint, Members, Region, SceneState
from blueprint_tune.mdp.terms import Against, Positive, term

XYZ = ("x", "y", "z")


@cache
def _axes_of_products(device: str) -> tuple[Tensor, Tensor]:
    """(6,) and (16, 6): the x and y axes of a rotation matrix as linear in the products of quaternion
    components."""
    matrix = torch.zeros(4, 4, 6)
    w, x, y, z = range(4)
    entries = (
        (0, ((y, y, -2.0), (z, z, -2.0))),
        (1, ((x, y, 2.0), (w, z, 2.0))),
        (2, ((x, z, 2.0), (w, y, -2.0))),
        (3, ((x, y, 2.0), (w, z, -2.0))),
        (4, ((x, x, -2.0), (z, z, -2.0))),
        (5, ((y, z, 2.0), (w, x, 2.0))),
    )
    for column, parts in entries:
        for a, b, factor in parts:
            matrix[a, b, column] += factor
    offset = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    return offset.to(device), matrix.flatten(0, 1).to(device)


@term("observation", unit="m", frame="world", components=XYZ)
def relative_position(state: SceneState, a: Frame, b: Frame, scale: float = 1.0) -> Tensor:
    """Vector in metres (times ``scale``) from frame ``a`` to frame ``b`` in world axes, (N, 3)."""
    return (state.position(b) - state.position(a)) * scale


@term("observation", unit="m", frame="world", components=("z",))
def frame_height(state: SceneState, frame: Frame, above_m: float = 0.0) -> Tensor:
    """Height of a frame over ``above_m`` in metres, (N, 1)."""
    return state.position(frame)[:, 2:3] - above_m


@term("observation", frame="world", components=("x_x", "x_y", "x_z", "y_x", "y_y", "y_z"))
def frame_axes(state: SceneState, frame: Frame) -> Tensor:
    """First two columns of a frame's rotation matrix, (N, 6): continuous, unlike a quaternion.

    Source: Zhou et al., On the Continuity of Rotation Representations in Neural Networks, CVPR 2019.
    """
    quat = state.quaternion(frame)
    products = (quat.unsqueeze(2) * quat.unsqueeze(1)).flatten(1)
    offset, matrix = _axes_of_products(state.device)
    return torch.addmm(offset, products, matrix)


@term("observation", unit="m", frame="{hole}", components=XYZ)
def hole_offset(
    state: SceneState, part: Body, hole: Region, scale: float = 1.0, limit: Positive = 1e6
) -> Tensor:
    """A part's lower end from a hole's mouth, in metres along the hole's axes, (N, 3).

    Times ``scale``, and cut off at plus and minus ``limit``.
    """
    mouth = torch.tensor([0.0, 0.0, hole.half_extents[2]], device=state.device)
    offset = (in_frame(state, lower_end(state, part), hole.frame) - mouth) * scale
    return offset.clamp(-limit, limit)


@term("observation", frame="{frame}", components=("cos", "sin"))
def folded_angle(state: SceneState, frame: Frame, of: Frame, axis: str = "z", folds: int = 2) -> Tensor:
    """Angle of an axis of ``of`` about the z axis of ``frame``, times ``folds``: (cos, sin), (N, 2).

    The angle counts from the x axis of ``frame``. What looks the same after a part of a turn, as a bar does
    after half of one (``folds`` 2) and a box after a quarter (4), gives the same numbers.
    """
    direction = torch.zeros_like(state.position(of))
    direction[:, "xyz".index(axis)] = 1.0
    seen = rotate_back(state.quaternion(frame), rotate(state.quaternion(of), direction))
    cos, sin = seen[:, 0], seen[:, 1]
    for _ in range(folds.bit_length() - 1):
        cos, sin = cos * cos - sin * sin, 2.0 * cos * sin
    return torch.stack([cos, sin], dim=1)


@term("observation", unit="rad")
def wrist_turn(state: SceneState, wrist: Joint, joint: Joint, to: Command) -> Tensor:
    """Where the wrist ends, in rad, if it turns a joint to its command in one go from here, (N, 1)."""
    return wrist_end(state, wrist, joint, to).unsqueeze(1)


@term("observation", unit="m", frame="{of}", components=XYZ)
def body_size(state: SceneState, of: Body, scale: float = 1.0) -> Tensor:
    """Extents of a role's box along its own axes in metres (times ``scale``), (N, 3)."""
    extents = 2.0 * scale * torch.tensor(of.half_extents, device=state.device)
    return state.scale_of(of.frame).unsqueeze(1) * extents


@term("observation", unit="m/s", frame="world", components=XYZ)
def frame_velocity(state: SceneState, frame: Frame, scale: float = 1.0) -> Tensor:
    """Linear velocity of a frame in m/s (times ``scale``), (N, 3)."""
    return state.velocity(frame) * scale


@term("observation", unit="joint", components="joints")
def robot_joint_positions(state: SceneState) -> Tensor:
    """Positions of the robot's joints in rad or m, (N, R)."""
    return state.joint_pos[:, : state.num_robot_joints]


@term("observation", unit="joint/s", components="joints")
def robot_joint_velocities(state: SceneState, scale: float = 1.0) -> Tensor:
    """Velocities of the robot's joints per second (times ``scale``), (N, R)."""
    return state.joint_vel[:, : state.num_robot_joints] * scale


@term("observation", unit="joint", components="joints")
def robot_target_lag(state: SceneState, scale: float = 1.0) -> Tensor:
    """How far the robot's joint targets lead the measured joints, in rad or m (times ``scale``), (N, R)."""
    return (state.joint_targets - state.joint_pos[:, : state.num_robot_joints]) * scale


@term("observation")
def joint_fraction(state: SceneState, joint: Joint) -> Tensor:
    """Position of a joint as a fraction of its range, (N, 1)."""
    return state.joint_fraction(joint).unsqueeze(1)


@term("observation", unit="joint")
def joint_error(state: SceneState, joint: Joint, to: Command, scale: float = 1.0) -> Tensor:
    """Distance of a joint to the commanded fraction of its range in rad or m (times ``scale``), (N, 1)."""
    return state.joint_error(joint, to).unsqueeze(1) * scale


@term("observation", unit="joint/s")
def joint_velocity(state: SceneState, joint: Joint) -> Tensor:
    """Velocity of a joint in rad/s or m/s, (N, 1)."""
    return state.joint_velocity(joint).unsqueeze(1)


@term("observation")
def sequence_stage(state: SceneState) -> Tensor:
    """How many members are done, as a fraction of the sequence, (N, 1)."""
    return (state.stage / state.order.shape[1]).unsqueeze(1).float()


@term("observation", components="{role}")
def whose_turn(state: SceneState, role: Members) -> Tensor:
    """1 in the column of the member whose turn it is, else 0, (N, members)."""
    return torch.nn.functional.one_hot(state.active, role.count).float()


@term("observation", unit="command")
def command(state: SceneState, of: Command) -> Tensor:
    """The command as drawn for this episode, (N, d)."""
    return state.commands[of.name]


@term("observation", components="actions")
def last_action(state: SceneState) -> Tensor:
    """The policy's previous output, (N, A)."""
    return state.action


@term("observation")
def elapsed_fraction(state: SceneState) -> Tensor:
    """Elapsed part of the episode in [0, 1], (N, 1)."""
    return (state.elapsed_steps / state.episode_steps).unsqueeze(1)


@term("observation", components="{by}")
def contact_forces(
    state: SceneState, by: Annotated[Contact, Against("what")], saturation_n: Positive = 20.0
) -> Tensor:
    """Contact force of each body of ``by`` on ``what`` as tanh(force / ``saturation_n``), (N, k)."""
    return torch.tanh(state.forces(by) / saturation_n)
