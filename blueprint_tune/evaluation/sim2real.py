"""Indicators of how well a policy may carry over to a real robot. What is not measured is None.

With ``a_t`` the action applied at env step t, clipped to [-1, 1], A actions and T steps an episode:

- ``mean_action_jerk``, upstream's "average action change":
  the mean over t >= 1 and over actions of ``|a_t - a_(t-1)|``, per episode, then averaged over
  episodes. Between 0 and 2; upstream's target is below 0.02.
- ``action_smoothness``, upstream's "1 - normalized jerk": 1 minus the mean over t >= 2 and over
  actions of ``|a_t - 2 a_(t-1) + a_(t-2)| / 4``, averaged likewise. 4 is the largest value of that
  second difference, so 1 is a policy whose actions change evenly and 0 one that flips between its
  limits at every step; upstream's target is above 0.9.

``max_joint_acceleration`` (rad/s², target below 50), ``contact_force_variance`` (read as the standard
deviation of the grip force, target below 10 N) and ``gripper_force_consistency`` need measurements at every
physics step, which are not taken yet: they are None.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LARGEST_SECOND_DIFFERENCE = 4.0


@dataclass(frozen=True)
class Indicator:
    """A measured number beside upstream's target for it.

    ``value`` is None where nothing was measured; ``target`` is None where upstream names none.
    """

    name: str
    value: float | None
    target: float | None
    above: bool
    """Whether the target is a lower bound."""

    @property
    def passed(self) -> bool | None:
        """Whether the target is met; None where value or target is missing."""
        if self.value is None or self.target is None:
            return None
        return self.value > self.target if self.above else self.value < self.target


class ActionTrace:
    """Sums of first and second differences of the actions of K episodes, one action at a time."""

    def __init__(self, num_episodes: int, num_actions: int) -> None:
        self._last = np.zeros((2, num_episodes, num_actions))
        self._seen = np.zeros(num_episodes, dtype=np.int64)
        self._change = np.zeros(num_episodes)
        self._jerk = np.zeros(num_episodes)

    def add(self, actions: NDArray[np.float32], episodes: NDArray[np.int64]) -> None:
        """Take the next (k, A) actions of the (k,) episodes that are still running."""
        now = actions.astype(np.float64)
        before, earlier = self._last[0, episodes], self._last[1, episodes]
        seen = self._seen[episodes]
        self._change[episodes] += np.where(seen >= 1, np.abs(now - before).mean(axis=1), 0.0)
        self._jerk[episodes] += np.where(seen >= 2, np.abs(now - 2.0 * before + earlier).mean(axis=1), 0.0)
        self._last[1, episodes], self._last[0, episodes] = before, now
        self._seen[episodes] += 1

    def means(self) -> tuple[Floats, Floats]:
        """Per episode, (K,) each: mean first difference, mean second one by 4; NaN when too short."""
        changes = np.where(self._seen >= 2, self._seen - 1.0, np.nan)
        jerks = np.where(self._seen >= 3, self._seen - 2.0, np.nan)
        return self._change / changes, self._jerk / jerks / _LARGEST_SECOND_DIFFERENCE


def indicators(action_change: Floats, action_jerk: Floats) -> tuple[Indicator, ...]:
    """The indicators of a benchmark from its per-episode means, (E,) each, NaN when too short."""
    jerk = _mean(action_jerk)
    return (
        Indicator("action_smoothness", None if jerk is None else 1.0 - jerk, 0.9, above=True),
        Indicator("mean_action_jerk", _mean(action_change), 0.02, above=False),
        Indicator("max_joint_acceleration", None, 50.0, above=False),
        Indicator("contact_force_variance", None, 10.0, above=False),
        Indicator("gripper_force_consistency", None, None, above=True),
    )


def _mean(values: Floats) -> float | None:
    measured = values[~np.isnan(values)]
    return float(measured.mean()) if len(measured) else None
