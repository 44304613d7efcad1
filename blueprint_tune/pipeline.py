"""A run as one readable function: search, evaluate, export, report, publish."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blueprint_tune.config.identity import changed_since
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.searchspace import load_searchspace
from blueprint_tune.errors import ConfigError, StorageError
from blueprint_tune.reporting.sinks.choose import check_sinks, open_sinks
from blueprint_tune.reporting.sinks.sinks import Sinks
from blueprint_tune.storage.path import open_root
from blueprint_tune.summary import summarise
from blueprint_tune.tasks.asked import Asked, ask, inexact, with_env_package, with_installed
from blueprint_tune.tuning.folder import ExperimentFolder, anchored, describe, open_folder
from blueprint_tune.tuning.forecast import closing_s
from blueprint_tune.tuning.progress import Progress

if TYPE_CHECKING:
    from blueprint_tune.dossier import Dossier
    from blueprint_tune.publish import PublishedPaths
    from blueprint_tune.tuning.records import TrialRecord
    from blueprint_tune.tuning.session import Lent, RaySession


LOGGERS = "loggers"
"""Folder of an experiment with what trackers keep: the ids of their runs, and files to be sent later."""


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


def run_experiment(
    cfg: ExperimentConfig, overrides: Sequence[str] = (), lent: Lent | None = None
) -> RunResult:
    """Run one experiment from config to published policy; ``overrides`` are what the user typed.

    ``lent`` is the share of a batch's Ray to run on. The same input again goes on where it stopped, or gives
    the finished result. Raises BlueprintTuneError for what the user can act on and KeyboardInterrupt after
    Ctrl-C.
    """
    cfg = anchored(cfg)
    with Progress(cfg.logger.progress, f"{cfg.scene.id} {cfg.policy.name}") as progress:
        progress.stage("reading the scene")
        task = ask(cfg)
        space = load_searchspace(cfg.searchspace, cfg)
        _check_sweep(cfg, space)
        check_sinks(cfg)
        folder, _ = open_folder(cfg, describe(cfg, space, task.digest, overrides))
        result = _finish(cfg, task, folder, progress, lent)
    summarise(result)
    return result


def resume_experiment(path: Path | str) -> RunResult:
    """Continue an experiment from its folder; a finished one is published again if need be.

    Raises ConfigError if ``path`` is not an experiment or its scene has changed, and what
    :func:`run_experiment` raises.
    """
    folder = ExperimentFolder(Path(path).absolute())
    cfg = with_installed(folder.read()[0], folder.path)
    check_sinks(cfg)
    with Progress(cfg.logger.progress, folder.name) as progress:
        progress.stage("reading the scene")
        task = ask(cfg)
        if task.digest != folder.tree()["scene_digest"]:
            raise ConfigError(
                f"{_source(cfg)} has changed since {folder.path} was started with it. "
                "Put the old one back, or start a new experiment."
            )
        for sentence in inexact(cfg):
            progress.note(sentence)
        result = _finish(cfg, task, folder, progress)
    summarise(result)
    return result


def _source(cfg: ExperimentConfig) -> str:
    """What a task is read from."""
    if cfg.backend.own_task:
        return f"the code of task '{cfg.backend.task or cfg.scene.package}'"
    return f"{cfg.scene.manifest or cfg.scene.id}: the scene"


def _check_sweep(cfg: ExperimentConfig, space: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse what Tune would refuse, before a folder is made. Raises ConfigError."""
    from blueprint_tune.tuning.schedulers import check_sweep

    check_sweep(cfg, space)


def _finish(
    cfg: ExperimentConfig,
    task: Asked,
    folder: ExperimentFolder,
    progress: Progress,
    lent: Lent | None = None,
) -> RunResult:
    """Every stage that has not been done yet."""
    if folder.state() == "finished":
        return _offer(cfg, task, folder, progress)
    try:
        with (
            folder.claimed(),
            contextlib.closing(open_sinks(cfg, folder.name, folder.path / LOGGERS, progress.note)) as sinks,
        ):
            return _carry_on(cfg, task, folder, progress, sinks, lent)
    except KeyboardInterrupt:
        progress.note(f"Stopped. Continue with:  blueprint-tune resume {folder.path}")
        raise


def _carry_on(
    cfg: ExperimentConfig,
    task: Asked,
    folder: ExperimentFolder,
    progress: Progress,
    sinks: Sinks,
    lent: Lent | None,
) -> RunResult:
    from blueprint_tune.dossier import Dossier
    from blueprint_tune.simulators.isaaclab.launch import check_here
    from blueprint_tune.tuning.records import elapsed_s
    from blueprint_tune.tuning.resources import min_cpus, restorable
    from blueprint_tune.tuning.session import RaySession
    from blueprint_tune.tuning.versions import check_versions

    progress.begin(folder.name, elapsed_s(folder.trials))
    begun = restorable(folder.trials) and not folder.records.exists()
    changed = check_versions(folder.tree().get("provenance") or {}, folder.path) if begun else None
    if changed:
        progress.note(changed)
    if not folder.records.exists():
        check_here(cfg)
        open_root(cfg.storage).check()  # before hours are spent on what nobody will get
    if cfg.backend.env_package is not None:
        progress.stage("installing the environment package")
        cfg = with_env_package(cfg, folder.path, task.digest)
    progress.stage("starting Ray")
    from blueprint_tune.tuning.experiment import run_search

    go_on = f"Continue with:  blueprint-tune resume {folder.path}"
    with RaySession(cfg.cluster, folder.log, min_cpus(folder), go_on, lent) as session:
        records = run_search(cfg, folder.read()[1], folder, session, progress, sinks)
        dossier = Dossier(cfg, task, folder, folder.tree(), records).settled().undamaged(progress.note)
        outcome = _outcome(dossier, session, progress)
        dossier = dossier.settled()
    report(dossier, outcome, progress)
    published = publish(dossier, outcome, progress)
    _promote(cfg, published, progress)
    _tell(sinks, dossier, outcome, progress)
    return finish(dossier, outcome, published, progress.elapsed_s)


