"""What a trial's process builds once and keeps: its environments, and the device its networks learn on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blueprint_tune.errors import BlueprintTuneError, ConfigError, SimulatorError, TaskPackageError

if TYPE_CHECKING:
    from blueprint_tune.config.schema import ExperimentConfig
    from blueprint_tune.envs.base import VecEnv


class ExperimentCannotRun(BlueprintTuneError):
    """The environment cannot be built: a mistake that every trial of the experiment shares."""


def new_env(cfg: ExperimentConfig, num_threads: int, ranks: int) -> VecEnv:
    """The environments of a trial, or a rank's share of them. Raises ExperimentCannotRun."""
    from blueprint_tune.envs.factory import make_env

    try:
        return make_env(cfg, num_threads, ranks)
    except (ConfigError, TaskPackageError, SimulatorError) as error:
        raise ExperimentCannotRun(str(error)) from error


def learning_device(cfg: ExperimentConfig) -> str:
    """Where this process's networks learn. Raises ExperimentCannotRun for a GPU that PyTorch cannot use."""
    import torch

    if cfg.agent.device == "cpu" or not cfg.sweep.resources.gpus:
        return "cpu"
    if not torch.cuda.is_available():
        raise ExperimentCannotRun(
            f"The trials are given a GPU (sweep.resources.gpus={cfg.sweep.resources.gpus:g}), but PyTorch "
            f"{torch.__version__} cannot use it. Install PyTorch's build for CUDA, or let the networks "
            "learn on the CPU with agent.device=cpu."
        )
    return "cuda:0"  # Ray shows a process the cards it was given, and no others
