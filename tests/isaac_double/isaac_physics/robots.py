"""Robots whose USD is not here: known by their file's name, made of the project's own MJCF."""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePosixPath

import mujoco

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import RobotConfig
from blueprint_tune.simulators.mujoco.robots import robot_spec

_OVERRIDES = {
    "panda_instanceable": ("robot=franka",),
    "franka": ("robot=franka",),
    "ur10_instanceable": ("robot=ur10",),
    "ur10": ("robot=ur10",),
    "ur10_parallel": ("robot=ur10", "robot.gripper=parallel"),
    "fetch": ("robot=fetch",),
}


def known(usd_path: str) -> str | None:
    """The robot that a file would bring, if it is one of those."""
    stem = PurePosixPath(usd_path).stem
    return stem if stem in _OVERRIDES else None


@lru_cache
def _config(robot: str) -> RobotConfig:
    scene = ["+scene=kitchen_001", "policy=panel_interaction", "preset=smoke"]
    return compose([*scene, *_OVERRIDES[robot]]).robot


def spec(robot: str) -> mujoco.MjSpec:
    """A robot's model, its base at the origin, with the motors that its file gives it.

    Universal Robots' own asset has a link ``ee_link`` at the flange, x outwards, where our MJCF has a peg.
    """
    model = robot_spec(_config(robot))
    if robot == "ur10_instanceable":
        model.delete(model.body("tip"))
        link = model.body("wrist_3_link").add_body(name="ee_link", pos=[0, 0.0922, 0], quat=[1, 0, 0, 1])
        link.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.005] * 3, mass=0.01, contype=2, conaffinity=0)
    return model


def base(robot: str) -> str:
    """The name of its first link."""
    return _config(robot).base_body


@lru_cache
def links(robot: str) -> tuple[str, ...]:
    """Names of its links."""
    return tuple(body.name for body in spec(robot).bodies[1:])
