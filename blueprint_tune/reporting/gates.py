"""What a reviewer asks of a policy before all else, with what was measured and whether that is enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blueprint_tune.evaluation.gates import Limit, limits, telling
from blueprint_tune.reporting.evaluated import indicator_rows, points
from blueprint_tune.reporting.views import NOT_MEASURED, interval, percent

if TYPE_CHECKING:
    from blueprint_tune.reporting.report import ReportData


@dataclass(frozen=True)
class Gate:
    """One demand.

    Attributes:
        name: what is judged. measured, asked: in words.
        passed: None where it could not be judged.
    """

    name: str
    measured: str
    asked: str
    passed: bool | None


def gates(report: ReportData) -> list[Gate]:
    """All that a report can judge: baselines, the champion, limits for promotion, sim2real, the export."""
    benchmark = report.benchmark
    return [
        *_against_baselines(benchmark),
        *_against_champion(benchmark),
        *_limits(benchmark, report.config["evaluation"].get("gates") or {}),
        *(
            Gate(row.name, row.value, row.target, row.passed)
            for row in indicator_rows(benchmark)
            if any(sign in row.target for sign in "<>")
        ),
        _export(report),
    ]


def tally(found: Sequence[Gate]) -> str:
    """How many were passed, in a few words."""
    verdicts = [gate.passed for gate in found]
    parts = [f"{verdicts.count(True)} of {len(found)} gates passed"]
    if missed := verdicts.count(False):
        parts.append(f"{missed} missed")
    if unknown := verdicts.count(None):
        parts.append(f"{unknown} not decided")
    return ", ".join(parts)


def _against_baselines(benchmark: Mapping[str, Any]) -> list[Gate]:
    """The policy's interval must lie above each baseline's."""
    summary = benchmark["summary"]
    own = _rate(summary)
    return [
        Gate(
            f"better than {name} actions",
            own,
            f"above theirs, {interval(*row['success_rate_95ci'])}",
            summary["success_rate_95ci"][0] > row["success_rate_95ci"][1],
        )
        for name, row in benchmark["comparison_to_baseline"]["baselines"].items()
    ]


def _against_champion(benchmark: Mapping[str, Any]) -> list[Gate]:
    """The difference to the policy promoted last; undecided where its interval holds zero."""
    champion = benchmark["comparison_to_baseline"].get("last_promoted")
    if champion is None:
        return []
    low, high = champion["difference_95ci"]
    played = champion["paired_episodes"]
    how = f"from the same {played} starts" if played else "from other starts"
    measured = f"{points(champion['improvement_points'])} points, {points(low)} to {points(high)}, {how}"
    passed = None if low <= 0.0 <= high else low > 0.0
    return [Gate(f"better than the champion {champion['policy_name']}", measured, "above 0", passed)]


def _limits(benchmark: Mapping[str, Any], asked: Mapping[str, float | None]) -> list[Gate]:
    """What the settings ask of a champion."""
    indicators = benchmark["sim2real_indicators"]
    found = indicators["action_smoothness"], indicators["mean_action_jerk"]
    return [_limit(limit) for limit in limits(asked, benchmark["summary"]["success_rate"], *found)]


def _limit(limit: Limit) -> Gate:
    decimals, scale, unit = (0, 100.0, "%") if limit.key == "min_success_rate" else (3, 1.0, "")
    found = limit.measured(decimals, scale)
    measured = NOT_MEASURED if found is None else f"{found}{unit}"
    return Gate(f"{limit.name}, to be promoted", measured, f"{limit.asked(scale)}{unit}", limit.holds)


def _export(report: ReportData) -> Gate:
    difference = report.policy["onnx"]["max_abs_difference"]
    tolerance = report.config["evaluation"]["onnx_tolerance"]
    apart = f"{telling(difference, tolerance, 1, 'e')} apart"
    return Gate("ONNX acts as trained", apart, f"at most {tolerance:.10g}", difference <= tolerance)


def _rate(row: Mapping[str, Any]) -> str:
    return f"{percent(row['success_rate'])} ({interval(*row['success_rate_95ci'])})"
