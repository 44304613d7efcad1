"""The second look at the best trials, which makes their choice honest.

Trials are compared by the selection evaluation while they train. The best of many such figures is flattered:
whoever had luck with those episodes comes first. So the best few play again, from starts that neither the
selection nor the benchmark has, and the best of that wins. The starts must be a third set. Chosen by the
selection's, the winner would be the same lucky one; chosen by the benchmark's, the published figure would
itself be the best of several. As it is, nothing is ever chosen by the benchmark's episodes, and its figure is
unbiased.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from blueprint_tune.evaluation.statistics import paired_difference_interval, wilson_interval

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Candidate:
    """A trial that may win.

    Attributes:
        trial_id: Ray's. selection_rate: by the selection evaluation; None if that is not what it was
            compared by. repeats_default: it runs the default settings, with a seed of its own.
        success: (E,) on the starts of the re-evaluation; None where it did not play again.
    """

    trial_id: str
    selection_rate: float | None
    repeats_default: bool
    success: Bools | None

    @property
    def rate(self) -> float | None:
        """Successes by episodes of the re-evaluation."""
        return None if self.success is None else float(self.success.mean())


def chosen(candidates: Sequence[Candidate], eligible: int) -> int:
    """The number of the winner: the best of the first ``eligible`` in the re-evaluation, the first of equals.

    Candidates come in the selection's order, whose first wins where nobody played again.
    """
    rates = [c.rate for c in candidates[:eligible]]
    known = [rate for rate in rates if rate is not None]
    return rates.index(max(known)) if len(known) == len(rates) else 0


def noise_floor(candidates: Sequence[Candidate]) -> dict[str, Any] | None:
    """How far apart trials of the same settings lie by chance, from those that differ in their seed alone.

    With R repeats and their standard deviation s the difference of two trials exceeds the Student quantile
    of 0.975 with R - 1 degrees of freedom times s times the root of 2 in one of twenty pairs.
    None with fewer than 3 repeats: two say next to nothing about a spread.
    """
    rates = [c.rate for c in candidates if c.repeats_default and c.rate is not None]
    if len(rates) < 3:
        return None
    std = float(np.std(rates, ddof=1))
    quantile = float(student_t.ppf(0.975, len(rates) - 1))
    return {
        "repeats": len(rates),
        "std": std,
        "minimum_detectable_difference": quantile * std * math.sqrt(2.0),
    }


def ties(candidates: Sequence[Candidate], winner: int, floor: float | None) -> list[str]:
    """Trials that cannot be told from the winner, for one of two reasons.

    The difference on the same starts has a 95 % interval around 0: chance in the starts may have made it. Or
    it is within ``floor``, the smallest that is not chance among repeats of one setting: another seed of the
    training may have made it. None = that floor is unknown.
    """
    best = candidates[winner]
    if best.success is None or best.rate is None:
        return []
    return [
        c.trial_id
        for number, c in enumerate(candidates)
        if number != winner and c.success is not None and _tied(c.success, best.success, floor)
    ]


def _tied(success: Bools, best: Bools, floor: float | None) -> bool:
    if floor is not None and abs(best.mean() - success.mean()) <= floor:
        return True
    only_best, only_other = int((best & ~success).sum()), int((success & ~best).sum())
    low, high = paired_difference_interval(only_other, only_best, len(best))
    return low <= 0.0 <= high


def selection_document(
    candidates: Sequence[Candidate], winner: int, seeds: Sequence[int], benchmark_rate: float
) -> dict[str, Any]:
    """The part ``selection`` of ``benchmark_report.json``.

    The gap is what the selection's best figure loses when its trial plays again: on the re-evaluation's
    starts, or on the benchmark's where nobody played those. Neither chose that trial.
    """
    first = candidates[0]
    again = benchmark_rate if first.rate is None else first.rate
    floor = noise_floor(candidates)
    detectable = None if floor is None else floor["minimum_detectable_difference"]
    played = next((c.success for c in candidates if c.success is not None), None)
    return {
        "seeds": [] if played is None else list(seeds),
        "episodes": 0 if played is None else len(played),
        "top": [_row(candidate) for candidate in candidates],
        "winners_curse_gap": None if first.selection_rate is None else first.selection_rate - again,
        "noise_floor": floor,
        "ties": ties(candidates, winner, detectable),
    }


def _row(candidate: Candidate) -> dict[str, Any]:
    success = candidate.success
    return {
        "trial_id": candidate.trial_id,
        "selection_rate": candidate.selection_rate,
        "reevaluated_rate": candidate.rate,
        "interval": None if success is None else list(wilson_interval(int(success.sum()), len(success))),
    }
