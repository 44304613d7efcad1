"""The search: one ``tune.Tuner`` over :class:`Trial`, started or taken up again, and its trials' records."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune

from blueprint_tune.config.compose import to_dict
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.sweep_checks import pauses_trials
from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.reporting.curves import SUCCESS
from blueprint_tune.reporting.sinks.sinks import Sinks
from blueprint_tune.tuning import checkpoints, schedulers
from blueprint_tune.tuning.callbacks import Feed, Recorder
from blueprint_tune.tuning.failures import FailureLog, read_failures
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.forecast import Forecast
from blueprint_tune.tuning.lineage import plain, read_origin
from blueprint_tune.tuning.memory import why_not_comparable
from blueprint_tune.tuning.progress import Progress
from blueprint_tune.tuning.ray_state import RayState, mend
from blueprint_tune.tuning.records import (
    Status,
    TrialRecord,
    best_report,
    load_records,
    ranking,
    read_reports,
    reason,
    save_records,
    scores_at,
    trial_number,
)
from blueprint_tune.tuning.resources import Shape, check_saved, restorable, save_shape, saved_shape, shape
from blueprint_tune.tuning.session import RaySession
from blueprint_tune.tuning.shared import clear_trials, place_trials
from blueprint_tune.tuning.signals import signals_restored
from blueprint_tune.tuning.time_budget import time_budget
from blueprint_tune.tuning.trainable import Trial
from blueprint_tune.tuning.watchdog import Watchdog

Space = Mapping[str, Mapping[str, Any]]


class ExperimentInterrupted(KeyboardInterrupt):
    """Ctrl-C; the experiment's folder holds everything needed to go on."""


def run_search(
    cfg: ExperimentConfig,
    space: Space,
    folder: ExperimentFolder,
    session: RaySession,
    progress: Progress,
    sinks: Sinks | None = None,
) -> tuple[TrialRecord, ...]:
    """Train all trials, or those an interrupted search has left; returns one record a trial.

    ``sinks`` are told every report.
    Raises ExperimentInterrupted after Ctrl-C, BlueprintTuneError if no trial came to a report,
    ConfigError for a scheduler, searcher or distribution that cannot be made.
    """
    if folder.records.exists():
        return load_records(folder.records)
    distributions = schedulers.search_space(space)
    num_trials = schedulers.trial_count(cfg, distributions)
    place_trials(cfg.cluster, folder)
    saved = saved_shape(folder)
    gpus_known = cfg.cluster.num_gpus is not None or not cfg.sweep.resources.gpus
    if session.private is not None and saved is None and gpus_known:
        shape(cfg, num_trials, session.private)  # what cannot fit is said before Ray starts
    machines = session.start()
    if saved is not None and not cfg.cluster.grows:
        check_saved(saved, machines)
    fit = saved or shape(cfg, num_trials, machines)
    save_shape(folder, fit)
    watchdog = Watchdog(cfg.sweep.watchdog_s, cfg.budget.report_env_steps)
    failures = FailureLog(cfg, folder.trials, progress, watchdog.verdict, fit.ranks)
    feed = Feed(progress, SUCCESS, cfg.budget.env_steps)
    recorder = Recorder(folder.trials, cfg.logger.tensorboard, progress.elapsed_s, sinks)
    state = RayState(folder.trials)
    tuner = _tuner(cfg, distributions, folder, fit, [watchdog, failures, feed, recorder, state])
    busy = max(1, min(machines.cpus, int(fit.concurrent * fit.cpus_per_trial)))
    progress.begin_search(Forecast(cfg, num_trials, busy))
    progress.stage("building the scene")
    results = _fit(tuner, failures, folder)
    if feed.interrupted:
        raise ExperimentInterrupted(str(folder.path))
    trials = results._experiment_analysis.trials  # a Result does not say which trial it was
    records = [_record(cfg, folder, trial, trial_number(trial, trials)) for trial in trials]
    begun = [r for r in records if r.env_steps or r.failures or cfg.sweep.time_budget_s is None]
    return _conclude(cfg, folder, tuple(sorted(begun or records, key=lambda r: r.index)))


