"""A curriculum moves with success, is continued exactly, and does not reach evaluations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.config.policy_schema import CurriculumChange, CurriculumConfig, PolicyConfig
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.factory import check_task
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.errors import ConfigError
from blueprint_tune.learning import selection
from blueprint_tune.learning.curriculum import Curriculum
from blueprint_tune.learning.selection import Selection, play
from blueprint_tune.learning.trainer import Trainer

NewTrainer = Callable[..., Trainer]
NewEnv = Callable[..., ManipulationEnv]
CHANGES = {
    "pose": CurriculumChange(path="events.target_pose.x_m", start=[0.0, 0.0]),
    "tolerance": CurriculumChange(path="success.distance_m", start=0.09),
}
REACH = "policy.success={term: within_distance, a: robot/ee, b: target, distance_m: 0.04, hold_s: 0.1}"
MOVES = (
    "+policy.curriculum={raise_at: 0.0, step: 0.5, changes: {"
    "pose: {path: events.target_pose.x_m, start: [0.0, 0.0]}, "
    "late: {path: events.late.steps, start: [0, 0]}, "
    "seen: {path: events.seen.steps, start: [0, 0]}, "
    "solver: {path: events.solver.dt_noise_ratio, start: 0.0}, "
    "weight: {path: rewards.reach.weight, start: 3.0}}}",
    "+policy.events.late={kind: action_delay, steps: [0, 2]}",
    "+policy.events.seen={kind: observation_delay, steps: [0, 3]}",
    "+policy.events.solver={kind: solver, dt_noise_ratio: 0.15}",
)


@pytest.fixture
def taught(config: Callable[..., ExperimentConfig]) -> Callable[..., PolicyConfig]:
    """taught(**settings) -> pick and place with a curriculum."""

    def make(raise_at: float = 0.7, step: float = 0.25, lower_at: float | None = None) -> PolicyConfig:
        return replace(config().policy, curriculum=CurriculumConfig(raise_at, step, CHANGES, lower_at))

    return make


def levels(curriculum: Curriculum, *success_rates: float) -> list[float]:
    found = []
    for success_rate in success_rates:
        before = curriculum.metrics()["train/curriculum_level"]
        moved = curriculum.report(success_rate)
        found.append(curriculum.metrics()["train/curriculum_level"])
        assert moved == (found[-1] != before)
    return found


def test_the_level_rises_with_success_and_never_falls(taught: Callable[..., PolicyConfig]) -> None:
    curriculum = Curriculum(taught())
    assert curriculum.policy.events["target_pose"]["x_m"] == [0.0, 0.0]
    assert levels(curriculum, math.nan, 0.69, 0.7, 0.0, 1.0) == [0.0, 0.0, 0.25, 0.25, 0.5]
    assert curriculum.policy.success["distance_m"] == pytest.approx(0.06)
    assert levels(curriculum, 0.9, 0.9, 0.9, 0.1) == [0.75, 1.0, 1.0, 1.0]
    assert curriculum.policy == taught()


def test_the_level_falls_where_that_is_asked_for(taught: Callable[..., PolicyConfig]) -> None:
    curriculum = Curriculum(taught(lower_at=0.2, step=0.4))
    rates = (0.1, 0.7, 0.9, 0.9, 0.2, 0.21, math.nan, 0.0, 0.0)
    assert levels(curriculum, *rates) == [0.0, 0.4, 0.8, 1.0, 0.6, 0.6, 0.6, 0.2, 0.0]


def test_small_steps_end_exactly_at_the_file(taught: Callable[..., PolicyConfig]) -> None:
    curriculum = Curriculum(taught(step=0.1))
    assert levels(curriculum, *[1.0] * 10)[-1] == 1.0
    assert curriculum.policy == taught(step=0.1)


def test_a_policy_without_one_is_trained_as_it_is(config: Callable[..., ExperimentConfig]) -> None:
    curriculum = Curriculum(config().policy)
    assert curriculum.policy is config().policy and curriculum.metrics() == {}
    assert not curriculum.report(1.0)


def weights(trainer: Trainer) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in trainer.agent._parameters()]


@pytest.mark.parametrize("backend", ["mujoco", "pointmass"])
def test_continuing_equals_not_having_stopped_while_it_moves(
    new_trainer: NewTrainer, tmp_path: Path, backend: str
) -> None:
    """Ranges, delays, solver and a weight change before and after the checkpoint."""
    overrides = (f"backend={backend}", *MOVES, "policy.episode_s=0.7")
    straight, stopped = new_trainer(*overrides), new_trainer(*overrides)
    expected = [straight.train_until_report() for _ in range(5)]
    assert [each["train/curriculum_level"] for each in expected] == [0.0, 0.5, 1.0, 1.0, 1.0]
    assert straight._env._delays.state_dict().keys() == {"actions", "observations"}  # type: ignore[attr-defined]
    for stop in (1, 2):
        stopped.train_until_report()
        stopped.save(tmp_path / "checkpoint.pt")
        resumed = new_trainer(*overrides, "seed=7")
        resumed.train_until_report()
        resumed.load(tmp_path / "checkpoint.pt")
        for wanted in expected[stop:]:
            found = resumed.train_until_report()
            for name, value in wanted.items():
                if not name.startswith("perf/"):
                    assert found[name] == value or (math.isnan(found[name]) and math.isnan(value)), name
        assert all(torch.equal(a, b) for a, b in zip(weights(resumed), weights(straight)))


def test_training_episodes_begin_as_the_level_says(new_trainer: NewTrainer) -> None:
    overrides = ("backend=pointmass", MOVES[0].replace("raise_at: 0.0", "raise_at: 1.0"), *MOVES[1:])
    trainer = new_trainer(*overrides, "policy.episode_s=0.5")
    env = trainer._env
    assert isinstance(env, ManipulationEnv)

    def spread() -> float:
        starts = env._sampler.draw(np.zeros(200, dtype=np.int64), np.arange(200)).starts
        ahead = starts.body_pos[:, 0, :2] - starts.body_pos[:, 0, :2].mean(axis=0)
        yaw = env.task.robot_base[3]
        return float((ahead @ [np.cos(yaw), np.sin(yaw)]).std())

    trainer.train_until_report()
    assert spread() < 1e-6 and env.policy.rewards["reach"]["weight"] == 3.0
    trainer._curriculum.report(1.0)
    trainer._follow_curriculum()
    assert spread() == pytest.approx(0.05 / math.sqrt(3), rel=0.1)
    assert env.policy.rewards["reach"]["weight"] == 2.0


def test_the_selection_evaluation_plays_the_file(
    new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, played = new_trainer("backend=pointmass", *MOVES, "policy.episode_s=0.5"), []
    env = trainer._env
    assert isinstance(env, ManipulationEnv)

    def spy(*arguments: Any) -> float:
        played.append(env.policy)
        return play(*arguments)

    monkeypatch.setattr(selection, "play", spy)
    trained = []
    for _ in range(4):
        trainer.train_until_report()
        trained.append(env.policy.events["target_pose"]["x_m"])
    assert len(played) > 1 and all(policy == trainer._config.policy for policy in played)
    assert trained == [[-0.05, 0.05], [-0.1, 0.1], [-0.1, 0.1], [-0.1, 0.1]]


def test_what_is_evaluated_does_not_depend_on_the_level(
    new_env: NewEnv, config: Callable[..., ExperimentConfig]
) -> None:
    overrides = ("backend=pointmass", "policy.episode_s=1.5", REACH)
    env, fresh = new_env(*overrides), new_env(*overrides)
    sizes = dict(env.observation_names)
    first = sum(sizes[name] for name in list(sizes)[: list(sizes).index("target_rel")])

    def act(observations: Tensor) -> Tensor:
        """Goes to the object, too slowly for the far ones."""
        actions = torch.zeros(len(observations), env.num_actions)
        actions[:, :3] = (2.0 * observations[:, first : first + 3]).clamp(-0.1, 0.1)
        return actions

    settings = replace(config().evaluation.selection, episodes=12)
    file = replace(env.policy, curriculum=CurriculumConfig(0.5, 0.5, CHANGES))
    curriculum = Curriculum(file)
    expected = play(fresh, act, settings.seed, settings.episodes).success_rate
    fresh.configure(curriculum.policy)
    easier = play(fresh, act, settings.seed, settings.episodes).success_rate
    assert easier > expected > 0.0, "the level makes it easier"
    chooser = Selection(settings, env, curriculum.policy, file)
    for _ in range(3):
        env.configure(curriculum.policy)
        env.reset(np.zeros(4, dtype=np.int64), np.arange(4))
        assert chooser.evaluate(env, act, 1000, 1.0, last=True)["eval/success_rate"] == expected
        assert env.policy == curriculum.policy, "training goes on as it was"
        curriculum.report(1.0)
        chooser.own = curriculum.policy


def test_an_environment_is_built_as_the_file_says(new_env: NewEnv) -> None:
    """The benchmark's: no curriculum."""
    env = new_env("backend=pointmass", *MOVES)
    assert env.policy.events["target_pose"]["x_m"] == [-0.1, 0.1]
    starts = env._sampler.draw(np.zeros(300, dtype=np.int64), np.arange(300)).starts
    assert np.ptp(starts.body_pos[:, 0, :2], axis=0).max() > 0.15


def test_its_beginning_is_checked_before_anything_starts(config: Callable[..., ExperimentConfig]) -> None:
    scale = "pose: {path: events.target_pose.x_m, start: [0.02, -0.02]}"
    settings = config(f"+policy.curriculum={{raise_at: 0.5, step: 0.5, changes: {{{scale}}}}}")
    with pytest.raises(
        ConfigError, match=r"event 'target_pose': 'x_m' must be \[low, high\], not \[0\.02, -0"
    ):
        check_task(settings)
