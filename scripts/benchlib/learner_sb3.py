"""Stable-Baselines3's PPO on our environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from torch import nn

from benchlib.tap import Tap
from blueprint_tune.config.schema import AgentConfig

_ACTIVATIONS = {"elu": nn.ELU, "relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}


class Adapter(VecEnv):
    """Our environment as Stable-Baselines3 asks for one."""

    render_mode = None

    def __init__(self, env: Tap) -> None:
        self.env = env
        observations = gymnasium.spaces.Box(-np.inf, np.inf, (env.num_observations,), np.float32)
        actions = gymnasium.spaces.Box(-1.0, 1.0, (env.num_actions,), np.float32)
        super().__init__(env.num_envs, observations, actions)

    def reset(self) -> NDArray[np.float32]:
        """See Stable-Baselines3."""
        n = self.num_envs
        return self.env.reset(np.ones(n, dtype=np.int64), np.arange(n), stagger=True).numpy()

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """See Stable-Baselines3."""
        self._actions = torch.from_numpy(actions)

    def step_wait(self) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
        """See Stable-Baselines3."""
        result = self.env.step(self._actions)
        done = (result.terminated | result.truncated).numpy()
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(done):
            infos[i] = {
                "terminal_observation": result.terminal_observations[i].numpy(),
                "TimeLimit.truncated": bool(result.truncated[i]),
            }
        return result.observations.numpy(), result.rewards.numpy().copy(), done, infos

    def close(self) -> None:
        """The environment belongs to the bench."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same for every environment."""
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Nothing can be set on single environments of a batch."""
        raise AttributeError(attr_name)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """There are no methods of single environments in a batch."""
        raise AttributeError(method_name)

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No single environment is wrapped."""
        return [False] * self.num_envs


class _NoCallback(BaseCallback):
    def _on_step(self) -> bool:
        return True


class Sb3Learner:
    """One learner with our sizes; :meth:`iterate` is one rollout and one update."""

    name = "Stable-Baselines3 PPO"

    def __init__(self, env: Tap, settings: AgentConfig) -> None:
        self.env = env
        clip = settings.observation_clip
        normalised = VecNormalize(Adapter(env), norm_obs=True, norm_reward=False, clip_obs=clip)
        self._model = PPO("MlpPolicy", normalised, device="cpu", **_config(settings, env.num_envs))
        _, self._callback = self._model._setup_learn(10**9, _NoCallback())

    def iterate(self) -> None:
        """The body of ``learn`` without its reports."""
        model = self._model
        model.collect_rollouts(model.env, self._callback, model.rollout_buffer, model.n_steps)
        model.train()


def _config(settings: AgentConfig, num_envs: int) -> dict[str, Any]:
    layers: dict[str, Sequence[int]] = {"pi": settings.policy_hidden_dims, "vf": settings.value_hidden_dims}
    return {
        "learning_rate": settings.learning_rate,
        "n_steps": settings.rollouts,
        "batch_size": settings.rollouts * num_envs // settings.mini_batches,
        "n_epochs": settings.learning_epochs,
        "gamma": settings.discount_factor,
        "gae_lambda": settings.gae_lambda,
        "clip_range": settings.ratio_clip,
        "clip_range_vf": settings.value_clip or None,
        "ent_coef": settings.entropy_loss_scale,
        "vf_coef": settings.value_loss_scale,
        "max_grad_norm": settings.grad_norm_clip,
        "policy_kwargs": {
            "net_arch": layers,
            "activation_fn": _ACTIVATIONS[settings.activation],
            "log_std_init": float(np.log(settings.initial_std)),
        },
    }
