"""What a command would run, worked out without starting Ray or a simulator, and why it cannot."""

from __future__ import annotations

import functools
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from blueprint_tune.config.compose import apply_overrides
from blueprint_tune.config.identity import changed_since
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.searchspace import load_searchspace
from blueprint_tune.config.suggest import join_problems
from blueprint_tune.errors import BlueprintTuneError, ConfigError
from blueprint_tune.tasks.asked import Asked, ask, of_scene
from blueprint_tune.tuning import forecast
from blueprint_tune.tuning.folder import ExperimentFolder, State, anchored, describe, refuse_foreign
from blueprint_tune.tuning.resources import Shape, shape
from blueprint_tune.tuning.session import Machines, RaySession

SHOWN = 10
"""Trials whose values are shown."""
_CHECKED = 1000
"""Trials whose settings are checked."""
_DECISIONS = ("grace_period", "perturbation_interval", "burn_in_period")
T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What would run.

    Attributes:
        cfg: the composed experiment. name, folder: what it would be called, where it is worked in.
        state: of an experiment of this very input. changed: what of the code has changed since that was made.
        num_trials: of the search. samples: searched values of the first trials, as far as they are known.
        depends: whether later values depend on results. updates: fewest and most of a trial.
        rungs: env steps at which the scheduler compares. decisions: other spans of its, by name.
        fit: what a trial reserves. cpus: there are. notes: guesses about the scene.
    """

    cfg: ExperimentConfig
    name: str
    folder: Path
    state: State
    changed: tuple[str, ...]
    num_trials: int
    samples: tuple[Mapping[str, Any], ...]
    depends: bool
    updates: tuple[int, int]
    rungs: tuple[int, ...]
    decisions: Mapping[str, float]
    fit: Shape
    cpus: int
    notes: tuple[str, ...]

    @property
    def at_once(self) -> int:
        """Trials that run at the same time."""
        return max(1, min(self.fit.concurrent, self.num_trials, int(self.cpus / self.fit.cpus_per_trial)))

    @property
    def reports(self) -> int:
        """Of a trial that runs to the end: one after the first update, then at even spans."""
        return 1 + math.ceil(self.cfg.budget.env_steps / self.cfg.budget.report_env_steps)

    @property
    def checkpoints(self) -> int:
        """Of a trial that runs to the end, the last one included."""
        return 1 + self.reports // self.cfg.budget.checkpoint_every_reports


def make_plan(cfg: ExperimentConfig, overrides: Sequence[str] = ()) -> Plan:
    """The plan of a composed experiment. Raises ConfigError naming everything that cannot work.

    A named cluster is asked what it has; nothing is started there.
    """
    cfg, problems = anchored(cfg), _Problems()
    task = problems.collect(lambda: _check_task(cfg))
    space = problems.collect(lambda: load_searchspace(cfg.searchspace, cfg)) or {}
    found = problems.collect(lambda: _search(cfg, space))
    machines = problems.collect(lambda: _machines(cfg))
    num_trials = found[0] if found else 1
    fit = problems.collect(lambda: shape(cfg, num_trials, machines)) if machines else None
    samples = found[1] if found else ()
    trials = [problems.collect(functools.partial(_trial, cfg, sample)) for sample in samples]
    named = problems.collect(lambda: _identity(cfg, space, task, overrides)) if task else None
    if problems.found or found is None or fit is None or machines is None or named is None or task is None:
        raise ConfigError(join_problems(problems.found))
    folder, changed = named
    updates = [_updates(trial or cfg) for trial in trials] or [_updates(cfg)]
    scheduler = cfg.sweep.scheduler or {}
    return Plan(
        cfg=cfg,
        name=folder.name,
        folder=folder.path,
        state=folder.state(),
        changed=tuple(changed),
        num_trials=num_trials,
        samples=found[1][:SHOWN],
        depends=found[2],
        updates=(min(updates), max(updates)),
        rungs=tuple(round(rung) for rung in forecast.rungs(cfg)),
        decisions={k: scheduler[k] for k in _DECISIONS if isinstance(scheduler.get(k), int | float)},
        fit=fit,
        cpus=machines.cpus,
        notes=tuple(task.notes),
    )


class _Problems:
    """Collects what goes wrong, instead of stopping at the first."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def collect(self, work: Callable[[], T]) -> T | None:
        """The result of ``work``; None where it raised a user's error, which is kept."""
        try:
            return work()
        except BlueprintTuneError as error:
            self.found.append(str(error))
            return None


def _check_task(cfg: ExperimentConfig) -> Asked:
    """Scene, roles and every term; importing torch takes its time, so only when it is needed."""
    from blueprint_tune.envs.factory import check_task
    from blueprint_tune.simulators.isaaclab.launch import check_here

    check_here(cfg)
    return ask(cfg) if cfg.backend.own_task else of_scene(check_task(cfg), cfg)


def _search(
    cfg: ExperimentConfig, space: Mapping[str, Mapping[str, Any]]
) -> tuple[int, tuple[dict[str, Any], ...], bool]:
    """(number of trials, samples of the first, whether later ones depend on results)."""
    from blueprint_tune.tuning import schedulers
    from blueprint_tune.tuning.preview import preview

    schedulers.check_sweep(cfg, space)
    distributions = schedulers.search_space(space)
    seen = preview(cfg, distributions, _CHECKED)
    return schedulers.trial_count(cfg, distributions), seen.samples, seen.depends


def _machines(cfg: ExperimentConfig) -> Machines:
    """What Ray would have: known for a private one, unless it has to count the GPUs; asked of a cluster."""
    gpus_known = cfg.cluster.num_gpus is not None or not cfg.sweep.resources.gpus
    with (
        tempfile.TemporaryDirectory(prefix="blueprint-tune-plan-") as folder,
        RaySession(cfg.cluster, Path(folder) / "ray.log") as session,
    ):
        private = session.private
        return session.start() if private is None or not gpus_known else private


def _trial(cfg: ExperimentConfig, sample: Mapping[str, Any]) -> ExperimentConfig:
    """The settings of one trial. Raises ConfigError that names its values."""
    try:
        return apply_overrides(cfg, sample)
    except ConfigError as error:
        values = ", ".join(f"{key}={value}" for key, value in sample.items())
        raise ConfigError(f"A trial would run with {values}: {error}") from error


def _identity(
    cfg: ExperimentConfig, space: Mapping[str, Any], task: Asked, overrides: Sequence[str]
) -> tuple[ExperimentFolder, list[str]]:
    """The experiment's folder, there or not, and what has changed since it was made."""
    document = describe(cfg, space, task.digest, overrides)
    folder = ExperimentFolder(Path(cfg.output_dir) / document["name"])
    refuse_foreign(folder, document["input_hash"])
    made = folder.state() != "new"
    return folder, changed_since(folder.tree().get("provenance", {})) if made else []


def _updates(cfg: ExperimentConfig) -> int:
    return math.ceil(cfg.budget.env_steps / (cfg.agent.rollouts * cfg.backend.num_envs))
