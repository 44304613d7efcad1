"""The last steps of every environment, kept so that a NaN can be explained."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

LENGTH = 100
"""Env steps kept."""

QUANTITIES = ("observations", "actions", "rewards", "joint_pos")


class History:
    """What every environment saw, did, earned and where its joints were, over the last env steps."""

    def __init__(self) -> None:
        self._steps: deque[tuple[Tensor, ...]] = deque(maxlen=LENGTH)

    def record(self, observations: Tensor, actions: Tensor, rewards: Tensor, joint_pos: Tensor) -> None:
        """Keep one env step; the first and the third belong to the caller's step alone and are not copied."""
        self._steps.append((observations, actions.clone(), rewards, joint_pos.clone()))

    def last_steps(self, env_id: int) -> dict[str, np.ndarray]:
        """The kept steps of one environment, oldest first, name -> (steps, size)."""
        if not self._steps:
            return {name: np.zeros((0, 0), dtype=np.float32) for name in QUANTITIES}
        return {
            name: torch.stack([step[index][env_id].view(-1) for step in self._steps]).cpu().numpy()
            for index, name in enumerate(QUANTITIES)
        }

    def dump(self, env_id: int, path: Path) -> Path:
        """Write the kept steps of one environment to a compressed npz file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {"env_id": np.array(env_id), **self.last_steps(env_id)}
        np.savez_compressed(path, **arrays)
        return path
