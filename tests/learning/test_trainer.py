"""Training can be stopped, resumed, repeated and compared to the bit, and says what went wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.errors import TrainingDiverged
from blueprint_tune.learning import trainer as trainer_module
from blueprint_tune.learning.trainer import Trainer

NewTrainer = Callable[..., Trainer]
CASES = [
    ("mujoco", "dexterous_pick_place"),
    ("mujoco", "drawer_manipulation"),
    ("pointmass", "dexterous_pick_place"),
]


def measured(metrics: dict[str, float]) -> dict[str, float]:
    """What training computed, without how long it took."""
    return {name: value for name, value in metrics.items() if not name.startswith("perf/")}


def assert_same(found: dict[str, float], expected: dict[str, float]) -> None:
    found, expected = measured(found), measured(expected)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == value or (math.isnan(found[name]) and math.isnan(value)), name


def weights(trainer: Trainer) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in trainer.agent._parameters()]


@pytest.mark.parametrize(("backend", "policy"), CASES)
def test_continuing_equals_not_having_stopped(
    new_trainer: NewTrainer, tmp_path: Path, backend: str, policy: str
) -> None:
    """Three reports, a file, a fresh trainer in a fresh environment, two more reports."""
    overrides = (f"backend={backend}", f"policy={policy}", "evaluation.selection.max_time_fraction=0.33")
    straight = new_trainer(*overrides)
    expected = [straight.train_until_report() for _ in range(5)]
    assert sum(metrics["train/episodes"] for metrics in expected[3:]) > 0, "episodes must end in between"
    assert [metrics["eval/at_env_steps"] for metrics in expected] == [128, 128, 128, 128, 1024]
    stopped = new_trainer(*overrides)
    for metrics in expected[:3]:
        assert_same(stopped.train_until_report(), metrics)
    stopped.save(tmp_path / "checkpoint.pt")
    resumed = new_trainer(*overrides, "seed=7")
    for _ in range(4):
        resumed.train_until_report()
    resumed.load(tmp_path / "checkpoint.pt")
    assert (resumed.env_steps, resumed.updates) == (stopped.env_steps, stopped.updates) == (512, 4)
    for metrics in expected[3:]:
        assert_same(resumed.train_until_report(), metrics)
    assert all(torch.equal(a, b) for a, b in zip(weights(resumed), weights(straight)))


@pytest.mark.parametrize("backend", ["mujoco", "pointmass"])
def test_a_warm_environment_trains_like_a_fresh_one(new_trainer: NewTrainer, backend: str) -> None:
    other = (f"backend={backend}", "seed=9", "policy.rewards.reach.weight=0.1", "agent.discount_factor=0.9")
    used = new_trainer(*other)
    used.train_until_report()
    warm = new_trainer(f"backend={backend}", env=used._env)  # type: ignore[arg-type]
    cold = new_trainer(f"backend={backend}")
    for _ in range(2):
        assert_same(warm.train_until_report(), cold.train_until_report())
    assert all(torch.equal(a, b) for a, b in zip(weights(warm), weights(cold)))


def test_the_seed_decides_everything(new_trainer: NewTrainer) -> None:
    first, other = new_trainer("backend=pointmass"), new_trainer("backend=pointmass", "seed=2")
    torch.manual_seed(123)
    again = new_trainer("backend=pointmass")
    state = torch.get_rng_state()
    for trainer in (first, other, again):
        trainer.train_until_report()
    assert torch.equal(torch.get_rng_state(), state), "no global randomness is used"
    assert all(torch.equal(a, b) for a, b in zip(weights(first), weights(again)))
    assert not any(torch.equal(a, b) for a, b in zip(weights(first), weights(other)) if a.ndim > 1)


@pytest.mark.parametrize("backend", ["mujoco", "pointmass"])
def test_evaluating_leaves_no_trace_in_training(
    new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    nothing = {"eval/success_rate": 0.0, "eval/at_env_steps": 0.0, "perf/eval_fraction": 0.0}
    found = []
    for plays in (True, False):
        if not plays:
            monkeypatch.setattr(trainer_module.Selection, "evaluate", lambda *_: nothing)
        trainer = new_trainer(f"backend={backend}")
        metrics = [trainer.train_until_report() for _ in range(5)]
        found.append((metrics, weights(trainer)))
    (with_plays, a), (without, b) = found
    assert with_plays[-1]["eval/at_env_steps"] > with_plays[0]["eval/at_env_steps"] == 128
    for first, second in zip(with_plays, without):
        kept = [{k: v for k, v in m.items() if not k.startswith("eval/")} for m in (first, second)]
        assert_same(*kept)
    assert all(torch.equal(x, y) for x, y in zip(a, b))


def test_a_report_holds_what_is_promised(new_trainer: NewTrainer) -> None:
    trainer = new_trainer("backend=pointmass")
    metrics = trainer.train_until_report()
    terms = trainer._env.reward_terms
    names = {
        "env_steps",
        "updates",
        "eval/success_rate",
        "train/return",
        "train/success_rate",
        "train/episodes",
    }
    names |= {"train/episode_length", "loss/policy", "loss/value", "loss/entropy", "agent/learning_rate"}
    names |= {"agent/std", "agent/kl", "perf/env_steps_per_s", "perf/update_s", "perf/eval_fraction"}
    names |= {f"{kind}/{term}" for kind in ("reward", "reward_weighted") for term in terms}
    assert names <= metrics.keys()
    assert (metrics["env_steps"], metrics["updates"]) == (128, 1), "the first comes after one update"
    assert all(isinstance(value, int | float) for value in metrics.values())
    weighted = sum(metrics[f"reward_weighted/{term}"] for term in terms)
    assert 0.0 <= metrics["reward/reach"] <= 1.0 and math.isfinite(weighted)


def test_reports_come_at_fixed_numbers_of_env_steps(new_trainer: NewTrainer) -> None:
    """Whatever the length of a rollout, and never past the budget by more than one rollout."""
    trainer = new_trainer("backend=pointmass", "agent.rollouts=12", "budget.report_env_steps=300")
    assert [trainer.train_until_report()["env_steps"] for _ in range(5)] == [96, 384, 672, 960, 1248]
    short = new_trainer(
        "backend=pointmass",
        "budget.env_steps=320",
        "budget.first_rung_env_steps=256",
        "budget.report_env_steps=256",
    )
    assert not short.finished
    assert [short.train_until_report()["env_steps"] for _ in range(3)] == [128, 256, 384]
    assert short.finished


def poison(
    trainer: Trainer, at_step: int, env_id: int, monkeypatch: pytest.MonkeyPatch, reward: bool
) -> None:
    """From the ``at_step``-th training step on, one environment's reward or object position is NaN."""
    env: Any = trainer._env
    steps, name = 0, "_reward" if reward else "_observe"
    original_step, original = env.step, getattr(env, name)

    def step(actions: Tensor) -> Any:
        nonlocal steps
        steps += 1
        return original_step(actions)

    def poisoned() -> Tensor:
        if steps >= at_step and not reward:
            env.simulator.state.frame_pos[env_id, 1, 2] = math.nan
        values = original()
        if steps >= at_step and reward:
            values[env_id] = math.nan
        return values

    monkeypatch.setattr(env, "step", step)
    monkeypatch.setattr(env, name, poisoned)


