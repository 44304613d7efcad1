"""How a search shares the CPUs, and that a resumed one keeps its share."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import ConfigError
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.records import write_json
from blueprint_tune.tuning.session import Cpus


@dataclass(frozen=True)
class Shape:
    """CPUs of a trial, trials at once, physics threads of a trial."""

    cpus_per_trial: float
    concurrent: int
    threads: int


def shape(cfg: ExperimentConfig, num_trials: int, cpus: Cpus) -> Shape:
    """Fit the search to ``cpus``: as many trials at once as there are CPUs, sharing them evenly.

    Raises ConfigError if one trial asks for more than there is.
    """
    sweep = cfg.sweep
    wanted = sweep.cpus_per_trial
    if not isinstance(wanted, str) and wanted > cpus.largest_node:
        raise ConfigError(
            f"sweep.cpus_per_trial={wanted:g} is more than the {cpus.largest_node} CPUs there are. "
            "Lower it, or leave it at auto."
        )
    if isinstance(sweep.concurrent_trials, str):
        fitting = cpus.total if isinstance(wanted, str) else int(cpus.total / wanted)
        concurrent = max(1, min(num_trials, fitting))
    else:
        concurrent = sweep.concurrent_trials
    share = max(1, min(cpus.total // concurrent, cpus.largest_node))
    each = float(share if isinstance(wanted, str) else wanted)
    threads = cfg.backend.num_threads
    return Shape(each, concurrent, max(1, int(each)) if isinstance(threads, str) else threads)


def save_shape(folder: ExperimentFolder, fit: Shape) -> None:
    """Write it down for a resume."""
    write_json(_shape_file(folder), asdict(fit))


def _shape_file(folder: ExperimentFolder) -> Path:
    return folder.path / "resources.json"


def saved_shape(folder: ExperimentFolder) -> Shape | None:
    """A resumed trial keeps the CPUs it was given: Ray restores its request, and threads follow it."""
    if not restorable(folder.trials) or not _shape_file(folder).exists():
        return None
    return Shape(**json.loads(_shape_file(folder).read_text()))


def min_cpus(folder: ExperimentFolder) -> int:
    """CPUs that a resumed search needs Ray to have, whatever machine it now runs on."""
    saved = saved_shape(folder)
    return 1 if saved is None else max(1, int(saved.cpus_per_trial))


def least_cpus(cfg: ExperimentConfig, folder: ExperimentFolder) -> int:
    """CPUs that an experiment waits for before it starts among others.

    An interrupted one takes as many as before, because Ray restores its trials' requests.
    """
    saved, wanted = saved_shape(folder), cfg.sweep.cpus_per_trial
    if saved is not None and not folder.records.exists():
        return max(1, math.ceil(saved.cpus_per_trial * saved.concurrent))
    return 1 if isinstance(wanted, str) else max(1, math.ceil(wanted))


def restorable(trials: Path) -> bool:
    """Whether an earlier process came as far as writing down the state of the search."""
    return (trials / "tuner.pkl").exists() and any(trials.glob("experiment_state-*.json"))
