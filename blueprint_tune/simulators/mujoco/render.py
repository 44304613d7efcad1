"""Pictures of an environment, drawn offscreen."""

from __future__ import annotations

import os

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from blueprint_tune.errors import SimulatorError

_failure: str | None = None
"""Why no picture can be drawn in this process: trying again would abort it."""


def render_environment(batch: Batch, env_id: int, width: int, height: int) -> NDArray[np.uint8]:
    """(height, width, 3) picture of one environment from in front of the robot.

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
        renderer.update_scene(batch.get_data(env_id), _camera(model, batch, env_id), _options())
        return renderer.render()
    finally:
        renderer.close()


def _camera(model: mujoco.MjModel, batch: Batch, env_id: int) -> mujoco.MjvCamera:
    """Look at the end effector's surroundings from beside the robot."""
    data = batch.get_data(env_id)
    base = data.xpos[1]
    end = data.site_xpos[0] if model.nsite else data.subtree_com[0]
    heading = np.degrees(np.arctan2(end[1] - base[1], end[0] - base[0]))
    camera = mujoco.MjvCamera()
    camera.lookat[:] = 0.35 * base + 0.65 * end
    camera.distance = 1.7
    camera.azimuth = heading + 135.0
    camera.elevation = -25.0
    return camera


def _options() -> mujoco.MjvOption:
    options = mujoco.MjvOption()
    options.geomgroup[:] = 0
    options.geomgroup[[0, 2, 3]] = 1
    return options
