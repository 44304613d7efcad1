"""Searches on a real Ray: warm processes, failures, interruptions, and going on exactly."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blueprint_tune.config.compose import apply_overrides, compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.tuning.experiment import ExperimentInterrupted, run_search
from blueprint_tune.tuning.folder import ExperimentFolder, anchored, describe, open_folder
from blueprint_tune.tuning.progress import Progress
from blueprint_tune.tuning.records import TrialRecord, best_trial, ranking, read_reports
from blueprint_tune.tuning.session import RaySession

BASE = [
    "+scene=kitchen_001",
    "preset=smoke",
    "backend=pointmass",
    "backend.num_envs=16",
    "agent.rollouts=16",
    "agent.discount_factor=0.99",  # GRID's last: the settings that are tried first come once more
]
SHORT = ["budget.env_steps=1024", "budget.report_env_steps=256", "evaluation.selection.episodes=2"]
STILL_TIME = ("perf/", "time", "elapsed")

Space = Mapping[str, Mapping[str, Any]]
Told = Callable[[int, int], None]


class Watched(Progress):
    """Tells a test about every report."""

    def __init__(self, told: Told) -> None:
        super().__init__("off", "test")
        self.told, self.lines = told, list[str]()

    def reported(self, index: int, env_steps: int, success: float | None, seconds: float) -> None:
        super().reported(index, env_steps, success, seconds)
        self.told(index, env_steps)

    def note(self, text: str) -> None:
        self.lines.append(text)


def config(folder: Path, *overrides: str) -> ExperimentConfig:
    return anchored(compose([*BASE, *SHORT, f"output_dir={folder}", "sweep.max_failures=1", *overrides]))


def search(
    cfg: ExperimentConfig, space: Space | None = None, told: Told = lambda index, steps: None
) -> tuple[ExperimentFolder, tuple[TrialRecord, ...], Watched]:
    """As the pipeline calls it, on the Ray that the tests share."""
    folder, _ = open_folder(cfg, describe(cfg, space or {}, "digest"))
    progress = Watched(told)
    with RaySession(cfg.cluster, folder.log) as session:
        return folder, run_search(cfg, space or {}, folder, session, progress), progress


def curve(folder: ExperimentFolder, record: TrialRecord) -> list[dict[str, float]]:
    """The reports without what depends on the clock."""
    rows = read_reports(folder.trials / record.trial_id)
    return [{k: v for k, v in row.items() if not k.startswith(STILL_TIME)} for row in rows]


def with_sweep(cfg: ExperimentConfig, **changes: Any) -> ExperimentConfig:
    return replace(cfg, sweep=replace(cfg.sweep, **changes))


GRID = {"agent.discount_factor": {"_target_": "ray.tune.grid_search", "values": [0.9, 0.99]}}


@pytest.fixture(scope="module")
def uninterrupted(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, float]]:
    """The curve that interrupted trainings must arrive at."""
    cfg = config(tmp_path_factory.mktemp("whole"))
    folder, (record,), _ = search(cfg)
    assert record.status == "completed" and record.env_steps == 1024
    whole = curve(folder, record)
    assert search(cfg)[1] == (record,), "a finished search is not searched again"
    assert curve(folder, record) == whole
    return whole


def test_a_warm_process_trains_exactly_as_a_fresh_one(
    tmp_path: Path, uninterrupted: list[dict[str, float]]
) -> None:
    cfg = apply_overrides(config(tmp_path), {"evaluation.reevaluation.trials": 2})
    cfg = with_sweep(cfg, concurrent_trials=1)
    folder, records, _ = search(cfg, GRID)
    assert [r.index for r in records] == [0, 1, 2]
    assert records[0].sample == {"agent.discount_factor": cfg.agent.discount_factor} == records[2].sample
    assert curve(folder, records[0]) == curve(folder, records[2]) == uninterrupted
    assert curve(folder, records[1]) != uninterrupted
    switches = [read_reports(folder.trials / r.trial_id)[0] for r in records]
    assert [row["perf/warm_simulator"] for row in switches] == [0.0, 1.0, 1.0]
    kept = {r.trial_id: len(list((folder.trials / r.trial_id).glob("checkpoint_*"))) for r in records}
    *may_win, last = (record.trial_id for record in ranking(cfg, records))
    assert [kept[trial] for trial in may_win] == [4, 4] and kept[last] == 1, "of others the best is kept"


def test_ctrl_c_keeps_the_last_checkpoint_and_resume_goes_on_exactly(
    tmp_path: Path, uninterrupted: list[dict[str, float]]
) -> None:
    def interrupt(index: int, steps: int) -> None:
        if steps == 512:
            os.kill(os.getpid(), signal.SIGINT)

    cfg = config(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ExperimentInterrupted, match=str(tmp_path)):
        search(cfg, told=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    first: list[int] = []
    folder, (record,), _ = search(cfg, told=lambda index, steps: first.append(steps))
    assert first[0] == 768, "goes on after the checkpoint, not from the beginning"
    assert curve(folder, record) == uninterrupted


def test_a_killed_process_is_replaced_and_goes_on_exactly(
    tmp_path: Path, uninterrupted: list[dict[str, float]]
) -> None:
    killed: list[int] = []

    def kill(index: int, steps: int) -> None:
        if steps == 768 and not killed:
            killed.extend(kill_trials())

    folder, (record,), progress = search(config(tmp_path), told=kill)
    assert len(killed) >= 1
    assert curve(folder, record) == uninterrupted
    assert record.status == "completed" and record.error is None
    assert any("restarts from its last checkpoint: its process died" in line for line in progress.lines)


def test_one_bad_trial_loses_no_others(tmp_path: Path, local_ray: None) -> None:
    bad = {"agent.mini_batches": {"_target_": "ray.tune.grid_search", "values": [7, 2]}}
    cfg = with_sweep(config(tmp_path, "budget.env_steps=256"), max_failures=0, default_settings_first=False)
    _, records, _ = search(cfg, bad)
    assert [r.status for r in records] == ["failed", "completed"]
    assert records[0].error and records[0].error.startswith("agent.mini_batches=7 does not divide")
    assert records[0].checkpoint is None and best_trial(records, "max").index == 1


def test_when_all_trials_fail_the_reason_is_the_error_and_a_resume_tries_again(
    tmp_path: Path, local_ray: None
) -> None:
    bad = {"agent.mini_batches": {"_target_": "ray.tune.grid_search", "values": [7]}}
    cfg = with_sweep(config(tmp_path, "name=bad"), max_failures=0, default_settings_first=False)
    for _ in range(2):
        with pytest.raises(
            BlueprintTuneError, match=r"The trial failed:\n  trial 0: agent.mini_batches=7"
        ) as e:
            search(cfg, bad)
        assert "Traceback" not in str(e.value)


def test_what_no_trial_can_run_with_ends_the_search_at_once(tmp_path: Path, local_ray: None) -> None:
    name = next(iter(compose(BASE).policy.rewards))
    cfg = config(tmp_path, f"policy.rewards.{name}.term=distance_kernal", "sweep.max_failures=5")
    with pytest.raises(BlueprintTuneError, match="Did you mean 'distance_kernel'"):
        search(cfg)


def kill_trials() -> list[int]:
    """Kill -9 the processes of this Ray's trials."""
    pids = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _is_ours(p)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return pids


def _is_ours(process: Path) -> bool:
    """Ray renames its workers; the logs they hold open are in the folder of this process's session."""
    try:
        named = (process / "cmdline").read_bytes().startswith(b"ray::Trial")
        return named and f"bt-ray-{os.getpid()}-" in " ".join(
            os.readlink(f) for f in (process / "fd").iterdir()
        )
    except OSError:
        return False
