"""Configs of motors."""

from __future__ import annotations

from dataclasses import MISSING

from isaac_physics import session

from isaaclab.utils import configclass

session.require_app()


@configclass
class ActuatorBaseCfg:
    joint_names_expr: list[str] = MISSING
    effort_limit_sim: dict[str, float] | float | None = None
    velocity_limit_sim: dict[str, float] | float | None = None
    stiffness: dict[str, float] | float | None = MISSING
    damping: dict[str, float] | float | None = MISSING
    armature: dict[str, float] | float | None = None
    friction: dict[str, float] | float | None = None
    dynamic_friction: dict[str, float] | float | None = None
    viscous_friction: dict[str, float] | float | None = None


@configclass
class ImplicitActuatorCfg(ActuatorBaseCfg):
    """A motor that the physics engine computes itself."""
