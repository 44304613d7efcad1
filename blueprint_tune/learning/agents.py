"""From a checkpoint back to a policy."""

from __future__ import annotations

from pathlib import Path

import torch

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import StorageError
from blueprint_tune.learning.checkpoint import read_checkpoint
from blueprint_tune.learning.networks import DeployablePolicy
from blueprint_tune.learning.ppo import PPOAgent


def load_policy(
    checkpoint: Path, config: ExperimentConfig, num_observations: int, num_actions: int
) -> DeployablePolicy:
    """The deployable policy of a trainer's checkpoint.

    Raises StorageError when the file is missing, damaged or does not fit the config's networks.
    """
    saved = read_checkpoint(checkpoint)
    agent = PPOAgent(config.agent, num_observations, num_actions, torch.Generator())
    try:
        agent.load_state_dict(saved["agent"])
    except (RuntimeError, KeyError) as error:
        raise StorageError(
            f"Checkpoint {checkpoint} does not fit a policy with {num_observations} observations, "
            f"{num_actions} actions and hidden layers {config.agent.policy_hidden_dims}: {error}"
        ) from error
    return agent.deployable().eval()
