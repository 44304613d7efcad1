"""The layout of what a run leaves in storage, in one place.

::

    {root}/scenes/{scene_id}/rl_training/
      jobs/{job_id}/         config, checkpoints, logs, metrics, trials, job_status.json, .complete
      policies/{policy_name}/    the bundle
      evaluations/{eval_id}/     eval_config.json, eval_results.json, benchmark_report.json, report.html
      .rl_training_complete      the newest job in upstream's fields, and an index of all policies

Objects become visible in this order, each whole; ``.complete`` closes a job and
``.rl_training_complete`` comes after everything. A reader that starts from a marker never finds less
than the marker says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from blueprint_tune.config.public import public
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import StorageError
from blueprint_tune.reporting.curves import TrialCurves, final_metrics, metrics_csv, training_curves
from blueprint_tune.reporting.job import JobFacts, job_config, job_status, train_cfg
from blueprint_tune.storage.base import Content
from blueprint_tune.storage.path import StoragePath, check_id, open_root

Objects = list[tuple[str, Content]]
JOB_MARKER = ".complete"
MARKER = ".rl_training_complete"


@dataclass(frozen=True)
class FinishedRun:
    """Everything a finished experiment publishes.

    Attributes:
        cfg: the composed config. best_cfg: the same with the best trial's sampled values applied.
        changes: dotted key -> value of the settings that differ from the defaults.
        job: ids, times, hashes. policy_name, eval_id: ids.
        trials: what every trial reported, among them ``job.best_trial``.
        max_episode_steps: env steps of an episode.
        checkpoints: (updates, file) of the best trial, in order; the last is its final one.
        experiment_yaml: written when the experiment started.
        bundle, evaluation: folders of the bundle and of the three evaluation documents. report: HTML file.
        tensorboard: folder of the best trial's event files, or None. log: text log, or None.
    """

    cfg: ExperimentConfig
    best_cfg: ExperimentConfig
    changes: Mapping[str, Any]
    job: JobFacts
    policy_name: str
    eval_id: str
    trials: tuple[TrialCurves, ...]
    max_episode_steps: int
    checkpoints: tuple[tuple[int, Path], ...]
    experiment_yaml: Path
    bundle: Path
    evaluation: Path
    report: Path
    tensorboard: Path | None
    log: Path | None


@dataclass(frozen=True)
class PublishedPaths:
    """Where things went: URIs or local paths as text."""

    root: str
    job: str
    policy: str
    evaluation: str
    report: str
    marker: str


def publish(run: FinishedRun) -> PublishedPaths:
    """Copy a finished run to ``run.cfg.storage``, markers last.

    Raises StorageError; nothing that was published before is lost then, and no marker names the new job.
    """
    root = training_root(open_root(run.cfg.storage), run.cfg.scene.id)
    folders = (
        f"jobs/{check_id('job id', run.job.job_id)}",
        f"policies/{check_id('policy name', run.policy_name)}",
        f"evaluations/{check_id('evaluation id', run.eval_id)}",
    )
    objects = [*_job(run, folders[0]), *_bundle(run, folders[1]), *_evaluation(run, folders[2])]
    entry = index_entry(run)
    objects.append((f"{folders[0]}/{JOB_MARKER}", _json(entry)))
    root.put_all(objects, withdraw=[f"{folders[0]}/{JOB_MARKER}"])
    _remove_leftovers(root, folders, {name for name, _ in objects})
    (root / MARKER).update(lambda before: _marker(run, entry, before))
    job, policy, evaluation = (str(root / folder) for folder in folders)
    return PublishedPaths(str(root), job, policy, evaluation, f"{evaluation}/report.html", str(root / MARKER))


def training_root(root: StoragePath, scene_id: str) -> StoragePath:
    """``{root}/scenes/{scene_id}/rl_training``."""
    return root / "scenes" / check_id("scene id", scene_id) / "rl_training"


def index_entry(run: FinishedRun) -> dict[str, Any]:
    """What the marker's index says about this run; also the content of the job's own marker."""
    report = json.loads((run.evaluation / "benchmark_report.json").read_text())
    best = _best(run)
    return {
        "job_id": run.job.job_id,
        "policy_id": run.cfg.policy.name,
        "policy_name": run.policy_name,
        "robot_type": run.cfg.robot.name,
        "timestamp": run.job.finished_at,
        "training_iterations": int(best.last("updates") or 0),
        "success_rate": report["summary"]["success_rate"],
        "success_rate_95ci": report["summary"]["success_rate_95ci"],
        "policy_path": f"policies/{run.policy_name}/policy.pt",
        "onnx_path": f"policies/{run.policy_name}/policy.onnx",
        "eval_path": f"evaluations/{run.eval_id}/benchmark_report.json",
        "report_path": f"evaluations/{run.eval_id}/report.html",
        "input_hash": run.job.input_hash,
    }


def _marker(run: FinishedRun, entry: dict[str, Any], before: bytes | None) -> bytes:
    """Upstream's fields for this job, and the index with this job's entry added or replaced."""
    policies = _index(before)
    policies[run.policy_name] = entry
    return _json(
        {
            "scene_id": run.cfg.scene.id,
            "job_id": run.job.job_id,
            "status": "completed",
            "timestamp": run.job.finished_at,
            "training_iterations": entry["training_iterations"],
            "final_success_rate": entry["success_rate"],
            "policy_path": entry["policy_path"],
            "eval_path": entry["eval_path"],
            "policies": policies,
        }
    )


def _index(marker: bytes | None) -> dict[str, Any]:
    """The index of an earlier marker; one that somebody else wrote without an index has none."""
    if marker is None:
        return {}
    try:
        return dict(json.loads(marker).get("policies", {}))
    except (ValueError, AttributeError, TypeError):
        raise StorageError(
            f"{MARKER} in storage is damaged, so its index cannot be kept. Look at it, move it away, and "
            "publish again: the result itself is in place."
        ) from None


def _job(run: FinishedRun, folder: str) -> Objects:
    cfg, job, best = run.cfg, run.job, _best(run)
    curves = training_curves(job.job_id, cfg.scene.id, cfg.policy.name, best)
    objects: Objects = [
        (f"{folder}/config/train_cfg.yaml", _yaml(public(train_cfg(run.best_cfg, run.max_episode_steps)))),
        (f"{folder}/config/job_config.json", _json(public(job_config(cfg, job, run.changes)))),
        (f"{folder}/config/experiment.yaml", _experiment(run.experiment_yaml)),
        *_package(cfg.scene.package, folder),
        *_checkpoints(run, folder),
        *_logs(run, folder),
        (f"{folder}/metrics/training_curves.json", _json(curves)),
        (f"{folder}/metrics/final_metrics.json", _json(final_metrics(job.job_id, best))),
        (f"{folder}/metrics/metrics.csv", metrics_csv(best).encode()),
    ]
    for trial in run.trials:
        where = f"{folder}/trials/{check_id('trial id', trial.trial_id)}"
        settings = {"trial_id": trial.trial_id, "status": trial.status, "sampled": dict(trial.sampled)}
        objects.append((f"{where}/config.yaml", _yaml(public(settings))))
        objects.append((f"{where}/metrics.csv", metrics_csv(trial).encode()))
    return [*objects, (f"{folder}/job_status.json", _json(job_status(cfg, job)))]


def _experiment(document: Path) -> bytes | Path:
    """``experiment.yaml`` without secrets; as it is where there are none."""
    tree = yaml.safe_load(document.read_text())
    shown = public(tree)
    return document if shown == tree else _yaml(shown)


def _package(package: str | None, folder: str) -> Objects:
    """The package's env_cfg.py, which says what was asked for; a link may lead anywhere and is left out."""
    file = Path(package or "", "env_cfg.py")
    given = package is not None and file.is_file() and not file.is_symlink()
    return [(f"{folder}/config/env_cfg.py", file)] if given else []


