"""The policy and value networks, as skrl models, and the policy as it is deployed."""

from __future__ import annotations

import itertools
import math
from typing import Any

import gymnasium
import torch
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"elu": nn.ELU, "relu": nn.ReLU, "silu": nn.SiLU, "tanh": nn.Tanh}

MIN_LOG_STD, MAX_LOG_STD = -5.0, 2.0
"""Bounds of the learned log standard deviation: noise of 0.007 … 7.4 on actions in [-1, 1]."""

OUTPUT_GAIN = 0.01
"""Initial gain of the policy's last layer: first actions near zero (Andrychowicz et al., What Matters
In On-Policy Reinforcement Learning?, 2020, section 3.2)."""


def mlp(sizes: list[int], activation: str, output_gain: float) -> nn.Sequential:
    """Linear layers with orthogonal weights, activations between them, none after the last."""
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        linear = nn.Linear(inputs, outputs)
        last = index == len(sizes) - 2
        nn.init.orthogonal_(linear.weight, output_gain if last else math.sqrt(2.0))
        nn.init.zeros_(linear.bias)
        layers += [linear] if last else [linear, ACTIVATIONS[activation]()]
    return nn.Sequential(*layers)


def box(size: int) -> gymnasium.spaces.Box:
    """The unbounded space of a flat vector, as skrl describes sizes."""
    return gymnasium.spaces.Box(-math.inf, math.inf, (size,))


class GaussianPolicy(GaussianMixin, Model):
    """Mean from a network, one learned standard deviation an action."""

    def __init__(
        self,
        observations: int,
        actions: int,
        hidden: list[int],
        activation: str,
        initial_std: float,
        device: str = "cpu",
    ) -> None:
        Model.__init__(self, observation_space=box(observations), action_space=box(actions), device=device)
        GaussianMixin.__init__(self, min_log_std=MIN_LOG_STD, max_log_std=MAX_LOG_STD)
        self.net = mlp([observations, *hidden, actions], activation, OUTPUT_GAIN)
        self.log_std = nn.Parameter(torch.full((actions,), math.log(initial_std)))

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[Tensor, dict[str, Any]]:
        """skrl's hook: normalised observations (N, O) -> mean actions (N, A) and their log std (A,)."""
        return self.net(inputs["observations"]), {"log_std": self.log_std}


class ValueFunction(DeterministicMixin, Model):
    """Normalised value of a normalised observation."""

    def __init__(self, observations: int, hidden: list[int], activation: str, device: str = "cpu") -> None:
        Model.__init__(self, observation_space=box(observations), action_space=box(1), device=device)
        DeterministicMixin.__init__(self)
        self.net = mlp([observations, *hidden, 1], activation, 1.0)

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[Tensor, dict[str, Any]]:
        """skrl's hook: normalised observations (N, O) -> values (N, 1)."""
        return self.net(inputs["observations"]), {}


class DeployablePolicy(nn.Module):
    """Raw observations (N, O) -> mean actions (N, A) in [-1, 1]: normaliser, network and clip in one."""

    mean: Tensor
    scale: Tensor

    def __init__(self, net: nn.Sequential, mean: Tensor, variance: Tensor, clip: float) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", mean.float().clone())
        self.register_buffer("scale", 1.0 / (variance.float().sqrt() + 1e-8))
        self.clip = clip

    def forward(self, observations: Tensor) -> Tensor:
        """Mean actions of a batch of raw observations."""
        normalised = ((observations - self.mean) * self.scale).clamp(-self.clip, self.clip)
        return self.net(normalised).clamp(-1.0, 1.0)
