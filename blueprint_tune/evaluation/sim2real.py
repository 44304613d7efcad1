"""Indicators of how well a policy may carry over to a real robot. What is not measured is None.

From the differences of actions (:mod:`blueprint_tune.envs.action_trace`), per episode, then averaged over
episodes:

- ``mean_action_jerk``, the first difference; upstream's target is below 0.02.
- ``action_smoothness``, 1 minus the normalised second one; upstream's target is above 0.9.

``max_joint_acceleration`` (rad/s², target below 50), ``contact_force_variance`` (read as the standard
deviation of the grip force, target below 10 N) and ``gripper_force_consistency`` need measurements at every
physics step, which are not taken yet: they are None.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blueprint_tune.envs.action_trace import Floats


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
