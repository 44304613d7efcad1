"""How long an experiment will still take, from its first second to its last."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from blueprint_tune.config.schema import ExperimentConfig

FIRST_GUESS_STEPS_PER_S = 2500.0
"""Env steps a second and CPU before anything is measured; only the first lines show it, as a guess."""
START_S = 8.0
"""Starting Ray, a trial's process and its scene."""
CLOSING_S = 15.0
"""Beside the benchmark's episodes: a process with a scene, ONNX export, report, publishing."""
_BENCHMARK_RUNS = 4
"""The policy, its ONNX graph, and two baselines."""
_EVALUATION_SPEED = 2.0
"""Evaluation steps about this much faster than training, which also learns."""


@dataclass
class TrialProgress:
    """What is known of one trial.

    Attributes:
        index: 0 is the default settings. sample: searched keys and values.
        state: ``running``, ``completed``, ``stopped``, ``failed`` or ``waiting``. env_steps: trained so far.
        success, best: last and best tuned metric. steps_per_s: between the last two reports, all included.
        since: monotonic time of the last report or of the start. note: why it failed.
    """

    index: int
    sample: dict[str, object] = field(default_factory=dict)
    state: str = "waiting"
    env_steps: int = 0
    success: float | None = None
    best: float | None = None
    steps_per_s: float | None = None
    since: float | None = None
    note: str = ""


class Forecast:
    """Remaining seconds from budgets, measured rates and what the scheduler usually lets through."""

    def __init__(
        self, cfg: ExperimentConfig, num_trials: int, cpus: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``cpus``: of all trials that run at once."""
        self.budget, self.num_trials = cfg.budget.env_steps, num_trials
        self._share, self._clock = expected_share(cfg), clock
        self._guess = FIRST_GUESS_STEPS_PER_S * cpus
        self._cfg = cfg
        self._started = clock()

    def remaining_s(self, trials: list[TrialProgress]) -> tuple[float, bool]:
        """(seconds to the end of the experiment, whether any of it is measured)."""
        rates = {t.index: t.steps_per_s for t in trials if t.state == "running" and t.steps_per_s}
        measured = [t.steps_per_s for t in trials if t.steps_per_s]
        rate = sum(rates.values()) or (measured[-1] if measured else self._guess)
        left = [self._left(t, rate if not rates else rates.get(t.index, 0.0)) for t in trials]
        ahead = max(0, self.num_trials - len(trials)) * self._share * self.budget
        slowest = max(
            (steps / rates[t.index] for t, steps in zip(trials, left, strict=True) if t.index in rates),
            default=0,
        )
        search = min(max((sum(left) + ahead) / rate, slowest), self._time_left_s())
        closing = closing_s(self._cfg, rate)
        start = 0.0 if measured else max(0.0, START_S - (self._clock() - self._started))
        return start + search + closing, bool(measured)

    def _time_left_s(self) -> float:
        """Until the search's time budget ends."""
        budget = self._cfg.sweep.time_budget_s
        return math.inf if budget is None else max(0.0, budget - (self._clock() - self._started))

    def _left(self, trial: TrialProgress, rate: float) -> float:
        """Env steps a trial is still expected to train, counting what it did since its last report."""
        if trial.state not in ("running", "waiting"):
            return 0.0
        since = self._clock() - trial.since if trial.since is not None and trial.steps_per_s else 0.0
        done = trial.env_steps + since * rate
        expected = self._share * self.budget
        return max(0.0, (expected if done < expected else self.budget) - done)


def expected_share(cfg: ExperimentConfig) -> float:
    """The share of its budget that a trial trains on average; below 1 under successive halving."""
    bounds, scheduler = [0.0, *rungs(cfg)], cfg.sweep.scheduler or {}
    if len(bounds) == 1:
        return 1.0
    end, factor = float(scheduler["max_t"]), float(scheduler["reduction_factor"])
    bounds += [end] if bounds[-1] < end else []
    steps = sum((high - low) / factor**k for k, (low, high) in enumerate(itertools.pairwise(bounds)))
    return min(1.0, steps / end)


def rungs(cfg: ExperimentConfig) -> list[float]:
    """Env steps at which successive halving lets the better part go on; none for other schedulers."""
    scheduler = cfg.sweep.scheduler or {}
    keys = ("grace_period", "max_t", "reduction_factor")
    if not all(isinstance(scheduler.get(key), int | float) for key in keys):
        return []
    grace, end, factor = (float(scheduler[key]) for key in keys)
    if not (0 < grace <= end and factor > 1):
        return []
    return [grace * factor**k for k in range(1 + int(math.log(end / grace, factor) + 1e-9))]


def benchmark_steps(cfg: ExperimentConfig, episode_steps: int | None = None) -> int:
    """Env steps that the evaluation after the search takes.

    ``episode_steps``: of an episode, where it was measured. A task with an environment of its own does not
    say before it runs, and nothing is expected of it then.
    """
    evaluation, num_envs = cfg.evaluation, cfg.backend.num_envs
    if episode_steps is None:
        step_s = cfg.physics.dt_s * cfg.physics.substeps * cfg.policy.action_repeat
        episode_steps = 0 if cfg.backend.own_task else max(1, round(cfg.policy.episode_s / step_s))
    runs = _BENCHMARK_RUNS if evaluation.baselines else _BENCHMARK_RUNS - 2
    passes = runs * _passes(len(evaluation.seeds) * evaluation.episodes_per_seed, num_envs)
    if (world := evaluation.robustness) != "off":
        rows = len(world.friction) + len(world.mass) + len(world.action_delay) + len(world.observation_noise)
        passes += rows * _passes(len(evaluation.seeds) * world.episodes_per_seed, num_envs)
    if (again := evaluation.reevaluation) != "off" and cfg.sweep.num_samples > 1:
        passes += min(again.trials, cfg.sweep.num_samples) * _passes(again.episodes, num_envs)
    return passes * num_envs * episode_steps


def _passes(episodes: int, num_envs: int) -> int:
    return -(-episodes // num_envs)


def closing_s(cfg: ExperimentConfig, steps_per_s: float | None, episode_steps: int | None = None) -> float:
    """What the stages after the search are expected to take, after training at ``steps_per_s``."""
    return CLOSING_S + benchmark_steps(cfg, episode_steps) / (
        (steps_per_s or FIRST_GUESS_STEPS_PER_S) * _EVALUATION_SPEED
    )


def duration(seconds: float) -> str:
    """'40 s', '6 min', '2 h 05 min', rounded as an estimate is."""
    if seconds < 55:
        return f"{max(5, 5 * math.ceil(seconds / 5))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def count(number: float) -> str:
    """'640', '5.1k', '640k', '2.0M'."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * size:
            value = number / size
            return f"{value:.1f}{unit}" if value < 9.95 or unit != "k" else f"{value:.0f}{unit}"
    return f"{number:.0f}"
