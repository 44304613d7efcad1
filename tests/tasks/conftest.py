"""Small scenes to read and bind: manifests as dictionaries, written to a file and read back."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blueprint_tune.config.schema import GripperConfig, RobotConfig
from blueprint_tune.tasks.manifest import read_manifest
from blueprint_tune.tasks.scene import Scene

Json = dict[str, Any]


def _object(
    id: str,
    category: str,
    position: tuple[float, float, float],
    size: tuple[float, float, float] | None,
    role: str = "static",
    **more: Any,
) -> Json:
    transform: Json = {"position": dict(zip("xyz", position)), "scale": {"x": 1, "y": 1, "z": 1}}
    for key in ("rotation_quaternion", "rotation_euler"):
        if key in more:
            transform[key] = more.pop(key)
    found: Json = {
        "id": id,
        "category": category,
        "sim_role": role,
        "asset": {"path": f"{id}.usd"},
        "transform": transform,
        "semantics": {"class": category, "affordances": more.pop("affordances", [])},
    }
    if size is not None:
        found["dimensions_est"] = dict(zip(("width", "depth", "height"), size))
    if role in ("manipulable_object", "clutter"):
        found["physics"] = {"mass": more.pop("mass", 0.2), "friction": 0.6}
    return found | more


@pytest.fixture(scope="session")
def obj() -> Callable[..., Json]:
    """obj(id, category, position, (width, depth, height), role, **more) -> a manifest object."""
    return _object


@pytest.fixture(scope="session")
def kitchenette() -> Callable[[], Json]:
    """A valid z-up manifest: a table with a box and a mug on it, a chest of two drawers, a fridge."""
    tree: Json = {
        "version": "1.0.0",
        "scene_id": "kitchenette",
        "scene": {"coordinate_frame": "z_up", "meters_per_unit": 1.0, "environment_type": "kitchen"},
        "objects": [
            _object("table", "table", (0, 0, 0.375), (1.6, 0.8, 0.75)),
            _object(
                "box",
                "box",
                (0.2, -0.1, 0.78),
                (0.05, 0.05, 0.06),
                "manipulable_object",
                affordances=["Graspable"],
            ),
            _object(
                "mug",
                "mug",
                (-0.5, 0.1, 0.8),
                (0.08, 0.08, 0.1),
                "manipulable_object",
                affordances=["Graspable"],
            ),
            _object(
                "drawer_1",
                "drawer",
                (2.0, 2.0, 0.7),
                (0.5, 0.4, 0.16),
                "articulated_furniture",
                affordances=["Openable"],
                articulation={"type": "prismatic", "axis": "-y", "limits": {"lower": 0, "upper": 0.28}},
            ),
            _object(
                "fridge",
                "fridge",
                (-2.0, 2.0, 0.9),
                (0.7, 0.7, 1.8),
                "articulated_appliance",
                affordances=["Openable"],
                articulation={"type": "revolute", "axis": "-z", "limits": {"lower": 0, "upper": 1.5}},
            ),
        ],
    }
    return lambda: copy.deepcopy(tree)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Scene]:
    """read(tree, up_axis) -> the Scene of a manifest given as a dictionary or as text."""

    def _read(tree: Json | str, up_axis: str = "auto") -> Scene:
        path = tmp_path / "scene_manifest.json"
        path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
        return read_manifest(path, up_axis)  # type: ignore[arg-type]

    return _read


@pytest.fixture
def read_objects(read: Callable[..., Scene]) -> Callable[..., Scene]:
    """read_objects(*objects) -> a z-up Scene of these objects."""

    def _read(*objects: Json, **header: Any) -> Scene:
        frame = {"coordinate_frame": "z_up", "meters_per_unit": 1.0} | header
        return read({"version": "1.0.0", "scene_id": "test", "scene": frame, "objects": list(objects)})

    return _read


@pytest.fixture
def robot() -> RobotConfig:
    """A Franka-like robot; only its names and reach matter here."""
    gripper = GripperConfig(["f1", "f2"], ["left", "right"], open_m=0.04, closed_m=0.0, max_width_m=0.08)
    return RobotConfig(
        name="franka",
        model="franka.xml",
        base_body="panda_link0",
        ee_site="ee",
        arm_joints=["j1", "j2"],
        collision_bodies=["panda_hand"],
        home_rad=[0.0, 0.0],
        gripper="parallel",
        grippers={"parallel": gripper},
        reach_m=0.855,
        base_radius_m=0.15,
        mount="pedestal",
        shoulder_m=0.33,
        work_m=0.55,
    )
