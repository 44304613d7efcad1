"""Simulators by the name a backend config gives. Each is imported only when it is asked for."""

from __future__ import annotations

import importlib
from typing import cast

from blueprint_tune.config.schema import BackendConfig
from blueprint_tune.errors import BackendUnavailable, SimulatorError, nearest
from blueprint_tune.mdp.state import Catalog
from blueprint_tune.simulators.base import Simulator
from blueprint_tune.tasks.spec import TaskSpec

BACKENDS = {
    "mujoco": ("blueprint_tune.simulators.mujoco.simulator", "MujocoSimulator"),
    "isaaclab": ("blueprint_tune.simulators.isaaclab.simulator", "IsaacLabSimulator"),
    "pointmass": ("blueprint_tune.simulators.pointmass", "PointmassSimulator"),
}
_WITHOUT_CLOTH = ("isaaclab", "pointmass")


def check_task(name: str, task: TaskSpec) -> None:
    """Raise SimulatorError for a task that the backend ``name`` cannot simulate, before any starts."""
    if task.cloths and name in _WITHOUT_CLOTH:
        raise SimulatorError(
            f"backend '{name}' has no cloth, which policy '{task.policy.name}' needs. Use backend=mujoco."
        )


def make_simulator(
    backend: BackendConfig,
    task: TaskSpec,
    catalog: Catalog,
    num_envs: int,
    num_threads: int,
    num_actions: int,
) -> Simulator:
    """Build the simulator of a backend; raises BackendUnavailable when it does not exist or cannot load."""
    name = backend.name
    if name not in BACKENDS:
        raise BackendUnavailable(f"There is no backend '{name}'. {nearest(name, BACKENDS)}")
    check_task(name, task)
    module, attribute = BACKENDS[name]
    try:
        simulator = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise BackendUnavailable(f"backend '{name}' cannot be imported: {error}.") from error
    return cast(Simulator, simulator(task, catalog, num_envs, num_threads, num_actions, backend))
