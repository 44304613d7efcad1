"""What an evaluation measured, as rows of tables: plain text made from ``benchmark_report.json``, no HTML.

Parts that a document does not have are None; parts that it has without a measurement are empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blueprint_tune.evaluation.gates import telling
from blueprint_tune.evaluation.statistics import wilson_interval
from blueprint_tune.reporting.plots import Range
from blueprint_tune.reporting.views import MISSING, NOT_MEASURED, number, percent, short


@dataclass(frozen=True)
class IndicatorRow:
    """A sim2real indicator beside its target; ``passed`` is None where there is no value or no target."""

    name: str
    value: str
    target: str
    passed: bool | None
    meaning: str


@dataclass(frozen=True)
class SeedRow:
    """The episodes of one seed, or of all; ``cells``: reward, env steps, time to success."""

    name: str
    episodes: int
    rate: Range
    cells: tuple[str, ...]


@dataclass(frozen=True)
class CandidateRow:
    """A trial that was evaluated once more before the winner was chosen.

    Attributes:
        number: of the trial. selection: its rate while it trained. again: on fresh starts; None = it was not.
        tied: whether it cannot be told from the best one.
    """

    number: int
    selection: str
    again: Range | None
    tied: bool


_INDICATORS = {
    "action_smoothness": ("", "1 minus the normalised second difference of actions"),
    "mean_action_jerk": ("", "mean change of an action from one env step to the next"),
    "max_joint_acceleration": (" rad/s²", "peak over all physics steps of the arm's joints"),
    "joint_acceleration_p99": (" rad/s²", "99th percentile over the same physics steps"),
    "contact_force_variance": (" N²", "of the grip force while grasping"),
    "contact_force_std_n": (" N", "standard deviation of the grip force while grasping"),
    "gripper_force_consistency": ("", "1 is a grip of constant force"),
}
"""Unit, and what it is, in words."""


def indicator_rows(benchmark: Mapping[str, Any]) -> tuple[IndicatorRow, ...]:
    """Every sim2real indicator; a verdict stands beside the indicator that it was made from."""
    values = benchmark["sim2real_indicators"]
    verdicts = {v.get("measure", name): v for name, v in benchmark["sim2real_verdict"].items()}
    return tuple(_indicator(name, value, verdicts.get(name)) for name, value in values.items())


def _indicator(name: str, value: float | None, verdict: Mapping[str, Any] | None) -> IndicatorRow:
    unit, meaning = _INDICATORS.get(name, ("", ""))
    target, passed, shown = MISSING, None, NOT_MEASURED if value is None else f"{_three(value)}{unit}"
    if verdict is not None and verdict["target"] is not None:
        target, passed = f"{_sign(verdict)} {verdict['target']:g}{unit}", verdict["passed"]
        if value is not None:
            shown = f"{telling(value, verdict['target'], 3 if abs(value) < 10 else 1)}{unit}"
    return IndicatorRow(called(name), shown, target, passed, meaning)


def _three(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else short(value)


_UNITS = {"m": " m", "s": " s", "n": " N", "rad": " rad", "hz": " Hz"}
"""Endings of names."""


def _unit(name: str) -> str:
    """The unit that a field's name ends with."""
    return _UNITS.get(name.removesuffix("_mean").rpartition("_")[2], "")


def _sign(verdict: Mapping[str, Any]) -> str:
    return ">" if verdict["target_is"] == "above" else "<"


def called(name: str) -> str:
    """A field's name in words, without its unit."""
    words = name.split("_")
    return " ".join(words[:-1] if len(words) > 1 and words[-1] in _UNITS else words)


def ranges(benchmark: Mapping[str, Any]) -> list[Range]:
    """The rates of the policy, of the baselines and of the policy promoted last, with intervals."""
    comparison = benchmark["comparison_to_baseline"]
    rows = {"this policy": benchmark["summary"], **comparison["baselines"]}
    if comparison.get("last_promoted"):
        rows["champion"] = comparison["last_promoted"]
    return [Range(name, row["success_rate"], *row["success_rate_95ci"]) for name, row in rows.items()]


