from __future__ import annotations

from dataclasses import replace

import pytest

from blueprint_tune.reporting.curves import TrialCurves
from blueprint_tune.reporting.page import default_trial, facts, render, success_lines
from blueprint_tune.reporting.report import ReportData


def test_numbers_beside_the_verdict(report: ReportData) -> None:
    assert facts(report) == [
        ("training", "7 min 41 s"),
        ("trials", "4"),
        ("env steps of the policy", "3k"),
        ("updates of the policy", "3"),
        ("control rate", "31.25 Hz"),
    ]
    assert facts(replace(report, onnx_success_rate=0.9))[-1] == ("ONNX in the simulator", "90%")
    assert facts(replace(report, timings_s={}))[0][0] == "trials"


def test_the_best_trial_is_drawn_with_intervals(report: ReportData) -> None:
    best, _, others, _, _ = success_lines(report)
    assert best.band is not None and others[0].band is None
    low, high = best.band
    assert (low < best.y).all() and (best.y < high).all()
    assert low[-1] == pytest.approx(0.8102, abs=1e-4)  # Wilson's of round(0.9 * 64) = 58 in 64


def test_terms_that_never_moved_are_named_instead_of_drawn(report: ReportData) -> None:
    html = render(report)
    assert "The same in every report: <code>touch</code> 0.25." in html
    assert 'id="term0-title">reach<' in html and 'id="term1-title"' not in html


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


def test_the_page_shows_no_secret(report: ReportData) -> None:
    config = {
        **report.config,
        "cluster": {"runtime_env": {"env_vars": {"API_TOKEN": "hunter2"}, "pip": [{"token": "hunter2"}]}},
        "storage": {"endpoint": "http://u:hunter2@host"},
    }
    changes = {"storage.endpoint": ("http://u:hunter2@before", "http://u:hunter2@host")}
    html = render(replace(report, config=config, changes=changes)).replace("<wbr>", "")
    assert "hunter2" not in html and "cluster.runtime_env.env_vars.API_TOKEN" in html and "(hidden)" in html
