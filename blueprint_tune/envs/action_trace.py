"""How evenly a policy acts: first and second differences of the actions of an episode.

With ``a_t`` the action applied at env step t, clipped to [-1, 1], A actions and T steps an episode:

- the mean over t >= 1 and over actions of ``|a_t - a_(t-1)|``: upstream's "average action change", 0 to 2;
- the mean over t >= 2 and over actions of ``|a_t - 2 a_(t-1) + a_(t-2)| / 4``: upstream's "normalized
  jerk". 4 is the largest value of that second difference; 1 minus it is the *action smoothness*, 1 for a
  policy whose actions change evenly and 0 for one that flips between its limits at every step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LARGEST_SECOND_DIFFERENCE = 4.0


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
