"""Who copied whom, and what no trial beats: the facts behind the pictures."""

from __future__ import annotations

import re
from dataclasses import replace

from blueprint_tune.reporting.page import default_trial, render
from blueprint_tune.reporting.population import Copy, Front, ancestry, copy_rows, front_plot, lineage_plot
from blueprint_tune.reporting.report import ReportData

CLIP = {"agent.ratio_clip": (0.2, 0.24)}
COPIES = (Copy(0, 2, 100.0, CLIP), Copy(2, 1, 200.0, {}), Copy(0, 2, 300.0, CLIP), Copy(1, 0, 300.0, CLIP))


def test_the_way_of_a_policy_leads_back_to_where_it_began() -> None:
    assert ancestry(COPIES, 0, 400.0) == [(0, 300.0, 400.0), (2, 200.0, 300.0), (1, 0.0, 200.0)]
    assert ancestry(COPIES, 0, 250.0) == [(0, 100.0, 250.0), (2, 0.0, 100.0)], "before its second copy"
    assert ancestry(COPIES, 1, 300.0) == [(1, 0.0, 300.0)], "a checkpoint from before the copy"
    assert ancestry((), 3, 50.0) == [(3, 0.0, 50.0)]


def test_copies_are_listed_in_order_with_what_they_changed() -> None:
    rows = copy_rows(COPIES)
    assert [row[:3] for row in rows] == [
        ("100", "0", "2"),
        ("200", "2", "1"),
        ("300", "0", "2"),
        ("300", "1", "0"),
    ]
    assert rows[0][3] == "agent.ratio_clip 0.2 → 0.24" and rows[1][3] == "nothing"


def test_the_picture_says_in_words_what_it_shows() -> None:
    svg = lineage_plot([400.0, 400.0, 400.0], COPIES, 0, 400.0)
    assert "at 100 env steps trial 0 copied trial 2" in svg
    assert "No trial copied" in lineage_plot([400.0], (), 0, 400.0)


def test_an_objective_with_dollars_is_named_as_it_is() -> None:
    drawn = Front(("eval/a$^$", "eval/b$^$"), ("max", "max"), {0: (1.0, 2.0), 1: (2.0, 1.0)}, 0)
    assert ">a$^$</text>" in front_plot(drawn) and ">b$^$</text>" in front_plot(drawn)


def front(points: dict[int, tuple[float, float]], modes: tuple[str, str] = ("max", "max")) -> Front:
    return Front(("eval/success_rate", "eval/action_smoothness"), modes, points, 1)


def test_the_front_is_what_none_beats() -> None:
    points = {0: (0.5, 0.9), 1: (0.9, 0.6), 2: (0.4, 0.8), 3: (0.9, 0.5), 4: (0.2, 0.95), 5: (0.5, 0.9)}
    assert front(points).best == [4, 0, 5, 1]
    assert front(points, ("min", "max")).best == [4]
    assert front({7: (0.1, 0.1)}).best == [7]


def test_the_page_shows_what_the_sweep_has(report: ReportData) -> None:
    plain = render(report)
    assert "Who copied whom" not in plain and "Two objectives" not in plain
    population = replace(report, copies=COPIES[:2], front=front({0: (0.5, 0.9), 1: (0.9, 0.6)}))
    html = render(population)
    assert html.count("copied trial") >= 2 and "Two objectives" in html
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_a_trial_that_copied_is_no_longer_the_default_settings(report: ReportData) -> None:
    first = {**report.config, "sweep": {"default_settings_first": True}}
    begun = replace(report, config=first, copies=())
    assert default_trial(begun) == report.trials[0].trial_id
    assert default_trial(replace(begun, copies=COPIES)) is None
