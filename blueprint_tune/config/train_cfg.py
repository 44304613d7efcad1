"""From the keys of a package's train_cfg.yaml to settings of this program, as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

SCHEDULES = {"adaptive": "kl_adaptive", "fixed": "constant", "constant": "constant", "linear": "linear"}
"""``algo.lr_schedule`` -> ``agent.learning_rate_schedule``."""


class Unfit(ValueError):
    """A value that cannot be what its key says; the message says what was expected."""


def number(value: Any) -> float | int:
    """A finite number, also one that YAML takes for text, as it does ``3e-4``."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise Unfit("a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise Unfit("a number")
    return value


def count(value: Any) -> int:
    """A whole number, 1 or above."""
    found = number(value)
    if found != int(found) or found < 1:
        raise Unfit("a whole number, 1 or above")
    return int(found)


def counts(value: Any) -> list[int]:
    """A list of whole numbers."""
    if not isinstance(value, list) or not 1 <= len(value) <= 16:
        raise Unfit("a list of whole numbers")
    return [count(item) for item in value]


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Unfit("true or false")
    return value


def schedule(value: Any) -> str:
    """The learning-rate schedule of that name."""
    if not isinstance(value, str) or value not in SCHEDULES:
        raise Unfit(f"one of {', '.join(SCHEDULES)}")
    return SCHEDULES[value]


def activation(value: Any) -> str:
    """The activation function of that name."""
    if value not in ("elu", "relu", "silu", "tanh"):
        raise Unfit("one of elu, relu, silu, tanh")
    return str(value)


class Entry(NamedTuple):
    """Where a key of train_cfg.yaml goes.

    Attributes:
        setting: dotted key of this program. read: its value, or Unfit.
        about: 'agent' = learning, 'size' = how much, 'log' = neither.
    """

    setting: str
    read: Callable[[Any], Any]
    about: str


TABLE: dict[str, Entry] = {
    "algo.learning_rate": Entry("agent.learning_rate", number, "agent"),
    "algo.lr_schedule": Entry("agent.learning_rate_schedule", schedule, "agent"),
    "algo.desired_kl": Entry("agent.desired_kl", number, "agent"),
    "algo.clip_param": Entry("agent.ratio_clip", number, "agent"),
    "algo.entropy_coef": Entry("agent.entropy_loss_scale", number, "agent"),
    "algo.value_loss_coef": Entry("agent.value_loss_scale", number, "agent"),
    "algo.max_grad_norm": Entry("agent.grad_norm_clip", number, "agent"),
    "algo.gamma": Entry("agent.discount_factor", number, "agent"),
    "algo.lam": Entry("agent.gae_lambda", number, "agent"),
    "algo.num_learning_epochs": Entry("agent.learning_epochs", count, "agent"),
    "algo.num_mini_batches": Entry("agent.mini_batches", count, "agent"),
    "algo.policy.init_noise_std": Entry("agent.initial_std", number, "agent"),
    "algo.policy.actor_hidden_dims": Entry("agent.policy_hidden_dims", counts, "agent"),
    "algo.policy.critic_hidden_dims": Entry("agent.value_hidden_dims", counts, "agent"),
    "algo.policy.activation": Entry("agent.activation", activation, "agent"),
    "algo.rollout_steps": Entry("agent.rollouts", count, "size"),
    "env.num_envs": Entry("backend.num_envs", count, "size"),
    "env.episode_length": Entry("policy.episode_s", count, "size"),
    "runner.max_iterations": Entry("budget.env_steps", count, "size"),
    "runner.save_interval": Entry("budget.checkpoint_every_reports", count, "size"),
    "logging.tensorboard.enabled": Entry("logger.tensorboard", flag, "log"),
}
"""What is not here has no counterpart: max_kl, batch_size, device, log_interval, checkpoint_path, wandb."""

REPORTS = 0.02
"""A report each so much of the training, as in ``preset=full``."""
FIRST_RUNG = 0.25
