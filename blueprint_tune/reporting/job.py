"""The published documents of one training job, field names as upstream has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blueprint_tune.config.schema import ExperimentConfig


@dataclass(frozen=True)
class JobFacts:
    """One experiment as a job.

    Attributes:
        job_id: the experiment's name. created_at, started_at, finished_at: ISO 8601 in UTC; None = not yet.
        status: ``pending``, ``running``, ``completed`` or ``failed``. error: the reason when failed.
        best_trial: id. num_trials, num_failed: counts.
        input_hash, content_hash: of the experiment. command: what reproduces it.
    """

    job_id: str
    status: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    best_trial: str | None
    num_trials: int
    num_failed: int
    input_hash: str
    content_hash: str
    command: str
    error: str | None = None


def job_config(cfg: ExperimentConfig, job: JobFacts, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The document ``job_config.json``; ``changes`` are the settings that differ from the defaults."""
    return {
        "job_id": job.job_id,
        "scene_id": cfg.scene.id,
        "policy_id": cfg.policy.name,
        "robot_type": cfg.robot.name,
        "physics_profile": cfg.physics.name,
        "backend": cfg.backend.name,
        "agent": cfg.agent.name,
        "sweep": cfg.sweep.name,
        "preset": cfg.preset,
        "searchspace": cfg.searchspace,
        "num_trials": job.num_trials,
        "num_envs": cfg.backend.num_envs,
        "env_steps_per_trial": cfg.budget.env_steps,
        "seed": cfg.seed,
        "overrides": dict(changes),
        "command": job.command,
        "input_hash": job.input_hash,
        "content_hash": job.content_hash,
    }


def job_status(cfg: ExperimentConfig, job: JobFacts) -> dict[str, Any]:
    """The document ``job_status.json``."""
    return {
        "job_id": job.job_id,
        "scene_id": cfg.scene.id,
        "policy_id": cfg.policy.name,
        "status": job.status,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "best_trial": job.best_trial,
        "num_trials": job.num_trials,
        "num_failed": job.num_failed,
        "error": job.error,
    }


def train_cfg(cfg: ExperimentConfig, max_episode_steps: int) -> dict[str, Any]:
    """The document ``train_cfg.yaml``: the best trial's settings under upstream's names.

    ``cfg`` has the trial's sampled values applied. What has no counterpart here is left out, never made up.
    """
    agent = cfg.agent
    per_update = agent.rollouts * cfg.backend.num_envs
    updates = -(-cfg.budget.env_steps // per_update)
    return {
        "task_name": f"{cfg.scene.id}_{cfg.policy.name}",
        "experiment_name": cfg.name,
        "env": {"num_envs": cfg.backend.num_envs, "episode_length": max_episode_steps},
        "algo": {
            "name": "PPO",
            "policy": {
                "class_name": "ActorCritic",
                "init_noise_std": agent.initial_std,
                "actor_hidden_dims": list(agent.policy_hidden_dims),
                "critic_hidden_dims": list(agent.value_hidden_dims),
                "activation": agent.activation,
            },
            "clip_param": agent.ratio_clip,
            "entropy_coef": agent.entropy_loss_scale,
            "value_loss_coef": agent.value_loss_scale,
            "max_grad_norm": agent.grad_norm_clip,
            "learning_rate": agent.learning_rate,
            "lr_schedule": _SCHEDULES[agent.learning_rate_schedule],
            "desired_kl": agent.desired_kl,
            "num_learning_epochs": agent.learning_epochs,
            "num_mini_batches": agent.mini_batches,
            "num_steps_per_env": agent.rollouts,
            "gamma": agent.discount_factor,
            "lam": agent.gae_lambda,
        },
        "runner": {
            "max_iterations": updates,
            "save_interval": _save_interval(cfg, per_update),
            "log_interval": max(1, cfg.budget.report_env_steps // per_update),
            "checkpoint_path": None,
            "resume": False,
        },
        "logging": {"wandb": _wandb(cfg), "tensorboard": {"enabled": cfg.logger.tensorboard}},
        "rewards": {name: term.get("weight") for name, term in cfg.policy.rewards.items()},
        "randomization": {
            "enabled": bool(cfg.policy.events),
            "on_reset": [{"name": name, "params": dict(term)} for name, term in cfg.policy.events.items()],
            "on_step": [],
        },
    }


def _wandb(cfg: ExperimentConfig) -> dict[str, Any]:
    wandb = cfg.logger.wandb
    return {"enabled": False} if wandb is None else {"enabled": True, "project": wandb.project}


_SCHEDULES = {"kl_adaptive": "adaptive", "linear": "linear", "constant": "fixed"}


def _save_interval(cfg: ExperimentConfig, per_update: int) -> int:
    return max(1, cfg.budget.report_env_steps * cfg.budget.checkpoint_every_reports // per_update)
