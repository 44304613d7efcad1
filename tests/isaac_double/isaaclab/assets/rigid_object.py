"""Bodies that move freely, or that are moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from isaac_physics import stage
from isaac_physics.rotations import rotate
from isaac_physics.things import Buffered, buffered, environments, part
from isaac_physics.views import RigidBodyView
from isaac_physics.world import World
from torch import Tensor

from isaaclab.assets.asset_base import AssetBase
from isaaclab.assets.asset_base_cfg import AssetBaseCfg
from isaaclab.utils import configclass


class RigidObjectData(Buffered):
    def __init__(self, root_physx_view: RigidBodyView, device: str) -> None:
        super().__init__()
        self._world, self._body = root_physx_view._world, np.array(root_physx_view._bodies)
        self._com = torch.from_numpy(self._world.model.body_ipos[self._body[0]]).float().to(device)

    @buffered
    def root_link_pose_w(self) -> Tensor:
        return self._world.link_poses(self._body)[:, 0]

    @buffered
    def root_com_vel_w(self) -> Tensor:
        return self._world.free_velocities(self._body)[:, 0]

    @buffered
    def root_link_vel_w(self) -> Tensor:
        linear, angular = self.root_com_vel_w.split(3, dim=1)
        lever = rotate(self.root_link_quat_w, self._com.expand_as(linear))
        return torch.cat([linear - torch.linalg.cross(angular, lever), angular], dim=1)

    root_link_pos_w = part("root_link_pose_w", slice(0, 3))
    root_link_quat_w = part("root_link_pose_w", slice(3, 7))
    root_link_lin_vel_w = part("root_link_vel_w", slice(0, 3))
    root_link_ang_vel_w = part("root_link_vel_w", slice(3, 6))
    root_com_lin_vel_w = part("root_com_vel_w", slice(0, 3))
    root_com_ang_vel_w = part("root_com_vel_w", slice(3, 6))


class RigidObject(AssetBase):
    @property
    def root_physx_view(self) -> RigidBodyView:
        return self._view

    @property
    def body_names(self) -> list[str]:
        return [self._path.rsplit("/", 1)[1]]

    def _initialize(self, world: World) -> None:
        path = stage.first(self.cfg.prim_path)
        self._path = self._only("rigid body", stage.is_body, path)
        if stage.below(path, stage.is_root):
            raise RuntimeError(
                f"Found an articulation root when resolving '{self.cfg.prim_path}' for rigid objects."
            )
        self._world, self._view = world, RigidBodyView(world, self._path)
        self._data = RigidObjectData(self._view, self.device)

    def reset(self, env_ids: Sequence[int] | None = None) -> None:
        """Clear external forces, of which the double has none."""

    def write_data_to_sim(self) -> None:
        """Apply external forces, of which the double has none."""

    def write_root_pose_to_sim(self, root_pose: Tensor, env_ids: Sequence[int] | None = None) -> None:
        envs = environments(env_ids, self.num_instances)
        self._data.root_link_pose_w[slice(None) if env_ids is None else env_ids] = root_pose
        self._world.set_pose(int(self._data._body[0]), envs, self._data.root_link_pose_w[envs])

    def write_root_velocity_to_sim(self, root_velocity: Tensor, env_ids: Sequence[int] | None = None) -> None:
        envs = environments(env_ids, self.num_instances)
        self._data.root_com_vel_w[slice(None) if env_ids is None else env_ids] = root_velocity
        self._world.set_com_velocity(int(self._data._body[0]), envs, self._data.root_com_vel_w[envs])


@configclass
class RigidObjectCfg(AssetBaseCfg):
    @configclass
    class InitialStateCfg(AssetBaseCfg.InitialStateCfg):
        lin_vel: tuple[float, float, float] = (0.0, 0.0, 0.0)
        ang_vel: tuple[float, float, float] = (0.0, 0.0, 0.0)

    class_type: type = RigidObject
    init_state: InitialStateCfg = InitialStateCfg()
