"""What is read off an experiment's folder, at any time of its life."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from blueprint_tune.batches.standing import held, read_standing


def test_a_finished_experiment(experiment: Callable[..., Path]) -> None:
    path = experiment("one", successes=90, trials=("completed", "failed"))
    standing = read_standing(path)
    assert standing is not None
    assert (standing.state, standing.success_rate, standing.successes) == ("finished", 0.9, 90)
    assert standing.interval == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert standing.settings == {"agent.learning_rate": 1e-3}
    assert standing.trials == {"completed": 1, "failed": 1}
    assert standing.failures == ("trial 1: TrainingDiverged: NaN",)
    assert standing.env_steps == 4000
    # two trials of half an hour on two CPUs, and half an hour of evaluation on one
    assert standing.cpu_hours == pytest.approx(2.5)
    assert standing.gpu_hours is None and standing.price is None, "what nobody wrote down is not made up"


def test_prices_make_costs(experiment: Callable[..., Path]) -> None:
    standing = read_standing(experiment("one", "cluster.cpu_hour_price=0.04", successes=1))
    assert standing is not None and standing.price == pytest.approx(1.5 * 0.04)


def test_one_that_runs_and_one_that_was_stopped(experiment: Callable[..., Path]) -> None:
    path = experiment("one")
    with (path / ".lock").open("w") as lock:
        lock.write(str(os.getpid()))
        lock.flush()
        assert not held(path), "a process that lives but has let go"
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert held(path)
        standing = read_standing(path)
        assert standing is not None
        assert (standing.state, standing.stage, standing.best) == ("running", "training", 0.2)
        assert standing.begun[0].rate == pytest.approx(1000 / 900)
    standing = read_standing(path)
    assert standing is not None and standing.state == "interrupted" and standing.success_rate is None


def test_what_is_no_experiment_has_no_standing(tmp_path: Path) -> None:
    (tmp_path / "experiment.yaml").write_text("a: [")
    assert read_standing(tmp_path) is None and read_standing(tmp_path / "nowhere") is None
