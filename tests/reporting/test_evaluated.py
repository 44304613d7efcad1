from __future__ import annotations

from typing import Any

import pytest

from blueprint_tune.reporting import evaluated
from blueprint_tune.reporting.report import ReportData


@pytest.fixture
def full(full_report: ReportData) -> dict[str, Any]:
    return dict(full_report.benchmark)


def test_indicators_stand_beside_their_targets(benchmark_document: dict[str, Any]) -> None:
    smooth, jerk, force = evaluated.indicator_rows(benchmark_document)
    assert (smooth.name, smooth.value, smooth.target, smooth.passed) == (
        "action smoothness",
        "0.950",
        "> 0.9",
        True,
    )
    assert (jerk.value, jerk.target, jerk.passed) == ("0.080", "< 0.02", False)
    assert (force.value, force.target, force.passed) == ("not measured", "< 10 N²", None)


def test_a_verdict_goes_to_what_was_measured_for_it(full: dict[str, Any]) -> None:
    rows = {row.name: row for row in evaluated.indicator_rows(full)}
    assert (rows["max joint acceleration"].value, rows["max joint acceleration"].passed) == (
        "73.2 rad/s²",
        False,
    )
    assert (rows["contact force std"].value, rows["contact force std"].target) == ("4.200 N", "< 10 N")
    assert (rows["contact force variance"].target, rows["contact force variance"].passed) == ("–", None)


def test_seeds_have_intervals_and_a_total(benchmark_document: dict[str, Any]) -> None:
    rows = evaluated.seed_rows(benchmark_document)
    assert (rows[0].name, rows[0].episodes, rows[0].cells) == ("42", 50, ("85.3", "161", "4.13 s"))
    assert (rows[-1].name, rows[-1].episodes, rows[-1].cells) == ("all", 100, ("85.3", "161", "–"))
    low, high = rows[-1].rate.low, rows[-1].rate.high
    assert (low, high) == pytest.approx((0.8500, 0.9589), abs=1e-4)  # Wilson's of 92 in 100
    assert rows[0].rate.low < low and high < rows[0].rate.high


def test_what_a_document_lacks_is_told_from_what_was_not_measured(benchmark_document: dict[str, Any]) -> None:
    assert evaluated.robustness_ranges(benchmark_document) is None
    assert evaluated.robustness_ranges({"robustness": []}) == []
    assert evaluated.lost([]) == []


def test_robustness_counts_against_the_task_as_it_is(full: dict[str, Any]) -> None:
    rows = evaluated.robustness_ranges(full)
    assert rows is not None
    assert [row.label for row in rows] == ["as it is", "friction × 0.5", "action delay 1 env step"]
    assert evaluated.lost(rows) == ["–", "−12", "−52"]


@pytest.mark.parametrize(
    ("difference", "shown"), [(0.05, "+5"), (-0.051, "−5"), (0.004, "±0"), (-0.004, "±0")]
)
def test_points(difference: float, shown: str) -> None:
    assert evaluated.points(difference) == shown


def test_a_metric_under_two_names_is_told_once(full: dict[str, Any]) -> None:
    assert evaluated.metric_rows(full) == [("dishes placed", "1.25"), ("collision count", "not measured")]
    assert evaluated.metric_rows({"task_specific_metrics": {"tilt_mean": 3.0}}) == [("tilt mean", "3")]
    assert evaluated.metric_rows(
        {"task_specific_metrics": {"goal_distance_m": 0.5, "goal_distance_m_mean": 0.5}}
    ) == [("goal distance", "0.5 m")]


def test_the_choice_of_the_winner_is_doubted_in_numbers(full: dict[str, Any]) -> None:
    first, second = evaluated.candidate_rows(full["selection"], {"a_2": 2, "a_0": 0})
    assert (first.number, first.selection, first.tied) == (2, "95%", False)
    assert first.again is not None and first.again.rate == 0.9
    assert second.again is None
    gap, noise, ties = evaluated.selection_sentences(full["selection"])
    assert "5 points better than on fresh starts" in gap
    assert noise == (
        "The default settings trained with 5 seeds differ by 1.2 points (standard deviation): "
        "trials less than 3.4 points apart may differ by their seed alone."
    )
    assert ties == "1 other trial cannot be told from the best one." and second.tied
    nothing = {"winners_curse_gap": None, "noise_floor": None, "ties": []}
    assert evaluated.selection_sentences(nothing) == []


def test_the_champion_is_drawn_beside_the_baselines(
    full: dict[str, Any], benchmark_document: dict[str, Any]
) -> None:
    assert [r.label for r in evaluated.ranges(benchmark_document)] == ["this policy", "zero", "random"]
    assert evaluated.ranges(full)[-1].label == "champion"
