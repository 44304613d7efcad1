"""Statistics of finished training episodes, by hand."""

from __future__ import annotations

import math

import torch

from blueprint_tune.envs.base import StepResult
from blueprint_tune.learning.episodes import EpisodeStatistics

NOBODY = [False, False]


def result(
    rewards: list[float],
    terminated: list[bool] = NOBODY,
    truncated: list[bool] = NOBODY,
    success: list[bool] = NOBODY,
) -> StepResult:
    flags = [torch.tensor(flag) for flag in (terminated, truncated, success, success)]
    done = any(terminated) or any(truncated)
    return StepResult(torch.zeros(2, 1), torch.zeros(2, 1), torch.tensor(rewards), *flags, done)


def test_means_over_the_episodes_that_ended() -> None:
    episodes = EpisodeStatistics(2)
    episodes.record(result([1.0, 10.0]))
    episodes.record(result([2.0, 20.0], terminated=[True, False], success=[True, True]))
    episodes.record(result([4.0, 40.0], truncated=[True, True], success=[False, True]))
    found = episodes.take()
    assert found["train/episodes"] == 3
    assert found["train/return"] == (3 + 4 + 70) / 3
    assert found["train/episode_length"] == (2 + 1 + 3) / 3
    assert found["train/success_rate"] == 2 / 3, "success counts where an episode ended"
    assert episodes.take()["train/episodes"] == 0
    assert math.isnan(episodes.take()["train/return"])


def test_running_episodes_survive_a_checkpoint() -> None:
    first, second = EpisodeStatistics(2), EpisodeStatistics(2)
    first.record(result([1.0, 2.0]))
    first.record(result([3.0, 4.0], truncated=[True, False]))
    second.load_state_dict({name: values.clone() for name, values in first.state_dict().items()})
    for episodes in (first, second):
        episodes.record(result([5.0, 6.0], truncated=[True, True], success=[True, False]))
    assert (
        first.take()
        == second.take()
        == {
            "train/episodes": 3.0,
            "train/return": (4 + 5 + 12) / 3,
            "train/episode_length": 2.0,
            "train/success_rate": 1 / 3,
        }
    )
