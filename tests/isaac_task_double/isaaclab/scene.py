"""Points on a plane, one an environment, that are accelerated and slowed by drag."""

import torch

from isaaclab.utils import configclass

DRAG = 1.5
"""1/s"""


@configclass
class InteractiveSceneCfg:
    """How many."""

    num_envs: int = 1
    env_spacing: float = 1.0


class InteractiveScene:
    """``scene["point"]``: pos, vel, goal, (N, 2) each."""

    def __init__(self, cfg, device):
        self.num_envs, self._device = cfg.num_envs, device
        self._point = Point(cfg.num_envs, device)

    def __getitem__(self, name):
        return {"point": self._point}[name]

    def advance(self, acceleration, dt):
        """A semi-implicit Euler step."""
        point = self._point
        point.vel += dt * (acceleration - DRAG * point.vel)
        point.pos += dt * point.vel


class Point:
    """A point and where it should go."""

    def __init__(self, num_envs, device):
        self.pos, self.vel, self.goal = (torch.zeros(num_envs, 2, device=device) for _ in range(3))