@pytest.mark.parametrize("reward", [True, False], ids=["reward", "observation"])
def test_a_nan_stops_the_trial_with_a_name_and_a_dump(
    new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reward: bool
) -> None:
    trainer = new_trainer("backend=pointmass", "budget.report_env_steps=4096")
    poison(trainer, at_step=150, env_id=5, monkeypatch=monkeypatch, reward=reward)
    trainer.train_until_report()
    with pytest.raises(TrainingDiverged) as caught:
        trainer.train_until_report()
    name = "rewards" if reward else "observation 'target_rel'"
    assert str(caught.value) == (
        f"{name} became NaN or infinite in 1 of 8 environments at update 8. "
        f"The last steps (at most 100) of env 5 are in {tmp_path / 'nan_dump.npz'}."
    )
    with np.load(tmp_path / "nan_dump.npz") as dump:
        assert dump["env_id"] == 5
        for key in ("observations", "actions", "rewards", "joint_pos"):
            assert len(dump[key]) == 100, key
        bad = dump["rewards"] if reward else dump["observations"]
        assert np.isfinite(bad[:-1]).all() and not np.isfinite(bad[-1]).all(), "the last row is the bad one"


def test_a_dump_after_an_evaluation_holds_training_steps(
    new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trainer = new_trainer("backend=pointmass", "budget.report_env_steps=1024")
    for _ in range(2):
        trainer.train_until_report()
    before = trainer._env.history.last_steps(3)["observations"]  # type: ignore[attr-defined]
    poison(trainer, at_step=4, env_id=3, monkeypatch=monkeypatch, reward=True)
    with pytest.raises(TrainingDiverged):
        trainer.train_until_report()
    with np.load(tmp_path / "nan_dump.npz") as dump:
        assert len(dump["observations"]) == 100
        np.testing.assert_array_equal(dump["observations"][:96], before[4:])


def test_a_loss_that_is_not_finite_stops_the_trial(
    new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = new_trainer("backend=pointmass")
    monkeypatch.setattr(trainer.agent, "_value_loss", lambda *_: torch.tensor(math.inf))
    with pytest.raises(
        TrainingDiverged, match=r"'loss/value' became inf at update 1. Lower agent\.learning_rate"
    ):
        trainer.train_until_report()


def test_huge_but_finite_rewards_are_no_divergence(
    new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = new_trainer("backend=pointmass")
    result = trainer._env.step(torch.zeros(8, trainer._env.num_actions))
    result.rewards[:] = 3e38
    trainer._check_finite(result)


def test_it_learns(new_trainer: NewTrainer) -> None:
    """In seconds, on the gantry: it goes to the object and takes hold of it."""
    trainer = new_trainer(
        "backend=pointmass",
        "backend.num_envs=64",
        "agent.rollouts=16",
        "agent.mini_batches=4",
        "agent.learning_epochs=4",
        "agent.policy_hidden_dims=[64]",
        "agent.value_hidden_dims=[64]",
        "policy.episode_s=2.5",
        "policy.start.offset_m=[0,0,0.08]",
        "policy.events={}",
        "budget.env_steps=36000",
        "budget.report_env_steps=12000",
    )
    reports = []
    while not trainer.finished:
        reports.append(trainer.train_until_report())
    assert reports[-1]["reward/reach"] > reports[0]["reward/reach"] + 0.2
    assert reports[-1]["reward/grasp_success"] > 5 * reports[0]["reward/grasp_success"]
    assert reports[-1]["train/return"] > 5 * reports[0]["train/return"]
