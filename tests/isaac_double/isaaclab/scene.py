"""The scene of all environments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

import torch
from isaac_physics import session, stage
from torch import Tensor

from isaaclab.assets import Articulation, ArticulationCfg, AssetBaseCfg, RigidObject, RigidObjectCfg
from isaaclab.sensors import SensorBase, SensorBaseCfg
from isaaclab.sim import GroundPlaneCfg, UsdFileCfg
from isaaclab.utils import configclass

session.require_app()


@configclass
class InteractiveSceneCfg:
    num_envs: int = MISSING
    env_spacing: float = MISSING
    lazy_sensor_update: bool = True
    replicate_physics: bool = True
    filter_collisions: bool = True


class InteractiveScene:
    """What a config's attributes ask for, in their order: assets before the sensors that need them."""

    def __init__(self, cfg: InteractiveSceneCfg) -> None:
        cfg.validate()
        self.cfg, self.sim = cfg, session.require_simulation()
        session.current.num_envs = cfg.num_envs
        session.current.env_origins = _grid(cfg.num_envs, cfg.env_spacing).to(self.sim.device)
        self._entities: dict[str, Any] = {}
        own = {field.name for field in fields(InteractiveSceneCfg)}
        for name, entity in vars(cfg).items():
            if name not in own and entity is not None:
                self._entities[name] = _make(name, entity)

    @property
    def num_envs(self) -> int:
        return self.cfg.num_envs

    @property
    def device(self) -> str:
        return self.sim.device

    @property
    def env_origins(self) -> Tensor:
        """(N, 3): a grid around the world's origin."""
        return session.current.env_origins

    @property
    def articulations(self) -> dict[str, Articulation]:
        return self._of(Articulation)

    @property
    def rigid_objects(self) -> dict[str, RigidObject]:
        return self._of(RigidObject)

    @property
    def sensors(self) -> dict[str, SensorBase]:
        return self._of(SensorBase)

    def _of(self, kind: type) -> dict[str, Any]:
        return {name: entity for name, entity in self._entities.items() if isinstance(entity, kind)}

    def keys(self) -> list[str]:
        return list(self._entities)

    def __getitem__(self, key: str) -> Any:
        if key not in self._entities:
            raise KeyError(f"Scene entity with key '{key}' not found. Available Entities: '{self.keys()}'")
        return self._entities[key]

    def reset(self, env_ids: Sequence[int] | None = None) -> None:
        """Clear what assets and sensors have gathered; poses and joints stay as they are."""
        for entity in (*self.articulations.values(), *self.rigid_objects.values(), *self.sensors.values()):
            entity.reset(env_ids)

    def write_data_to_sim(self) -> None:
        for entity in (*self.articulations.values(), *self.rigid_objects.values()):
            entity.write_data_to_sim()

    def update(self, dt: float) -> None:
        for entity in (*self.articulations.values(), *self.rigid_objects.values()):
            entity.update(dt)
        for sensor in self.sensors.values():
            sensor.update(dt, force_recompute=not self.cfg.lazy_sensor_update)


def _grid(count: int, spacing: float) -> Tensor:
    """(count, 3) origins, row by row from the corner of the largest x and smallest y."""
    rows = -(-count // int(count**0.5))
    columns = -(-count // rows)
    index = torch.arange(count)
    x = (rows - 1) / 2 - index // columns
    y = index % columns - (columns - 1) / 2
    return torch.stack([x * spacing, y * spacing, torch.zeros(count)], dim=1).float()


def _make(name: str, cfg: Any) -> Any:
    """An asset or a sensor; of what is only spawned, its prim."""
    if isinstance(cfg, ArticulationCfg | RigidObjectCfg | SensorBaseCfg):
        return cfg.class_type(cfg)
    if not isinstance(cfg, AssetBaseCfg):
        raise ValueError(f"Unknown asset config type for {name}: {cfg}")
    cfg.validate()
    if isinstance(cfg.spawn, UsdFileCfg):
        stage.spawn_file(cfg.prim_path, cfg.spawn, cfg.init_state.pos, cfg.init_state.rot)
    elif cfg.spawn is not None:
        prim = stage.define(cfg.prim_path, "Xform", cfg.init_state.pos, cfg.init_state.rot)
        if isinstance(cfg.spawn, GroundPlaneCfg):
            prim.SetCustomDataByKey("ground_friction", cfg.spawn.physics_material.dynamic_friction)
    return stage.matching(cfg.prim_path)
