from __future__ import annotations

from dataclasses import replace
from typing import Any

from blueprint_tune.reporting.gates import Gate, gates, tally
from blueprint_tune.reporting.report import ReportData


def named(report: ReportData) -> dict[str, Gate]:
    return {gate.name: gate for gate in gates(report)}


def test_every_demand_has_a_verdict(report: ReportData) -> None:
    found = named(report)
    assert found["better than random actions"] == Gate(
        "better than random actions", "92% (85 to 96%)", "above theirs, 0 to 6%", True
    )
    assert found["action smoothness"].passed is True
    assert found["mean action jerk"].passed is False
    assert found["contact force variance"].passed is None
    assert found["ONNX acts as trained"].passed is True


def test_a_baseline_within_the_interval_is_missed(
    report: ReportData, benchmark_document: dict[str, Any]
) -> None:
    benchmark_document["comparison_to_baseline"]["baselines"]["zero"]["success_rate_95ci"] = [0.8, 0.86]
    assert named(replace(report, benchmark=benchmark_document))["better than zero actions"].passed is False


def test_a_champion_within_the_interval_of_the_difference_decides_nothing(full_report: ReportData) -> None:
    champion = named(full_report)["better than the champion reach-champion"]
    assert champion.passed is None
    assert champion.measured == "+2 points, −3 to +7, from the same 100 starts"
    comparison = full_report.benchmark["comparison_to_baseline"]
    for bounds, passed in (([0.01, 0.07], True), ([-0.07, -0.01], False)):
        last = {**comparison["last_promoted"], "difference_95ci": bounds, "paired_episodes": 0}
        document = {**full_report.benchmark, "comparison_to_baseline": {**comparison, "last_promoted": last}}
        gate = named(replace(full_report, benchmark=document))["better than the champion reach-champion"]
        assert gate.passed is passed and gate.measured.endswith("from other starts")


def test_limits_for_promotion_stand_among_them(full_report: ReportData) -> None:
    found = named(full_report)
    success = "success rate, to be promoted"
    assert found[success] == Gate(success, "92%", "at least 50%", True)
    jerk = "mean action jerk, to be promoted"
    assert found[jerk] == Gate(jerk, "0.080", "at most 0.05", False)
    assert "action smoothness, to be promoted" not in found, "null asks nothing"
    unmeasured = {**full_report.benchmark["sim2real_indicators"], "mean_action_jerk": None}
    document = {**full_report.benchmark, "sim2real_indicators": unmeasured}
    assert named(replace(full_report, benchmark=document))[jerk].passed is None


def test_a_rate_just_below_what_is_asked_does_not_look_like_it(full_report: ReportData) -> None:
    summary = {**full_report.benchmark["summary"], "success_rate": 149 / 300}
    gate = named(replace(full_report, benchmark={**full_report.benchmark, "summary": summary}))[
        "success rate, to be promoted"
    ]
    assert (gate.measured, gate.asked, gate.passed) == ("49.7%", "at least 50%", False)


def test_a_jerk_or_an_export_just_beyond_what_is_asked_does_not_look_like_it(report: ReportData) -> None:
    document, policy = report.benchmark, report.policy
    indicators = {**document["sim2real_indicators"], "mean_action_jerk": 0.02004}
    near = {**policy, "onnx": {**policy["onnx"], "max_abs_difference": 1.004e-4}}
    found = named(replace(report, benchmark={**document, "sim2real_indicators": indicators}, policy=near))
    assert found["mean action jerk"].measured == "0.02004"
    assert (found["ONNX acts as trained"].measured, found["ONNX acts as trained"].passed) == (
        "1.004e-04 apart",
        False,
    )


def test_an_export_that_differs_too_much_is_missed(report: ReportData) -> None:
    far = {**report.policy, "onnx": {**report.policy["onnx"], "max_abs_difference": 0.01}}
    assert named(replace(report, policy=far))["ONNX acts as trained"].passed is False


def test_the_tally_counts_all_three_verdicts() -> None:
    def gate(passed: bool | None) -> Gate:
        return Gate("a", "b", "c", passed)

    assert tally([gate(True), gate(True)]) == "2 of 2 gates passed"
    assert tally([gate(True), gate(False), gate(None)]) == "1 of 3 gates passed, 1 missed, 1 not decided"