def _tuner(
    cfg: ExperimentConfig,
    distributions: Mapping[str, Any],
    folder: ExperimentFolder,
    fit: Shape,
    callbacks: list[tune.Callback],
) -> tune.Tuner:
    trials = place_trials(cfg.cluster, folder)
    given = tune.with_parameters(Trial, base=to_dict(cfg), fit=fit, trials_dir=str(trials))
    trainable = tune.with_resources(given, tune.PlacementGroupFactory(fit.bundles))
    if restorable(trials):
        mend(trials)
        tuner = tune.Tuner.restore(
            str(trials),
            trainable=trainable,
            resume_unfinished=True,
            resume_errored=_failures(folder).exists(),
        )
        # Ray restores pickled callbacks, which have lost their terminal; there is no public way in.
        tuner._local_tuner.get_run_config().callbacks = callbacks
        tuner._local_tuner.get_run_config().stop = time_budget(cfg.sweep.time_budget_s, trials)
        return tuner
    clear_trials(folder)
    kept = cfg.sweep.keep_checkpoints
    return tune.Tuner(
        trainable,
        param_space=dict(distributions),
        tune_config=tune.TuneConfig(
            **schedulers.tune_metric(cfg),
            num_samples=schedulers.num_samples(cfg, distributions),
            scheduler=schedulers.make_scheduler(cfg, distributions),
            search_alg=schedulers.make_searcher(cfg, distributions, fit.concurrent),
            max_concurrent_trials=None
            if cfg.sweep.searcher is None or pauses_trials(cfg.sweep)
            else fit.concurrent,
            # a task of its own may keep what a training changed: its curriculum
            reuse_actors=cfg.sweep.reuse_processes and not cfg.backend.own_task,
            trial_dirname_creator=_trial_id,
        ),
        run_config=tune.RunConfig(
            name=trials.name,
            storage_path=str(trials.parent),
            verbose=0,
            callbacks=callbacks,
            stop=time_budget(cfg.sweep.time_budget_s, trials),
            failure_config=tune.FailureConfig(max_failures=cfg.sweep.max_failures),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=cfg.budget.checkpoint_every_reports,
                checkpoint_at_end=True,
                num_to_keep=None if isinstance(kept, str) else kept,
            ),
        ),
    )


def _trial_id(trial: Any) -> str:
    return str(trial.trial_id)


def _fit(tuner: tune.Tuner, failures: FailureLog, folder: ExperimentFolder) -> tune.ResultGrid:
    with signals_restored():  # Tune leaves handlers behind, which would swallow a later Ctrl-C
        try:
            return tuner.fit()
        except Exception as error:
            if failures.fatal is not None:
                clear_trials(folder)  # once it is put right all begins anew
                raise BlueprintTuneError(failures.fatal) from error
            raise


def _record(cfg: ExperimentConfig, folder: ExperimentFolder, trial: Any, index: int) -> TrialRecord:
    """From what the trial left in its folder; Ray is asked what it sampled and whether it failed for good."""
    trial_dir = folder.trials / trial.trial_id
    reports, failures = read_reports(trial_dir), read_failures(trial_dir)
    saved = {
        reached.iteration: (reached.updates, str(path.relative_to(folder.path)))
        for path, reached in checkpoints.whole(trial_dir).items()
    }
    metrics, modes = cfg.sweep.metrics, cfg.sweep.modes
    best = best_report(reports, metrics[0], modes[0], saved)
    origin = read_origin(folder.path / saved[best[0]][1]) if best else None
    env_steps = int(reports[-1]["env_steps"]) if reports else 0
    failed = trial.status == "ERROR"
    done: Status = "completed" if env_steps >= cfg.budget.env_steps else "stopped"
    return TrialRecord(
        trial_id=trial.trial_id,
        index=index,
        status="failed" if failed else done,
        sample=origin[1] if origin else plain(trial.config),
        env_steps=env_steps,
        score=best[1] if best else None,
        checkpoints=tuple(saved[k] for k in sorted(saved) if best and k <= best[0]),
        duration_s=float(reports[-1]["time_s"]) if reports else 0.0,
        error=(failures[-1].reason if failures else reason(None)) if failed else None,
        scores=scores_at(reports, metrics, best[0]) if best else {},
        failures=tuple(str(failure) for failure in failures),
        not_comparable=why_not_comparable(cfg, trial.config),
    )


def _conclude(
    cfg: ExperimentConfig, folder: ExperimentFolder, records: tuple[TrialRecord, ...]
) -> tuple[TrialRecord, ...]:
    """Write the records down and drop checkpoints nobody will want; all trials failed is an error."""
    if all(r.checkpoint is None for r in records):
        save_records(_failures(folder), records)
        late = "sweep.time_budget_s ended before its first checkpoint"
        reasons = "\n".join(f"  trial {r.index}: {r.error or late}" for r in records)
        many = "The trial failed" if len(records) == 1 else f"All {len(records)} trials failed"
        raise BlueprintTuneError(f"{many}:\n{reasons}\nRay's own account is in {folder.log}.")
    again = cfg.evaluation.reevaluation
    best = ranking(cfg, records)[: 1 if again == "off" else again.trials]
    for record in records:
        if record not in best:
            for path in (folder.trials / record.trial_id).glob("checkpoint_*"):
                if record.checkpoint is None or path != folder.path / record.checkpoint:
                    shutil.rmtree(path, ignore_errors=True)
    save_records(folder.records, records)
    _failures(folder).unlink(missing_ok=True)
    return records


def _failures(folder: ExperimentFolder) -> Path:
    """Written when all trials failed; a resume then tries them again."""
    return folder.path / "failed.json"
