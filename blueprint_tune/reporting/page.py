"""The report's page: its data put into pictures, tables and the template."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from blueprint_tune.config.public import public
from blueprint_tune.evaluation.statistics import wilson_interval
from blueprint_tune.reporting import evaluated, views
from blueprint_tune.reporting.curves import SUCCESS, TrialCurves
from blueprint_tune.reporting.gates import gates, tally
from blueprint_tune.reporting.html import templates
from blueprint_tune.reporting.plots import Line, Range, interval_plot, lines_plot, small_plot, success_plot
from blueprint_tune.reporting.population import copy_rows, front_plot, lineage_plot
from blueprint_tune.reporting.report import ReportData


def render(report: ReportData) -> str:
    """The page as text, without secrets of the settings: it is published, and sent to trackers."""
    report = replace(report, config=public(report.config), changes=public(report.changes))
    judged = gates(report)
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            report=report,
            verdict=views.verdict(report.benchmark),
            gates=judged,
            tally=tally(judged),
            facts=facts(report),
            actions=views.action_rows(report.policy),
            provenance=views.provenance_rows(report.provenance),
            config=views.config_groups(report.config, report.changes),
            picture=_data_url("png", report.picture_png),
            video=_data_url("gif", report.video_gif),
            intervals=Markup(interval_plot(evaluated.ranges(report.benchmark))),
            success=Markup(success_plot(*success_lines(report))),
            **_evaluation(report.benchmark),
            **_trials(report),
            **_details(report.best),
        )
    )


def _evaluation(benchmark: Mapping[str, Any]) -> dict[str, Any]:
    """What the sections about the evaluation show."""
    robust = evaluated.robustness_ranges(benchmark)
    return {
        "seeds": evaluated.seed_rows(benchmark),
        "metrics": evaluated.metric_rows(benchmark),
        "indicators": evaluated.indicator_rows(benchmark),
        "robust": robust,
        "lost": evaluated.lost(robust or []),
    }


def _trials(report: ReportData) -> dict[str, Any]:
    """What the section about the trials shows."""
    numbers = {trial.trial_id: number for number, trial in enumerate(report.trials)}
    selection = report.benchmark.get("selection")
    return {
        "trials": views.trial_table(report.trials, report.best_trial, report.selection_episodes),
        "incidents": views.incidents(report.trials),
        "selection": selection,
        "candidates": evaluated.candidate_rows(selection, numbers) if selection else [],
        "doubts": evaluated.selection_sentences(selection) if selection else [],
        "lineage": _lineage(report),
        "copies": copy_rows(report.copies or ()),
        "front": Markup(front_plot(report.front)) if report.front else None,
    }


def _details(best: TrialCurves) -> dict[str, Any]:
    """What the section about the best trial's training shows; terms that never moved are only named."""
    lines = {name: Line(name, *best.series(f"reward/{name}")) for name in best.metrics("reward/")}
    still = [name for name, line in lines.items() if len(set(line.y)) < 2 and len(line.y) > 1]
    moving = [line for name, line in lines.items() if name not in still]
    return {
        "weighted": _weighted(best),
        "terms": [Markup(small_plot(f"term{number}", line)) for number, line in enumerate(moving)],
        "still": [(name, views.short(float(lines[name].y[-1]))) for name in still],
        "health": [Markup(plot) for plot in _health_plots(best)],
    }


def _data_url(kind: str, data: bytes | None) -> str | None:
    return None if data is None else f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def facts(report: ReportData) -> list[tuple[str, str]]:
    """(name, value) of what goes beside the verdict."""
    info = report.policy["training_info"]
    found = [
        ("training", views.duration(report.timings_s["training"]))
        if "training" in report.timings_s
        else None,
        ("trials", str(len(report.trials))),
        ("env steps of the policy", views.number(info["total_timesteps"])),
        ("updates of the policy", str(info["total_iterations"])),
        ("control rate", f"{report.policy['control_hz']:.4g} Hz"),
        None
        if report.onnx_success_rate is None
        else ("ONNX in the simulator", views.percent(report.onnx_success_rate)),
    ]
    return [fact for fact in found if fact is not None]


