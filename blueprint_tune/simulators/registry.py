"""Simulators by the name a backend config gives. Each is imported only when it is asked for."""

from __future__ import annotations

import importlib
from typing import cast

from blueprint_tune.config.schema import BackendConfig
from blueprint_tune.errors import BackendUnavailable, nearest
from blueprint_tune.mdp.state import Catalog
from blueprint_tune.simulators.base import Simulator
from blueprint_tune.tasks.spec import TaskSpec

BACKENDS = {
    "mujoco": ("blueprint_tune.simulators.mujoco.simulator", "MujocoSimulator"),
    "isaaclab": ("blueprint_tune.simulators.isaaclab.simulator", "IsaacLabSimulator"),
    "pointmass": ("blueprint_tune.simulators.pointmass", "PointmassSimulator"),
}


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
    module, attribute = BACKENDS[name]
    try:
        simulator = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise BackendUnavailable(f"backend '{name}' cannot be imported: {error}.") from error
    return cast(Simulator, simulator(task, catalog, num_envs, num_threads, num_actions, backend))
