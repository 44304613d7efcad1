"""Environments that Isaac Lab builds itself: tasks from gymnasium's registry, and configuration classes.

Beside the backend's own files the only place that imports from Isaac Lab.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from blueprint_tune.errors import BackendUnavailable, BlueprintTuneError, ConfigError, SimulatorError, nearest

CFG = "env_cfg_entry_point"
"""What a task is registered with in Isaac Lab, beside its class."""
PICTURE = (640, 480)
"""Width and height in pixels of what a task's viewer draws."""
SETUP_SEED = 0
"""Of what a task draws once, when it is built: the same in every trial and every evaluation."""
_built = False
"""Whether this process has had an environment before."""


def registered_env(task: str, num_envs: int, device: str, cameras: bool, register: Callable[[], None]) -> Any:
    """The environment that is registered as ``task``; the simulator must be running.

    ``register`` imports what registers further ones. Raises ConfigError for a name that nobody registered,
    SimulatorError for a task that cannot be built.
    """
    import gymnasium

    utilities = _import("isaaclab_tasks.utils")  # importing its package registers Isaac Lab's own tasks
    register()
    spec = gymnasium.registry.get(task)
    ours = [name for name, entry in gymnasium.registry.items() if CFG in entry.kwargs]
    if spec is None or CFG not in spec.kwargs:
        what = "is not registered" if spec is None else "is registered, but not as a task of Isaac Lab"
        raise ConfigError(
            f"backend.task={task}: {what}. {nearest(task, ours)} Tasks of your own come with"
            " backend.env_package=<folder or archive>, or backend.imports=[<module>] of an installed package."
        )
    mode = "rgb_array" if cameras else None
    try:
        cfg = utilities.parse_env_cfg(task, device=device, num_envs=num_envs)
        _check_single(task, cfg)
        cfg.seed, cfg.viewer.resolution = SETUP_SEED, PICTURE
        return _fresh(lambda: gymnasium.make(task, cfg=cfg, render_mode=mode).unwrapped)
    except BlueprintTuneError:
        raise
    except Exception as error:  # whatever a task's own code raises
        raise SimulatorError(
            f"backend.task={task}: Isaac Lab could not build it: {said_by(error)}"
        ) from error


def env_of(make_cfg: Callable[[], Any], num_envs: int, device: str, cameras: bool) -> Any:
    """The environment of a configuration class. Raises whatever that and Isaac Lab raise."""
    envs = _import("isaaclab.envs")
    cfg = make_cfg()
    cfg.scene.num_envs, cfg.sim.device = num_envs, device
    cfg.seed, cfg.viewer.resolution = SETUP_SEED, PICTURE
    return _fresh(lambda: envs.ManagerBasedRLEnv(cfg=cfg, render_mode="rgb_array" if cameras else None))


def said_by(error: BaseException) -> str:
    """An error of somebody else's code in one line, with the place in their files."""
    frames = traceback.extract_tb(error.__traceback__)
    first = (str(error).strip().splitlines() or ["no message"])[0]
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {first}{where}"


def _fresh(build: Callable[[], Any]) -> Any:
    """Build on an empty stage: what an earlier environment of the process left would be in the way."""
    global _built
    if _built:
        _import("isaaclab.sim.utils.stage").create_new_stage()
    _built = True
    return build()


def _check_single(task: str, cfg: Any) -> None:
    agents: Sequence[str] = getattr(cfg, "possible_agents", ())
    if agents:
        raise ConfigError(
            f"backend.task={task} has several agents ({', '.join(map(str, agents))}), and a policy here acts"
            " for one. Choose a task with one agent."
        )


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BackendUnavailable(
            f"backend 'isaaclab_task' needs {name}, which cannot be imported here: {error}. "
            "docs/isaac-lab.md says how to install Isaac Lab."
        ) from error
