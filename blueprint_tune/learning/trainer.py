"""One trial's training: rollouts and updates until the next report, everything resumable."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.base import StepResult, VecEnv
from blueprint_tune.errors import StorageError, TrainingDiverged
from blueprint_tune.learning.checkpoint import read_checkpoint, write_checkpoint
from blueprint_tune.learning.curriculum import Curriculum
from blueprint_tune.learning.episodes import EpisodeStatistics
from blueprint_tune.learning.in_flight import confirmed, in_force
from blueprint_tune.learning.ppo import PPOAgent
from blueprint_tune.learning.rollout import Rollout
from blueprint_tune.learning.selection import Selection
from blueprint_tune.learning.together import ALONE, Alone

TRAINING_SEED_OFFSET = 1_000_000
"""Keeps the starts of training apart from those of evaluations, also with ``seed=42``."""
RANK_SEED_STRIDE = 1_000_003
"""Between the seeds of the exploration of two ranks of a trial."""


class Trainer:
    """Trains one agent in one environment, or one of several ranks that do so together.

    Attributes:
        env_steps: env steps of all environments of all ranks so far. updates: learner updates so far.
    """

    def __init__(
        self,
        env: VecEnv,
        config: ExperimentConfig,
        dump_dir: Path | None = None,
        events: Mapping[str, dict[str, Any]] | None = None,
        together: Alone = ALONE,
        device: str = "cpu",
    ) -> None:
        """``events``: of the task as its file states it, for the selection evaluation; None: the config's.

        ``together``: the ranks of the trial, of whose environments ``env`` holds this one's share.
        ``device``: where the networks learn.
        """
        torch.set_num_threads(config.agent.torch_threads)
        self._env, self._config, self._together = env, config, together
        rank = self._together.rank
        self._dump_dir = dump_dir or Path.cwd()
        self._curriculum = Curriculum(config.policy)
        env.configure(self._curriculum.policy)
        generator = torch.Generator().manual_seed(config.seed + RANK_SEED_STRIDE * rank)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.agent = PPOAgent(
                config.agent, env.num_observations, env.num_actions, generator, self._together, device
            )
        self._rollout = Rollout(
            config.agent.rollouts, env.num_envs, env.num_observations, env.num_actions, device
        )
        task = config.policy if events is None else replace(config.policy, events=dict(events))
        self._selection = Selection(
            config.evaluation.selection,
            env,
            self._curriculum.policy,
            task,
            self._together,
            config.sweep.metrics,
        )
        self._episodes = EpisodeStatistics(env.num_envs, env.device)
        self.env_steps, self.updates = 0, 0
        self._restart_episodes()

    def _restart_episodes(self) -> None:
        n = self._env.num_envs
        seeds = np.full(n, self._config.seed + TRAINING_SEED_OFFSET, dtype=np.int64)
        slots = self._together.rank * n + np.arange(n)
        self._observations = self._env.reset(seeds, slots, stagger=True)

    @property
    def finished(self) -> bool:
        """Whether the budget is used up."""
        return self.env_steps >= self._config.budget.env_steps

    def train_until_report(self) -> dict[str, float]:
        """Update until the next report is due; returns its metrics.

        Reports are due at multiples of ``budget.report_env_steps``, and after the very first update: within
        seconds one sees that everything works, and what an untrained policy is worth.

        Raises TrainingDiverged when an observation, reward or loss is not finite.
        """
        began, first_steps = time.perf_counter(), self.env_steps
        interval = self._config.budget.report_env_steps
        due = (self.env_steps // interval + 1) * interval if self.env_steps else 1
        due = min(due, self._config.budget.env_steps)
        losses: dict[str, list[float]] = {}
        update_s = 0.0
        while self.env_steps < due:
            for name, value in self._update().items():
                losses.setdefault(name, []).append(value)
            update_s += losses["perf/update_s"][-1]
        trained_s = time.perf_counter() - began
        metrics = self._mean_over_ranks({name: sum(v) / len(v) for name, v in losses.items()})
        metrics |= {f"agent/{name}": value for name, value in self.agent.in_force().items()}
        metrics |= self._episodes.take(self._together) | self._reward_means() | self._curriculum.metrics()
        metrics |= self._selection.evaluate(
            self._env, self.agent.mean_actions, self.env_steps, trained_s, self.finished
        )
        if metrics["eval/at_env_steps"] == self.env_steps:  # one was played
            self._go_on()
        steps = self.env_steps - first_steps
        metrics |= {
            "env_steps": self.env_steps,
            "updates": self.updates,
            "perf/env_steps_per_s": steps / trained_s,
            "perf/learner_fraction": update_s / trained_s,
        }
        if self._curriculum.report(metrics["train/success_rate"]):
            self._follow_curriculum()
        if self._together.size > 1:
            self._together.agree(self.agent.fingerprint())
        return metrics

    def _go_on(self) -> None:
        """See what the environment now shows: not every one can go back to the episodes it was in."""
        if not self._env.keeps_episodes:
            self._observations = self._env.observations
            self._episodes.restart()

    def _mean_over_ranks(self, metrics: dict[str, float]) -> dict[str, float]:
        values = torch.tensor(list(metrics.values()), dtype=torch.float64)
        return dict(zip(metrics, self._together.mean(values).tolist(), strict=True))

    def _follow_curriculum(self) -> None:
        """Train at the curriculum's level: what runs is judged by it, what begins is drawn by it."""
        self._selection.own = self._curriculum.policy
        self._env.configure(self._curriculum.policy)

    def _update(self) -> dict[str, float]:
        """One rollout and the learner's passes over it."""
        self._act()
        self.env_steps += self._config.agent.rollouts * self._env.num_envs * self._together.size
        self.updates += 1
        began = time.perf_counter()
        losses = self.agent.learn(self._rollout, self._observations)
        self.agent.anneal(self._fraction_done)
        for name, value in losses.items():
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"'{name}' became {value} at update {self.updates}. "
                    "Lower agent.learning_rate or agent.desired_kl, or look for exploding rewards."
                )
        return losses | {"perf/update_s": time.perf_counter() - began}

    @torch.inference_mode()
    def _act(self) -> None:
        """Fill the rollout."""
        self._rollout.clear()
        for _ in range(self._config.agent.rollouts):
            actions, means = self.agent.explore(self._observations)
            self._rollout.add(self._observations, means, actions)
            result = self._env.step(actions.to(self._env.device))
            self._check_finite(result)
            self._rollout.add_outcome(
                result.rewards,
                result.terminated,
                result.truncated,
                result.terminal_observations,
                result.done,
            )
            self._episodes.record(result)
            self._observations = result.observations

    def _reward_means(self) -> dict[str, float]:
        raw, weighted, own_steps = self._env.reward_sums()
        raw, weighted = self._together.sum(raw), self._together.sum(weighted)
        steps = float(self._together.sum(torch.tensor(float(own_steps), dtype=torch.float64))) or math.nan
        metrics: dict[str, float] = {}
        for index, name in enumerate(self._env.reward_terms):
            metrics[f"reward/{name}"] = float(raw[index]) / steps
            metrics[f"reward_weighted/{name}"] = float(weighted[index]) / steps
        return metrics

    def _check_finite(self, result: StepResult) -> None:
        """Stop at the first observation or reward that is not finite, saying which one and where."""
        if math.isfinite(float(result.terminal_observations.sum() + result.rewards.sum())):
            return
        rows = (~torch.isfinite(result.terminal_observations)).any(dim=1)
        name = "rewards"
        if rows.any():
            name = f"observation '{self._observation_name(result.terminal_observations)}'"
        else:
            rows = ~torch.isfinite(result.rewards)
        if not rows.any():
            return  # only their sum was too large for a float
        env_id = int(rows.nonzero()[0, 0])
        dump = self._dump_dir / "nan_dump.npz"
        dump.parent.mkdir(parents=True, exist_ok=True)
        where = self._env.dump_history(env_id, dump)
        raise TrainingDiverged(
            f"{name} became NaN or infinite in {int(rows.sum())} of {self._env.num_envs} environments at "
            f"update {self.updates + 1}. The last steps (at most 100) of env {env_id} are in {where}."
        )

    def _observation_name(self, observations: Tensor) -> str:
        bad = (~torch.isfinite(observations)).any(dim=0)
        column = 0
        for name, size in self._env.observation_names:
            if bad[column : column + size].any():
                return name
            column += size
        return "?"

    def save(self, path: Path, others: Sequence[dict[str, Any]] = ()) -> None:
        """Write everything that continuing depends on to one file; rank 0 is given the others' shares."""
        state = {
            "agent": self.agent.state_dict(),
            "curriculum": self._curriculum.state_dict(),
            "selection": self._selection.state_dict(),
            "counters": torch.tensor([self.env_steps, self.updates]),
            **self.share(),
        }
        write_checkpoint(path, state | {"others": list(others)} if others else state)

    def share(self) -> dict[str, Any]:
        """What of a checkpoint differs between the ranks of a trial."""
        return {
            "env": self._env.save_state(),
            "episodes": self._episodes.state_dict(),
            "observations": self._observations,
            "generator": self.agent.generator.get_state(),
        }

    def load(self, path: Path) -> None:
        """Continue from a file of :meth:`save`; see :meth:`load_state`."""
        self.load_state(read_checkpoint(path))

    def load_state(self, saved: dict[str, Any]) -> None:
        """Continue from what :func:`read_checkpoint` read, a rank with its own share of it.

        Exact where the backend's state is exact; where it cannot be restored, the learning goes on with new
        episodes. With another number of environments the learning goes on,
        and all episodes begin anew. Raises StorageError for a checkpoint of another number of ranks.
        """
        shares = [saved, *saved.get("others", ())]
        if len(shares) != self._together.size:
            raise StorageError(
                f"The checkpoint holds the environments of {len(shares)} ranks, the trial has "
                f"{self._together.size}. Continue with as many as it was trained with: sweep.resources.ranks."
            )
        own = shares[self._together.rank]
        self.agent.load_state_dict(saved["agent"])
        if self._together.rank:  # the agent's state brings the first rank's
            self.agent.generator.set_state(own["generator"])
        self._curriculum.load_state_dict(saved["curriculum"])
        self._follow_curriculum()
        if len(own["observations"]) == self._env.num_envs:
            self._env.load_state(own["env"])
            self._episodes.load_state_dict(own["episodes"])
            self._observations = own["observations"].to(self._env.device)
            self._go_on()
        elif self._env.keeps_episodes:
            self._restart_episodes()
        else:  # where episodes begin anew in any case, the rest of the state holds for any number of them
            self._env.load_state(own["env"])
            self._go_on()
        self._selection.load_state_dict(saved["selection"])
        self.env_steps, self.updates = (int(v) for v in saved["counters"])

    def adopt(self, keys: Iterable[str]) -> dict[str, float]:
        """Put the config's values of ``keys`` in force after a checkpoint of other settings was loaded.

        Returns them as read back from the agent and the environment. Raises SettingsNotApplied where what is
        read back is not what the config says.
        """
        if "agent.learning_rate" in keys:
            self.agent.restart_learning_rate(self._fraction_done)
        found = in_force(self.agent, self._env)
        return confirmed(keys, found, self._config, self._fraction_done)

    @property
    def _fraction_done(self) -> float:
        return self.env_steps / self._config.budget.env_steps
