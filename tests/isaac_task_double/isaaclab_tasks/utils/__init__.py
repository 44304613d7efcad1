"""From a registered name to its configuration."""

import importlib

import gymnasium
import isaaclab.envs  # noqa: F401


def parse_env_cfg(task_name, device="cuda:0", num_envs=None, use_fabric=None):
    """The configuration of a task with what is given put in its place."""
    entry = gymnasium.spec(task_name.split(":")[-1]).kwargs["env_cfg_entry_point"]
    module, name = entry.split(":")
    cfg = getattr(importlib.import_module(module), name)()
    cfg.sim.device = device
    if num_envs is not None:
        cfg.scene.num_envs = num_envs
    return cfg
