"""An environment with a clock on its steps, and a memory of what went through them."""

from __future__ import annotations

import time
from typing import Any

from torch import Tensor

from blueprint_tune.envs.base import StepResult, VecEnv


class Tap:
    """Stands in for ``env``; everything but :meth:`step` is the environment's own.

    Attributes:
        seconds: spent in steps. actions, results: of the steps since :meth:`clear`, if ``keep``.
    """

    def __init__(self, env: VecEnv, keep: bool = False) -> None:
        self._env, self._keep = env, keep
        self.seconds = 0.0
        self.actions: list[Tensor] = []
        self.results: list[StepResult] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def step(self, actions: Tensor) -> StepResult:
        """See :meth:`VecEnv.step`."""
        began = time.perf_counter()
        result = self._env.step(actions)
        self.seconds += time.perf_counter() - began
        if self._keep:
            self.actions.append(actions)
            self.results.append(result)
        return result

    def clear(self) -> None:
        """Forget."""
        self.seconds = 0.0
        self.actions, self.results = [], []
