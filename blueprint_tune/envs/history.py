"""The last steps of every environment, kept so that a NaN can be explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

LENGTH = 100
"""Env steps kept."""


class History:
    """A ring buffer of named (N, …) tensors."""

    def __init__(self, num_envs: int, **sizes: int) -> None:
        self._rings = {name: torch.zeros(LENGTH, num_envs, size) for name, size in sizes.items()}
        self._count = 0

    def record(self, **values: Tensor) -> None:
        """Keep one env step."""
        row = self._count % LENGTH
        for name, value in values.items():
            self._rings[name][row] = value.view(value.shape[0], -1)
        self._count += 1

    def last_steps(self, env_id: int) -> dict[str, np.ndarray]:
        """The kept steps of one environment, oldest first, name -> (steps, size)."""
        steps = min(self._count, LENGTH)
        rows = torch.arange(self._count - steps, self._count) % LENGTH
        return {name: ring[rows, env_id].numpy() for name, ring in self._rings.items()}

    def dump(self, env_id: int, path: Path) -> Path:
        """Write the kept steps of one environment to a compressed npz file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {"env_id": np.array(env_id), **self.last_steps(env_id)}
        np.savez_compressed(path, **arrays)
        return path
