"""Pictures by casting rays: no OpenGL, a colour a shape, darker where it is turned away."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import torch
from torch import Tensor

from isaac_physics.world import World

SKY = np.array([135, 160, 190], dtype=np.float64)


def picture(world: World, eye: Tensor, at: Tensor, width: int, height: int, angle_rad: float) -> Tensor:
    """(height, width, 3) uint8 of the environment nearest to what is looked at."""
    world.redo_kinematics()
    env = int((world.origins - at).norm(dim=1).argmin())
    model, data = world.batch.get_model(env), world.batch.get_data(env)
    origin = (eye.double() - world.origins[env]).numpy()
    ahead = (at - eye).double().numpy()
    if not ahead.any():
        return torch.zeros(height, width, 3, dtype=torch.uint8)
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, [0, 0, 1] if abs(ahead[2]) < 0.999 else [1, 0, 0])
    right /= np.linalg.norm(right)
    half = math.tan(angle_rad / 2)
    x = np.linspace(-half, half, width)
    y = np.linspace(half, -half, height) * height / width
    rays = ahead + x[None, :, None] * right + y[:, None, None] * np.cross(right, ahead)
    rays = (rays / np.linalg.norm(rays, axis=2, keepdims=True)).reshape(-1, 3)
    shape = np.full(len(rays), -1, dtype=np.int32)
    distance, normal = np.zeros(len(rays)), np.zeros(3 * len(rays))
    mujoco.mj_multiRay(
        model, data, origin, rays.ravel(), None, 1, -1, shape, distance, normal, len(rays), mujoco.mjMAXVAL
    )
    light = 0.4 + 0.6 * np.abs((normal.reshape(-1, 3) * rays).sum(axis=1))
    color = model.geom_rgba[shape, :3] * 255 * light[:, None]
    color[shape < 0] = SKY
    return torch.from_numpy(color.clip(0, 255).astype(np.uint8).reshape(height, width, 3))
