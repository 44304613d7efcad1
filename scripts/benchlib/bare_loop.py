"""PPO's acting and updating written straight on PyTorch: what a learner's time is measured against.

The same networks, running normalisation of observations and values, epochs, minibatches, clipping and
KL-adaptive learning rate as the agent, and nothing else: no environment, statistics, checks, reports.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from blueprint_tune.config.schema import AgentConfig
from blueprint_tune.envs.base import StepResult

_ACTIVATIONS = {"elu": nn.ELU, "relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}
_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def _network(sizes: Sequence[int], activation: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), _ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


class Moments:
    """Running mean and variance (Chan, Golub, LeVeque 1979)."""

    def __init__(self, size: int) -> None:
        self.mean = torch.zeros(size, dtype=torch.float64)
        self.variance = torch.ones(size, dtype=torch.float64)
        self.count = 1.0

    def update(self, rows: Tensor) -> None:
        """Take in (R, size) rows."""
        variance, mean = torch.var_mean(rows, dim=0)
        delta, total = mean - self.mean, self.count + len(rows)
        joint = self.variance * self.count + variance * len(rows)
        self.variance = (joint + delta.square() * self.count * len(rows) / total) / total
        self.mean += delta * len(rows) / total
        self.count = total

    def normalise(self, values: Tensor, clip: float) -> Tensor:
        """In standard deviations from the mean, clipped."""
        return ((values - self.mean.float()) / (self.variance.float().sqrt() + 1e-8)).clamp(-clip, clip)

    def restore(self, values: Tensor) -> Tensor:
        """The inverse of :meth:`normalise`."""
        return values * self.variance.float().sqrt() + self.mean.float()


class BareLoop:
    """One learner; :meth:`run` is one rollout's acting and one update."""

    def __init__(self, settings: AgentConfig, observations: int, actions: int) -> None:
        self.settings, self.num_actions = settings, actions
        self.policy = _network([observations, *settings.policy_hidden_dims, actions], settings.activation)
        self.value = _network([observations, *settings.value_hidden_dims, 1], settings.activation)
        self.log_std = nn.Parameter(torch.full((actions,), math.log(settings.initial_std)))
        self.parameters = [*self.policy.parameters(), *self.value.parameters(), self.log_std]
        self.optimizer = torch.optim.Adam(self.parameters, lr=settings.learning_rate, fused=True)
        self.observation_moments, self.value_moments = Moments(observations), Moments(1)

    def run(self, before: Tensor, results: Sequence[StepResult]) -> None:
        """``before`` (N, O): observations ahead of the first step; ``results``: the environment's answers."""
        observations = torch.stack([before, *(r.observations for r in results[:-1])])
        inputs, actions, means = self._act(observations)
        with torch.no_grad():
            batch = self._prepare(inputs, actions, means, results)
        for _ in range(self.settings.learning_epochs):
            self._adapt(self._epoch(batch))
        self.observation_moments.update(observations.flatten(0, 1))

    @torch.no_grad()
    def _act(self, observations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        steps, envs = observations.shape[:2]
        inputs = torch.empty_like(observations)
        actions = torch.empty(steps, envs, self.num_actions)
        means = torch.empty_like(actions)
        for t in range(steps):
            inputs[t] = self.observation_moments.normalise(observations[t], self.settings.observation_clip)
            means[t] = self.policy(inputs[t])
            actions[t] = means[t] + torch.randn(envs, self.num_actions) * self.log_std.exp()
        return inputs, actions, means

    def _values(self, observations: Tensor) -> Tensor:
        normal = self.observation_moments.normalise(observations, self.settings.observation_clip)
        return self.value_moments.restore(self.value(normal))[..., 0]

    def _prepare(
        self, inputs: Tensor, actions: Tensor, means: Tensor, results: Sequence[StepResult]
    ) -> list[Tensor]:
        s = self.settings
        values = self.value_moments.restore(self.value(inputs))[..., 0]
        following = torch.cat([values[1:], self._values(results[-1].observations)[None]])
        rewards = torch.stack([r.rewards for r in results])
        going_on = torch.ones_like(rewards)
        for t, result in enumerate(results):
            if result.done:
                going_on[t] = (~(result.terminated | result.truncated)).float()
                cut = result.truncated.nonzero()[:, 0]
                rewards[t, cut] += s.discount_factor * self._values(result.terminal_observations[cut])
        deltas = rewards + s.discount_factor * going_on * following - values
        advantages, running = torch.empty_like(deltas), torch.zeros_like(deltas[0])
        for t in reversed(range(len(results))):
            running = deltas[t] + s.discount_factor * s.gae_lambda * going_on[t] * running
            advantages[t] = running
        returns = (advantages + values).flatten()[:, None]
        self.value_moments.update(returns)
        normal_returns, normal_values = (
            self.value_moments.normalise(v, 5.0)[:, 0] for v in (returns, values.flatten()[:, None])
        )
        advantages = ((advantages - advantages.mean()) / (advantages.std() + 1e-8)).flatten()
        log_prob = self._log_prob(means, actions).flatten()
        flat = [inputs.flatten(0, 1), actions.flatten(0, 1)]
        return [*flat, log_prob, advantages, normal_returns, normal_values]

    def _log_prob(self, means: Tensor, actions: Tensor) -> Tensor:
        z = (actions - means) * (-self.log_std).exp()
        return -(0.5 * z.square() + self.log_std + _HALF_LOG_2PI).sum(-1)

    def _epoch(self, batch: list[Tensor]) -> float:
        """One pass over the rollout; the mean KL to the policy that acted."""
        s, order = self.settings, torch.randperm(len(batch[0]))
        kl = torch.zeros(())
        for rows in order.chunk(s.mini_batches):
            inputs, actions, old, advantages, returns, old_values = (tensor[rows] for tensor in batch)
            log_ratio = self._log_prob(self.policy(inputs), actions) - old
            ratio = log_ratio.exp()
            clipped = ratio.clamp(1 - s.ratio_clip, 1 + s.ratio_clip)
            loss = -torch.min(ratio * advantages, clipped * advantages).mean()
            values = self.value(inputs)[:, 0]
            if s.value_clip > 0:
                values = old_values + (values - old_values).clamp(-s.value_clip, s.value_clip)
            loss = loss + s.value_loss_scale * (values - returns).square().mean()
            loss = loss - s.entropy_loss_scale * (self.log_std + 0.5 + _HALF_LOG_2PI).sum()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters, s.grad_norm_clip)
            self.optimizer.step()
            kl += ((ratio - 1) - log_ratio).mean().detach()
        return float(kl) / s.mini_batches

    def _adapt(self, kl: float) -> None:
        s = self.settings
        if s.learning_rate_schedule != "kl_adaptive":
            return
        for group in self.optimizer.param_groups:
            if kl > 2 * s.desired_kl:
                group["lr"] = max(group["lr"] / 1.5, s.min_learning_rate)
            elif kl < s.desired_kl / 2:
                group["lr"] = min(group["lr"] * 1.5, s.max_learning_rate)
