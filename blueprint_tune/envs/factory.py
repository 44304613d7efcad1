"""From an experiment's config to its environment."""

from __future__ import annotations

import torch

from blueprint_tune.config.curriculum import policy_at
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.actions import Actions, make_actions
from blueprint_tune.envs.base import VecEnv
from blueprint_tune.envs.draws import make_draws
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.envs.task_terms import TaskTerms
from blueprint_tune.mdp.state import Catalog
from blueprint_tune.simulators import registry
from blueprint_tune.tasks.spec import TaskSpec, bind_task, catalog


def check_task(config: ExperimentConfig) -> TaskSpec:
    """Bind scene, roles and every term, starting no simulator.

    Raises ConfigError, ManifestError, TaskPackageError or SimulatorError for whatever a run would have died
    of.
    """
    task = bind_task(config)
    names = catalog(task)
    _bind_policy(config, task, names)
    _actions(config, torch.zeros(len(config.robot.chain), 2))
    return task


def make_env(config: ExperimentConfig, num_threads: int, ranks: int = 1) -> VecEnv:
    """The environments of a trial, or of one of its ``ranks``, stepped on ``num_threads`` CPU threads.

    Raises what :func:`check_task` raises, and SimulatorError when the scene cannot be simulated.
    """
    if config.backend.own_task:
        from blueprint_tune.envs.isaaclab_task import make_isaaclab_task  # its own task: no terms are bound

        return make_isaaclab_task(config, ranks)
    return make_manipulation(config, num_threads, ranks)


def make_manipulation(config: ExperimentConfig, num_threads: int, ranks: int = 1) -> ManipulationEnv:
    """The environments of a task that is bound to a scene, on a simulator of this program."""
    task = bind_task(config)
    names = catalog(task)
    terms = _bind_policy(config, task, names)
    num_actions = len(_actions(config, torch.zeros(len(config.robot.chain), 2)).names)
    num_envs = config.backend.num_envs // ranks
    simulator = registry.make_simulator(config.backend, task, names, num_envs, num_threads, num_actions)
    actions = _actions(config, torch.from_numpy(simulator.joint_limits).float().to(simulator.device))
    return ManipulationEnv(task, simulator, actions, terms, num_envs * ranks)


def _bind_policy(config: ExperimentConfig, task: TaskSpec, names: Catalog) -> TaskTerms:
    """The terms of the policy; raises ConfigError also for what only its curriculum's beginning has wrong."""
    terms = TaskTerms.bind(config.policy, names)
    for policy in (config.policy, policy_at(config.policy, 0.0)):
        TaskTerms.bind(policy, names)
        make_draws(policy, task)
    return terms


def _actions(config: ExperimentConfig, joint_limits: torch.Tensor) -> Actions:
    return make_actions(config.policy.actions, config.robot, joint_limits)
