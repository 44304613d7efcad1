"""skrl's PPO with a lean hot path.

The agent is skrl's: models, running standard scalers, Adam, KL-adaptive schedule, checkpoint modules.
Acting and updating are written out, because on a CPU skrl's per-step value pass, per-epoch
normalisation and distribution objects cost more than the arithmetic they wrap:

- values and log-probabilities of a rollout are computed once, in one batch, when the update starts
  (the networks have not changed since), not at every env step;
- observations are normalised once an update, with the statistics the policy acted with; the
  statistics move on after the update, so the first ratio of an update is exactly one.
"""

from __future__ import annotations

import math
import zlib
from typing import Any

import torch
from skrl.agents.torch.ppo import PPO, PPO_CFG
from skrl.resources.preprocessors.torch import RunningStandardScaler
from skrl.resources.schedulers.torch import KLAdaptiveLR
from torch import Tensor, nn

from blueprint_tune.config.schema import AgentConfig
from blueprint_tune.config.sweep_checks import AGENT_IN_FLIGHT
from blueprint_tune.learning.networks import (
    MAX_LOG_STD,
    MIN_LOG_STD,
    DeployablePolicy,
    GaussianPolicy,
    ValueFunction,
    box,
)
from blueprint_tune.learning.rollout import Rollout, advantages_and_returns
from blueprint_tune.learning.together import ALONE, Alone

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_READ_AT_EVERY_UPDATE = tuple(name for name in AGENT_IN_FLIGHT if name != "learning_rate")
"""Settings that no optimizer or network holds a copy of."""
VALUE_CLIP_STD = 5.0
"""Predicted values are clipped to this many standard deviations, as skrl's scaler does."""


class SharedScaler(RunningStandardScaler):
    """skrl's running normaliser, over the samples of all ranks."""

    def __init__(self, *, together: Alone, **settings: Any) -> None:
        super().__init__(**settings)
        self._together = together

    def _parallel_variance(self, input_mean: Tensor, input_var: Tensor, input_count: int) -> None:
        super()._parallel_variance(*self._together.moments(input_mean, input_var, input_count))


