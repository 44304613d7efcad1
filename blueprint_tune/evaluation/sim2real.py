"""Indicators of how well a policy may carry over to a real robot. What is not measured is None.

From the differences of actions (:mod:`blueprint_tune.envs.action_trace`), per episode, then averaged over
episodes:

- ``mean_action_jerk``, the first difference; upstream's target is below 0.02.
- ``action_smoothness``, 1 minus the normalised second one; upstream's target is above 0.9.

From every physics step (:mod:`blueprint_tune.envs.probe`):

- ``max_joint_acceleration``, rad/s², the largest of all physics steps of the arm's turning joints. Upstream's
  target, below 50, is held against ``joint_acceleration_p99``, their 99th percentile: a single step in
  which the arm touches something decides about the largest.
- ``contact_force_variance``, N², of the grip's force while it grasps, within an episode, averaged over the
  episodes that grasp. Upstream's target, "< 10 N", is held against its root, ``contact_force_std_n``.
- ``gripper_force_consistency``, 1 minus standard deviation by mean of that force; upstream names no target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from blueprint_tune.envs.action_trace import Floats

if TYPE_CHECKING:  # it needs torch, which whoever handles documents may not want
    from blueprint_tune.envs.probe import Measured


@dataclass(frozen=True)
class Strain:
    """What E episodes asked of the robot.

    Attributes:
        max_acceleration, acceleration_p99: (E,) rad/s², of each episode's physics steps and joints; NaN
            without turning joints. all_acceleration_p99: of all episodes together.
        grip_variance: (E,) N² and grip_consistency: (E,), NaN in episodes that do not grasp for two physics
            steps.
    """

    max_acceleration: Floats
    acceleration_p99: Floats
    all_acceleration_p99: float
    grip_variance: Floats
    grip_consistency: Floats


def strain(episodes: Sequence[Measured]) -> Strain:
    """From the traces of episodes to numbers."""
    accelerations = [e.acceleration.ravel().astype(np.float64) for e in episodes]
    grips = [e.grip_n.astype(np.float64) if len(e.grip_n) >= 2 else np.full(1, np.nan) for e in episodes]
    return Strain(
        max_acceleration=np.array([a.max(initial=-1.0) if len(a) else np.nan for a in accelerations]),
        acceleration_p99=np.array([_p99(a) for a in accelerations]),
        all_acceleration_p99=_p99(np.concatenate(accelerations)),
        grip_variance=np.array([g.var() for g in grips]),
        grip_consistency=np.array([1.0 - g.std() / g.mean() for g in grips]),
    )


@dataclass(frozen=True)
class Indicator:
    """A measured number beside upstream's target for it.

    ``value`` is None where nothing was measured; ``target`` is None where upstream names none. ``measure``
    names the indicator that is held against the target, and ``measured`` is its value.
    """

    name: str
    value: float | None
    target: float | None
    above: bool
    """Whether the target is a lower bound."""
    measure: str
    measured: float | None

    @property
    def passed(self) -> bool | None:
        """Whether the target is met; None where value or target is missing."""
        if self.measured is None or self.target is None:
            return None
        return self.measured > self.target if self.above else self.measured < self.target


def indicators(
    action_change: Floats, action_jerk: Floats, strained: Strain | None = None
) -> tuple[Indicator, ...]:
    """The indicators of a benchmark: means of actions, (E,) each, NaN when too short, and the strain."""
    jerk = _mean(action_jerk)
    values = {
        "action_smoothness": None if jerk is None else 1.0 - jerk,
        "mean_action_jerk": _mean(action_change),
        **_strained(strained),
    }
    return tuple(
        Indicator(name, values[name], target, above, measure, values[measure])
        for name, target, above, measure in (
            ("action_smoothness", 0.9, True, "action_smoothness"),
            ("mean_action_jerk", 0.02, False, "mean_action_jerk"),
            ("max_joint_acceleration", 50.0, False, "joint_acceleration_p99"),
            ("joint_acceleration_p99", 50.0, False, "joint_acceleration_p99"),
            ("contact_force_variance", 10.0, False, "contact_force_std_n"),
            ("contact_force_std_n", 10.0, False, "contact_force_std_n"),
            ("gripper_force_consistency", None, True, "gripper_force_consistency"),
        )
    )


def _strained(strained: Strain | None) -> dict[str, float | None]:
    if strained is None:
        return dict.fromkeys(
            (
                "max_joint_acceleration",
                "joint_acceleration_p99",
                "contact_force_variance",
                "contact_force_std_n",
                "gripper_force_consistency",
            )
        )
    variance, largest = _mean(strained.grip_variance), strained.max_acceleration
    p99 = strained.all_acceleration_p99
    return {
        "max_joint_acceleration": None if np.isnan(largest).all() else float(np.nanmax(largest)),
        "joint_acceleration_p99": None if math.isnan(p99) else p99,
        "contact_force_variance": variance,
        "contact_force_std_n": None if variance is None else math.sqrt(variance),
        "gripper_force_consistency": _mean(strained.grip_consistency),
    }


def _p99(values: Floats) -> float:
    return float(np.quantile(values, 0.99)) if len(values) else math.nan


def _mean(values: Floats) -> float | None:
    measured = values[~np.isnan(values)]
    return float(measured.mean()) if len(measured) else None
