"""The selection evaluation: what trials are compared by while they train.

Mean actions on the task as its file states it (a trial may train on searched randomisation, or on an
easier task while its curriculum lasts), on seeds kept for selection. It plays in the trial's own
environment, whose state is put aside and restored, so it leaves no trace in the training.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from blueprint_tune.config.evaluation_schema import SelectionConfig
from blueprint_tune.config.own_task import RETURN
from blueprint_tune.config.policy_schema import PolicyConfig
from blueprint_tune.envs.action_trace import ActionTrace
from blueprint_tune.envs.base import VecEnv
from blueprint_tune.learning.together import ALONE, Alone


class Played(NamedTuple):
    """What an evaluation found.

    Attributes:
        success_rate: 0 to 1. action_smoothness: 0 to 1, up to where each episode was decided (its success
            or end); NaN where none lasted three env steps.
        mean_return: of whole episodes; NaN unless they were played to their end.
    """

    success_rate: float
    action_smoothness: float
    mean_return: float = math.nan


class Selection:
    """Evaluates when its share of the training allows, and repeats the last figure when it does not.

    The share is counted in env steps, not in seconds, so that when a trial is evaluated does not
    depend on how fast the machine happens to be. An evaluated env step costs less than a trained one.

    Attributes:
        own: the policy config that is trained at present.
    """

    def __init__(
        self,
        config: SelectionConfig,
        env: VecEnv,
        own: PolicyConfig,
        task: PolicyConfig | None = None,
        together: Alone = ALONE,
        metrics: Sequence[str] = (),
    ) -> None:
        """``own``: the policy config that is trained; ``task``: the one that is played, if it is another.

        ``metrics``: what trials are compared by; only for a return are episodes played on when they have
        succeeded.
        """
        self._returns = RETURN in metrics
        self._config, self.own, self._task = config, own, task or own
        self._together = together
        num_envs = env.num_envs * self._together.size
        self._cost = math.ceil(config.episodes / num_envs) * num_envs * env.max_episode_steps
        """env steps of one evaluation at most"""
        self._evaluated_at, self._played = -1, Played(0.0, math.nan)
        self._trained_s, self._spent_s = 0.0, 0.0

    def evaluate(
        self, env: VecEnv, act: Callable[[Tensor], Tensor], env_steps: int, trained_s: float, last: bool
    ) -> dict[str, float]:
        """Metrics of the newest evaluation.

        ``env_steps``: trained so far; ``trained_s``: the training time since the last call. The ``last``
        report of a trial is always evaluated: its policy is the one that is compared and kept.
        """
        self._trained_s += trained_s
        since = env_steps - self._evaluated_at
        fresh = last or self._evaluated_at < 0 or self._cost <= self._config.max_time_fraction * since
        if fresh:
            began = time.perf_counter()
            self._played = self._play_task(env, act)
            self._evaluated_at = env_steps
            self._spent_s += time.perf_counter() - began
        returns = {RETURN: self._played.mean_return} if self._returns else {}
        return returns | {
            "eval/success_rate": self._played.success_rate,
            "eval/action_smoothness": self._played.action_smoothness,
            "eval/at_env_steps": float(self._evaluated_at),
            "perf/eval_fraction": self._spent_s / (self._trained_s + self._spent_s),
        }

    def _play_task(self, env: VecEnv, act: Callable[[Tensor], Tensor]) -> Played:
        if self.own == self._task:
            return self._play(env, act)
        saved = env.save_state()
        env.configure(self._task)
        played = self._play(env, act)
        env.configure(self.own)
        env.load_state(saved)
        return played

    def _play(self, env: VecEnv, act: Callable[[Tensor], Tensor]) -> Played:
        seed, episodes = self._config.seed, self._config.episodes
        return play(env, act, seed, episodes, self._together, self._returns)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "times_s": torch.tensor([self._trained_s, self._spent_s], dtype=torch.float64),
            "evaluated_at": self._evaluated_at,
            "success_rate": self._played.success_rate,
            "action_smoothness": self._played.action_smoothness,
            "mean_return": self._played.mean_return,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self._trained_s, self._spent_s = saved["times_s"].tolist()
        self._evaluated_at = saved["evaluated_at"]
        names = ("action_smoothness", "mean_return")
        self._played = Played(saved["success_rate"], *(saved.get(name, math.nan) for name in names))


def play(
    env: VecEnv,
    act: Callable[[Tensor], Tensor],
    seed: int,
    episodes: int,
    together: Alone = ALONE,
    to_the_end: bool = False,
) -> Played:
    """Slots 0 … episodes - 1 of a seed; the environment's state is left as it was, where it can be.

    Ranks share the episodes as they share the environments. An episode that has succeeded is decided, unless
    it is to be played ``to_the_end`` for its return.
    """
    saved = env.save_state()
    successes, earned, jerks = 0, 0.0, [np.zeros(0)]
    for first in range(together.rank * env.num_envs, episodes, together.size * env.num_envs):
        counted = min(env.num_envs, episodes - first)
        slots = first + np.arange(env.num_envs)
        succeeded, returns, jerk = _play_once(env, act, seed, slots, counted, to_the_end)
        successes, earned = successes + succeeded, earned + returns
        jerks.append(jerk[~np.isnan(jerk)])
    env.load_state(saved)
    measured = np.concatenate(jerks)
    mine = torch.tensor([successes, measured.sum(), len(measured), earned], dtype=torch.float64)
    total, jerk_sum, count, returns = together.sum(mine).tolist()
    smoothness = 1.0 - jerk_sum / count if count else math.nan
    return Played(total / episodes, smoothness, returns / episodes if to_the_end else math.nan)


@torch.inference_mode()
def _play_once(
    env: VecEnv,
    act: Callable[[Tensor], Tensor],
    seed: int,
    slots: np.ndarray,
    counted: int,
    to_the_end: bool,
) -> tuple[int, float, np.ndarray]:
    """Of the first ``counted`` environments: successes, sum of rewards, and normalised jerk, (counted,).

    Stops as soon as all of them are decided.
    """
    observations = env.reset(np.full(env.num_envs, seed, dtype=np.int64), slots)
    succeeded = torch.zeros(env.num_envs, dtype=torch.bool, device=env.device)
    earned = 0.0
    running = torch.arange(env.num_envs, device=env.device) < counted
    trace = ActionTrace(counted, env.num_actions)
    while running.any():
        actions = act(observations)
        rows = running.nonzero()[:, 0]
        trace.add(actions[rows].cpu().numpy(), rows.cpu().numpy())
        result = env.step(actions)
        observations = result.observations
        earned += float(result.rewards[running].sum()) if to_the_end else 0.0
        succeeded |= result.success_now & running
        running &= ~(result.terminated | result.truncated)
        if not to_the_end:
            running &= ~succeeded
    return int(succeeded[:counted].sum()), earned, trace.means()[1]
