"""Links that joints connect to a fixed base, and the motors of the joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING
from typing import Any

import torch
from isaac_physics import stage
from isaac_physics.builder import Built
from isaac_physics.motors import change_motor
from isaac_physics.rotations import rotate
from isaac_physics.things import Buffered, buffered, environments, find, part
from isaac_physics.views import ArticulationView
from isaac_physics.world import World
from torch import Tensor

from isaaclab.actuators import ActuatorBaseCfg
from isaaclab.assets.asset_base import AssetBase
from isaaclab.assets.asset_base_cfg import AssetBaseCfg
from isaaclab.assets.rigid_object import RigidObjectCfg
from isaaclab.utils import configclass

_OF_MOTORS = (
    "stiffness",
    "damping",
    "effort_limit_sim",
    "velocity_limit_sim",
    "armature",
    "friction",
    "viscous_friction",
)


def _change_motors(built: Built, joints: list[str], group: ActuatorBaseCfg) -> None:
    """Apply a group's values to its joints: one number for all, or by expressions; None keeps the file's.

    Joints of the group that no expression names get 0, as Isaac Lab fills them.
    """
    names = [joint.rsplit("/", 1)[1] for joint in joints]
    changes: dict[str, dict[str, float]] = {joint: {} for joint in joints}
    for setting in _OF_MOTORS:
        value = getattr(group, setting)
        if value is None:
            continue
        for joint in joints:
            changes[joint][setting] = 0.0
        for expression, number in (value if isinstance(value, dict) else {".*": value}).items():
            for index in find(expression, names, False)[0]:
                changes[joints[index]][setting] = number
    for joint, values in changes.items():
        built.speed_limits[joint] = values.pop("velocity_limit_sim", built.speed_limits[joint])
        change_motor(built.spec, joint, values)


def _where(env_ids: Tensor | None, joint_ids: Sequence[int] | slice | None) -> Any:
    """Rows and columns of a buffer, as the original indexes: environments must be a tensor beside joints."""
    envs = slice(None) if env_ids is None else env_ids
    joints = slice(None) if joint_ids is None else joint_ids
    both = not isinstance(envs, slice) and not isinstance(joints, slice)
    return (envs[:, None] if both else envs), joints


class ArticulationData(Buffered):
    def __init__(self, root_physx_view: ArticulationView, device: str) -> None:
        super().__init__()
        world, count = root_physx_view._world, root_physx_view.count
        self._world, self._links, self._dofs = world, root_physx_view._links, root_physx_view._dofs
        limits = torch.tensor(world.model.jnt_range[self._dofs], dtype=torch.float32)
        limits[world.model.jnt_limited[self._dofs] == 0] = torch.tensor([-torch.inf, torch.inf])
        self.joint_pos_limits = limits.expand(count, -1, 2).clone().to(device)
        self.joint_pos_target = torch.zeros(count, len(self._dofs), device=device)
        self._coms = torch.from_numpy(world.model.body_ipos[self._links]).float().to(device)

    @buffered
    def joint_pos(self) -> Tensor:
        return self._world.joints(self._dofs)[0]

    @buffered
    def joint_vel(self) -> Tensor:
        return self._world.joints(self._dofs)[1]

    @buffered
    def body_link_pose_w(self) -> Tensor:
        return self._world.link_poses(self._links)

    @buffered
    def body_com_vel_w(self) -> Tensor:
        return self._world.link_velocities(self._links)

    @buffered
    def body_com_pos_w(self) -> Tensor:
        return self.body_link_pos_w + rotate(self.body_link_quat_w, self.body_com_pos_b)

    @property
    def body_com_pos_b(self) -> Tensor:
        return self._coms.expand(self._world.num_envs, -1, 3)

    @buffered
    def body_link_vel_w(self) -> Tensor:
        linear, angular = self.body_com_vel_w.split(3, dim=2)
        lever = rotate(self.body_link_quat_w, self.body_com_pos_b)
        return torch.cat([linear - torch.linalg.cross(angular, lever), angular], dim=2)

    body_link_pos_w = part("body_link_pose_w", slice(0, 3))
    body_link_quat_w = part("body_link_pose_w", slice(3, 7))
    body_link_lin_vel_w = part("body_link_vel_w", slice(0, 3))
    body_link_ang_vel_w = part("body_link_vel_w", slice(3, 6))
    body_com_lin_vel_w = part("body_com_vel_w", slice(0, 3))
    body_com_ang_vel_w = part("body_com_vel_w", slice(3, 6))


class Articulation(AssetBase):
    @property
    def root_physx_view(self) -> ArticulationView:
        return self._view

    @property
    def is_fixed_base(self) -> bool:
        return True  # the double builds no other

    @property
    def num_joints(self) -> int:
        return len(self._joints)

    @property
    def num_bodies(self) -> int:
        return len(self.body_names)

    @property
    def joint_names(self) -> list[str]:
        return [name.rsplit("/", 1)[1] for name in self._joints]

    @property
    def body_names(self) -> list[str]:
        return [name.rsplit("/", 1)[1] for name in self._built.links[self._path]]

    def find_bodies(
        self, name_keys: str | Sequence[str], preserve_order: bool = False
    ) -> tuple[list[int], list[str]]:
        return find(name_keys, self.body_names, preserve_order)

    def find_joints(
        self,
        name_keys: str | Sequence[str],
        joint_subset: list[str] | None = None,
        preserve_order: bool = False,
    ) -> tuple[list[int], list[str]]:
        return find(name_keys, joint_subset or self.joint_names, preserve_order)

    def _prepare(self, built: Built) -> None:
        self._path = stage.first(self.cfg.prim_path)
        self._only("articulation root", stage.is_root, self._path)
        self._built, self._joints = built, built.joints[self._path]
        self._driven: list[int] = []
        for group in self.cfg.actuators.values():
            chosen, _ = self.find_joints(group.joint_names_expr)
            self._driven += chosen
            _change_motors(built, [self._joints[index] for index in chosen], group)

    def _initialize(self, world: World) -> None:
        self._world, self._view = world, ArticulationView(world, self._path)
        self._data = ArticulationData(self._view, self.device)
        self._check_default_positions()

    def _check_default_positions(self) -> None:
        position = torch.zeros(self.num_joints)
        for expression, value in self.cfg.init_state.joint_pos.items():
            position[find(expression, self.joint_names, False)[0]] = value
        for name, value, (low, high) in zip(
            self.joint_names, position, self._data.joint_pos_limits[0].cpu(), strict=True
        ):
            if not low <= value <= high:
                raise ValueError(
                    "The following joints have default positions out of the limits: "
                    f"'{name}': {value:.3f} not in [{low:.3f}, {high:.3f}]"
                )

    def reset(self, env_ids: Sequence[int] | None = None) -> None:
        """Clear external forces, of which the double has none."""

    def set_joint_position_target(
        self,
        target: Tensor,
        joint_ids: Sequence[int] | slice | None = None,
        env_ids: Sequence[int] | None = None,
    ) -> None:
        self._data.joint_pos_target[_where(env_ids, joint_ids)] = target

    def write_data_to_sim(self) -> None:
        if not self._driven:
            return
        targets = torch.zeros_like(self._data.joint_pos_target)  # joints without a motor are told 0 as well
        targets[:, self._driven] = self._data.joint_pos_target[:, self._driven]
        self._world.set_targets(self._joints, targets)

    def write_joint_state_to_sim(
        self,
        position: Tensor,
        velocity: Tensor,
        joint_ids: Sequence[int] | slice | None = None,
        env_ids: Sequence[int] | slice | None = None,
    ) -> None:
        """Write whole rows: joints that are not named get what ``data`` has, which may be old."""
        envs = environments(env_ids, self.num_instances)
        data, where = self._data, _where(env_ids, joint_ids)
        data.joint_pos[where] = position
        data.joint_vel[where] = velocity
        data._forget("body_link_pose_w", "body_link_vel_w", "body_com_vel_w", "body_com_pos_w")
        self._world.set_joints(data._dofs, envs, data.joint_pos[envs], data.joint_vel[envs])

    def write_root_pose_to_sim(self, root_pose: Tensor, env_ids: Sequence[int] | None = None) -> None:
        envs = environments(env_ids, self.num_instances)
        self._world.set_pose(int(self._data._links[0]), envs, root_pose)
        self._data._forget("body_link_pose_w", "body_com_pos_w")

    def write_root_velocity_to_sim(self, root_velocity: Tensor, env_ids: Sequence[int] | None = None) -> None:
        """Do nothing, since the base is fixed."""
        environments(env_ids, self.num_instances)


@configclass
class ArticulationCfg(AssetBaseCfg):
    @configclass
    class InitialStateCfg(RigidObjectCfg.InitialStateCfg):
        joint_pos: dict[str, float] = {".*": 0.0}
        joint_vel: dict[str, float] = {".*": 0.0}

    class_type: type = Articulation
    init_state: InitialStateCfg = InitialStateCfg()
    soft_joint_pos_limit_factor: float = 1.0
    actuators: dict[str, ActuatorBaseCfg] = MISSING
