"""Settings that change while a policy is trained: what is in force, and that it is what was asked for.

A population-based sweep copies one trial's checkpoint into another and goes on with other settings. A
checkpoint brings settings of its own (an optimizer its learning rate), so what is in force is read back from
the objects that learning reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.suggest import lookup
from blueprint_tune.config.validate import to_dict
from blueprint_tune.envs.base import VecEnv
from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.learning.ppo import PPOAgent, linear_rate

_SINGLE_PRECISION = 1e-6
"""Weights of rewards are single precision."""


class SettingsNotApplied(BlueprintTuneError):
    """A trial would go on with other settings than it was given."""


def in_force(agent: PPOAgent, env: VecEnv) -> dict[str, float]:
    """Dotted config key -> value, as the running agent and environment have it."""
    weights = zip(env.reward_terms, env.reward_weights, strict=True)
    return {
        **{f"agent.{name}": value for name, value in agent.in_force().items()},
        **{f"policy.rewards.{name}.weight": value for name, value in weights},
    }


def confirmed(
    keys: Iterable[str], found: Mapping[str, float], config: ExperimentConfig, fraction_done: float
) -> dict[str, float]:
    """What was ``found`` of ``keys``. Raises SettingsNotApplied naming all that differ from ``config``.

    ``fraction_done``: of the budget, for the learning rate of the linear schedule.
    """
    expected = {key: _expected(key, config, fraction_done) for key in keys}
    wrong = [
        f"{key} should be {value:.6g} and is {found.get(key, math.nan):.6g}"
        for key, value in expected.items()
        if not math.isclose(found.get(key, math.nan), value, rel_tol=_SINGLE_PRECISION, abs_tol=1e-12)
    ]
    if wrong:
        raise SettingsNotApplied(
            f"After copying another trial, {'; '.join(wrong)}. The trial would not train with what it was"
            " given; leave these keys out of the search space, and please report this."
        )
    return {key: found[key] for key in expected}


def _expected(key: str, config: ExperimentConfig, fraction_done: float) -> float:
    value = float(lookup(to_dict(config), key.split(".")))
    linear = config.agent.learning_rate_schedule == "linear"
    return linear_rate(value, fraction_done) if linear and key == "agent.learning_rate" else value
