"""One PPO update against a plain implementation that shares none of its code."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from blueprint_tune.config.schema import AgentConfig, ExperimentConfig
from blueprint_tune.learning.ppo import PPOAgent
from blueprint_tune.learning.rollout import Rollout

STEPS, ENVS, OBSERVATIONS, ACTIONS = 6, 4, 5, 2


@pytest.fixture
def settings(config: Callable[..., ExperimentConfig]) -> AgentConfig:
    agent = config().agent
    changes: dict[str, Any] = {"rollouts": STEPS, "learning_epochs": 2, "mini_batches": 3, "value_clip": 0.2}
    return replace(agent, **changes, entropy_loss_scale=0.01, value_loss_scale=0.7, grad_norm_clip=0.5)


def new_agent(settings: AgentConfig, seed: int = 0) -> PPOAgent:
    torch.manual_seed(seed)
    agent = PPOAgent(settings, OBSERVATIONS, ACTIONS, torch.Generator().manual_seed(seed))
    with torch.no_grad():  # not the nearly silent first policy: its gradients would hide mistakes
        agent.policy.net[-1].weight.mul_(50.0)
    return agent


def filled(agent: PPOAgent, seed: int) -> tuple[Rollout, Tensor]:
    """A rollout of the agent in a random world: some episodes end, some are cut off."""
    world = torch.Generator().manual_seed(seed)
    rollout = Rollout(STEPS, ENVS, OBSERVATIONS, ACTIONS)
    for _ in range(STEPS):
        observations = 3.0 * torch.randn(ENVS, OBSERVATIONS, generator=world) + 1.0
        actions, means = agent.explore(observations)
        rollout.add(observations, means, actions)
        fate = torch.rand(ENVS, generator=world)
        terminated, truncated = fate < 0.1, fate > 0.7
        terminal = torch.randn(ENVS, OBSERVATIONS, generator=world)
        rewards = 2.0 * torch.randn(ENVS, generator=world) + 4.0
        done = bool((terminated | truncated).any())
        rollout.add_outcome(rewards, terminated, truncated, terminal, done)
    return rollout, torch.randn(ENVS, OBSERVATIONS, generator=world)


class Scaler:
    """Running mean and variance of everything seen, starting from one sample of mean 0 and variance 1."""

    def __init__(self, size: int, clip: float) -> None:
        self.mean, self.variance, self.count = torch.zeros(size).double(), torch.ones(size).double(), 1.0
        self.clip = clip

    def see(self, rows: Tensor) -> None:
        rows = rows.double()
        n, total = len(rows), self.count + len(rows)
        mean, variance = rows.mean(dim=0), rows.var(dim=0)
        apart = (mean - self.mean) ** 2 * self.count * n / total
        self.variance = (self.variance * self.count + variance * n + apart) / total
        self.mean = (self.mean * self.count + mean * n) / total
        self.count = total

    def scaled(self, rows: Tensor) -> Tensor:
        scaled = (rows - self.mean) / (self.variance.sqrt() + 1e-8)
        return scaled.clamp(-self.clip, self.clip).float()

    def unscaled(self, rows: Tensor) -> Tensor:
        return (rows.clamp(-self.clip, self.clip) * self.variance.sqrt() + self.mean).float()


class PlainPPO:
    """The textbook algorithm, one sample, one loop, one formula at a time."""

    def __init__(self, agent: PPOAgent) -> None:
        self.s = agent.settings
        self.policy, self.value = copy.deepcopy(agent.policy.net), copy.deepcopy(agent.value.net)
        self.log_std = nn.Parameter(agent.policy.log_std.detach().clone())
        self.optimizer = torch.optim.Adam(self.parameters(), lr=self.s.learning_rate)
        self.seen, self.worth = Scaler(OBSERVATIONS, self.s.observation_clip), Scaler(1, 5.0)

    def parameters(self) -> list[nn.Parameter]:
        return [*self.policy.parameters(), self.log_std, *self.value.parameters()]

    def values(self, observations: Tensor) -> Tensor:
        return self.worth.unscaled(self.value(self.seen.scaled(observations))).squeeze(-1).detach()

    def targets(self, rollout: Rollout, last: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Advantages, returns and values, (T, N) each."""
        rewards, values, after = rollout.rewards.clone(), self.values(rollout.observations), self.values(last)
        for row, envs, seen in rollout.bootstraps:
            rewards[row, envs] += self.s.discount_factor * self.values(seen)
        advantages = torch.zeros(STEPS, ENVS)
        for env in range(ENVS):
            running, following = 0.0, float(after[env])
            for step in reversed(range(STEPS)):
                going_on = 1.0 - float(rollout.ended[step, env])
                error = rewards[step, env] + self.s.discount_factor * going_on * following - values[step, env]
                running = float(error) + self.s.discount_factor * self.s.gae_lambda * going_on * running
                advantages[step, env], following = running, float(values[step, env])
        return advantages, advantages + values, values

    def learn(self, rollout: Rollout, last: Tensor, generator: torch.Generator) -> dict[str, float]:
        advantages, returns, values = self.targets(rollout, last)
        self.worth.see(returns.reshape(-1, 1))
        data = {
            "inputs": self.seen.scaled(rollout.observations),
            "actions": rollout.actions,
            "log_prob": self.distribution(rollout.means).log_prob(rollout.actions).detach(),
            "advantages": (advantages - advantages.mean()) / (advantages.std() + 1e-8),
            "returns": self.worth.scaled(returns[..., None])[..., 0],
            "values": self.worth.scaled(values[..., None])[..., 0],
        }
        flat = {name: tensor.flatten(0, 1) for name, tensor in data.items()}
        found: list[tuple[float, float, float, float]] = []
        for _ in range(self.s.learning_epochs):
            parts = torch.randperm(STEPS * ENVS, generator=generator).chunk(self.s.mini_batches)
            epoch = [self.descend({name: tensor[part] for name, tensor in flat.items()}) for part in parts]
            found += epoch
            self.adapt(sum(kl for *_, kl in epoch) / len(epoch))
        self.seen.see(rollout.observations.flatten(0, 1))
        means = [sum(column) / len(found) for column in zip(*found)]
        return dict(zip(("loss/policy", "loss/value", "loss/entropy", "agent/kl"), means))

    def distribution(self, means: Tensor) -> Independent:
        return Independent(Normal(means, self.log_std.exp().expand_as(means)), 1)

    def descend(self, batch: dict[str, Tensor]) -> tuple[float, float, float, float]:
        distribution = self.distribution(self.policy(batch["inputs"]))
        ratio = (distribution.log_prob(batch["actions"]) - batch["log_prob"]).exp()
        low, high = 1 - self.s.ratio_clip, 1 + self.s.ratio_clip
        surrogate = torch.stack([ratio * batch["advantages"], ratio.clamp(low, high) * batch["advantages"]])
        policy_loss = -surrogate.min(dim=0).values.mean()
        predicted = self.value(batch["inputs"])[:, 0]
        if self.s.value_clip:
            moved = (predicted - batch["values"]).clamp(-self.s.value_clip, self.s.value_clip)
            predicted = batch["values"] + moved
        value_loss = self.s.value_loss_scale * nn.functional.mse_loss(predicted, batch["returns"])
        entropy = distribution.entropy().mean()
        self.optimizer.zero_grad()
        (policy_loss + value_loss - self.s.entropy_loss_scale * entropy).backward()
        nn.utils.clip_grad_norm_(self.parameters(), self.s.grad_norm_clip)
        self.optimizer.step()
        kl = (ratio - 1 - ratio.log()).mean()
        return policy_loss.item(), value_loss.item(), entropy.item(), kl.item()

    def adapt(self, kl: float) -> None:
        if self.s.learning_rate_schedule != "kl_adaptive":
            return
        group = self.optimizer.param_groups[0]
        if kl > 2 * self.s.desired_kl:
            group["lr"] = max(group["lr"] / 1.5, self.s.min_learning_rate)
        elif kl < self.s.desired_kl / 2:
            group["lr"] = min(group["lr"] * 1.5, self.s.max_learning_rate)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"value_clip": 0.0, "entropy_loss_scale": 0.0, "learning_rate_schedule": "constant"},
        {"learning_rate": 0.02, "ratio_clip": 0.1, "gae_lambda": 0.5, "observation_clip": 1.0},
    ],
    ids=["as configured", "without the options", "with everything clipped"],
)
def test_updates_are_those_of_the_textbook(settings: AgentConfig, changes: dict[str, Any]) -> None:
    agent = new_agent(replace(settings, **changes))
    plain = PlainPPO(agent)
    for update in range(3):
        rollout, last = filled(agent, seed=update)
        generator = torch.Generator()
        generator.set_state(agent.generator.get_state())
        expected = plain.learn(copy.deepcopy(rollout), last, generator)
        found = agent.learn(rollout, last)
        for name, value in expected.items():
            assert math.isclose(found[name], value, rel_tol=1e-3, abs_tol=1e-5), (update, name)
        rate = agent.in_force()["learning_rate"]
        assert math.isclose(rate, plain.optimizer.param_groups[0]["lr"], rel_tol=1e-6)
        mine = [*agent.policy.net.parameters(), agent.policy.log_std, *agent.value.net.parameters()]
        for a, b in zip(mine, plain.parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(agent._obs_mean, plain.seen.mean.float())


def test_exploration_is_the_policys_distribution(settings: AgentConfig) -> None:
    agent = new_agent(settings)
    observations = torch.randn(4000, OBSERVATIONS)
    actions, means = agent.explore(observations)
    noise = (actions - means) / settings.initial_std
    assert abs(noise.mean()) < 0.05 and abs(noise.std() - 1) < 0.05
    torch.testing.assert_close(agent.mean_actions(observations), means.clamp(-1, 1))


def test_all_randomness_comes_from_the_agents_generator(settings: AgentConfig) -> None:
    found = []
    for noise in (1, 2):
        agent = new_agent(settings)
        torch.manual_seed(noise)
        rollout, last = filled(agent, seed=5)
        torch.manual_seed(noise + 10)
        agent.learn(rollout, last)
        found.append([p.detach().clone() for p in agent.policy.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found))


def test_the_deployed_policy_does_what_the_trained_one_does(settings: AgentConfig) -> None:
    agent = new_agent(settings)
    for update in range(2):
        agent.learn(*filled(agent, seed=update))
    observations = 4.0 * torch.randn(200, OBSERVATIONS)
    deployed = agent.deployable()(observations)
    torch.testing.assert_close(deployed, agent.mean_actions(observations), atol=1e-6, rtol=1e-6)
    assert deployed.abs().max() <= 1.0


def test_a_restored_agent_goes_on_bit_for_bit(settings: AgentConfig) -> None:
    agent, other = new_agent(settings), new_agent(settings, seed=1)
    agent.learn(*filled(agent, seed=0))
    other.learn(*filled(other, seed=7))
    other.load_state_dict(copy.deepcopy(agent.state_dict()))
    for update in range(2):
        first, second = (each.learn(*filled(each, seed=update)) for each in (agent, other))
        assert first == second
    for a, b in zip(agent._parameters(), other._parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_linear_schedule_falls_to_nothing(settings: AgentConfig) -> None:
    agent = new_agent(replace(settings, learning_rate_schedule="linear"))
    rates = []
    for done in (0.0, 0.5, 1.0, 1.1):
        agent.anneal(done)
        rates.append(agent.optimizer.param_groups[0]["lr"] / settings.learning_rate)
    assert rates == [1.0, 0.5, 0.0, 0.0]
