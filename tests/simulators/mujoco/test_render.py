"""Pictures without a display: drawn where a library can, else a sentence, never an abort."""

from __future__ import annotations

import os
import subprocess
import sys

import mujoco
import numpy as np
import pytest

from blueprint_tune.simulators import mujoco as package
from blueprint_tune.simulators.mujoco.render import clearest_view

TWICE = """
from blueprint_tune.config.compose import compose
from blueprint_tune.envs.factory import make_env
from blueprint_tune.errors import SimulatorError
env = make_env(compose(["+scene=kitchen_001", "preset=smoke", "backend.num_envs=1"]), 1)
for _ in range(2):
    try:
        env.render(0, 64, 48)
        print("drawn")
    except SimulatorError as error:
        print(error)
"""


def test_a_platform_that_cannot_draw_is_answered_every_time() -> None:
    """The second attempt in a process used to abort it."""
    surroundings = {
        key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TWICE],
        env=surroundings | {"MUJOCO_GL": "glfw"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.strip().splitlines()
    assert first == second and first.startswith("cannot draw offscreen with glfw")
    assert "set MUJOCO_GL=osmesa" in first


CABINET = """
<mujoco><worldbody>
  <body name="base"><geom size="0.05"/><site name="ee" pos="0.5 0 0.3"/></body>
  <body name="back" pos="1.5 0 0.5"><geom type="box" size="0.02 0.3 0.5"/></body>
  <body name="left" pos="1.25 0.3 0.5"><geom type="box" size="0.25 0.02 0.5"/></body>
  <body name="right" pos="1.25 -0.3 0.5"><geom type="box" size="0.25 0.02 0.5"/></body>
</worldbody></mujoco>
"""


def test_pictures_are_taken_from_where_all_of_the_task_is_seen() -> None:
    """The hand is before a cabinet, its work inside: the camera looks in at the front."""
    model = mujoco.MjModel.from_xml_string(CABINET)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    points = np.array([[1.2, 0.05, 0.3], [1.2, -0.05, 0.3]])
    view = clearest_view(model, data, points)
    a, e = np.radians(view.azimuth_deg), np.radians(view.elevation_deg)
    look = np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])
    eye = np.array(view.lookat) - view.distance_m * look
    for point in points:
        way = float(np.linalg.norm(point - eye))
        free = mujoco.mj_ray(model, data, eye, (point - eye) / way, None, 1, -1, np.zeros(1, dtype=np.int32))
        assert free < 0 or free > way


@pytest.mark.parametrize(
    ("surroundings", "libraries", "chosen"),
    [
        ({}, {"OSMesa", "EGL"}, "osmesa"),
        ({}, {"EGL"}, "egl"),
        ({}, set(), None),
        ({"MUJOCO_GL": "egl"}, {"OSMesa"}, "egl"),
        ({"DISPLAY": ":0"}, {"OSMesa"}, None),
    ],
)
def test_the_platform_is_chosen_by_what_is_there(
    monkeypatch: pytest.MonkeyPatch, surroundings: dict[str, str], libraries: set[str], chosen: str | None
) -> None:
    for name in ("MUJOCO_GL", "DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(package, "find_library", lambda name: name if name in libraries else None)
    monkeypatch.setattr(sys, "platform", "linux")
    package._choose_opengl()
    assert os.environ.get("MUJOCO_GL") == chosen
    monkeypatch.delenv("MUJOCO_GL", raising=False)
