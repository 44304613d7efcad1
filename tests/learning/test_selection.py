"""The selection evaluation: the same episodes however many environments play them, in its share of time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.config.evaluation_schema import SelectionConfig
from blueprint_tune.envs.action_trace import ActionTrace
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.learning import selection
from blueprint_tune.learning.selection import Played, Selection, play

NewEnv = Callable[..., ManipulationEnv]
EASY = (
    "backend=pointmass",
    "policy.episode_s=1.5",
    "policy.success={term: within_distance, a: robot/ee, b: target, distance_m: 0.04, hold_s: 0.1}",
)


def towards_the_object(env: ManipulationEnv) -> Callable[[Tensor], Tensor]:
    """Goes to the object from the observations alone, at a speed that is too slow for the far ones."""
    first = sum(
        size for _, size in env.observation_names[: list(env.policy.observations).index("target_rel")]
    )

    def act(observations: Tensor) -> Tensor:
        actions = torch.zeros(len(observations), env.num_actions)
        actions[:, :3] = (2.0 * observations[:, first : first + 3]).clamp(-0.1, 0.1)
        return actions

    return act


def by_hand(env: ManipulationEnv, seed: int, episodes: int) -> Played:
    """Every episode by itself, to its end; its actions are judged until it has succeeded."""
    act, successes, jerks = towards_the_object(env), 0, list[float]()
    for slot in range(episodes):
        observations = env.reset(np.full(1, seed), np.array([slot]))
        trace, done, succeeded = ActionTrace(1, env.num_actions), False, False
        while not done:
            actions = act(observations)
            if not succeeded:
                trace.add(actions.numpy(), np.array([0]))
            result = env.step(actions)
            observations, done = result.observations, result.done
            succeeded |= bool(result.success_now[0])
        successes += int(result.success[0])
        jerks.append(float(trace.means()[1][0]))
    return Played(successes / episodes, 1.0 - float(np.mean(jerks)))


@pytest.mark.parametrize(("num_envs", "episodes"), [(4, 10), (16, 10), (10, 10)])
def test_every_slot_counts_once(new_env: NewEnv, num_envs: int, episodes: int) -> None:
    expected = by_hand(new_env(*EASY, num_envs=1), 90001, episodes)
    assert 0.1 < expected.success_rate < 0.9, "some succeed, some do not"
    assert 0.5 < expected.action_smoothness < 1.0
    env = new_env(*EASY, num_envs=num_envs)
    found = play(env, towards_the_object(env), 90001, episodes)
    assert found.success_rate == expected.success_rate
    assert found.action_smoothness == pytest.approx(expected.action_smoothness, rel=1e-6)


def test_playing_leaves_the_environment_as_it_was(new_env: NewEnv) -> None:
    env, twin = new_env(*EASY), new_env(*EASY)
    for each in (env, twin):
        each.reset(np.zeros(4, dtype=np.int64), np.arange(4), stagger=True)
        for _ in range(5):
            each.step(torch.ones(4, each.num_actions))
    play(env, towards_the_object(env), 90001, 6)
    for _ in range(40):
        found, expected = (each.step(-torch.ones(4, each.num_actions)) for each in (env, twin))
        assert torch.equal(found.observations, expected.observations)
        assert torch.equal(found.success_now, expected.success_now)
    assert torch.equal(env.reward_sums()[0], twin.reward_sums()[0])


def test_evaluations_keep_to_their_share_of_the_env_steps(
    new_env: NewEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    env, plays = new_env(*EASY), 0
    settings = SelectionConfig(seed=1, episodes=10, max_time_fraction=0.1)
    cost = 3 * 4 * env.max_episode_steps
    every = math.ceil(10 * cost / 1000)

    def fake_play(*_: object) -> Played:
        nonlocal plays
        plays += 1
        return Played(plays / 10, 1 - plays / 100)

    monkeypatch.setattr(selection, "play", fake_play)
    chooser, played_at = Selection(settings, env, env.policy), []
    for report in range(1, 3 * every + 3):
        before = plays
        metrics = chooser.evaluate(
            env, towards_the_object(env), report * 1000, 1.0, last=report == 3 * every + 2
        )
        if plays > before:
            played_at.append(report)
        assert metrics["eval/success_rate"] == plays / 10, "the newest figure is repeated"
        assert metrics["eval/action_smoothness"] == 1 - plays / 100
        assert metrics["eval/at_env_steps"] == played_at[-1] * 1000
        if report == every + 3:
            saved, chooser = chooser.state_dict(), Selection(settings, env, env.policy)
            chooser.load_state_dict(saved)
    first = 1
    assert played_at == [first, first + every, first + 2 * every, first + 3 * every, 3 * every + 2]


def test_trials_are_compared_on_the_task_as_its_file_states_it(new_env: NewEnv) -> None:
    """Whatever randomisation a trial trains on, which goes on as if nothing had happened."""
    env, twin = new_env(*EASY), new_env(*EASY)
    narrow = replace(env.policy, events={})
    settings = SelectionConfig(seed=90001, episodes=10, max_time_fraction=0.5)
    expected = play(env, towards_the_object(env), settings.seed, settings.episodes)
    found = []
    for each in (env, twin):
        each.configure(narrow)
        each.reset(np.zeros(4, dtype=np.int64), np.arange(4), stagger=True)
        task = twin.task.policy if each is env else None
        chooser = Selection(settings, each, narrow, task)
        metrics = chooser.evaluate(each, towards_the_object(each), 1000, 1.0, last=False)
        found.append(metrics["eval/success_rate"])
    assert found[0] == expected.success_rate != found[1], "the twin is judged by the starts that it trains on"
    for _ in range(40):
        after, twins = (each.step(-torch.ones(4, each.num_actions)) for each in (env, twin))
        assert torch.equal(after.observations, twins.observations)


def test_a_return_is_that_of_whole_episodes(new_env: NewEnv) -> None:
    """An episode that has succeeded is decided, but what it earns afterwards counts as well."""
    env = new_env(*EASY)
    act = towards_the_object(env)
    half, whole = play(env, act, 5, 6), play(env, act, 5, 6, to_the_end=True)
    assert 0.0 < half.success_rate == whole.success_rate and math.isnan(half.mean_return)
    total = 0.0
    for first, counted in ((0, 4), (4, 2)):
        env.reset(np.full(4, 5), first + np.arange(4))
        for _ in range(env.max_episode_steps):
            total += float(env.step(act(env.observations)).rewards[:counted].sum())
    assert whole.mean_return == pytest.approx(total / 6, rel=1e-5)