def success_lines(report: ReportData) -> tuple[Line, Line | None, list[Line], Range, float]:
    """The arguments of the success plot: best, default settings, the others, the benchmark and its place."""
    lines = {t.trial_id: Line(f"trial {i}", *t.series(SUCCESS)) for i, t in enumerate(report.trials)}
    chosen, plain = lines.pop(report.best_trial), default_trial(report)
    role = ", the best" * (len(report.trials) > 1) + ", default settings" * (plain == report.best_trial)
    best = Line(f"{chosen.label}{role}", chosen.x, chosen.y, _band(chosen, report.selection_episodes))
    default = None
    if plain is not None and plain != report.best_trial:
        line = lines.pop(plain)
        default = Line(f"{line.label}, default settings", line.x, line.y)
    others = [line for line in lines.values() if len(line.x)]
    measured = evaluated.ranges(report.benchmark)[0]
    benchmark = Range("benchmark, 95% interval", measured.rate, measured.low, measured.high)
    return best, default, others, benchmark, float(report.policy["training_info"]["total_timesteps"])


def _band(line: Line, episodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95% intervals of rates that were each counted in as many episodes."""
    bounds = [wilson_interval(round(float(rate) * episodes), episodes) for rate in line.y]
    low, high = np.asarray(bounds, dtype=np.float64).reshape(-1, 2).T
    return low, high


def default_trial(report: ReportData) -> str | None:
    """The trial that ran with the settings as they were composed, if there is one."""
    if any(copy.member == 0 for copy in report.copies or ()):
        return None  # it went on as another one
    if report.config["sweep"]["default_settings_first"]:
        return report.trials[0].trial_id
    return next((trial.trial_id for trial in report.trials if not trial.sampled), None)


def _weighted(trial: TrialCurves) -> Markup | None:
    every = [
        Line(name, *trial.series(f"reward_weighted/{name}")) for name in trial.metrics("reward_weighted/")
    ]
    lines = [line for line in every if line.y.any()]
    if not lines:
        return None
    return Markup(lines_plot("weighted", "Weighted reward of each term", lines))


def _lineage(report: ReportData) -> Markup | None:
    """The picture of a population; None in a sweep whose trials train apart."""
    if report.copies is None:
        return None
    ends = [trial.last("env_steps") or 0.0 for trial in report.trials]
    chosen = next(i for i, trial in enumerate(report.trials) if trial.trial_id == report.best_trial)
    checkpoint = float(report.policy["training_info"]["total_timesteps"])
    return Markup(lineage_plot(ends, report.copies, chosen, checkpoint))


_HEALTH = (
    ("train/return", "return in training", False, False),
    ("train/success_rate", "success in training", False, True),
    ("train/curriculum_level", "level of the curriculum", False, True),
    ("train/episode_length", "episode length (env steps)", False, False),
    ("loss/policy", "policy loss", False, False),
    ("loss/value", "value loss", False, False),
    ("loss/entropy", "entropy", False, False),
    ("agent/learning_rate", "learning rate", True, False),
    ("agent/desired_kl", "desired KL divergence", False, False),
    ("agent/discount_factor", "discount factor", False, False),
    ("agent/gae_lambda", "lambda of the advantages", False, False),
    ("agent/ratio_clip", "clip of the probability ratio", False, False),
    ("agent/entropy_loss_scale", "weight of the entropy", False, False),
    ("agent/kl", "KL divergence of an update", False, False),
    ("agent/std", "action standard deviation", False, False),
    ("perf/env_steps_per_s", "env steps per second", False, False),
)
"""Metric, what it is called, logarithmic, in percent."""
_SETTINGS = tuple(
    f"agent/{name}"
    for name in ("desired_kl", "discount_factor", "gae_lambda", "ratio_clip", "entropy_loss_scale")
)
"""Shown where they changed in flight."""


def _health_plots(trial: TrialCurves) -> Iterator[str]:
    for number, (metric, label, log, percent) in enumerate(_HEALTH):
        line = Line(label, *trial.series(metric))
        still = metric in _SETTINGS and len(set(line.y)) < 2
        if len(line.x) and not still:
            yield small_plot(f"health{number}", line, log and _spans_decade(line.y), percent)


def _spans_decade(values: NDArray[np.float64]) -> bool:
    """Whether a logarithmic axis can show them, and has ticks enough to be read."""
    return bool(values.min() > 0.0 and values.max() >= 10.0 * values.min())
