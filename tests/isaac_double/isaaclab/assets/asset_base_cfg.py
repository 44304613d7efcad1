"""What the configs of all assets have."""

from __future__ import annotations

from dataclasses import MISSING

from isaaclab.sim import SpawnerCfg
from isaaclab.utils import configclass


@configclass
class AssetBaseCfg:
    @configclass
    class InitialStateCfg:
        pos: tuple[float, float, float] = (0.0, 0.0, 0.0)
        rot: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)

    class_type: type = None
    prim_path: str = MISSING
    spawn: SpawnerCfg | None = None
    init_state: InitialStateCfg = InitialStateCfg()
    collision_group: int = 0
    """-1: in all environments. Here what stands at /World meets all of them anyway."""
