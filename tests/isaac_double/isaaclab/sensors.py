"""Contact sensors and cameras."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import MISSING
from typing import Any

import torch
from isaac_physics import session, stage
from isaac_physics.builder import Built, add_contact_sensor
from isaac_physics.pictures import picture
from isaac_physics.things import Thing
from isaac_physics.world import World
from torch import Tensor

from isaaclab.sim import PinholeCameraCfg
from isaaclab.utils import configclass

session.require_app()


class SensorBase(Thing):
    def __init__(self, cfg: Any) -> None:
        super().__init__()
        cfg.validate()
        if cfg.history_length:
            raise ValueError("The double keeps no history.")
        self.cfg = cfg.copy()

    @property
    def num_instances(self) -> int:
        return session.current.num_envs

    @property
    def device(self) -> str:
        return session.require_simulation().device

    def _initialize(self, world: World) -> None:
        self._world = world
        self._is_outdated = torch.ones(world.num_envs, dtype=torch.bool)
        self._timestamp = torch.zeros(world.num_envs)
        self._timestamp_last_update = torch.zeros(world.num_envs)

    def reset(self, env_ids: Sequence[int] | None = None) -> None:
        rows = slice(None) if env_ids is None else torch.as_tensor(env_ids).cpu()
        self._timestamp[rows] = self._timestamp_last_update[rows] = 0.0
        self._is_outdated[rows] = True

    def update(self, dt: float, force_recompute: bool = False) -> None:
        self._timestamp += dt
        since = self._timestamp - self._timestamp_last_update
        self._is_outdated |= since + 1e-6 >= self.cfg.update_period
        if force_recompute:
            self._refresh()

    def _refresh(self) -> None:
        """Read the outdated environments anew."""
        outdated = self._is_outdated.nonzero().squeeze(1)
        if len(outdated):
            self._read(outdated)
            self._timestamp_last_update[outdated] = self._timestamp[outdated]
            self._is_outdated[outdated] = False

    def _read(self, envs: Tensor) -> None:
        """Bring the data of environments up to date."""


@configclass
class SensorBaseCfg:
    class_type: type[SensorBase] = MISSING
    prim_path: str = MISSING
    update_period: float = 0.0
    history_length: int = 0


class ContactSensorData:
    """(N, B, 3) and, where there are filters, (N, B, M, 3) normal contact forces in N, world axes."""

    net_forces_w: Tensor | None = None
    force_matrix_w: Tensor | None = None


class ContactSensor(SensorBase):
    @property
    def data(self) -> ContactSensorData:
        self._refresh()
        return self._data

    @property
    def num_bodies(self) -> int:
        return len(self._bodies)

    @property
    def body_names(self) -> list[str]:
        return [body.rsplit("/", 1)[1] for body in self._bodies]

    def _prepare(self, built: Built) -> None:
        found = [p for p in stage.matching(self.cfg.prim_path) if p.HasAttribute(stage.CONTACT_REPORT)]
        self._bodies = [str(prim.GetPath()) for prim in found]
        if not found:
            raise RuntimeError(
                f"Sensor at path '{self.cfg.prim_path}' could not find any bodies with contact reporter "
                "API.\nHINT: Make sure to enable 'activate_contact_sensors' in the asset's spawn config."
            )
        self._filters = [_one_body(expression) for expression in self.cfg.filter_prim_paths_expr]
        if self._filters and len(found) > 1:
            raise ValueError(f"'{self.cfg.prim_path}': filters work for one body, not for {self.body_names}.")
        for body in self._bodies:
            for against in (None, *self._filters):
                add_contact_sensor(built.spec, self._name(body, against), body, against)

    def _name(self, body: str, against: str | None) -> str:
        return f"{id(self)}:{body}:{against}"

    def _initialize(self, world: World) -> None:
        super()._initialize(world)
        self._data = ContactSensorData()
        n, b, m = world.num_envs, len(self._bodies), len(self._filters)
        self._data.net_forces_w = torch.zeros(n, b, 3, device=world.device)
        if m:
            self._data.force_matrix_w = torch.zeros(n, b, m, 3, device=world.device)

    def reset(self, env_ids: Sequence[int] | None = None) -> None:
        """Zero the forces of environments, until somebody reads them: then they are the last step's again."""
        super().reset(env_ids)
        rows = slice(None) if env_ids is None else env_ids
        self._data.net_forces_w[rows] = 0.0
        if self._data.force_matrix_w is not None:
            self._data.force_matrix_w[rows] = 0.0

    def _read(self, envs: Tensor) -> None:
        for b, body in enumerate(self._bodies):
            self._data.net_forces_w[envs, b] = self._world.contact_force(self._name(body, None))[envs]
            for m, against in enumerate(self._filters):
                force = self._world.contact_force(self._name(body, against))
                self._data.force_matrix_w[envs, b, m] = force[envs]


