"""One HTML file about one experiment, readable from disk without a network."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from blueprint_tune.reporting import views
from blueprint_tune.reporting.curves import SUCCESS, TrialCurves
from blueprint_tune.reporting.plots import Line, Range, interval_plot, lines_plot, small_plot, success_plot


@dataclass(frozen=True)
class ReportData:
    """Everything a report is made of; plain data.

    Attributes:
        experiment: its name. policy_id, scene_id, robot, backend: as in the config.
        created_at: ISO 8601 in UTC.
        benchmark: the document ``benchmark_report.json``. policy: the document ``policy_config.json``.
        trials: what every trial reported, in the order they were started, among them ``best_trial``.
        notes: guesses about the scene and leniencies towards its manifest, a sentence each.
        config: the resolved config, nested. changes: dotted key -> (default value, value) where they differ.
        provenance: versions, git commit and the like. command: what reproduces the run, to be pasted.
        timings_s: stage of the run -> seconds, in order.
        picture_png: a picture of the scene, or None where nothing can draw one.
        onnx_success_rate: of the exported policy in the simulator; None when it did not drive it.
    """

    experiment: str
    scene_id: str
    policy_id: str
    robot: str
    backend: str
    created_at: str
    benchmark: Mapping[str, Any]
    policy: Mapping[str, Any]
    trials: tuple[TrialCurves, ...]
    best_trial: str
    notes: tuple[str, ...]
    config: Mapping[str, Any]
    changes: Mapping[str, tuple[Any, Any]]
    provenance: Mapping[str, Any]
    command: str
    timings_s: Mapping[str, float]
    picture_png: bytes | None
    onnx_success_rate: float | None = None

    @property
    def best(self) -> TrialCurves:
        """The trial the policy comes from."""
        return next(trial for trial in self.trials if trial.trial_id == self.best_trial)


def write_report(report: ReportData, path: Path) -> None:
    """Write the report as one self-contained HTML file."""
    path.write_text(render(report), encoding="utf-8")


def render(report: ReportData) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("blueprint_tune.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["setting"] = views.setting
    environment.filters["duration"] = views.duration
    return environment.get_template("report.html.j2").render(
        report=report,
        verdict=views.verdict(report.benchmark),
        facts=facts(report),
        trials=views.trial_table(report.trials, report.best_trial),
        seeds=views.seed_rows(report.benchmark),
        indicators=views.indicator_rows(report.benchmark),
        config=views.config_lines(report.config, list(report.changes)),
        picture=None if report.picture_png is None else base64.b64encode(report.picture_png).decode(),
        intervals=Markup(interval_plot(ranges(report.benchmark))),
        success=Markup(success_plot(*success_lines(report))),
        weighted=_weighted(report.best),
        terms=[Markup(plot) for plot in _term_plots(report.best)],
        health=[Markup(plot) for plot in _health_plots(report.best)],
    )


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
        ("ONNX against torch", f"{report.policy['onnx']['max_abs_difference']:.1e}"),
        None
        if report.onnx_success_rate is None
        else ("ONNX in the simulator", views.percent(report.onnx_success_rate)),
    ]
    return [fact for fact in found if fact is not None]


def ranges(benchmark: Mapping[str, Any]) -> list[Range]:
    """The policy's rate and the baselines', with intervals."""
    summary = benchmark["summary"]
    rows = {"this policy": summary, **benchmark["comparison_to_baseline"]["baselines"]}
    return [Range(name, row["success_rate"], *row["success_rate_95ci"]) for name, row in rows.items()]


def success_lines(report: ReportData) -> tuple[Line, Line | None, list[Line], Range, float]:
    """The arguments of the success plot: best, default settings, the others, the benchmark and its place."""
    lines = {t.trial_id: Line(f"trial {i}", *t.series(SUCCESS)) for i, t in enumerate(report.trials)}
    chosen = lines.pop(report.best_trial)
    defaults = [t.trial_id for t in report.trials if not t.sampled]
    is_default = report.best_trial in defaults
    role = ", the best" * (len(report.trials) > 1) + ", default settings" * is_default
    best = Line(f"{chosen.label}{role}", chosen.x, chosen.y)
    default = None
    if defaults and not is_default:
        line = lines.pop(defaults[0])
        default = Line(f"{line.label}, default settings", line.x, line.y)
    others = [line for line in lines.values() if len(line.x)]
    measured = ranges(report.benchmark)[0]
    benchmark = Range("benchmark, 95% interval", measured.rate, measured.low, measured.high)
    return best, default, others, benchmark, float(report.policy["training_info"]["total_timesteps"])


def _weighted(trial: TrialCurves) -> Markup | None:
    names = trial.metrics("reward_weighted/")
    if not names:
        return None
    lines = [Line(name, *trial.series(f"reward_weighted/{name}")) for name in names]
    return Markup(lines_plot("weighted", "Weighted reward of each term", lines))


def _term_plots(trial: TrialCurves) -> Iterator[str]:
    for number, name in enumerate(trial.metrics("reward/")):
        yield small_plot(f"term{number}", Line(name, *trial.series(f"reward/{name}")))


_HEALTH = (
    ("train/return", "return in training", False, False),
    ("train/success_rate", "success in training", False, True),
    ("train/episode_length", "episode length (env steps)", False, False),
    ("loss/policy", "policy loss", False, False),
    ("loss/value", "value loss", False, False),
    ("loss/entropy", "entropy", False, False),
    ("agent/learning_rate", "learning rate", True, False),
    ("agent/kl", "KL divergence of an update", False, False),
    ("agent/std", "action standard deviation", False, False),
    ("perf/env_steps_per_s", "env steps per second", False, False),
)
"""Metric, what it is called, logarithmic, in percent."""


def _health_plots(trial: TrialCurves) -> Iterator[str]:
    for number, (metric, label, log, percent) in enumerate(_HEALTH):
        line = Line(label, *trial.series(metric))
        if len(line.x):
            yield small_plot(f"health{number}", line, log and bool((line.y > 0).all()), percent)
