"""A trial in its process, without Ray: warm equals cold, and checkpoints that are damaged or final."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from blueprint_tune.config.compose import to_dict
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import ConfigError, OutOfMemory, TrainingDiverged
from blueprint_tune.simulators import registry
from blueprint_tune.simulators.pointmass import PointmassSimulator
from blueprint_tune.tuning.records import CHECKPOINT_FILE
from blueprint_tune.tuning.resources import Shape
from blueprint_tune.tuning.trainable import Trial

SHORT = (
    "backend.num_envs=8",
    "agent.rollouts=8",
    "agent.mini_batches=2",
    "budget.env_steps=192",
    "budget.report_env_steps=64",
    "budget.first_rung_env_steps=64",
    "evaluation.selection.episodes=2",
    "evaluation.selection.max_time_fraction=0.5",
    "policy.episode_s=0.4",
)
Make = Callable[..., Any]


@pytest.fixture
def process(config: Callable[..., ExperimentConfig], tmp_path: Path) -> Make:
    """process(backend) -> a function from a sample to a trial in a process of its own, as far as it knows."""

    def make(*overrides: str) -> Callable[[dict[str, Any]], Trial]:
        base = to_dict(config(*SHORT, *overrides))

        class Bound(Trial):
            def setup(self, config: dict[str, Any]) -> None:
                super().setup(config, base, Shape(1.0, 1, 1), str(tmp_path))

        def new(sample: dict[str, Any]) -> Trial:
            trial = Bound(config=copy.deepcopy(sample))
            if hasattr(
                trial, "_result_logger"
            ):  # of Ray 2.52, whose reset closes it unless Tune brings another
                trial._result_logger = importlib.import_module("ray.tune.logger").NoopLogger({}, "")
            return trial

        return new

    return make


def curve(trial: Trial) -> list[dict[str, Any]]:
    """All reports without what depends on the clock; NaN as text, which equals itself."""
    rows = []
    while not rows or not rows[-1]["done"]:
        result = trial.train()
        own = {k: v for k, v in result.items() if "/" in k or k in ("env_steps", "updates", "done")}
        rows.append({k: str(v) for k, v in own.items() if not k.startswith("perf/")} | {"done": own["done"]})
    return rows


def fails(trial: Trial, sample: dict[str, Any], error: type[Exception]) -> None:
    trial.reset(dict(sample))
    with pytest.raises(error):
        curve(trial)


def test_whatever_ran_before_a_warm_process_trains_as_a_fresh_one(process: Make) -> None:
    new = process("backend=mujoco")
    cold = new({})
    alone = curve(cold)
    base = cold._base["policy"]
    events = {
        **base["events"],
        "delay": {"kind": "action_delay", "steps": [1, 3]},
        "late": {"kind": "observation_delay", "steps": [1, 3]},
        "solver": {"kind": "solver"},
        "mass": {"kind": "mass_scale", "role": "target", "range": [0.5, 1.5]},
        "size": {"kind": "size_scale", "role": "target", "range": [0.8, 1.1]},
    }
    easier = {"path": "success.distance_m", "start": 0.2}
    curriculum = {"raise_at": 0.0, "step": 0.5, "changes": {"tolerance": easier}}
    warm = new({"agent.learning_rate": 1e-3, "seed": 5})
    curve(warm)
    weight = f"policy.rewards.{next(iter(base['rewards']))}.weight"
    others = [{weight: 7.0, "agent.activation": "relu"}, {"policy.events": events}]
    for sample in [*others, {"policy.curriculum": curriculum}]:
        warm.reset(copy.deepcopy(sample))
        assert curve(warm) != alone
    fails(warm, {"agent.mini_batches": 7}, ConfigError)
    warm.reset({})
    warm.train()
    with torch.no_grad():
        for parameter in warm._trainer.agent.policy.parameters():
            parameter.fill_(torch.nan)
    with pytest.raises(TrainingDiverged):
        warm.train()
    warm.reset({})
    assert curve(warm) == alone
    assert warm._warm
    warm.cleanup()
    cold.cleanup()


def test_a_damaged_checkpoint_gives_way_to_the_one_before(process: Make, tmp_path: Path) -> None:
    new = process("backend=pointmass")
    trial = new({})
    rows: list[dict[str, Any]] = []
    for number in range(2):
        rows.append(trial.train())
        folder = tmp_path / "elsewhere" / f"checkpoint_{number:06d}"
        folder.mkdir(parents=True)
        trial.save_checkpoint(str(folder))
    third = trial.train()
    newest = tmp_path / "elsewhere/checkpoint_000001" / CHECKPOINT_FILE
    newest.write_bytes(newest.read_bytes()[:1000])
    again = new({})
    again.load_checkpoint(str(newest.parent))
    repeated = again.train()
    assert repeated["training_iteration"] == 2 and repeated["env_steps"] == rows[1]["env_steps"]
    assert repeated["loss/value"] == rows[1]["loss/value"]
    assert repeated["note"] == "checkpoint_000001 is damaged: going on from checkpoint_000000"
    assert again.train()["loss/policy"] == third["loss/policy"]
    first = tmp_path / "elsewhere/checkpoint_000000" / CHECKPOINT_FILE
    first.unlink()
    anew = new({})
    anew.load_checkpoint(str(first.parent))
    begun = anew.train()
    assert begun["training_iteration"] == 1 and begun["loss/value"] == rows[0]["loss/value"]
    assert "starting anew" in begun["note"]


def test_a_finished_trial_is_told_again_and_not_trained(process: Make, tmp_path: Path) -> None:
    new = process("backend=pointmass")
    trial = new({})
    rows = curve(trial)
    own = tmp_path / trial.trial_id / "checkpoint_000003"
    own.mkdir(parents=True)
    trial.save_checkpoint(str(own))
    again = new({})
    again.load_checkpoint(str(tmp_path / trial.trial_id / "checkpoint_000001"))
    assert curve(again) == rows[-1:] and again._env is None
    assert again.iteration == trial.iteration and again._time_total == trial._time_total
    again.save_checkpoint(str(tmp_path / "copy"))
    saved, copied = (folder / CHECKPOINT_FILE for folder in (own, tmp_path / "copy"))
    assert saved.read_bytes() == copied.read_bytes()


class Crowded(PointmassSimulator):
    """A simulator whose device holds no more than four environments."""

    def __init__(self, task: Any, catalog: Any, num_envs: int, *more: Any) -> None:
        if num_envs > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        super().__init__(task, catalog, num_envs, *more)


def test_with_half_the_environments_the_learning_goes_on(
    process: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = process("backend=pointmass")
    whole = new({})
    whole.train()
    folder = tmp_path / "elsewhere/checkpoint_000000"
    folder.mkdir(parents=True)
    whole.save_checkpoint(str(folder))
    learned = whole._trainer.agent.policy.state_dict()
    monkeypatch.setitem(registry.BACKENDS, "pointmass", (__name__, "Crowded"))
    trial = new({})
    with pytest.raises(OutOfMemory, match="out of memory: CUDA out of memory"):
        trial.train()
    trial.reset({"backend.num_envs": 4, "agent.rollouts": 16})
    trial.load_checkpoint(str(folder))
    trainer = trial._begin()
    assert trainer.env_steps == 64 and trial._env.num_envs == 4
    for name, values in trainer.agent.policy.state_dict().items():
        assert torch.equal(values, learned[name])
    assert trial.train()["env_steps"] == 128
