"""What all assets have."""

from __future__ import annotations

from typing import Any

from isaac_physics import session, stage
from isaac_physics.things import Thing

from isaaclab.assets.asset_base_cfg import AssetBaseCfg
from isaaclab.sim import UsdFileCfg


class AssetBase(Thing):
    def __init__(self, cfg: AssetBaseCfg) -> None:
        super().__init__()
        cfg.validate()
        self.cfg = cfg.copy()
        if isinstance(cfg.spawn, UsdFileCfg):
            stage.spawn_file(cfg.prim_path, cfg.spawn, cfg.init_state.pos, cfg.init_state.rot)
        if not stage.matching(cfg.prim_path):
            raise RuntimeError(f"Could not find prim with path {cfg.prim_path}.")

    @property
    def device(self) -> str:
        return session.require_simulation().device

    @property
    def num_instances(self) -> int:
        return self.root_physx_view.count

    @property
    def data(self) -> Any:
        return self._data  # there is none before the simulation plays

    def update(self, dt: float) -> None:
        self._data.update(dt)

    def _only(self, kind: str, wanted: Any, path: str) -> str:
        found = [str(prim.GetPath()) for prim in stage.below(path, wanted)]
        if len(found) != 1:
            raise RuntimeError(f"Expected one {kind} below '{self.cfg.prim_path}', found {found}.")
        return found[0]
