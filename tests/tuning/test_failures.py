"""Trials that crash, hang, diverge and run out of memory, all in one search on a real Ray."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from ray import cloudpickle

from blueprint_tune.config.compose import compose
from blueprint_tune.errors import SimulatorError
from blueprint_tune.summary import _incidents
from blueprint_tune.tuning import experiment
from blueprint_tune.tuning.folder import anchored, describe, open_folder
from blueprint_tune.tuning.progress import Progress
from blueprint_tune.tuning.records import best_trial, load_records, read_reports
from blueprint_tune.tuning.session import RaySession
from blueprint_tune.tuning.trainable import Trial

FINE, CRASHES, HANGS, DIVERGES, CROWDED = 0.9, 0.91, 0.92, 0.93, 0.94
VALUES = [CRASHES, FINE, HANGS, DIVERGES, CROWDED]


class Faulty(Trial):
    """Goes wrong after its second report in the way its discount factor says; hangs only the first time."""

    def _begin(self) -> Any:
        sample = self._sample
        if sample["agent.discount_factor"] == CROWDED and sample.get("backend.num_envs", 16) > 8:
            try:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            except RuntimeError as error:
                raise SimulatorError("the scene cannot be built") from error
        return super()._begin()

    def _train(self) -> dict[str, Any]:
        if self._iteration == 2:
            self._go_wrong(self._sample["agent.discount_factor"])
        return super()._train()

    def _go_wrong(self, how: float) -> None:
        hung = self._folder / "hung"
        if how == CRASHES:
            ctypes.string_at(0)  # a segmentation fault
        elif how == HANGS and not hung.exists():
            hung.touch()
            os.kill(os.getpid(), signal.SIGSTOP)
        elif how == DIVERGES:
            trainer = self._trainer or self._begin()
            with torch.no_grad():
                next(trainer.agent.policy.parameters()).fill_(torch.nan)


class Told(Progress):
    """Keeps what it was told."""

    def __init__(self) -> None:
        super().__init__("off", "test")
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def test_every_failure_is_a_result_and_the_others_go_on(
    tmp_path: Path, local_ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "Trial", Faulty)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    sizes = ["backend=pointmass", "backend.num_envs=16", "agent.rollouts=16", "agent.policy_hidden_dims=[16]"]
    budget = ["budget.env_steps=1024", "budget.report_env_steps=256", "evaluation.selection.episodes=2"]
    sweep = ["sweep.max_failures=1", "sweep.watchdog_s=15", "sweep.default_settings_first=false"]
    words = ["+scene=kitchen_001", "preset=smoke", *sizes, *budget, *sweep, f"output_dir={tmp_path}"]
    cfg = anchored(compose(words))
    space = {"agent.discount_factor": {"_target_": "ray.tune.grid_search", "values": VALUES}}
    folder, _ = open_folder(cfg, describe(cfg, space, "digest"))
    progress = Told()
    with RaySession(cfg.cluster, folder.log) as session:
        records = experiment.run_search(cfg, space, folder, session, progress)
    crashed, fine, hung, diverged, crowded = records
    assert [r.sample["agent.discount_factor"] for r in records] == VALUES, "numbered as they were made"
    assert [r.status for r in records] == ["failed", "completed", "completed", "failed", "completed"]
    assert load_records(folder.records) == records

    died = "at 512 env steps: its process died"
    assert [f.split(" (")[0] for f in crashed.failures] == [f"restarted {died}", f"gave up {died}"]
    assert crashed.error is not None and "its process died" in crashed.error
    assert fine.failures == () and fine.error is None and fine.not_comparable is None
    assert len(hung.failures) == 1 and hung.failures[0].startswith("restarted at 512 env steps: it hung: no ")
    assert diverged.error is not None and "became NaN" in diverged.error
    assert len(diverged.failures) == 2
    assert len(crowded.failures) == 1
    assert crowded.failures[0].startswith("restarted at 0 env steps: out of memory: CUDA out of memory")
    assert crowded.not_comparable is not None
    assert crowded.sample["backend.num_envs"] == 8 and crowded.sample["agent.rollouts"] == 32
    assert any("not comparable: the scheduler goes on ranking it" in line for line in progress.lines)
    for record in (fine, hung, crowded):
        rows = read_reports(folder.trials / record.trial_id)
        assert [row["env_steps"] for row in rows] == [256, 512, 768, 1024]
    assert best_trial(records, "max").index in (0, 1, 2, 3)
    assert len(_incidents(records)) == 7
