"""A training's curriculum: how hard the task is by now, moved by the success of training episodes.

Selection evaluation and benchmark play the policy as its file states it, whatever the level.
"""

from __future__ import annotations

from typing import Any

from blueprint_tune.config.curriculum import policy_at
from blueprint_tune.config.policy_schema import PolicyConfig


class Curriculum:
    """The level of one training, 0 … 1; always 1 for a policy without a curriculum.

    Attributes:
        policy: the policy config at the present level.
    """

    def __init__(self, policy: PolicyConfig) -> None:
        self._file, self._config = policy, policy.curriculum
        self._move_to(0.0 if self._config else 1.0)

    def _move_to(self, level: float) -> None:
        self._level, self.policy = level, policy_at(self._file, level)

    def report(self, success_rate: float) -> bool:
        """Whether the level moved. ``success_rate``: of the training episodes since the last call.

        NaN, when no episode has ended, moves nothing.
        """
        config, before = self._config, self._level
        if config is None:
            return False
        if success_rate >= config.raise_at:
            self._move_to(min(1.0, round(before + config.step, 9)))
        elif config.lower_at is not None and success_rate <= config.lower_at:
            self._move_to(max(0.0, round(before - config.step, 9)))
        return self._level != before

    def metrics(self) -> dict[str, float]:
        """The present level, where there is a curriculum."""
        return {"train/curriculum_level": self._level} if self._config else {}

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"level": self._level}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self._move_to(saved["level"])
