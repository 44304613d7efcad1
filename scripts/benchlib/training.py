"""``scripts/bench training``: PPO end to end against its parts, and against other people's PPO."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import time
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from benchlib.bare_loop import BareLoop
from benchlib.record import Document, Repeats, number, progress, verdict
from benchlib.tap import Tap
from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import AgentConfig, ExperimentConfig
from blueprint_tune.envs.base import VecEnv
from blueprint_tune.envs.factory import make_env
from blueprint_tune.learning.trainer import TRAINING_SEED_OFFSET, Trainer
from blueprint_tune.tuning.session import available_cpus

POLICY = "dexterous_pick_place"
AGENTS = ("ppo", "ppo_cpu")
PEERS = {"rsl_rl": ("rsl-rl-lib", "RslRlLearner"), "sb3": ("stable-baselines3", "Sb3Learner")}
MAX_RATIO, MIN_SPEED = 1.15, 0.95


class Learner(Protocol):
    """Somebody's PPO."""

    name: str
    env: Tap

    def iterate(self) -> None:
        """One rollout and one update."""


class OurLearner:
    """The trainer as a trial runs it, one report an update, no selection evaluation after the first."""

    name = "blueprint-tune"

    def __init__(self, env: Tap, config: ExperimentConfig) -> None:
        self.env = env
        self._trainer = Trainer(env, config)  # type: ignore[arg-type]

    def iterate(self) -> None:
        """One rollout, one update, one report."""
        self._trainer.train_until_report()