class PPOAgent(PPO):
    """One policy in training. All randomness comes from ``generator``, which lives on the CPU.

    Observations may come from any device; sampled actions are on the agent's.
    """

    def __init__(
        self,
        config: AgentConfig,
        num_observations: int,
        num_actions: int,
        generator: torch.Generator,
        together: Alone = ALONE,
        device: str = "cpu",
    ) -> None:
        """``together``: the ranks that train it, each with a ``generator`` of its own."""
        activation = config.activation
        models = {
            "policy": GaussianPolicy(
                num_observations,
                num_actions,
                config.policy_hidden_dims,
                activation,
                config.initial_std,
                device,
            ),
            "value": ValueFunction(num_observations, config.value_hidden_dims, activation, device),
        }
        super().__init__(
            models=models,
            observation_space=box(num_observations),
            action_space=box(num_actions),
            device=device,
            cfg=_skrl_config(config, num_observations, device, together),
        )
        self.settings, self.together = config, together
        self.generator = generator
        # the parameters live in this process for the whole trial: the fused kernel needs no more
        self.optimizer = torch.optim.Adam(self._parameters(), lr=config.learning_rate, fused=True)
        self.checkpoint_modules["optimizer"] = self.optimizer
        self.scheduler = _scheduler(self.optimizer, config)
        self._refresh_normaliser()

    def _parameters(self) -> list[nn.Parameter]:
        return [*self.policy.parameters(), *self.value.parameters()]

    def _refresh_normaliser(self) -> None:
        scaler = self._observation_preprocessor
        self._obs_mean = scaler.running_mean.float()
        self._obs_scale = 1.0 / (scaler.running_variance.float().sqrt() + scaler.epsilon)

    def normalise(self, observations: Tensor) -> Tensor:
        """Observations (…, O) in standard deviations from their mean, clipped."""
        clip = self.settings.observation_clip
        inputs = observations.to(self.device)
        return ((inputs - self._obs_mean) * self._obs_scale).clamp_(-clip, clip)

    @torch.no_grad()
    def explore(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Sampled actions and their means, (N, A) each, for raw observations (N, O)."""
        mean = self.policy.net(self.normalise(observations))
        noise = torch.randn(mean.shape, generator=self.generator).to(self.device)
        return mean + noise * self._std(), mean

    @torch.no_grad()
    def mean_actions(self, observations: Tensor) -> Tensor:
        """What the deployed policy does: mean actions (N, A) in [-1, 1], on the observations' device."""
        return self.policy.net(self.normalise(observations)).clamp_(-1.0, 1.0).to(observations.device)

    def _std(self) -> Tensor:
        return self.policy.log_std.clamp(MIN_LOG_STD, MAX_LOG_STD).exp()

    def learn(self, rollout: Rollout, last_observations: Tensor) -> dict[str, float]:
        """One update from a full rollout; returns losses, entropy, KL and how wide the policy explores."""
        batch = self._prepare(rollout, last_observations)
        totals = torch.zeros(3, device=self.device)
        kls: list[Tensor] = []
        for _ in range(self.settings.learning_epochs):
            epoch_kls = self._epoch(batch, totals)
            if isinstance(self.scheduler, KLAdaptiveLR):
                self.scheduler.step(self.together.mean(torch.stack(epoch_kls).mean()).item())
            kls += epoch_kls
        self._observation_preprocessor(rollout.observations.flatten(0, 1), train=True)
        self._refresh_normaliser()
        policy_loss, value_loss, entropy = (totals / len(kls)).tolist()
        return {
            "loss/policy": policy_loss,
            "loss/value": value_loss,
            "loss/entropy": entropy,
            "agent/kl": torch.stack(kls).mean().item(),
            "agent/std": self._std().mean().item(),
        }

    def in_force(self) -> dict[str, float]:
        """Settings by name, read back from what learning reads: the optimizer, its schedule, the losses."""
        settings = self.settings
        found = {name: float(getattr(settings, name)) for name in _READ_AT_EVERY_UPDATE}
        if isinstance(self.scheduler, KLAdaptiveLR):
            found["desired_kl"] = self.scheduler.kl_threshold
            found["min_learning_rate"], found["max_learning_rate"] = (
                self.scheduler.min_lr,
                self.scheduler.max_lr,
            )
        return found | {"learning_rate": self.optimizer.param_groups[0]["lr"]}

    def restart_learning_rate(self, fraction_done: float) -> None:
        """Go on from ``settings.learning_rate``: a loaded optimizer has brought the one it was saved with.

        kl_adaptive moves on from there, linear falls to 0 on the line that begins there.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate
        self.anneal(fraction_done)
        self._tell_scheduler()

    def _tell_scheduler(self) -> None:
        if self.scheduler is not None:
            self.scheduler._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    @torch.no_grad()
    def _prepare(self, rollout: Rollout, last_observations: Tensor) -> list[Tensor]:
        """Flat (T·N, …) tensors: inputs, actions, log-probabilities, advantages, returns, values."""
        settings, scaler = self.settings, self._value_preprocessor
        inputs = self.normalise(rollout.observations)
        values = scaler(self.value.net(inputs), inverse=True)[..., 0]
        last_values = scaler(self.value.net(self.normalise(last_observations)), inverse=True)[..., 0]
        for row, envs, observations in rollout.bootstraps:
            rest = scaler(self.value.net(self.normalise(observations)), inverse=True)[:, 0]
            rollout.rewards[row, envs] += settings.discount_factor * rest
        advantages, returns = advantages_and_returns(
            rollout.rewards, rollout.ended, values, last_values, settings.discount_factor, settings.gae_lambda
        )
        mean, std = self.together.mean_and_std(advantages)
        advantages = (advantages - mean) / (std + 1e-8)
        normal_returns = scaler(returns.flatten()[:, None], train=True)
        normal_values = scaler(values.flatten()[:, None])
        log_prob = self._log_prob(rollout.means, rollout.actions)
        return [
            inputs.flatten(0, 1),
            rollout.actions.flatten(0, 1),
            log_prob.flatten(),
            advantages.flatten(),
            normal_returns[:, 0],
            normal_values[:, 0],
        ]

    def _log_prob(self, means: Tensor, actions: Tensor) -> Tensor:
        log_std = self.policy.log_std.clamp(MIN_LOG_STD, MAX_LOG_STD)
        z = (actions - means) * torch.exp(-log_std)
        return -(0.5 * z.square().sum(dim=-1) + log_std.sum() + _HALF_LOG_2PI * actions.shape[-1])

    def _epoch(self, batch: list[Tensor], totals: Tensor) -> list[Tensor]:
        """One pass in shuffled minibatches; adds to ``totals`` and returns the KL of each minibatch."""
        size = len(batch[0])
        order = torch.randperm(size, generator=self.generator).to(self.device)
        chunks = [tensor[order].chunk(self.settings.mini_batches) for tensor in batch]
        kls = []
        for inputs, actions, old_log_prob, advantages, returns, old_values in zip(*chunks, strict=True):
            log_prob = self._log_prob(self.policy.net(inputs), actions)
            log_ratio = log_prob - old_log_prob
            policy_loss = self._policy_loss(log_ratio, advantages)
            value_loss = self._value_loss(self.value.net(inputs)[:, 0], returns, old_values)
            entropy = (self.policy.log_std.clamp(MIN_LOG_STD, MAX_LOG_STD) + 0.5 + _HALF_LOG_2PI).sum()
            loss = policy_loss + value_loss - self.settings.entropy_loss_scale * entropy
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.together.average_gradients(self._parameters())
            nn.utils.clip_grad_norm_(self._parameters(), self.settings.grad_norm_clip)
            self.optimizer.step()
            with torch.no_grad():
                totals += torch.stack([policy_loss, value_loss, entropy])
                kls.append(((log_ratio.exp() - 1.0) - log_ratio).mean())
        return kls

    def _policy_loss(self, log_ratio: Tensor, advantages: Tensor) -> Tensor:
        """Clipped surrogate (Schulman et al., Proximal Policy Optimization Algorithms, 2017, eq. 7)."""
        ratio, clip = log_ratio.exp(), self.settings.ratio_clip
        return -torch.min(ratio * advantages, ratio.clamp(1.0 - clip, 1.0 + clip) * advantages).mean()

    def _value_loss(self, predicted: Tensor, returns: Tensor, old: Tensor) -> Tensor:
        clip = self.settings.value_clip
        if clip > 0:
            predicted = old + (predicted - old).clamp(-clip, clip)
        return self.settings.value_loss_scale * (predicted - returns).square().mean()

    def anneal(self, fraction_done: float) -> None:
        """Set the linear schedule's learning rate; other schedules keep their own."""
        if self.settings.learning_rate_schedule == "linear":
            for group in self.optimizer.param_groups:
                group["lr"] = linear_rate(self.settings.learning_rate, fraction_done)

    def deployable(self) -> DeployablePolicy:
        """The policy as it is exported."""
        scaler = self._observation_preprocessor
        return DeployablePolicy(
            self.policy.net, scaler.running_mean, scaler.running_variance, self.settings.observation_clip
        )

    def fingerprint(self) -> int:
        """32 bits of what ranks must hold alike: networks, optimizer, normalisers, learning rate."""
        optimizer = self.optimizer.state_dict()
        tensors = [value for state in optimizer["state"].values() for value in state.values()]
        for name, module in self.checkpoint_modules.items():
            tensors += [] if name == "optimizer" else module.state_dict().values()
        rate = torch.tensor(optimizer["param_groups"][0]["lr"], dtype=torch.float64)
        crc = 0
        for tensor in (*tensors, rate):
            crc = zlib.crc32(tensor.detach().cpu().numpy().tobytes(), crc)
        return crc

    def state_dict(self) -> dict[str, Any]:
        """Everything that learning depends on, as tensors and plain numbers."""
        return {
            "modules": {name: module.state_dict() for name, module in self.checkpoint_modules.items()},
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`; the optimizer keeps the saved learning rate."""
        for name, module in self.checkpoint_modules.items():
            module.load_state_dict(saved["modules"][name])
        self.generator.set_state(saved["generator"])
        self._tell_scheduler()
        self._refresh_normaliser()


def linear_rate(first: float, fraction_done: float) -> float:
    """The linear schedule's learning rate."""
    return first * max(0.0, 1.0 - fraction_done)


def _skrl_config(config: AgentConfig, num_observations: int, device: str, together: Alone) -> PPO_CFG:
    """skrl's own configuration, for what its constructor builds."""
    shared = {"device": device, "together": together}
    return PPO_CFG(
        rollouts=config.rollouts,
        learning_epochs=config.learning_epochs,
        mini_batches=config.mini_batches,
        discount_factor=config.discount_factor,
        gae_lambda=config.gae_lambda,
        learning_rate=config.learning_rate,
        observation_preprocessor=SharedScaler,
        observation_preprocessor_kwargs={
            "size": box(num_observations),
            "clip_threshold": config.observation_clip,
            **shared,
        },
        value_preprocessor=SharedScaler,
        value_preprocessor_kwargs={"size": 1, "clip_threshold": VALUE_CLIP_STD, **shared},
        grad_norm_clip=config.grad_norm_clip,
        ratio_clip=config.ratio_clip,
        value_clip=config.value_clip,
        entropy_loss_scale=config.entropy_loss_scale,
        value_loss_scale=config.value_loss_scale,
    )


def _scheduler(optimizer: torch.optim.Optimizer, config: AgentConfig) -> KLAdaptiveLR | None:
    if config.learning_rate_schedule != "kl_adaptive":
        return None
    return KLAdaptiveLR(
        optimizer,
        kl_threshold=config.desired_kl,
        min_lr=config.min_learning_rate,
        max_lr=config.max_learning_rate,
    )
