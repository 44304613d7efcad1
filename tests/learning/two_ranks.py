"""One of the two processes of test_together.py: python two_ranks.py RANK ADDRESS FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import AgentConfig, ExperimentConfig
from blueprint_tune.envs.factory import make_env
from blueprint_tune.learning.ppo import PPOAgent
from blueprint_tune.learning.rollout import Rollout
from blueprint_tune.learning.together import Alone, Group
from blueprint_tune.learning.trainer import Trainer

STEPS, ENVS, OBSERVATIONS, ACTIONS, UPDATES = 6, 8, 5, 2, 4
SETTINGS = [
    "+scene=kitchen_001",
    "preset=smoke",
    "backend=pointmass",
    "backend.num_envs=32",
    "agent.policy_hidden_dims=[16]",
    "agent.value_hidden_dims=[16]",
    "agent.rollouts=16",
    "agent.mini_batches=2",
    "policy.episode_s=1.5",
    "budget.report_env_steps=1024",
    "evaluation.selection.episodes=40",
]


def learned(agent_config: AgentConfig, together: Alone) -> list[dict[str, Any]]:
    """What an agent holds after each update from its share of the same rollouts; one minibatch each."""
    torch.manual_seed(0)
    agent = PPOAgent(
        agent_config, OBSERVATIONS, ACTIONS, torch.Generator().manual_seed(together.rank), together
    )
    with torch.no_grad():
        agent.policy.net[-1].weight.mul_(50.0)
    share = ENVS // together.size
    mine = slice(together.rank * share, (together.rank + 1) * share)
    found = []
    for update in range(UPDATES):
        world = torch.Generator().manual_seed(update)
        rollout = Rollout(STEPS, share, OBSERVATIONS, ACTIONS)
        for _ in range(STEPS):
            # environments differ, so that the statistics of half of them are not those of all
            observations = torch.randn(ENVS, OBSERVATIONS, generator=world) + torch.arange(ENVS)[:, None]
            noise, fate = torch.randn(ENVS, ACTIONS, generator=world), torch.rand(ENVS, generator=world)
            rewards = torch.randn(ENVS, generator=world) * (1 + torch.arange(ENVS))
            means = agent.policy.net(agent.normalise(observations[mine])).detach()
            rollout.add(observations[mine], means, means + 0.5 * noise[mine])
            ends = (fate < 0.1)[mine], (fate > 0.8)[mine]
            rollout.add_outcome(
                rewards[mine], *ends, observations[mine] + 1.0, bool((ends[0] | ends[1]).any())
            )
        agent.learn(rollout, torch.randn(ENVS, OBSERVATIONS, generator=world)[mine])
        state = {
            "parameters": torch.cat([p.detach().flatten() for p in agent._parameters()]),
            "observations": torch.stack([agent._obs_mean, agent._obs_scale]),
            "values": agent._value_preprocessor.running_variance.clone(),
        }
        found.append({**state, "rate": agent.in_force()["learning_rate"], "fingerprint": agent.fingerprint()})
    return found


def trained(config: ExperimentConfig, together: Alone, folder: Path) -> dict[str, Any]:
    """Starts, evaluated slots and reports of a training; its last report again from a checkpoint."""
    env = make_env(config, 1, together.size)
    trainer = Trainer(env, config, folder, together=together)
    starts = {
        "observations": trainer._observations.clone(),
        "limit": env._limit.clone(),
        "slots": env._slots.copy(),
    }
    evaluated: list[int] = []
    reset = env.reset
    env.reset = lambda seeds, slots: (evaluated.extend(slots.tolist()), reset(seeds, slots))[1]  # type: ignore
    first = trainer.train_until_report()
    env.reset = reset  # type: ignore[method-assign]
    if together.size > 1:
        others = [trainer.share()]
        torch.distributed.broadcast_object_list(others, src=1)
        if together.rank == 0:
            trainer.save(folder / "checkpoint.pt", others)
    second, after = trainer.train_until_report(), trainer.agent.fingerprint()
    again: dict[str, float] = {}
    if together.size > 1:
        torch.distributed.barrier()
        resumed = Trainer(env, config, folder, together=together)
        resumed.load(folder / "checkpoint.pt")
        again = resumed.train_until_report()
        assert resumed.agent.fingerprint() == after
    return {
        "starts": starts,
        "evaluated": evaluated,
        "reports": [first, second],
        "again": again,
        "fingerprint": after,
        "slots": env._slots.copy(),
        "generator": trainer.agent.generator.get_state(),
    }


def agent_settings() -> AgentConfig:
    return compose([*SETTINGS, "agent.mini_batches=1", "agent.learning_epochs=3", "agent.rollouts=6"]).agent


def run(together: Alone, folder: Path) -> dict[str, Any]:
    return {
        "learned": learned(agent_settings(), together),
        "trained": trained(compose(SETTINGS), together, folder),
    }


def drift(together: Alone) -> str:
    """What is said when two ranks do not hold the same."""
    try:
        together.agree(7 + together.rank)
    except Exception as error:
        return str(error)
    return ""


if __name__ == "__main__":
    torch.set_num_threads(1)
    rank, address, where = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    group = Group(rank, 2, address, "cpu")
    torch.save({**run(group, where), "drift": drift(group)}, where / f"rank_{rank}.pt")
    group.close()
