"""The numbers behind every curve: what the trials reported, as arrays and as published documents."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blueprint_tune.errors import ObjectNotFound

Floats = NDArray[np.float64]
SUCCESS = "eval/success_rate"
"""What the report shows of a trial, and what trials are compared by unless a sweep says otherwise."""
EVALUATED_AT = "eval/at_env_steps"
"""Env steps at which it was measured; reports between two evaluations repeat the last."""


@dataclass(frozen=True)
class TrialCurves:
    """What one trial reported.

    Attributes:
        trial_id: id usable as a folder name. status: ``completed``, ``stopped`` (by the scheduler),
            ``failed`` or ``interrupted``.
        sampled: dotted config key -> value; empty for the default settings.
        rows: reports in order of ``env_steps``, each metric -> number (finite numbers only).
        failures: what went wrong, a sentence each. not_comparable: why its figures cannot be compared with
            the other trials'; None if they can.
    """

    trial_id: str
    status: str
    sampled: Mapping[str, Any]
    rows: tuple[Mapping[str, float], ...]
    failures: tuple[str, ...] = ()
    not_comparable: str | None = None

    def series(self, metric: str, against: str = "env_steps") -> tuple[Floats, Floats]:
        """(x, y) of the reports that have both numbers."""
        pairs = [(row[against], row[metric]) for row in self.rows if against in row and metric in row]
        points = np.asarray(pairs, dtype=np.float64).reshape(-1, 2)
        return points[:, 0], points[:, 1]

    def last(self, metric: str) -> float | None:
        """The last reported value."""
        values = self.series(metric)[1]
        return float(values[-1]) if len(values) else None

    def best(self, metric: str = SUCCESS) -> float | None:
        """The largest reported value."""
        values = self.series(metric)[1]
        return float(values.max()) if len(values) else None

    def metrics(self, prefix: str) -> tuple[str, ...]:
        """Names of the metrics under ``prefix``, without it, in order of first appearance."""
        names = dict.fromkeys(name for row in self.rows for name in row if name.startswith(prefix))
        return tuple(name.removeprefix(prefix) for name in names)


def read_trial(folder: Path, trial_id: str, status: str, sampled: Mapping[str, Any]) -> TrialCurves:
    """Read the reports Ray left in a trial's folder (``result.json``, one JSON object a line)."""
    return TrialCurves(trial_id, status, dict(sampled), read_progress(folder))


def read_progress(folder: Path) -> tuple[dict[str, float], ...]:
    """The reports of a trial in order of env steps.

    A trial that went back to a checkpoint reports some env steps twice: the later report counts. Raises
    ObjectNotFound when the trial left none.
    """
    path = folder / "result.json"
    if not path.is_file():
        raise ObjectNotFound(f"{folder}: there is no result.json. Did the trial report before it ended?")
    rows: dict[float, dict[str, float]] = {}
    for line in path.read_text().splitlines():
        row = _numbers(line)
        if "env_steps" in row:
            rows.pop(row["env_steps"], None)
            rows[row["env_steps"]] = row
    return tuple(rows[steps] for steps in sorted(rows))


def _numbers(line: str) -> dict[str, float]:
    """The finite numbers of one line of result.json; an unfinished last line has none."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return {
        name: float(value)
        for name, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def training_curves(job_id: str, scene_id: str, policy_id: str, trial: TrialCurves) -> dict[str, Any]:
    """The document ``training_curves.json`` of one trial; upstream's *iteration* is our *update*.

    ``success_rate`` is the selection evaluation's; what a report lacks is None. ``reward_components`` has
    one weighted value a report and term, in order.
    """
    return {
        "job_id": job_id,
        "scene_id": scene_id,
        "policy_id": policy_id,
        "trial_id": trial.trial_id,
        "iterations": [_iteration(row) for row in trial.rows],
        "reward_components": {
            name: [row.get(f"reward_weighted/{name}") for row in trial.rows]
            for name in trial.metrics("reward_weighted/")
        },
    }


_UPSTREAM = {
    "mean_reward": "train/return",
    "mean_episode_length": "train/episode_length",
    "success_rate": SUCCESS,
    "policy_loss": "loss/policy",
    "value_loss": "loss/value",
    "entropy": "loss/entropy",
    "learning_rate": "agent/learning_rate",
    "fps": "perf/env_steps_per_s",
}


def _iteration(row: Mapping[str, float]) -> dict[str, Any]:
    stamp = row.get("timestamp")
    when = None if stamp is None else datetime.fromtimestamp(stamp, UTC).isoformat(timespec="seconds")
    return {
        "iteration": int(row.get("updates", 0)),
        "env_steps": int(row["env_steps"]),
        "timestamp": when,
        "metrics": {name: row.get(ours) for name, ours in _UPSTREAM.items()},
    }


def final_metrics(job_id: str, trial: TrialCurves) -> dict[str, Any]:
    """The document ``final_metrics.json``: the last value of everything the trial reported."""
    names = sorted({name for row in trial.rows for name in row})
    return {
        "job_id": job_id,
        "trial_id": trial.trial_id,
        "metrics": {name: trial.last(name) for name in names},
        "best_success_rate": trial.best(),
    }


def metrics_csv(trial: TrialCurves) -> str:
    """Every report as a line, every metric as a column; empty where a report lacks one."""
    names = ["env_steps", *sorted({name for row in trial.rows for name in row} - {"env_steps"})]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(trial.rows)
    return text.getvalue()


def training_summary(
    job_id: str,
    scene_id: str,
    policy_id: str,
    best: TrialCurves,
    trials: tuple[TrialCurves, ...],
    wall_s: float,
) -> dict[str, Any]:
    """The document ``training_summary.json``: the trial behind the policy, and all trials beside it.

    ``benchmark_success_rate`` is for whoever runs the benchmark to fill in.
    """
    return {
        "job_id": job_id,
        "scene_id": scene_id,
        "policy_id": policy_id,
        "best_trial": best.trial_id,
        "sampled": dict(best.sampled),
        "total_iterations": _whole(best.last("updates")),
        "total_timesteps": _whole(best.last("env_steps")),
        "wall_time_s": wall_s,
        "selection_success_rate": best.last(SUCCESS),
        "benchmark_success_rate": None,
        "trials": [
            {
                "trial_id": trial.trial_id,
                "status": trial.status,
                "sampled": dict(trial.sampled),
                "env_steps": _whole(trial.last("env_steps")),
                "last_success_rate": trial.last(SUCCESS),
                "best_success_rate": trial.best(),
                "failures": list(trial.failures),
                "not_comparable": trial.not_comparable,
            }
            for trial in trials
        ],
    }


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
