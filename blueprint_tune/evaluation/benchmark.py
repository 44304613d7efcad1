"""The benchmark: fixed seeds, one counted episode a (seed, slot), mean actions.

Whatever number of environments there is, the same episodes are run from the same starts, and the
policy is asked in batches of one fixed size with every episode at its own fixed row, so that the
numbers do not depend on the number of environments by so much as a rounding error of the matrix
products.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blueprint_tune.envs.action_trace import ActionTrace, Floats
from blueprint_tune.envs.base import StepResult, VecEnv
from blueprint_tune.envs.probe import Measured
from blueprint_tune.evaluation.sim2real import Strain, strain

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Act = Callable[[Tensor], Tensor]
"""(B, O) observations -> (B, A) actions, without state and without noise."""
Driver = Callable[[Tensor, Ints, int], Tensor]
"""(B, O) observations, their (B,) episode numbers and the step in the episode -> (B, A) actions."""

_ROWS = 32
"""Rows of every batch the policy sees; episode k is always row k % _ROWS."""
_BASELINE_SEED = 0


@dataclass(frozen=True)
class BenchmarkResult:
    """What happened in each of E = seeds × episodes_per_seed counted episodes, ordered by seed, then slot.

    Attributes:
        seeds: in the order asked for. episodes_per_seed, num_envs: how it was run.
        control_dt_s: seconds an env step.
        seed, slot: (E,) which start. success: (E,) bool. returns: (E,) sum of rewards.
        length: (E,) env steps. completion_time_s: (E,) when success was first held; NaN without success.
        action_change, action_jerk: (E,) means over an episode as ``action_trace.ActionTrace`` takes them.
        observations: (R, O) float32, a sample spread over steps and episodes, for checking an export.
        observation_std: (O,) of all that was observed.
        wall_s: seconds it took.
        metrics: name -> (E,), those of the policy file. strain: what it asked of the robot. Both only where
            episodes were measured at every physics step.
    """

    seeds: tuple[int, ...]
    episodes_per_seed: int
    num_envs: int
    control_dt_s: float
    seed: Ints
    slot: Ints
    success: Bools
    returns: Floats
    length: Ints
    completion_time_s: Floats
    action_change: Floats
    action_jerk: Floats
    observations: NDArray[np.float32]
    observation_std: Floats
    wall_s: float
    metrics: Mapping[str, Floats] = field(default_factory=dict)
    strain: Strain | None = None

    @property
    def num_episodes(self) -> int:
        """E."""
        return len(self.seed)

    @property
    def successes(self) -> int:
        """Episodes that succeeded."""
        return int(self.success.sum())

    @property
    def success_rate(self) -> float:
        """Successes by episodes."""
        return float(self.success.mean())


def run_benchmark(
    env: VecEnv,
    act: Act,
    seeds: Sequence[int],
    episodes_per_seed: int,
    max_observations: int = 512,
    measured: bool = False,
) -> BenchmarkResult:
    """Run ``act`` (deterministic: the policy's mean) once from every (seed, slot).

    With fewer environments than episodes there are several passes; environments beyond the
    episodes run along and are not counted. At most ``max_observations`` observations are kept.
    ``measured``: also tell metrics and strain, which takes longer and changes nothing else.
    """
    driver = in_fixed_batches(act, len(seeds) * episodes_per_seed)
    return run_driver(env, driver, seeds, episodes_per_seed, max_observations, measured)


def run_baselines(env: VecEnv, seeds: Sequence[int], episodes_per_seed: int) -> dict[str, BenchmarkResult]:
    """The same episodes under ``zero`` (all actions 0) and ``random`` (uniform in [-1, 1]) policies."""
    drivers = {
        "zero": _zero_driver(env.num_actions),
        "random": _random_driver(len(seeds) * episodes_per_seed, env.max_episode_steps, env.num_actions),
    }
    return {name: run_driver(env, driver, seeds, episodes_per_seed) for name, driver in drivers.items()}


def _zero_driver(num_actions: int) -> Driver:
    def drive(observations: Tensor, episodes: Ints, step: int) -> Tensor:
        return observations.new_zeros(len(episodes), num_actions)

    return drive


def _random_driver(num_episodes: int, max_steps: int, num_actions: int) -> Driver:
    """Actions drawn beforehand for every episode and step, whatever the number of environments."""
    generator = torch.Generator().manual_seed(_BASELINE_SEED)
    table = torch.rand(num_episodes, max_steps, num_actions, generator=generator) * 2.0 - 1.0

    def drive(observations: Tensor, episodes: Ints, step: int) -> Tensor:
        return table[torch.from_numpy(episodes), step].to(observations.device)

    return drive


def in_fixed_batches(act: Act, num_episodes: int) -> Driver:
    """Ask ``act`` in batches of ``_ROWS``, episode k at row k % _ROWS of batch k // _ROWS.

    A matrix product may round a row differently in a batch of another size or at another place. Policies
    act on the CPU, wherever the environment's state lives.
    """

    def drive(observations: Tensor, episodes: Ints, step: int) -> Tensor:
        rows, where = torch.from_numpy(episodes), observations.device
        batches = sorted({int(e) // _ROWS for e in episodes})
        padded = torch.zeros(-(-num_episodes // _ROWS) * _ROWS, observations.shape[1])
        padded[rows] = observations.cpu()
        with torch.no_grad():
            answers = {b: act(padded[b * _ROWS : (b + 1) * _ROWS]) for b in batches}
        actions = padded.new_zeros(len(padded), answers[batches[0]].shape[1])
        for batch, answer in answers.items():
            actions[batch * _ROWS : (batch + 1) * _ROWS] = answer
        return actions[rows].to(where)

    return drive


class _Tally:
    """The counted episodes, filled in as they end."""

    def __init__(
        self, env: VecEnv, seeds: Sequence[int], episodes_per_seed: int, max_observations: int
    ) -> None:
        self.env, self.seeds, self.episodes_per_seed = env, tuple(seeds), episodes_per_seed
        self.num_episodes = len(self.seeds) * episodes_per_seed
        self.seed = np.repeat(np.asarray(self.seeds, dtype=np.int64), episodes_per_seed)
        self.slot = np.tile(np.arange(episodes_per_seed, dtype=np.int64), len(self.seeds))
        self.success = np.zeros(self.num_episodes, dtype=np.bool_)
        self.returns = np.zeros(self.num_episodes)
        self.length = np.zeros(self.num_episodes, dtype=np.int64)
        self.completion_time_s = np.full(self.num_episodes, np.nan)
        self.action_change = np.full(self.num_episodes, np.nan)
        self.action_jerk = np.full(self.num_episodes, np.nan)
        self.max_observations = max_observations
        self._observed = np.zeros((2, self.num_episodes, env.num_observations))
        """Sums of observations and of their squares, an episode a row, to be added up in one order"""
        self._sample: list[NDArray[np.float32]] = []
        self.measured: list[Measured] = []

    def record(self, observations: Tensor, episodes: Ints, running: Ints, step: int) -> None:
        """Count what is observed; keep a few observations of every step, of other episodes each time."""
        seen = observations[torch.from_numpy(running)].double().cpu().numpy()
        self._observed[0, episodes[running]] += seen
        self._observed[1, episodes[running]] += seen**2
        if self.max_observations == 0:
            return
        passes = -(-self.num_episodes // self.env.num_envs)
        per_step = max(1, self.max_observations // (passes * self.env.max_episode_steps))
        chosen = running[(step * per_step + np.arange(min(per_step, len(running)))) % len(running)]
        self._sample.append(observations[torch.from_numpy(chosen)].cpu().numpy())

    def add(self, result: StepResult, episodes: Ints, running: Ints, step: int) -> Bools:
        """Count one env step of the running environments; returns which of them ended, (len(running),)."""
        numbers = episodes[running]
        ended = (result.terminated | result.truncated).cpu().numpy()[running]
        held = (result.success_now.cpu().numpy()[running]) & np.isnan(self.completion_time_s[numbers])
        self.returns[numbers] += result.rewards.cpu().numpy()[running]
        self.completion_time_s[numbers[held]] = (step + 1) * self.env.control_dt_s
        self.length[numbers[ended]] = step + 1
        self.success[numbers[ended]] = result.success.cpu().numpy()[running][ended]
        return ended

    def result(self, wall_s: float) -> BenchmarkResult:
        """The finished benchmark; a time counts only in an episode that was a success at its end."""
        sample = np.concatenate(self._sample) if self._sample else np.zeros((0, self.env.num_observations))
        if len(sample) > self.max_observations:
            sample = sample[np.linspace(0, len(sample) - 1, self.max_observations).astype(np.int64)]
        return BenchmarkResult(
            seeds=self.seeds,
            episodes_per_seed=self.episodes_per_seed,
            num_envs=self.env.num_envs,
            control_dt_s=self.env.control_dt_s,
            seed=self.seed,
            slot=self.slot,
            success=self.success,
            returns=self.returns,
            length=self.length,
            completion_time_s=np.where(self.success, self.completion_time_s, np.nan),
            action_change=self.action_change,
            action_jerk=self.action_jerk,
            observations=sample.astype(np.float32),
            observation_std=self._observation_std(),
            wall_s=wall_s,
            metrics=_by_name(self.measured),
            strain=strain(self.measured) if self.measured else None,
        )

    def _observation_std(self) -> Floats:
        sums, squares = self._observed.sum(axis=1)
        count = self.length.sum()
        std: Floats = np.sqrt(np.maximum(squares / count - (sums / count) ** 2, 0.0))
        return std


def _by_name(measured: Sequence[Measured]) -> dict[str, Floats]:
    names = measured[0].metrics if measured else ()
    return {name: np.array([episode.metrics[name] for episode in measured]) for name in names}


def run_driver(
    env: VecEnv,
    driver: Driver,
    seeds: Sequence[int],
    episodes_per_seed: int,
    max_observations: int = 0,
    measured: bool = False,
) -> BenchmarkResult:
    """:func:`run_benchmark` of what may act by episode and step too."""
    started = time.perf_counter()
    tally = _Tally(env, seeds, episodes_per_seed, max_observations)
    for first in range(0, tally.num_episodes, env.num_envs):
        episodes = np.arange(first, min(first + env.num_envs, tally.num_episodes))
        _run_pass(env, driver, tally, episodes, measured)
    return tally.result(time.perf_counter() - started)


def _run_pass(env: VecEnv, driver: Driver, tally: _Tally, episodes: Ints, measured: bool) -> None:
    """One episode in each of the first ``len(episodes)`` environments, until the last of them ends."""
    surplus = env.num_envs - len(episodes)
    seeds = np.append(tally.seed[episodes], np.repeat(tally.seed[-1:], surplus))
    slots = np.append(tally.slot[episodes], tally.episodes_per_seed + np.arange(surplus))
    observations = env.reset(seeds, slots)
    probe = env.measure(len(episodes)) if measured else None
    running = np.arange(len(episodes))
    trace = ActionTrace(len(episodes), env.num_actions)
    for step in range(env.max_episode_steps):
        rows = torch.from_numpy(running).to(observations.device)
        actions = observations.new_zeros(env.num_envs, env.num_actions)
        actions[rows] = driver(observations[rows], episodes[running], step).clamp(-1.0, 1.0)
        tally.record(observations, episodes, running, step)
        trace.add(actions[rows].cpu().numpy(), running)
        result = env.step(actions)
        ended = tally.add(result, episodes, running, step)
        running = running[~ended]
        observations = result.observations
        if len(running) == 0:
            break
    else:
        raise AssertionError(f"{len(running)} episodes did not end within {env.max_episode_steps} steps")
    tally.action_change[episodes], tally.action_jerk[episodes] = trace.means()
    if probe is not None:
        tally.measured += probe.results()
