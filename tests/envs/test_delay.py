"""Actions and observations that arrive late, by as many env steps as the episode drew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.envs.delay import DelayLine
from blueprint_tune.envs.manipulation import ManipulationEnv

NewEnv = Callable[..., ManipulationEnv]
BACKENDS = ("mujoco", "pointmass")
ACTIONS = "+policy.events.late_actions={kind: action_delay, steps: [0, 2]}"
OBSERVATIONS = "+policy.events.late_observations={kind: observation_delay, steps: [0, 3]}"


def delayed(steps: int, kind: str = "action_delay") -> str:
    return f"+policy.events.late={{kind: {kind}, steps: [{steps}, {steps}]}}"


def begin(env: ManipulationEnv, first: int = 0) -> Tensor:
    return env.reset(np.full(env.num_envs, 5), first + np.arange(env.num_envs))


def actions(env: ManipulationEnv, step: int) -> Tensor:
    return torch.sin(torch.arange(env.num_envs)[:, None] + torch.arange(env.num_actions) * 0.9 + 0.2 * step)


def steps_of(env: ManipulationEnv, name: str) -> Tensor:
    return env._delays.state_dict()[name]["steps"]


def test_each_environment_gets_the_value_as_old_as_its_delay() -> None:
    line = DelayLine(torch.zeros(3, 3, 1), torch.tensor([0, 1, 2]))
    pushed = [line.push(torch.full((3, 1), float(step))).flatten().tolist() for step in range(1, 6)]
    assert pushed == [[1, 0, 0], [2, 1, 0], [3, 2, 1], [4, 3, 2], [5, 4, 3]]
    line.restart(np.array([1]), torch.tensor([[9.0]]), np.array([2]))
    assert line.push(torch.full((3, 1), 6.0)).flatten().tolist() == [6, 9, 4]
    assert line.push(torch.full((3, 1), 7.0)).flatten().tolist() == [7, 9, 5]
    assert line.push(torch.full((3, 1), 8.0)).flatten().tolist() == [8, 6, 6]


def test_a_line_grows_without_losing_what_is_under_way() -> None:
    for pushes in range(2, 6):
        line, longer = (DelayLine(torch.zeros(3, 2, 1), torch.tensor([1, 2])) for _ in range(2))
        for step in range(pushes):
            line.push(torch.full((2, 1), float(step)))
            longer.push(torch.full((2, 1), float(step)))
        longer = longer.grown(7)
        assert len(longer.values) == 7
        for step in range(pushes, pushes + 9):
            values = torch.full((2, 1), float(step))
            assert torch.equal(longer.push(values), line.push(values))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("late", [1, 3])
def test_late_actions_do_later_what_prompt_ones_do_now(new_env: NewEnv, backend: str, late: int) -> None:
    """A robot that gets its actions late stands as it starts, then does the same."""
    env = new_env(f"backend={backend}", delayed(late))
    begin(env)
    started = env.simulator.state.joint_targets.clone()
    for step in range(late):
        env.step(actions(env, step))
        assert torch.equal(env.simulator.state.joint_targets, started), "no action has arrived"
        assert torch.equal(env.simulator.state.action, actions(env, step)), "what the policy put out"
    prompt = new_env(f"backend={backend}")
    begin(prompt)
    prompt.simulator.load_state(env.simulator.save_state())
    for step in range(6):
        env.step(actions(env, late + step))
        prompt.step(actions(prompt, step))
        found, expected = (each.simulator.state.joint_pos for each in (env, prompt))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert (found[:, :7] - started[:, :7]).abs().amax(dim=1).min() > 0.01, "and the robot moves"


@pytest.mark.parametrize("backend", BACKENDS)
def test_late_observations_show_the_past(new_env: NewEnv, backend: str) -> None:
    late = 2
    env = new_env(f"backend={backend}", delayed(late, "observation_delay"), "policy.episode_s=0.5")
    twin = new_env(f"backend={backend}", "policy.episode_s=0.5")
    first = begin(env)
    shown = [begin(twin)]
    assert torch.equal(first, shown[0])
    for step in range(env.max_episode_steps):
        found, prompt = env.step(actions(env, step)), twin.step(actions(twin, step))
        shown.append(prompt.terminal_observations)
        assert torch.equal(found.terminal_observations, shown[max(0, step + 1 - late)]), step
        assert torch.equal(found.rewards, prompt.rewards), "rewards are about what is"
    assert found.done and torch.equal(found.observations, prompt.observations), "a start is seen at once"
    after = env.step(actions(env, 0))
    assert torch.equal(after.observations, found.observations), "nothing older than the episode is shown"


def test_a_delay_is_drawn_by_seed_and_slot_alone(new_env: NewEnv) -> None:
    small, large = new_env("backend=pointmass", ACTIONS), new_env("backend=pointmass", ACTIONS, num_envs=64)
    begin(large)
    expected = steps_of(large, "actions")
    assert set(expected.tolist()) == {0, 1, 2}
    begin(small, first=10)
    assert torch.equal(steps_of(small, "actions"), expected[10:14])
    for step in range(small.max_episode_steps):
        small.step(actions(small, step))
    assert torch.equal(steps_of(small, "actions"), expected[14:18]), "drawn anew for the next episode"


def test_some_that_begin_do_not_disturb_the_others(new_env: NewEnv) -> None:
    env = new_env("backend=pointmass", ACTIONS, OBSERVATIONS, "policy.episode_s=1.0", num_envs=16)
    twin = new_env("backend=pointmass", ACTIONS, OBSERVATIONS, "policy.episode_s=1.0", num_envs=16)
    seeds, slots = np.full(16, 5), np.arange(16)
    env.reset(seeds, slots, stagger=True)
    twin.reset(seeds, slots)
    ended = torch.zeros(16, dtype=torch.bool)
    for step in range(env.max_episode_steps // 2):
        found, whole = env.step(actions(env, step)), twin.step(actions(twin, step))
        running = ~ended
        assert torch.equal(found.terminal_observations[running], whole.observations[running]), step
        ended |= found.truncated
    assert ended.any() and not ended.all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_under_way_is_part_of_the_state(new_env: NewEnv, backend: str) -> None:
    overrides = (f"backend={backend}", ACTIONS, OBSERVATIONS, "policy.episode_s=0.7")
    env, other = new_env(*overrides), new_env(*overrides)
    begin(env)
    for step in range(5):
        env.step(actions(env, step))
    saved = env.save_state()
    expected = [env.step(actions(env, step)) for step in range(5, 30)]
    assert any(result.done for result in expected)
    for restored in (env, other):
        begin(restored, first=77)
        restored.step(actions(restored, 3))
        restored.load_state(saved)
        for step, wanted in enumerate(expected, start=5):
            found = restored.step(actions(restored, step))
            for name in ("observations", "terminal_observations", "rewards", "truncated"):
                assert torch.equal(getattr(found, name), getattr(wanted, name)), (step, name)


def test_delays_may_change_while_episodes_run(new_env: NewEnv) -> None:
    """Those that run keep theirs, those that begin draw from the new range."""
    env, twin = (new_env("backend=pointmass", ACTIONS, "policy.episode_s=1.0") for _ in range(2))
    begin(env)
    begin(twin)
    for step in range(env.max_episode_steps - 1):
        if step == 4:
            late = {"kind": "action_delay", "steps": [7, 7]}
            seen = {"kind": "observation_delay", "steps": [5, 5]}
            env.configure(
                replace(env.policy, events={**env.policy.events, "late_actions": late, "seen": seen})
            )
        found, expected = env.step(actions(env, step)), twin.step(actions(twin, step))
        assert torch.equal(found.observations, expected.observations), step
    assert env.step(actions(env, 0)).done
    assert steps_of(env, "actions").tolist() == [7] * 4 and steps_of(env, "observations").tolist() == [5] * 4


def test_nothing_late_nothing_kept(new_env: NewEnv) -> None:
    env = new_env("backend=pointmass")
    begin(env)
    env.step(actions(env, 0))
    assert env.save_state()["delays"] == {}
