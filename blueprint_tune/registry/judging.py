"""Whether a candidate becomes the champion: pure functions of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from blueprint_tune.config.evaluation_schema import GatesConfig
from blueprint_tune.evaluation.gates import limits
from blueprint_tune.evaluation.statistics import paired_difference_interval
from blueprint_tune.registry.evaluations import Evaluation, Successes


@dataclass(frozen=True)
class Gate:
    """One condition, what was asked and what was found (None: it was not measured)."""

    name: str
    wanted: str
    found: float | None
    passed: bool


@dataclass(frozen=True)
class Comparison:
    """The candidate and another on the same starts.

    Attributes:
        against: the champion's name, or ``zero actions`` and the like. starts: how many.
        successes, other_successes: of them. only_candidate, only_other: where just one succeeded.
        interval: the 95 % interval of the candidate's success rate minus the other's.
        enough: how often the candidate alone would have had to succeed, with this ``only_other``; None
            where the other fails too seldom for that.
    """

    against: str
    starts: int
    successes: int
    other_successes: int
    only_candidate: int
    only_other: int
    interval: tuple[float, float]
    enough: int | None

    @property
    def difference(self) -> float:
        """Of the success rates."""
        return (self.only_candidate - self.only_other) / self.starts

    @property
    def better(self) -> bool:
        """Whether the lower bound is above 0."""
        return self.interval[0] > 0.0


@dataclass(frozen=True)
class Verdict:
    """What was decided and why."""

    promoted: bool
    reasons: tuple[str, ...]
    gates: tuple[Gate, ...]
    comparison: Comparison | None


def judge(
    candidate: Evaluation,
    gates: GatesConfig,
    comparison: Comparison | None,
    differing: Sequence[str] = (),
    force: str | None = None,
) -> Verdict:
    """The verdict on a candidate.

    ``comparison`` is with the champion or, where there is none, the better baseline; None, where the two
    played other starts, comes with ``differing`` and is enough only for ``force``, a reason.
    """
    checked = check_gates(gates, candidate)
    failed = [_gate_sentence(gate) for gate in checked if not gate.passed]
    good = not failed and comparison is not None and comparison.better
    told = [_comparison_sentence(comparison)] if comparison else []
    told += [f"not compared with the champion; what differs: {'; '.join(differing)}"] if differing else []
    reasons = [*told, *(failed or (["all gates hold"] if checked else []))]
    if force is not None:
        reasons = [f"forced: {force}", *reasons]
    return Verdict(good or force is not None, tuple(reasons), checked, comparison)


def check_gates(gates: GatesConfig, evaluation: Evaluation) -> tuple[Gate, ...]:
    """Each gate that is not open; what was not measured passes none."""
    asked = limits(asdict(gates), evaluation.rate, evaluation.smoothness, evaluation.jerk)
    return tuple(Gate(one.key, one.asked(), one.found, bool(one.holds)) for one in asked)


def compare(candidate: Successes, other: Successes, against: str) -> Comparison:
    """The candidate and another on the same starts. Raises ValueError for other starts."""
    if candidate.keys() != other.keys():
        raise ValueError("other starts")
    only_candidate = sum(candidate[s] and not other[s] for s in candidate)
    only_other = sum(other[s] and not candidate[s] for s in candidate)
    n, other_successes = len(candidate), sum(other.values())
    return Comparison(
        against=against,
        starts=n,
        successes=sum(candidate.values()),
        other_successes=other_successes,
        only_candidate=only_candidate,
        only_other=only_other,
        interval=paired_difference_interval(only_other, only_candidate, n),
        enough=_enough(only_other, n - other_successes, n),
    )


def better_baseline(baselines: Mapping[str, Successes]) -> tuple[str, Successes] | None:
    """Name and successes of the baseline that succeeded most often; None without baselines."""
    if not baselines:
        return None
    name = max(baselines, key=lambda name: sum(baselines[name].values()))
    return f"{name} actions", baselines[name]


def _enough(only_other: int, other_fails: int, n: int) -> int | None:
    """The fewest of the starts where the other fails which, won, bring the lower bound above 0."""
    counts = range(only_other, min(other_fails, n - only_other) + 1)
    return next((k for k in counts if paired_difference_interval(only_other, k, n)[0] > 0.0), None)


def _gate_sentence(gate: Gate) -> str:
    found = "not measured" if gate.found is None else f"{gate.found:.4g}"
    return f"{gate.name} is {found}, {gate.wanted} is wanted"


def _comparison_sentence(c: Comparison) -> str:
    low, high = c.interval
    figures = f"{c.difference:+.2f} ({low:+.2f} to {high:+.2f}) on the same {c.starts} starts"
    if c.better:
        return f"better than {c.against}: {figures}"
    if high < 0.0:
        return f"worse than {c.against}: {figures}"
    return f"no better than {c.against} beyond chance: {figures}"
