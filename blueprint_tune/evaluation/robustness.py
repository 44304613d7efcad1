"""How often a policy still succeeds when the world is not quite as it was trained in.

Every perturbation plays the first slots of the benchmark's seeds again, so that nothing differs but what it
changes: friction and mass of all that lies loose, by a factor on whatever the policy's events draw; actions
that arrive late; noise on what the policy sees, by shares of the standard deviation that each observation has
in the unperturbed benchmark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blueprint_tune.config.evaluation_schema import RobustnessConfig
from blueprint_tune.config.policy_schema import PolicyConfig
from blueprint_tune.envs.base import VecEnv
from blueprint_tune.envs.random import normal
from blueprint_tune.evaluation.benchmark import (
    Act,
    BenchmarkResult,
    Driver,
    Ints,
    in_fixed_batches,
    run_driver,
)

NAME = "robustness"
"""Of the event that perturbs; a policy file's event of that name is replaced by it."""


@dataclass(frozen=True)
class Perturbed:
    """Success under one perturbation; ``value`` is None for the row without any."""

    perturbation: str
    value: float | None
    unit: str
    successes: int
    episodes: int


def run_robustness(
    env: VecEnv,
    policy: PolicyConfig,
    act: Act,
    benchmark: BenchmarkResult,
    config: RobustnessConfig,
    loose: Sequence[str],
    rigid: Sequence[str],
    takes_events: bool = True,
) -> tuple[Perturbed, ...]:
    """The success of ``act`` under every perturbation of ``config``, first without any.

    ``policy``: what ``env`` plays, and plays again afterwards. ``benchmark``: the unperturbed result.
    ``loose``, ``rigid``: what of the task moves freely, and what of that has a mass to change; perturbations
    of what a task lacks are left out, and all but noise where it ``takes_events`` from nobody.
    """
    per_seed = min(config.episodes_per_seed, benchmark.episodes_per_seed)
    kept = benchmark.slot < per_seed
    rows = [Perturbed("none", None, "", int(benchmark.success[kept].sum()), int(kept.sum()))]
    driver = in_fixed_batches(act, len(benchmark.seeds) * per_seed)
    events = _events(config, bool(loose), bool(rigid)) if takes_events else ()
    for perturbation, value, unit, event in events:
        env.configure(replace(policy, events={**policy.events, NAME: event}))
        result = run_driver(env, driver, benchmark.seeds, per_seed)
        rows.append(Perturbed(perturbation, value, unit, result.successes, result.num_episodes))
    if takes_events:
        env.configure(policy)
    for share in config.observation_noise:
        noisy = _noisy(driver, share * benchmark.observation_std, benchmark.seed[kept], benchmark.slot[kept])
        result = run_driver(env, noisy, benchmark.seeds, per_seed)
        rows.append(Perturbed("observation_noise", share, "std", result.successes, result.num_episodes))
    return tuple(rows)


def _events(
    config: RobustnessConfig, loose: bool, rigid: bool
) -> Iterator[tuple[str, float, str, dict[str, Any]]]:
    """What is perturbed, by how much of which unit, and the event that does it."""
    for factor in config.friction if loose else ():
        yield "friction", factor, "×", {"kind": "friction_factor", "factor": factor}
    for factor in config.mass if rigid else ():
        yield "mass", factor, "×", {"kind": "mass_factor", "factor": factor}
    for steps in config.action_delay:
        yield "action_delay", float(steps), "env steps", {"kind": "action_delay", "steps": [steps, steps]}


def _noisy(driver: Driver, std: NDArray[np.float64], seed: Ints, slot: Ints) -> Driver:
    """``driver`` with normal noise on its observations; ``std``: (O,). ``seed``, ``slot``: (E,).

    The noise is a function of seed, slot and step, whatever the number of environments.
    """

    def drive(observations: Tensor, episodes: Ints, step: int) -> Tensor:
        drawn = normal(seed[episodes], slot[episodes], np.full_like(episodes, step), NAME, len(std))
        noise = torch.from_numpy(drawn * std).to(observations)
        return driver(observations + noise, episodes, step)

    return drive
