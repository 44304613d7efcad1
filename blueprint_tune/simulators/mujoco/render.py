"""Pictures of an environment, drawn offscreen."""

from __future__ import annotations

import os

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from blueprint_tune.errors import SimulatorError
from blueprint_tune.simulators.base import Viewpoint

Floats = NDArray[np.float64]

_DISTANCE_M = 1.6
"""At least; from farther away where the task is spread out."""
_ELEVATIONS = (-30.0, -50.0)
_TURNS = (135.0, -135.0, 160.0, -160.0, 90.0, -90.0, 45.0, -45.0, 0.0)
"""Degrees between the way the robot looks and the way the camera does; 180 = it is looked in the face."""
_END_EFFECTOR = "ee"
_SKIN_M = 0.25
"""What is nearer to a point than this does not hide it: it is what the point is of, as the hand is."""

_failure: str | None = None
"""Why no picture can be drawn in this process: trying again would abort it."""


def render_environment(
    batch: Batch, env_id: int, width: int, height: int, view: Viewpoint
) -> NDArray[np.uint8]:
    """(height, width, 3) picture of one environment.

    Raises SimulatorError when no OpenGL platform works; MUJOCO_GL=osmesa or egl selects one.
    """
    global _failure
    if _failure is not None:
        raise SimulatorError(_failure)
    model = batch.get_model(env_id)
    model.vis.global_.offwidth = max(model.vis.global_.offwidth, width)
    model.vis.global_.offheight = max(model.vis.global_.offheight, height)
    try:
        renderer = mujoco.Renderer(model, height, width)
    except Exception as error:  # OpenGL platforms fail with errors of many kinds
        platform = os.environ.get("MUJOCO_GL", "the default platform")
        _failure = (
            f"cannot draw offscreen with {platform}: {error}. "
            "Install libosmesa6 and set MUJOCO_GL=osmesa, or use MUJOCO_GL=egl on a machine with a GPU."
        )
        raise SimulatorError(_failure) from error
    try:
        renderer.update_scene(batch.get_data(env_id), _camera(view), _options())
        return renderer.render()
    finally:
        renderer.close()


def clearest_view(model: mujoco.MjModel, data: mujoco.MjData, points: Floats) -> Viewpoint:
    """At the end effector and the (k, 3) points the task is about, from where most of them are seen."""
    base = data.xpos[1]
    end = data.site(_END_EFFECTOR).xpos if model.nsite else data.subtree_com[0]
    heading = np.degrees(np.arctan2(end[1] - base[1], end[0] - base[0]))
    views = [(heading + turn, elevation) for elevation in _ELEVATIONS for turn in _TURNS]
    middle = (0.25 * base + 0.75 * end + points.mean(axis=0)) / 2
    distance = max(_DISTANCE_M, 1.0 + 1.3 * float(np.linalg.norm(points - middle, axis=1).max()))
    seen = [
        np.mean([_free_share(model, data, point, _eye(middle, distance, *view)) for point in (end, *points)])
        for view in views
    ]
    # the first of the best: views are listed from the most to the least telling
    azimuth, elevation = views[int(np.argmax(np.round(seen, 1)))]
    x, y, z = (float(v) for v in middle)
    return Viewpoint((x, y, z), distance, float(azimuth), elevation)


def _camera(view: Viewpoint) -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    camera.lookat[:] = view.lookat
    camera.distance, camera.azimuth, camera.elevation = view.distance_m, view.azimuth_deg, view.elevation_deg
    return camera


def _eye(lookat: Floats, distance: float, azimuth: float, elevation: float) -> Floats:
    """(3,) where a camera stands that looks at a point in this direction, in degrees."""
    a, e = np.radians(azimuth), np.radians(elevation)
    return lookat - distance * np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])


def _free_share(model: mujoco.MjModel, data: mujoco.MjData, point: Floats, eye: Floats) -> float:
    """Up to where nothing stands between a point and the camera, as a share of that way."""
    way = float(np.linalg.norm(eye - point)) - _SKIN_M
    if way <= 0:
        return 1.0
    towards = (eye - point) / (way + _SKIN_M)
    hit = np.zeros(1, dtype=np.int32)
    free = mujoco.mj_ray(model, data, point + _SKIN_M * towards, towards, None, 1, -1, hit)
    return 1.0 if free < 0 else min(float(free) / way, 1.0)


def _options() -> mujoco.MjvOption:
    options = mujoco.MjvOption()
    options.geomgroup[:] = 0
    options.geomgroup[[0, 2, 3]] = 1
    return options
