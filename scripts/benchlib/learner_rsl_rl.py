"""rsl_rl's PPO on our environment."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.utils import check_nan
from tensordict import TensorDict
from torch import Tensor

from benchlib.tap import Tap
from blueprint_tune.config.schema import AgentConfig

_ACTIVATIONS = {"elu": "elu", "relu": "relu", "silu": "swish", "tanh": "tanh"}


class Adapter(VecEnv):
    """Our environment as rsl_rl asks for one."""

    def __init__(self, env: Tap) -> None:
        self.env, self.cfg, self.device = env, {}, "cpu"
        self.num_envs, self.num_actions = env.num_envs, env.num_actions
        self.max_episode_length = env.max_episode_steps
        self.episode_length_buf = torch.zeros(env.num_envs, dtype=torch.int64)
        n = env.num_envs
        self._observations = env.reset(np.ones(n, dtype=np.int64), np.arange(n), stagger=True)

    def get_observations(self) -> TensorDict:
        """See rsl_rl."""
        return TensorDict({"policy": self._observations}, batch_size=[self.num_envs])

    def step(self, actions: Tensor) -> tuple[TensorDict, Tensor, Tensor, dict[str, Any]]:
        """See rsl_rl."""
        result = self.env.step(actions)
        self._observations = result.observations
        dones = (result.terminated | result.truncated).long()
        return self.get_observations(), result.rewards, dones, {"time_outs": result.truncated}


class RslRlLearner:
    """One learner with our sizes; :meth:`iterate` is one rollout and one update, as its runner does them."""

    name = "rsl_rl PPO"

    def __init__(self, env: Tap, settings: AgentConfig) -> None:
        self.env = env
        self._adapter = Adapter(env)
        self._runner = OnPolicyRunner(self._adapter, _config(settings), log_dir=None, device="cpu")
        self._steps = settings.rollouts
        self._observations = self._adapter.get_observations()
        self._runner.alg.train_mode()

    def iterate(self) -> None:
        """The body of ``OnPolicyRunner.learn`` without its logger."""
        algorithm = self._runner.alg
        observations = self._observations
        with torch.inference_mode():
            for _ in range(self._steps):
                actions = algorithm.act(observations)
                observations, rewards, dones, extras = self._adapter.step(actions)
                check_nan(observations, rewards, dones)
                algorithm.process_env_step(observations, rewards, dones, extras)
            algorithm.compute_returns(observations)
        algorithm.update()
        self._observations = observations


def _config(settings: AgentConfig) -> dict[str, Any]:
    activation = _ACTIVATIONS[settings.activation]
    model = {"class_name": "MLPModel", "activation": activation, "obs_normalization": True}
    distribution = {"class_name": "GaussianDistribution", "init_std": settings.initial_std, "std_type": "log"}
    return {
        "num_steps_per_env": settings.rollouts,
        "obs_groups": {"actor": ["policy"], "critic": ["policy"]},
        "actor": {**model, "hidden_dims": settings.policy_hidden_dims, "distribution_cfg": distribution},
        "critic": {**model, "hidden_dims": settings.value_hidden_dims},
        "algorithm": {
            "class_name": "PPO",
            "num_learning_epochs": settings.learning_epochs,
            "num_mini_batches": settings.mini_batches,
            "clip_param": settings.ratio_clip,
            "gamma": settings.discount_factor,
            "lam": settings.gae_lambda,
            "value_loss_coef": settings.value_loss_scale,
            "entropy_coef": settings.entropy_loss_scale,
            "learning_rate": settings.learning_rate,
            "max_grad_norm": settings.grad_norm_clip,
            "use_clipped_value_loss": settings.value_clip > 0,
            "schedule": "adaptive" if settings.learning_rate_schedule == "kl_adaptive" else "fixed",
            "desired_kl": settings.desired_kl,
            "rnd_cfg": None,
        },
    }
