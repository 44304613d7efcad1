"""What every environment promises to learning and evaluation, whatever physics is behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.errors import ConfigError

BACKENDS = ("mujoco", "pointmass")
POLICIES = ("dexterous_pick_place", "drawer_manipulation")
SHORT = "policy.episode_s=0.5"

Make = Callable[..., ManipulationEnv]


@pytest.fixture(params=BACKENDS)
def make(request: pytest.FixtureRequest, new_env: Make) -> Make:
    def build(*overrides: str, policy: str = POLICIES[0], num_envs: int = 4) -> ManipulationEnv:
        return new_env(f"policy={policy}", f"backend={request.param}", *overrides, num_envs=num_envs)

    return build


def slots(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def begin(env: ManipulationEnv, seed: int = 5, first: int = 0, stagger: bool = False) -> Tensor:
    return env.reset(np.full(env.num_envs, seed), first + np.arange(env.num_envs), stagger=stagger)


def actions(env: ManipulationEnv, step: int) -> Tensor:
    """Different in every environment; a pure function of the step."""
    return torch.sin(torch.arange(env.num_envs)[:, None] + torch.arange(env.num_actions) * 0.9 + 0.2 * step)


def start(env: ManipulationEnv) -> dict[str, Tensor]:
    """What an episode begins with, in every environment."""
    state = env.simulator.state
    names = ("joint_pos", "joint_vel", "frame_pos", "frame_quat", "joint_targets", "contact_force")
    return {name: getattr(state, name).clone() for name in names} | {
        f"command/{name}": values.clone() for name, values in state.commands.items()
    }


def frozen(tree: Any) -> Any:
    """A deep copy of a saved state."""
    if isinstance(tree, dict):
        return {key: frozen(value) for key, value in tree.items()}
    return tree.clone() if isinstance(tree, Tensor) else tree


def assert_equal_trees(found: Any, expected: Any, where: str = "") -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_equal_trees(found[key], expected[key], f"{where}/{key}")
    elif isinstance(expected, Tensor):
        assert torch.equal(found, expected), where
    else:
        assert found == expected, where


@pytest.mark.parametrize("policy", POLICIES)
def test_sizes_and_names_agree(make: Make, policy: str) -> None:
    env = make(policy=policy)
    observations = begin(env)
    assert observations.shape == (4, env.num_observations) and observations.dtype == torch.float32
    assert sum(size for _, size in env.observation_names) == env.num_observations
    assert [name for name, _ in env.observation_names] == list(env.policy.observations)
    assert len(env.action_names) == env.num_actions
    assert env.reward_terms == tuple(env.policy.rewards)
    assert env.max_episode_steps == round(env.policy.episode_s / env.control_dt_s)
    result = env.step(actions(env, 0))
    assert result.rewards.shape == (4,) and result.rewards.dtype == torch.float32
    for flag in (result.terminated, result.truncated, result.success, result.success_now):
        assert flag.shape == (4,) and flag.dtype == torch.bool
    assert result.observations is result.terminal_observations and not result.done


@pytest.mark.parametrize("policy", POLICIES)
def test_a_start_is_a_function_of_seed_and_slot_alone(make: Make, policy: str) -> None:
    """Not of the number of environments, their order, or what ran before."""
    small, large = make(policy=policy), make(policy=policy, num_envs=9)
    small.reset(np.array([5, 5, 7, 5]), slots(0, 3, 3, 11))
    expected = start(small)
    begin(large, seed=3)
    for step in range(4):
        large.step(actions(large, step))
    seeds = np.array([1, 5, 2, 5, 1, 5, 7, 2, 3])
    large.reset(seeds, slots(9, 11, 8, 3, 7, 0, 3, 1, 2))
    found = start(large)
    for name, values in expected.items():
        assert torch.equal(found[name][[5, 3, 6, 1]], values), name
    assert not torch.equal(found["joint_pos"][3], found["joint_pos"][6]), "another seed, another start"
    assert not torch.equal(found["joint_pos"][3], found["joint_pos"][5]), "another slot, another start"


def test_environments_go_on_with_the_slot_num_envs_further(make: Make) -> None:
    env, other = make(SHORT), make(SHORT)
    begin(env, first=20)
    for first in (24, 28):
        for step in range(env.max_episode_steps):
            result = env.step(actions(env, step))
        assert result.truncated.all() and result.done
        assert torch.equal(result.observations, begin(other, first=first))
        for name, values in start(other).items():
            assert torch.equal(start(env)[name], values), name


def test_episodes_end_by_time_and_only_then(make: Make) -> None:
    env = make(SHORT)
    begin(env)
    for episode in range(2):
        for step in range(env.max_episode_steps):
            result = env.step(torch.zeros(4, env.num_actions))
            ended = step == env.max_episode_steps - 1
            assert result.done == ended and bool(result.truncated.all()) == ended, (episode, step)
            assert not result.terminated.any()
            elapsed = 0.0 if ended else step + 1.0
            assert torch.equal(env.simulator.state.elapsed_steps, torch.full((4,), elapsed))


def test_the_terminal_observation_is_kept_beside_the_new_start(make: Make) -> None:
    timeless = "policy.rewards.efficiency_bonus.weight=0.0"  # it counts in lengths of the episode
    env, twin = make(SHORT, timeless), make("policy.episode_s=5.0", timeless)
    begin(env)
    begin(twin)
    for step in range(env.max_episode_steps):
        result, unbroken = env.step(actions(env, step)), twin.step(actions(twin, step))
    assert result.done and not unbroken.done
    assert torch.equal(result.terminal_observations, unbroken.observations)
    assert torch.equal(result.rewards, unbroken.rewards)
    assert not torch.equal(result.observations, result.terminal_observations)
    names = [name for name, size in env.observation_names for _ in range(size)]
    last_action = result.observations[:, [name == "last_action" for name in names]]
    assert last_action.shape[1] == env.num_actions
    assert (last_action == 0).all(), "a new episode has no last action"


def test_first_episodes_can_be_staggered(make: Make) -> None:
    env = make(SHORT, num_envs=16)
    begin(env, stagger=True)
    first_end = torch.zeros(16, dtype=torch.int64)
    second_end = torch.zeros(16, dtype=torch.int64)
    for step in range(1, 2 * env.max_episode_steps + 1):
        ended = env.step(torch.zeros(16, env.num_actions)).truncated
        second_end[ended & (first_end > 0) & (second_end == 0)] = step
        first_end[ended & (first_end == 0)] = step
    assert first_end.min() >= 1 and first_end.max() <= env.max_episode_steps
    assert len(first_end.unique()) >= env.max_episode_steps / 2, "spread over the episode"
    assert (second_end - first_end == env.max_episode_steps).all(), "then of full length"


@pytest.mark.parametrize("policy", POLICIES)
def test_no_start_succeeds_by_standing_still(make: Make, policy: str) -> None:
    """Thousands of starts; the margins are those of the honest-task rules: 5 cm, 30 % of a range."""
    env = make(policy=policy)
    count = 4000
    episodes = env._sampler.draw(np.repeat(np.arange(4), count // 4), np.tile(np.arange(count // 4), 4))
    if policy == "dexterous_pick_place":
        gap = np.linalg.norm(episodes.commands["goal"] - episodes.starts.body_pos[:, 0], axis=1)
        assert gap.min() > 0.03 + 0.05
        assert gap.min() < 0.1, "drawn up to the margin"
    else:
        low, high = env.simulator.joint_limits[-1]
        fraction = (episodes.starts.joint_pos[:, -1] - low) / (high - low)
        gap = np.abs(fraction - episodes.commands["opening"][:, 0])
        assert gap.min() > 0.1 + 0.3
        assert gap.min() < 0.42, "drawn up to the margin"
        assert 0.3 < (episodes.commands["opening"] == 1.0).mean() < 0.7
    drawn = episodes.starts.joint_pos[:, :7]
    assert (drawn.std(axis=0) > 0.04).all(), "the arm starts from many postures"
    limits = env.simulator.joint_limits[:7]
    assert (drawn >= limits[:, 0]).all() and (drawn <= limits[:, 1]).all()


def put_target_at_goal(env: ManipulationEnv, rows: list[int]) -> None:
    """Make the success condition hold by moving the goal to the object."""
    state = env.simulator.state
    frame = state.catalog.frames.index("target")
    state.commands["goal"][rows] = state.frame_pos[rows, frame]


def test_success_must_be_held(make: Make) -> None:
    env = make("policy.success.hold_s=0.2")
    held_steps = round(0.2 / env.control_dt_s)
    begin(env)
    put_target_at_goal(env, [1, 2])
    still = torch.zeros(4, env.num_actions)
    for step in range(1, held_steps + 2):
        if step == held_steps:
            env.simulator.state.commands["goal"][2] += 1.0
        result = env.step(still)
        expected = [False, step >= held_steps, False, False]
        assert result.success_now.tolist() == expected, step
        assert not result.done, "success does not end an episode"
    put_target_at_goal(env, [2])
    for step in range(1, held_steps + 1):
        assert bool(env.step(still).success_now[2]) == (step == held_steps), "counted anew"
    env.simulator.state.commands["goal"][1] += 1.0
    assert env.step(still).success_now[1], "success once held stays with the episode"


def test_success_is_reported_with_the_episode_that_had_it(make: Make) -> None:
    env = make(SHORT, "policy.success.hold_s=0.0")
    begin(env)
    put_target_at_goal(env, [0])
    for _ in range(env.max_episode_steps):
        result = env.step(torch.zeros(4, env.num_actions))
    assert result.success.tolist() == [True, False, False, False]
    assert not env.step(torch.zeros(4, env.num_actions)).success_now.any()
    assert result.success.tolist() == [True, False, False, False], "a result does not change later"


def test_actions_are_clipped(make: Make) -> None:
    wide, narrow = make(), make()
    for env, value in ((wide, 7.0), (narrow, 1.0)):
        begin(env)
        env.step(torch.full((4, env.num_actions), value))
    assert torch.equal(wide.simulator.state.joint_pos, narrow.simulator.state.joint_pos)
    assert (wide.simulator.state.action == 1.0).all()


def test_rewards_are_the_weighted_terms(make: Make) -> None:
    env = make()
    begin(env)
    total = torch.zeros(4)
    for step in range(5):
        total += env.step(actions(env, step)).rewards
    raw, weighted, pairs = env.reward_sums()
    assert pairs == 20
    weights = torch.tensor([env.policy.rewards[name].get("weight", 1.0) for name in env.reward_terms])
    torch.testing.assert_close(weighted, raw * weights)
    torch.testing.assert_close(weighted.sum(), total.sum(), rtol=1e-4, atol=1e-4)
    assert env.reward_sums()[2] == 0 and (env.reward_sums()[0] == 0).all(), "counted from the last call"


def test_configure_swaps_weights_and_events_only(make: Make) -> None:
    env, plain = make(), make()
    rewards = {name: dict(entry) for name, entry in env.policy.rewards.items()}
    rewards["reach"]["weight"] = 3.0
    events = {name: dict(entry) for name, entry in env.policy.events.items()}
    events["target_friction"]["range"] = [2.0, 2.5]
    original = env.policy
    env.configure(replace(original, rewards=rewards, events=events))
    for each in (env, plain):
        begin(each)
    first, second = env.step(actions(env, 0)), plain.step(actions(plain, 0))
    raw = plain.reward_sums()[0]
    reach = plain.reward_terms.index("reach")
    torch.testing.assert_close((first.rewards - second.rewards).sum(), 2.0 * raw[reach], rtol=1e-3, atol=1e-4)
    drawn = env._sampler.draw(np.zeros(50, dtype=np.int64), np.arange(50)).starts.friction_scale
    assert drawn.min() >= 2.0 and drawn.max() <= 2.5
    env.configure(original)
    begin(env)
    begin(plain)
    for step in range(3):
        again, expected = env.step(actions(env, step)), plain.step(actions(plain, step))
        assert torch.equal(again.observations, expected.observations)
        assert torch.equal(again.rewards, expected.rewards)


def test_configure_refuses_contacts_that_are_not_measured(make: Make) -> None:
    env = make()
    requests = list(env.simulator.state.catalog.contacts)
    pressed = {"term": "grasped", "by": "robot/arm", "what": "target"}
    with pytest.raises(ConfigError, match=r"asks for the contact force of '.*' on '.*', which this envir"):
        env.configure(replace(env.policy, rewards={**env.policy.rewards, "pressed": pressed}))
    assert env.simulator.state.catalog.contacts == requests
    begin(env)
    env.step(actions(env, 0))


@pytest.mark.parametrize("policy", POLICIES)
def test_a_loaded_environment_goes_on_bit_for_bit(make: Make, policy: str) -> None:
    """Also across auto-resets, after other episodes, and in an environment that never ran."""
    env = make("policy.episode_s=1.0", policy=policy)
    begin(env, stagger=True)
    for step in range(6):
        env.step(actions(env, step))
    saved = frozen(env.save_state())

    def go_on(which: ManipulationEnv) -> list[Tensor]:
        found = []
        for step in range(6, 6 + 2 * which.max_episode_steps):
            result = which.step(actions(which, step))
            found += [result.observations, result.terminal_observations, result.rewards]
            found += [result.truncated, result.success, result.success_now]
        return [*found, *which.reward_sums()[:2]]

    expected = go_on(env)
    begin(env, seed=99)
    env.step(actions(env, 3))
    other = make("policy.episode_s=1.0", policy=policy)
    for restored in (env, other):
        restored.load_state(frozen(saved))
        assert_equal_trees(restored.save_state(), saved)
        for found, wanted in zip(go_on(restored), expected, strict=True):
            assert torch.equal(found, wanted)


def test_an_environment_that_ran_before_is_as_good_as_new(
    make: Make, config: Callable[..., ExperimentConfig]
) -> None:
    warm, cold = make(), make()
    other = config("policy.rewards.reach.weight=9.0", "policy.events.target_friction.range=[0.5,0.6]")
    warm.configure(other.policy)
    begin(warm, seed=8, stagger=True)
    for step in range(7):
        warm.step(actions(warm, step))
    for env in (warm, cold):
        env.configure(config().policy)
        begin(env, stagger=True)
    for step in range(12):
        found, expected = warm.step(actions(warm, step)), cold.step(actions(cold, step))
        assert torch.equal(found.observations, expected.observations), step
        assert torch.equal(found.rewards, expected.rewards), step
    saved, expected = (
        {k: v for k, v in env.save_state().items() if k != "simulator"} for env in (warm, cold)
    )
    assert_equal_trees(saved, expected)