def _outcome(dossier: Dossier, session: RaySession, progress: Progress) -> dict[str, Any]:
    """What evaluation and export found, now or in an earlier process. Raises ConfigError if that is lost."""
    from blueprint_tune.dossier import check_bundle
    from blueprint_tune.tuning.closing import prove

    if dossier.outcome_file.exists():
        check_bundle(dossier.folder)
        found: dict[str, Any] = json.loads(dossier.outcome_file.read_text())
        return found
    cpus, (best, *others), eligible = session.start().home.cpus, *dossier.rivals()
    expected = closing_s(dossier.cfg, best.env_steps / best.duration_s if best.duration_s else None)
    threads, champion = max(1, cpus), _champion(dossier, progress)
    job, *rivals = (replace(dossier.job(threads, record), incumbent=champion) for record in (best, *others))
    return prove(job, dossier.folder, progress, cpus, expected, rivals, eligible, _gpus(dossier.cfg))


def _gpus(cfg: ExperimentConfig) -> float:
    """Of one simulator: a rank's share of what a trial reserves; none where physics runs on the CPU."""
    resources = cfg.sweep.resources
    return resources.gpus / resources.num_ranks if cfg.backend.device != "cpu" else 0.0


def _champion(dossier: Dossier, progress: Progress) -> Mapping[str, Any] | None:
    """What the champion of scene, policy type and robot did; storage that cannot be read costs no run."""
    from blueprint_tune.registry.of_runs import incumbent

    try:
        return incumbent(dossier.cfg, str(dossier.tree["scene_digest"]))
    except StorageError as error:
        progress.note(f"The evaluation is not compared with the champion: {error}")
        return None


def _promote(cfg: ExperimentConfig, published: PublishedPaths, progress: Progress) -> None:
    """Put the policy forward, if ``evaluation.promote`` says so."""
    if cfg.evaluation.promote:
        from blueprint_tune.registry.of_runs import promote_published

        progress.stage("promoting")
        progress.note(promote_published(cfg, published.policy))


def report(dossier: Dossier, outcome: Mapping[str, Any], progress: Progress) -> None:
    """Write the HTML report, from what is in the experiment's folder."""
    progress.stage("writing the report")
    from blueprint_tune.reporting.report import write_report

    write_report(dossier.report_data(outcome), dossier.folder.report)


def publish(dossier: Dossier, outcome: Mapping[str, Any], progress: Progress) -> PublishedPaths:
    """Publish to the config's storage what is whole.

    Raises BundleDamaged or CheckpointDamaged for what is not, and StorageError where storage refuses: nothing
    is lost then and the message says how to go on.
    """
    from blueprint_tune.export.loading import load_bundle
    from blueprint_tune.publish import publish

    progress.stage("publishing")
    load_bundle(dossier.folder.bundle)
    dossier = dossier.undamaged(progress.note)
    try:
        return publish(dossier.finished_run(outcome))
    except (StorageError, OSError) as error:
        raise StorageError(
            f"Publishing to {dossier.cfg.storage.root} failed: {error}\n"
            f"Nothing is lost: the results are in {dossier.folder.path}. When there is room and permission, "
            f"publish them, without training again:  blueprint-tune resume {dossier.folder.path}"
        ) from error


def _tell(sinks: Sinks, dossier: Dossier, outcome: Mapping[str, Any], progress: Progress) -> None:
    """Give trackers the result before the experiment counts as finished: a kill here is made up for later."""
    if not sinks.names:
        return
    progress.stage(f"sending the result to {' and '.join(sinks.names)}")
    sinks.finish(*dossier.for_sinks(outcome))
    sinks.close()
    wandb = dossier.cfg.logger.wandb
    if wandb is not None and wandb.mode == "offline":
        runs = dossier.folder.path / LOGGERS / "wandb"
        progress.note(f"Send the offline runs with:  wandb sync {runs}/offline-run-*")


def _offer(cfg: ExperimentConfig, task: Asked, folder: ExperimentFolder, progress: Progress) -> RunResult:
    """The result of an experiment that is finished, published to ``cfg.storage`` if it is not there."""
    from blueprint_tune.dossier import Dossier, is_published
    from blueprint_tune.publish import PublishedPaths
    from blueprint_tune.tuning.records import load_records

    tree = folder.tree()
    progress.note("This experiment is finished already (force=true runs it again).")
    if changes := changed_since(tree.get("provenance", {})):
        progress.note(f"Changed since: {'; '.join(changes)}. A rerun may give other figures.")
    dossier = Dossier(cfg, task, folder, tree, load_records(folder.records))
    outcome = json.loads(dossier.outcome_file.read_text())
    saved = json.loads(folder.result.read_text())
    published = PublishedPaths(**saved["published"])
    if not is_published(dossier.finished_run(outcome), published):
        published = publish(dossier, outcome, progress)
    _promote(cfg, published, progress)
    return finish(dossier, outcome, published, saved["duration_s"])


def finish(
    dossier: Dossier, outcome: Mapping[str, Any], published: PublishedPaths, duration_s: float
) -> RunResult:
    """The result of a published experiment, which is marked as finished."""
    result = _result(dossier, outcome, published, duration_s)
    _remember(result, dossier.folder)
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
    from blueprint_tune.tuning.records import write_json

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
