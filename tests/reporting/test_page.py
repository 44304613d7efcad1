from __future__ import annotations

from dataclasses import replace

from blueprint_tune.reporting.curves import TrialCurves
from blueprint_tune.reporting.page import default_trial, facts, ranges, success_lines
from blueprint_tune.reporting.report import ReportData


def test_numbers_beside_the_verdict(report: ReportData) -> None:
    assert facts(report) == [
        ("training", "7 min 41 s"),
        ("trials", "4"),
        ("env steps of the policy", "3k"),
        ("updates of the policy", "3"),
        ("control rate", "31.25 Hz"),
        ("ONNX against torch", "3.6e-07"),
    ]
    assert facts(replace(report, onnx_success_rate=0.9))[-1] == ("ONNX in the simulator", "90%")
    assert facts(replace(report, timings_s={}))[0][0] == "trials"


def test_ranges_start_with_the_policy(report: ReportData) -> None:
    assert [(r.label, r.rate, r.high) for r in ranges(report.benchmark)] == [
        ("this policy", 0.92, 0.959),
        ("zero", 0.0, 0.037),
        ("random", 0.01, 0.055),
    ]


def test_success_lines_tell_best_default_and_others_apart(report: ReportData) -> None:
    best, default, others, benchmark, at = success_lines(report)
    assert best.label == "trial 2, the best"
    assert best.y.tolist() == [0.1, 0.6, 0.95, 0.9]
    assert default is not None
    assert default.label == "trial 0, default settings"
    assert [line.label for line in others] == ["trial 1"]
    assert (benchmark.low, benchmark.high, at) == (0.85, 0.959, 3000.0)


def test_the_default_settings_can_be_the_best(report: ReportData, trials: tuple[TrialCurves, ...]) -> None:
    best, default, others, _, _ = success_lines(replace(report, best_trial="a_0"))
    assert best.label == "trial 0, the best, default settings"
    assert default is None
    assert len(others) == 2
    single = success_lines(replace(report, best_trial="a_0", trials=trials[:1]))
    assert single[0].label == "trial 0, default settings"


def test_the_first_trial_is_the_default_settings_when_the_sweep_says_so(report: ReportData) -> None:
    sampled = tuple(replace(trial, sampled={"agent.rollouts": 24}) for trial in report.trials)
    assert default_trial(replace(report, trials=sampled)) is None
    first = {**report.config, "sweep": {"default_settings_first": True}}
    assert default_trial(replace(report, trials=sampled, config=first)) == "a_0"
    assert default_trial(report) == "a_0"
