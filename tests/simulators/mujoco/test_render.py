"""Pictures without a display: drawn where a library can, else a sentence, never an abort."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from blueprint_tune.simulators import mujoco as package

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
