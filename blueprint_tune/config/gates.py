"""What is asked of a policy before it may be a champion."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from blueprint_tune.config.fields import STRICT, Fraction, NonNegative


@dataclass(config=STRICT)
class GatesConfig:
    """Limits for what a benchmark measured; null = the gate is open."""

    min_success_rate: Fraction | None = None
    """Of the benchmark's episodes."""
    min_smoothness: Fraction | None = None
    """``action_smoothness`` of ``benchmark_report.json``: 1 - normalised second difference of actions."""
    max_jerk: NonNegative | None = None
    """``mean_action_jerk``: the mean change of an action from one env step to the next, 0 to 2."""