def seed_rows(benchmark: Mapping[str, Any]) -> list[SeedRow]:
    """One row a seed, with the interval of its own episodes; all of them last."""
    rows = [_seed(str(row["seed"]), row, row["episodes"]) for row in benchmark["per_seed_results"]]
    return [*rows, _seed("all", benchmark["results"], benchmark["evaluation_config"]["num_episodes"])]


def _seed(name: str, row: Mapping[str, Any], episodes: int) -> SeedRow:
    rate = row["success_rate"]
    low, high = wilson_interval(round(rate * episodes), episodes)
    after = row["completion_time_mean"]
    cells = (number(row["mean_reward"]), number(row["mean_episode_length"]))
    return SeedRow(
        name, episodes, Range(name, rate, low, high), (*cells, MISSING if after is None else f"{after:.2f} s")
    )


def metric_rows(benchmark: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, mean over the episodes) of what the policy type measures itself.

    The document has each under two names; it is shown under the one without ``_mean``.
    """
    metrics = benchmark["task_specific_metrics"]
    return [
        (called(name), NOT_MEASURED if value is None else f"{short(value)}{_unit(name)}")
        for name, value in metrics.items()
        if not (name.endswith("_mean") and name.removesuffix("_mean") in metrics)
    ]


def robustness_ranges(benchmark: Mapping[str, Any]) -> list[Range] | None:
    """Success under each perturbation; empty where it was not measured, None in documents without it."""
    rows = benchmark.get("robustness")
    if rows is None:
        return None
    return [Range(_perturbation(row), row["success_rate"], *row["success_rate_95ci"]) for row in rows]


def _perturbation(row: Mapping[str, Any]) -> str:
    name, value, unit = called(row["perturbation"]), row["value"], row["unit"]
    unit = unit.removesuffix("s") if value == 1 else unit
    if name == "none" or value is None:
        return "as it is" if name == "none" else name
    return f"{name} × {value:g}" if unit == "×" else f"{name} {value:g} {unit}".rstrip()


def lost(ranges: Sequence[Range]) -> list[str]:
    """Points of success that each perturbation costs against the first row, which has none."""
    return [MISSING, *(points(r.rate - ranges[0].rate) for r in ranges[1:])] if ranges else []


def points(difference: float) -> str:
    """A difference of rates in percentage points, with its sign."""
    rounded = round(100 * difference)
    return f"{rounded:+d}".replace("-", "−") if rounded else "±0"


def candidate_rows(selection: Mapping[str, Any], numbers: Mapping[str, int]) -> list[CandidateRow]:
    """The trials that were evaluated again; ``numbers``: trial id -> number of the trial."""
    return [
        CandidateRow(
            numbers[row["trial_id"]],
            percent(row["selection_rate"]),
            None
            if row["reevaluated_rate"] is None or row["interval"] is None
            else Range("again", row["reevaluated_rate"], *row["interval"]),
            row["trial_id"] in selection["ties"],
        )
        for row in selection["top"]
    ]


def selection_sentences(selection: Mapping[str, Any]) -> list[str]:
    """What the repeated evaluation says about how the winner was chosen."""
    gap, floor, ties = selection["winners_curse_gap"], selection["noise_floor"], selection["ties"]
    found = []
    if gap is not None:
        word = "better" if gap > 0 else "worse"
        looked = f"{_points(abs(gap))} points {word} than" if gap else "as good as"
        found.append(f"While it trained, the best looked {looked} on fresh starts.")
    if floor is not None:
        least = _points(floor["minimum_detectable_difference"])
        found.append(
            f"The default settings trained with {floor['repeats']} seeds differ by {_points(floor['std'])} "
            f"points (standard deviation): trials less than {least} points apart may differ by their seed "
            "alone."
        )
    if ties:
        many = "1 other trial" if len(ties) == 1 else f"{len(ties)} other trials"
        found.append(f"{many} cannot be told from the best one.")
    return found


def _points(rate: float) -> str:
    return f"{100 * rate:.2g}"
