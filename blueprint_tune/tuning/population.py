"""What a population-based scheduler may change, and how far.

Ray multiplies numbers without looking at their bounds, treats choices as numbers, and has the first of equal
members copy another one, again and again while none succeeds. Here a number stays in its range, of a choice a
neighbour is taken, and a member copies only what is better than itself.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any


def copying_the_better(scheduler: type) -> type:
    """A population-based scheduler whose members do not copy their equals."""
    return type(scheduler.__name__, (_CopiesTheBetter, scheduler), {})


class _CopiesTheBetter:
    """Goes before a scheduler of Ray's, whose bottom and top share it narrows."""

    def _quantiles(self) -> tuple[list[Any], list[Any]]:
        bottom, top = super()._quantiles()  # type: ignore[misc]
        score = {trial: self._trial_state[trial].last_score for trial in [*bottom, *top]}  # type: ignore[attr-defined]
        least = min((score[trial] for trial in top), default=0.0)
        return [trial for trial in bottom if score[trial] < least], top


def mutations(space: Mapping[str, Any], accepted: Sequence[str]) -> dict[str, Any]:
    """Constructor arguments of a population-based scheduler over ``space`` (distributions by key)."""
    ranges = {key: (d.lower, _last(d)) for key, d in space.items() if hasattr(d, "lower")}
    explore = functools.partial(within, ranges)
    if "hyperparam_bounds" in accepted:
        bounds = {key: list(ends) for key, ends in ranges.items()}
        return {"hyperparam_bounds": bounds, "custom_explore_fn": explore}
    changed = {key: list(d.categories) if hasattr(d, "categories") else d for key, d in space.items()}
    return {"hyperparam_mutations": changed, "custom_explore_fn": explore}


def within(ranges: Mapping[str, tuple[float, float]], sample: dict[str, Any]) -> dict[str, Any]:
    """``sample`` with every number in its range."""
    kept = {key: min(max(sample[key], low), high) for key, (low, high) in ranges.items() if key in sample}
    return {**sample, **kept}


def _last(distribution: Any) -> float:
    """The largest value: integers are drawn below their upper bound."""
    whole = isinstance(distribution.lower, int) and type(distribution).__name__ == "Integer"
    return distribution.upper - 1 if whole else distribution.upper