class Parts:
    """Our own rollouts again, as environment steps alone and as a bare PyTorch loop alone."""

    def __init__(self, env: VecEnv, config: ExperimentConfig) -> None:
        n = env.num_envs
        env.configure(config.policy)
        seeds = np.full(n, config.seed + TRAINING_SEED_OFFSET, dtype=np.int64)
        self._env, self._before = env, env.reset(seeds, np.arange(n), stagger=True)
        self._loop = BareLoop(config.agent, env.num_observations, env.num_actions)

    def replay(self, tap: Tap, steps: int) -> tuple[float, float]:
        """Seconds of the environment and of the loop for the rollout that went through ``tap``."""
        began = time.perf_counter()
        with torch.inference_mode():  # as in training
            for action in tap.actions[:steps]:
                answer = self._env.step(action)
        env_s = time.perf_counter() - began
        if not torch.equal(answer.observations, tap.results[steps - 1].observations):
            raise SystemExit("The replayed rollout is not the trainer's: nothing was measured.")
        began = time.perf_counter()
        self._loop.run(self._before, tap.results[:steps])
        loop_s = time.perf_counter() - began
        self._before = answer.observations
        return env_s, loop_s


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sizes; the defaults are what is published."""
    parser.add_argument("--num-envs", type=int, default=256)
    parser.add_argument("--updates", type=int, default=4, help="of one repeat")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--agents", nargs="+", default=AGENTS)
    parser.add_argument("--threads", type=int, default=available_cpus(), help="of physics")


def run(options: argparse.Namespace, command: list[str]) -> None:
    """Measure every agent and write ``training.md``."""
    document = Document("training", f"Training: {POLICY}, {options.num_envs} environments", command)
    peers = _installed()
    document.text(
        f"One process, one PyTorch thread, {options.threads} physics threads. A repeat is {options.updates} "
        "updates of every side, one update of each in turn. Environment and bare loop are given the very "
        "rollouts of our trainer: the same actions in a second environment, which must give the same "
        "observations, and acting and updating written straight on PyTorch with the same networks, "
        "normalisation, epochs and minibatches."
    )
    for agent in options.agents:
        _measure(document, agent, options, peers)
    document.text(_differences(peers))
    document.write(Path(options.results), {PEERS[p][0]: metadata.version(PEERS[p][0]) for p in peers})


def _installed() -> list[str]:
    found = []
    for module, (package, _) in PEERS.items():
        try:
            metadata.version(package)
            found.append(module)
        except metadata.PackageNotFoundError:
            progress(f"{package} is not installed", see="scripts/bench peers-install")
    return found


def _config(agent: str, num_envs: int) -> ExperimentConfig:
    overrides = [
        "+scene=kitchen_001",
        f"policy={POLICY}",
        "preset=quick",
        f"agent={agent}",
        f"backend.num_envs={num_envs}",
        "agent.torch_threads=1",
        "budget.env_steps=1000000000",
        "evaluation.selection.episodes=1",
        "evaluation.selection.max_time_fraction=1e-9",
    ]
    rollouts = compose(overrides).agent.rollouts
    return compose([*overrides, f"budget.report_env_steps={rollouts * num_envs}"])


def _measure(document: Document, agent: str, options: argparse.Namespace, peers: list[str]) -> None:
    config = _config(agent, options.num_envs)
    progress(f"agent={agent}: building")
    ours = OurLearner(Tap(make_env(config, options.threads), keep=True), config)
    parts = Parts(make_env(config, options.threads), config)
    others = [_peer(name, config, options.threads) for name in peers]
    seconds: dict[str, list[float]] = {}
    _round(ours, parts, others, config.agent.rollouts)  # warm-up
    for repeat in range(options.repeats):
        totals: dict[str, float] = {}
        for _ in range(options.updates):
            for name, value in _round(ours, parts, others, config.agent.rollouts).items():
                totals[name] = totals.get(name, 0.0) + value
        for name, value in totals.items():
            seconds.setdefault(name, []).append(value)
        shown = {name.replace(" ", "_"): number(v) for name, v in totals.items() if "environment" not in name}
        progress(f"agent={agent}: repeat {repeat + 1} (s)", **shown)
    measured = {name: Repeats.of(values) for name, values in seconds.items()}
    _write(document, agent, config.agent, measured, options, [ours, *others])


def _peer(module: str, config: ExperimentConfig, threads: int) -> Learner:
    adapter = importlib.import_module(f"benchlib.learner_{module}")
    with contextlib.redirect_stdout(io.StringIO()):  # rsl_rl prints its networks
        learner: Learner = getattr(adapter, PEERS[module][1])(Tap(make_env(config, threads)), config.agent)
    return learner


def _round(ours: OurLearner, parts: Parts, others: list[Learner], rollouts: int) -> dict[str, float]:
    """One update of every side; seconds by name, and of its environment."""
    seconds: dict[str, float] = {}
    for learner in (ours, *others):
        learner.env.clear()
        began = time.perf_counter()
        learner.iterate()
        seconds[learner.name] = time.perf_counter() - began
        seconds[f"{learner.name} environment"] = learner.env.seconds
    seconds["env alone"], seconds["bare loop"] = parts.replay(ours.env, rollouts)
    return seconds


def _write(
    document: Document,
    agent: str,
    settings: AgentConfig,
    seconds: dict[str, Repeats],
    options: argparse.Namespace,
    learners: list[Any],
) -> None:
    steps = options.updates * options.num_envs * settings.rollouts
    whole = seconds[learners[0].name]
    parts = Repeats.of([e + b for e, b in zip(seconds["env alone"].values, seconds["bare loop"].values)])
    document.heading(f"agent={agent}")
    hidden = ", ".join(str(size) for size in settings.policy_hidden_dims)
    document.text(
        f"Hidden layers {hidden} ({settings.activation}), {settings.rollouts} env steps an update, "
        f"{settings.learning_epochs} epochs of {settings.mini_batches} minibatches."
    )
    rows = [
        ["blueprint-tune, end to end", *whole.cells()],
        ["environment alone", *seconds["env alone"].cells()],
        ["bare PyTorch loop alone", *seconds["bare loop"].cells()],
        ["end to end / (environment + loop)", *(whole / parts).cells()],
    ]
    document.table([f"seconds for {steps:,} env steps", "min", "median", "max"], rows)
    document.text(verdict((whole / parts).median, MAX_RATIO, at_least=False))
    rows = []
    for learner in learners:
        total, inside = seconds[learner.name], seconds[f"{learner.name} environment"]
        rate = Repeats.of([steps / v for v in total.values])
        learning = Repeats.of([(t - e) * 1000 / options.updates for t, e in zip(total.values, inside.values)])
        relative = "" if learner is learners[0] else number((total / whole).median)
        rows.append([learner.name, *rate.cells(), number(learning.median), relative])
    header = ["env steps/s", "min", "median", "max", "learner, ms an update", "its time / ours"]
    document.table(header, rows)
    for learner in learners[1:]:
        speed = (seconds[learner.name] / whole).median
        document.text(f"Against {learner.name}: {verdict(speed, MIN_SPEED, at_least=True)}")


def _differences(peers: list[str]) -> str:
    if not peers:
        return "rsl_rl and Stable-Baselines3: not measured (`scripts/bench peers-install`)."
    return (
        "The learners have the same environment, sizes, epochs, minibatches, clipping and observation "
        "normalisation. rsl_rl does not normalise values and adapts the learning rate at every minibatch "
        "instead of every epoch. Stable-Baselines3 (with VecNormalize) has neither value normalisation nor "
        "a KL schedule, normalises advantages per minibatch, and passes actions and observations through "
        "numpy. Neither runs its logger; our trainer makes a report of its metrics after every update."
    )
