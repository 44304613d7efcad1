"""How a search shares CPUs and GPUs, and that a resumed one keeps its share."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import ConfigError
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.records import write_json
from blueprint_tune.tuning.session import Machines, Node

_EPSILON = 1e-9


@dataclass(frozen=True)
class Shape:
    """What a trial reserves.

    Attributes:
        cpus_per_trial, gpus_per_trial: over all its ranks. concurrent: trials at once.
        threads: physics threads of a rank. ranks: processes of a trial.
    """

    cpus_per_trial: float
    concurrent: int
    threads: int
    ranks: int = 1
    gpus_per_trial: float = 0.0

    @property
    def bundles(self) -> list[dict[str, float]]:
        """What each rank reserves, as Ray has it; the first is the trial's own process."""
        cpus, gpus = self.cpus_per_trial / self.ranks, self.gpus_per_trial / self.ranks
        return [{"CPU": cpus, **({"GPU": gpus} if gpus else {})}] * self.ranks


def shape(cfg: ExperimentConfig, num_trials: int, machines: Machines) -> Shape:
    """Fit the search to ``machines``: as many trials at once as there is room for, sharing the CPUs evenly.

    Raises ConfigError if one trial, or as many at once as are asked for, need more than there is.
    """
    asked, wanted = cfg.sweep.resources, cfg.sweep.concurrent_trials
    if cfg.cluster.grows:
        return _named(cfg)
    ranks, gpus = asked.num_ranks, asked.gpus / asked.num_ranks
    least = 1.0 if isinstance(asked.cpus, str) else asked.cpus
    room = _room(machines.nodes, least, gpus) // ranks
    if not room:
        raise ConfigError(
            f"{_request(cfg)}; {machines}. Ask for less, or leave sweep.resources at its default."
        )
    if isinstance(wanted, str):
        concurrent = min(num_trials, room)
    elif wanted > room:
        raise ConfigError(
            f"sweep.concurrent_trials={wanted}: only {room} at once have room, because {machines} and"
            f" {_request(cfg)[0].lower()}{_request(cfg)[1:]}. Lower it, or leave it at auto."
        )
    else:
        concurrent = wanted
    each = _share(machines.nodes, concurrent * ranks, gpus) if isinstance(asked.cpus, str) else asked.cpus
    return _shape(cfg, each, concurrent)


def _named(cfg: ExperimentConfig) -> Shape:
    """What is asked for, of a cluster whose size nobody knows yet."""
    asked, wanted = cfg.sweep.resources, cfg.sweep.concurrent_trials
    if isinstance(asked.cpus, str) or isinstance(wanted, str):
        raise ConfigError(
            "cluster.grows=true: the cluster has no size that could be shared out. "
            "Name sweep.resources.cpus and sweep.concurrent_trials."
        )
    return _shape(cfg, asked.cpus, wanted)


def _shape(cfg: ExperimentConfig, cpus: float, concurrent: int) -> Shape:
    ranks, threads = cfg.sweep.resources.num_ranks, cfg.backend.num_threads
    own = max(1, int(cpus)) if isinstance(threads, str) else threads
    return Shape(cpus * ranks, concurrent, own, ranks, cfg.sweep.resources.gpus)


def _room(nodes: Sequence[Node], cpus: float, gpus: float) -> int:
    """Ranks that have room at once; each lies on one node, and its share of a GPU on one card."""
    return sum(min(int(node.cpus / cpus + _EPSILON), _cards(node, gpus)) for node in nodes)


def _cards(node: Node, gpus: float) -> int:
    if not gpus:
        return 2**31
    return node.gpus * int(1 / gpus + _EPSILON) if gpus < 1 else node.gpus // math.ceil(gpus)


def _share(nodes: Sequence[Node], ranks: int, gpus: float) -> float:
    """The most whole CPUs for each of ``ranks`` at once."""
    even = sum(node.cpus for node in nodes) // ranks
    return float(next((c for c in range(even, 1, -1) if _room(nodes, c, gpus) >= ranks), 1))


def _request(cfg: ExperimentConfig) -> str:
    asked = cfg.sweep.resources
    cpus = "1 CPU" if isinstance(asked.cpus, str) else f"sweep.resources.cpus={asked.cpus:g}"
    ranks = f" for each of its {asked.num_ranks} ranks" if asked.num_ranks > 1 else ""
    gpus = f" and sweep.resources.gpus={asked.gpus:g}" if asked.gpus else ""
    return f"A trial asks for {cpus}{ranks}{gpus}"


def check_saved(fit: Shape, machines: Machines) -> None:
    """Raise ConfigError if trials of a resumed search do not fit where it now runs."""
    first = fit.bundles[0]
    if _room(machines.nodes, first["CPU"], first.get("GPU", 0.0)) < fit.ranks:
        raise ConfigError(
            f"This search gave each trial {fit.cpus_per_trial:g} CPUs and {fit.gpus_per_trial:g} GPUs on "
            f"{fit.ranks} ranks; {machines}. Resume it where there is as much, or start it anew."
        )


def save_shape(folder: ExperimentFolder, fit: Shape) -> None:
    """Write it down for a resume."""
    write_json(_shape_file(folder), asdict(fit))


def _shape_file(folder: ExperimentFolder) -> Path:
    return folder.path / "resources.json"


def saved_shape(folder: ExperimentFolder) -> Shape | None:
    """A resumed trial keeps what it was given: Ray restores its request, and threads follow it."""
    if not restorable(folder.trials) or not _shape_file(folder).exists():
        return None
    return Shape(**json.loads(_shape_file(folder).read_text()))


def min_cpus(folder: ExperimentFolder) -> int:
    """CPUs that a resumed search needs Ray to have, whatever machine it now runs on."""
    saved = saved_shape(folder)
    return 1 if saved is None else max(1, math.ceil(saved.cpus_per_trial))


def least_cpus(cfg: ExperimentConfig, folder: ExperimentFolder) -> int:
    """CPUs that an experiment waits for before it starts among others.

    An interrupted one takes as many as before, because Ray restores its trials' requests.
    """
    saved, asked = saved_shape(folder), cfg.sweep.resources
    if saved is not None and not folder.records.exists():
        return max(1, math.ceil(saved.cpus_per_trial * saved.concurrent))
    return max(1, math.ceil(asked.num_ranks * (1 if isinstance(asked.cpus, str) else asked.cpus)))


def restorable(trials: Path) -> bool:
    """Whether an earlier process came as far as writing down the state of the search."""
    return (trials / "tuner.pkl").exists() and any(trials.glob("experiment_state-*.json"))
