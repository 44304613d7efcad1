"""A run as one readable function: search, evaluate, export, report, publish."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.searchspace import load_searchspace
from blueprint_tune.dossier import Dossier, is_published
from blueprint_tune.errors import ConfigError, StorageError
from blueprint_tune.publish import PublishedPaths, publish
from blueprint_tune.reporting.report import write_report
from blueprint_tune.tasks.spec import TaskSpec, bind_task
from blueprint_tune.tuning.experiment import min_cpus, run_search
from blueprint_tune.tuning.folder import ExperimentFolder, anchored, describe, open_folder
from blueprint_tune.tuning.forecast import closing_s
from blueprint_tune.tuning.progress import Progress
from blueprint_tune.tuning.records import TrialRecord, elapsed_s, load_records, write_json
from blueprint_tune.tuning.session import RaySession
from blueprint_tune.tuning.workers import OUTCOME_FILE, prove


@dataclass(frozen=True)
class RunResult:
    """A finished experiment.

    Attributes:
        name: its name and job id. path: its folder.
        trials: one record a trial. best_trial: id of the one whose policy was kept.
        best_config: the settings that trial ran with.
        metrics: what the evaluation measured, and the best trial's last report.
        success_rate: on the benchmark's fixed seeds. success_interval: its 95 % Wilson interval.
        published: where things went. duration_s: over all processes that worked on it.
    """

    name: str
    path: Path
    trials: tuple[TrialRecord, ...]
    best_trial: str
    best_config: ExperimentConfig
    metrics: dict[str, Any]
    success_rate: float
    success_interval: tuple[float, float]
    published: PublishedPaths
    duration_s: float


def run_experiment(cfg: ExperimentConfig, overrides: Sequence[str] = ()) -> RunResult:
    """Run one experiment from config to published policy; ``overrides`` are what the user typed.

    The same input again goes on where it stopped, or gives the finished result. Raises BlueprintTuneError for
    what the user can act on and KeyboardInterrupt after Ctrl-C.
    """
    cfg = anchored(cfg)
    task = bind_task(cfg)
    space = load_searchspace(cfg.searchspace, cfg)
    folder, state = open_folder(cfg, describe(cfg, space, task.scene.digest, overrides))
    return _offer(cfg, task, folder) if state == "finished" else _carry_on(cfg, task, folder)


def resume_experiment(path: Path | str) -> RunResult:
    """Continue an experiment from its folder; a finished one is published again if need be.

    Raises ConfigError if ``path`` is not an experiment or its scene has changed, and what
    :func:`run_experiment` raises.
    """
    folder = ExperimentFolder(Path(path).absolute())
    cfg, _ = folder.read()
    task = bind_task(cfg)
    if task.scene.digest != folder.tree()["scene_digest"]:
        raise ConfigError(
            f"{cfg.scene.manifest or cfg.scene.id}: the scene has changed since {folder.path} was started with it. "
            "Put the old manifest back, or start a new experiment."
        )
    return _offer(cfg, task, folder) if folder.state() == "finished" else _carry_on(cfg, task, folder)


def _carry_on(cfg: ExperimentConfig, task: TaskSpec, folder: ExperimentFolder) -> RunResult:
    """Every stage that has not been done yet."""
    _, space = folder.read()
    spent_s = elapsed_s(folder.trials)
    try:
        with (
            folder.claimed(),
            Progress(cfg.logger.progress, folder.name, spent_s) as progress,
            RaySession(cfg.cluster, folder.log, min_cpus(folder)) as session,
        ):
            records = run_search(cfg, space, folder, session, progress)
            dossier = Dossier(cfg, task, folder, folder.tree(), records)
            outcome = _outcome(dossier, session, progress)
            progress.stage("writing the report")
            write_report(dossier.report_data(outcome), folder.report)
            progress.stage("publishing")
            published = _publish(dossier, outcome)
            result = _result(dossier, outcome, published, progress.elapsed_s)
            _remember(result, folder)
    except KeyboardInterrupt:
        Console(stderr=True, highlight=False).print(
            f"Stopped. Continue with:  blueprint-tune resume {folder.path}", markup=False, soft_wrap=True
        )
        raise
    _summarise(result)
    return result


def _outcome(dossier: Dossier, session: RaySession, progress: Progress) -> dict[str, Any]:
    """What evaluation and export found, now or in an earlier process."""
    file = dossier.folder.evaluation / OUTCOME_FILE
    if file.exists():
        found: dict[str, Any] = json.loads(file.read_text())
        return found
    cpus, best = session.start(), dossier.best
    expected = closing_s(dossier.cfg, best.env_steps / best.duration_s if best.duration_s else None)
    return prove(dossier.job(cpus), dossier.folder, progress, cpus, expected)


def _publish(dossier: Dossier, outcome: Mapping[str, Any]) -> PublishedPaths:
    """Publish; where that fails nothing is lost and the message says how to go on."""
    try:
        return publish(dossier.finished_run(outcome))
    except (StorageError, OSError) as error:
        raise StorageError(
            f"Publishing to {dossier.cfg.storage.root} failed: {error}\n"
            f"Nothing is lost: the results are in {dossier.folder.path}. When there is room and permission, publish "
            f"them, without training again, with:  blueprint-tune resume {dossier.folder.path}"
        ) from error


def _offer(cfg: ExperimentConfig, task: TaskSpec, folder: ExperimentFolder) -> RunResult:
    """The result of an experiment that is finished, published to ``cfg.storage`` if it is not there."""
    dossier = Dossier(cfg, task, folder, folder.tree(), load_records(folder.records))
    outcome = json.loads((folder.evaluation / OUTCOME_FILE).read_text())
    saved = json.loads(folder.result.read_text())
    published = PublishedPaths(**saved["published"])
    if not is_published(dossier.finished_run(outcome), published):
        published = _publish(dossier, outcome)
    result = _result(dossier, outcome, published, saved["duration_s"])
    _remember(result, folder)
    Console(highlight=False).print(
        "This experiment is finished already (force=true runs it again).", markup=False, soft_wrap=True
    )
    _summarise(result)
    return result


def _result(
    dossier: Dossier, outcome: Mapping[str, Any], published: PublishedPaths, duration_s: float
) -> RunResult:
    best = dossier.best
    last = next(t for t in dossier.curves() if t.trial_id == best.trial_id).rows[-1]
    low, high = outcome["success_interval"]
    return RunResult(
        name=dossier.folder.name,
        path=dossier.folder.path,
        trials=dossier.records,
        best_trial=best.trial_id,
        best_config=dossier.best_cfg,
        metrics={**last, **outcome},
        success_rate=float(outcome["success_rate"]),
        success_interval=(float(low), float(high)),
        published=published,
        duration_s=duration_s,
    )


def _remember(result: RunResult, folder: ExperimentFolder) -> None:
    """Mark the experiment as finished."""
    write_json(
        folder.result,
        {
            "name": result.name,
            "best_trial": result.best_trial,
            "success_rate": result.success_rate,
            "success_interval": list(result.success_interval),
            "published": vars(result.published),
            "duration_s": round(result.duration_s, 1),
        },
    )


def _summarise(result: RunResult) -> None:
    """What came out, where it is, how to look at it."""
    console = Console(highlight=False)
    low, high = result.success_interval
    best = next(t for t in result.trials if t.trial_id == result.best_trial)
    baselines = [f"{name} actions {rate:.2f}" for name, rate in result.metrics["baselines"].items()]
    lines = {
        "success": f"{result.success_rate:.2f}   95 % interval {low:.2f} to {high:.2f}, "
        f"{result.metrics['episodes']} episodes on fixed seeds",
        "baselines": ", ".join(baselines),
        "trial": _trial_line(result.trials, best),
        "time": f"{result.duration_s / 60:.1f} min",
        "report": result.published.report,
        "policy": f"{result.published.policy}/policy.onnx",
        "curves": f"tensorboard --logdir {result.path / 'trials'}" if _has_events(result) else "",
    }
    console.print(f"\n{result.name}", style="bold", markup=False)
    for name, text in lines.items():
        if text:
            console.print(f"  {name:<10}{text}", markup=False, soft_wrap=True)


def _trial_line(trials: tuple[TrialRecord, ...], best: TrialRecord) -> str:
    """Which trial won, and what became of the others."""
    if len(trials) == 1:
        return ""
    settings = ", ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in best.sample.items())
    counts = [(n, state) for state in ("completed", "stopped", "failed") if (n := sum(t.status == state for t in trials))]
    states = ", ".join(f"{n} {state}" for n, state in counts)
    lines = [f"{best.index} of {len(trials)} ({states}): {settings}"]
    return "\n".join([*lines, *(f"            trial {t.index} failed: {t.error}" for t in trials if t.error)])


def _has_events(result: RunResult) -> bool:
    return any((result.path / "trials" / result.best_trial).glob("events.out.tfevents.*"))