def _one_body(expression: str) -> str:
    """The rigid body that a filter means; PhysX wants one per environment."""
    found = [str(prim.GetPath()) for prim in stage.matching(expression) if stage.is_body(prim)]
    if len(found) != 1:
        raise ValueError(f"Contact filter '{expression}' must match one rigid body, found {found}.")
    return found[0]


@configclass
class ContactSensorCfg(SensorBaseCfg):
    class_type: type = ContactSensor
    filter_prim_paths_expr: list[str] = []
    max_contact_data_count_per_prim: int = 4
    force_threshold: float = 1.0


class CameraData:
    output: dict[str, Tensor] | None = None


class Camera(SensorBase):
    """Pictures of the last ``SimulationContext.render``; one camera, or one per environment."""

    def __init__(self, cfg: CameraCfg) -> None:
        super().__init__(cfg)
        if cfg.data_types != ["rgb"]:
            raise ValueError(f"The double's cameras have 'rgb' only, not {cfg.data_types}.")
        if cfg.spawn is not None:
            stage.define(cfg.prim_path, "Camera", cfg.offset.pos, cfg.offset.rot)

    @property
    def num_instances(self) -> int:
        return session.current.num_envs if stage.first(self.cfg.prim_path).startswith(stage.FIRST_ENV) else 1

    @property
    def data(self) -> CameraData:
        self._refresh()
        return self._data

    def _initialize(self, world: World) -> None:
        if not session.current.cameras_enabled:
            raise RuntimeError(
                "A camera was spawned without the --enable_cameras flag: AppLauncher(enable_cameras=True)."
            )
        super()._initialize(world)
        self._eyes = self._targets = torch.zeros(self.num_instances, 3)
        black = torch.zeros(self.num_instances, self.cfg.height, self.cfg.width, 3, dtype=torch.uint8)
        self._drawn, self._drawn_at, self._data = black, None, CameraData()
        self._data.output = {"rgb": black.to(world.device)}

    def set_world_poses_from_view(
        self, eyes: Tensor, targets: Tensor, env_ids: Sequence[int] | None = None
    ) -> None:
        rows = slice(None) if env_ids is None else env_ids
        self._eyes, self._targets = self._eyes.clone(), self._targets.clone()
        self._eyes[rows], self._targets[rows] = eyes.cpu(), targets.cpu()

    def _draw(self) -> None:
        cfg, now = self.cfg, (self._world.changes, self._eyes.tolist(), self._targets.tolist())
        if now == self._drawn_at:
            return
        self._drawn_at = now
        angle = 2 * math.atan(cfg.spawn.horizontal_aperture / (2 * cfg.spawn.focal_length))
        views = zip(self._eyes, self._targets, strict=True)
        shots = [picture(self._world, eye, at, cfg.width, cfg.height, angle) for eye, at in views]
        self._drawn = torch.stack(shots)

    def _read(self, envs: Tensor) -> None:
        self._data.output["rgb"][:] = self._drawn.to(self.device)


@configclass
class CameraCfg(SensorBaseCfg):
    @configclass
    class OffsetCfg:
        pos: tuple[float, float, float] = (0.0, 0.0, 0.0)
        rot: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)

    class_type: type = Camera
    offset: OffsetCfg = OffsetCfg()
    spawn: PinholeCameraCfg | None = MISSING
    data_types: list[str] = ["rgb"]
    width: int = MISSING
    height: int = MISSING
