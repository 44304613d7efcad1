"""Rigid objects and articulations."""

from isaaclab.assets.articulation import Articulation, ArticulationCfg, ArticulationData
from isaaclab.assets.asset_base import AssetBase
from isaaclab.assets.asset_base_cfg import AssetBaseCfg
from isaaclab.assets.rigid_object import RigidObject, RigidObjectCfg, RigidObjectData

__all__ = [
    "Articulation",
    "ArticulationCfg",
    "ArticulationData",
    "AssetBase",
    "AssetBaseCfg",
    "RigidObject",
    "RigidObjectCfg",
    "RigidObjectData",
]
