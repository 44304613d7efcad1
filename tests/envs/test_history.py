"""The last steps that explain a failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from blueprint_tune.envs.history import LENGTH, History
from blueprint_tune.envs.manipulation import ManipulationEnv


def filled(steps: int) -> History:
    history, actions = History(), torch.zeros(3, 2)
    for step in range(steps):
        rows = torch.arange(3.0) * 1000 + step
        actions.copy_(torch.stack([rows, -rows], dim=1))
        history.record(rows[:, None], actions, rows + 0.5, actions)
    return history


def test_a_short_run_is_kept_whole() -> None:
    kept = filled(7).last_steps(1)
    for name in ("actions", "joint_pos"):
        np.testing.assert_array_equal(kept[name][:, 0], 1000 + np.arange(7))
        np.testing.assert_array_equal(kept[name][:, 1], -1000 - np.arange(7))
    np.testing.assert_array_equal(kept["rewards"], 1000.5 + np.arange(7)[:, None])


def test_a_long_run_keeps_its_end_in_order() -> None:
    kept = filled(LENGTH * 2 + 13).last_steps(2)
    np.testing.assert_array_equal(kept["observations"][:, 0], 2000 + np.arange(LENGTH + 13, LENGTH * 2 + 13))


def test_a_dump_holds_what_the_environment_saw(
    new_env: Callable[..., ManipulationEnv], tmp_path: Path
) -> None:
    env = new_env("backend=pointmass", "policy.episode_s=2.0")
    env.reset(np.zeros(4, dtype=np.int64), np.arange(4))
    seen, done = [], []
    for step in range(LENGTH + 20):
        result = env.step(torch.full((4, env.num_actions), np.sin(step)))
        seen.append(result.terminal_observations[2].numpy())
        done.append(result.rewards[2].item())
    path = env.dump_history(2, tmp_path / "deep" / "nan_dump.npz")
    with np.load(path) as dump:
        assert dump["env_id"] == 2
        np.testing.assert_array_equal(dump["observations"], seen[-LENGTH:])
        np.testing.assert_array_equal(dump["rewards"][:, 0], np.array(done[-LENGTH:], dtype=np.float32))
        assert dump["actions"].shape == (LENGTH, env.num_actions)
        assert dump["joint_pos"].shape == (LENGTH, 9)


def test_an_evaluation_in_between_leaves_no_trace(new_env: Callable[..., ManipulationEnv]) -> None:
    env = new_env("backend=pointmass")

    def run(steps: int) -> None:
        for _ in range(steps):
            env.step(torch.zeros(4, env.num_actions))

    env.reset(np.zeros(4, dtype=np.int64), np.arange(4))
    run(5)
    before = env.history.last_steps(0)
    saved = env.save_state()
    env.reset(np.ones(4, dtype=np.int64), np.arange(4))
    run(9)
    env.load_state(saved)
    np.testing.assert_array_equal(env.history.last_steps(0)["observations"], before["observations"])
    run(2)
    assert len(env.history.last_steps(0)["observations"]) == 7
    env.configure(env.policy)
    env.load_state(saved)
    assert len(env.history.last_steps(0)["observations"]) == 0, "of another trial's steps it keeps nothing"