def _checkpoints(run: FinishedRun, folder: str) -> Objects:
    """The best trial's, named by update; the last of them is ``checkpoint_final.pt``."""
    *earlier, (_, final) = run.checkpoints
    where = f"{folder}/checkpoints"
    named: Objects = [(f"{where}/checkpoint_{updates:06d}.pt", file) for updates, file in earlier]
    return [*named, (f"{where}/checkpoint_final.pt", final)]


def _logs(run: FinishedRun, folder: str) -> Objects:
    objects: Objects = [] if run.log is None else [(f"{folder}/logs/training.log", run.log)]
    if run.tensorboard is not None:
        events = sorted(run.tensorboard.glob("events.out.tfevents.*"))
        objects += [(f"{folder}/logs/tensorboard/{file.name}", file) for file in events]
    return objects


def _bundle(run: FinishedRun, folder: str) -> Objects:
    return [(f"{folder}/{file.name}", file) for file in sorted(run.bundle.iterdir()) if file.is_file()]


def _evaluation(run: FinishedRun, folder: str) -> Objects:
    names = ("eval_config.json", "eval_results.json", "benchmark_report.json")
    documents: Objects = [(f"{folder}/{name}", run.evaluation / name) for name in names]
    return [*documents, (f"{folder}/report.html", run.report)]


def _remove_leftovers(root: StoragePath, folders: tuple[str, ...], written: set[str]) -> None:
    """Delete what an earlier publication of the same job left and this one does not have."""
    for folder in folders:
        for name in (root / folder).walk():
            if f"{folder}/{name}" not in written:
                (root / folder / name).delete()


def _best(run: FinishedRun) -> TrialCurves:
    return next(trial for trial in run.trials if trial.trial_id == run.job.best_trial)


def _json(document: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(document, indent=2, allow_nan=False)}\n".encode()


def _yaml(document: Mapping[str, Any]) -> bytes:
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True)).encode()
