"""Returns, lengths and successes of the training episodes that ended since the last report."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from blueprint_tune.envs.base import StepResult
from blueprint_tune.learning.together import ALONE, Alone


class EpisodeStatistics:
    """Running per-environment sums and totals over finished episodes."""

    def __init__(self, num_envs: int, device: str = "cpu") -> None:
        self._device = device
        self._returns = torch.zeros(num_envs, device=device)
        self._lengths = torch.zeros(num_envs, device=device)
        self._totals = torch.zeros(4, device=device)
        """episodes, returns, env steps, successes"""

    def record(self, result: StepResult) -> None:
        """Add one env step."""
        self._returns += result.rewards
        self._lengths += 1
        if not result.done:
            return
        ended = result.terminated | result.truncated
        self._totals += torch.stack(
            [
                ended.sum(),
                self._returns[ended].sum(),
                self._lengths[ended].sum(),
                (result.success & ended).sum(),
            ]
        )
        self._returns[ended] = 0.0
        self._lengths[ended] = 0.0

    def restart(self) -> None:
        """Forget the episodes that are running: others begin in their place."""
        self._returns.zero_()
        self._lengths.zero_()

    def take(self, together: Alone = ALONE) -> dict[str, float]:
        """Means over the episodes of all ranks since the last call; NaN where none ended."""
        episodes, returns, steps, successes = together.sum(self._totals).tolist()
        self._totals.zero_()
        count = episodes or math.nan
        return {
            "train/episodes": episodes,
            "train/return": returns / count,
            "train/episode_length": steps / count,
            "train/success_rate": successes / count,
        }

    def state_dict(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"returns": self._returns, "lengths": self._lengths, "totals": self._totals}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self._returns, self._lengths, self._totals = (
            saved[name].to(self._device, copy=True) for name in ("returns", "lengths", "totals")
        )
