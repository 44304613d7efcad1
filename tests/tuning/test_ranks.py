"""Trials of two ranks on a real Ray: warm, killed, gone on with exactly; and trials that share a card."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blueprint_tune.config.compose import compose
from blueprint_tune.errors import SimulatorError, TrainingDiverged
from blueprint_tune.tuning.experiment import run_search
from blueprint_tune.tuning.folder import ExperimentFolder, anchored, describe, open_folder
from blueprint_tune.tuning.progress import Progress
from blueprint_tune.tuning.ranks import Peers, RankFailed, _named
from blueprint_tune.tuning.records import TrialRecord, read_reports
from blueprint_tune.tuning.session import RaySession

TINY = [
    "+scene=kitchen_001",
    "preset=smoke",
    "backend=pointmass",
    "backend.num_envs=16",
    "agent.rollouts=16",
    "budget.env_steps=1024",
    "budget.report_env_steps=256",
    "evaluation.selection.episodes=2",
    "sweep.max_failures=1",
    "agent.discount_factor=0.99",  # GRID's last: the settings that are tried first come once more
]
GRID = {"agent.discount_factor": {"_target_": "ray.tune.grid_search", "values": [0.9, 0.99]}}
Report = dict[str, Any]


class Watched(Progress):
    """Tells a test about every report."""

    def __init__(self, told: Callable[[int, int], None]) -> None:
        super().__init__("off", "test")
        self.told, self.lines = told, list[str]()

    def reported(self, index: int, env_steps: int, success: float | None, seconds: float) -> None:
        super().reported(index, env_steps, success, seconds)
        self.told(index, env_steps)

    def note(self, text: str) -> None:
        self.lines.append(text)


def processes(name: str) -> set[int]:
    """Processes of this Ray's actors of a class; the logs they hold open are in its session's folder."""
    found = set()
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cmdline").read_bytes().startswith(
                f"ray::{name}".encode()
            ):
                logs = " ".join(os.readlink(file) for file in (process / "fd").iterdir())
                found |= {int(process.name)} if f"bt-ray-{os.getpid()}-" in logs else set()
        except OSError:
            continue
    return found


def search(
    folder: Path, space: dict[str, Any], told: Callable[[int, int], None], *overrides: str
) -> tuple[ExperimentFolder, tuple[TrialRecord, ...], Watched]:
    cfg = anchored(compose([*TINY, f"output_dir={folder}", *overrides]))
    experiment, _ = open_folder(cfg, describe(cfg, space, "digest"))
    progress = Watched(told)
    with RaySession(cfg.cluster, experiment.log) as session:
        return experiment, run_search(cfg, space, experiment, session, progress), progress


def curve(folder: ExperimentFolder, record: TrialRecord) -> list[Report]:
    """The reports without what depends on the clock."""
    rows = read_reports(folder.trials / record.trial_id)
    return [{k: v for k, v in row.items() if not k.startswith(("perf/", "time", "elapsed"))} for row in rows]


def test_two_ranks_survive_a_death_and_stay_for_the_next_trial(tmp_path: Path, local_ray: None) -> None:
    """Trial 0 loses a rank; trial 2 has the same settings, and the warm processes of trial 1."""
    killed: set[int] = set()
    seen: dict[int, set[int]] = {}

    def told(index: int, steps: int) -> None:
        seen[index] = processes("Peer")
        if (index, steps) == (0, 768) and not killed:
            killed.update(seen[0])
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    folder, records, progress = search(tmp_path, GRID, told, "sweep.resources={ranks: 2, cpus: 1}")
    assert [(r.status, r.env_steps) for r in records] == [("completed", 1024)] * 3
    assert len(killed) == 1
    assert any(
        "restarts from its last checkpoint: rank 1 of 2: its process died" in n for n in progress.lines
    )
    assert curve(folder, records[0]) == curve(folder, records[2]) != curve(folder, records[1])
    assert seen[1] == seen[2] != killed, "the second rank, too, is kept from trial to trial"
    warm = [read_reports(folder.trials / r.trial_id)[-1]["perf/warm_simulator"] for r in records]
    assert warm == [0.0, 1.0, 1.0]
    assert read_reports(folder.trials / records[1].trial_id)[0]["train/episodes"] is not None


def test_with_one_rank_there_is_nobody_to_ask() -> None:
    peers = Peers({}, 1, [{"CPU": 1.0}])
    peers.begin({}, "nowhere")
    peers.ready()
    assert peers.train(lambda: 3) == 3 and peers.shares() == [] and peers.together.size == 1


def test_a_failure_keeps_its_kind_and_says_which_rank() -> None:
    diverged = _named(TrainingDiverged("'loss/value' became nan at update 3."), 2, 4)
    assert isinstance(diverged, TrainingDiverged)
    assert str(diverged) == "rank 2 of 4: 'loss/value' became nan at update 3."
    assert isinstance(_named(SimulatorError("no"), 1, 2), SimulatorError)
    assert str(_named(ValueError("x\ny"), 1, 2)) == "rank 1 of 2: ValueError: x"
    assert isinstance(_named(ValueError("x"), 1, 2), RankFailed)
