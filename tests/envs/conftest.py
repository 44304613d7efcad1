"""One bound task to draw episodes for, and tasks that bring an environment of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import gymnasium
import pytest

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.tasks.spec import TaskSpec, bind_task

if TYPE_CHECKING:
    from blueprint_tune.envs.isaaclab_task import IsaacLabTaskEnv

DOUBLE = Path(__file__).resolve().parents[1] / "isaac_task_double"
ON_CPU = ("backend.device=cpu", "backend.gpus=0", "backend.close_timeout_s=null")


@pytest.fixture(scope="session")
def pick_task(config: Callable[..., ExperimentConfig]) -> TaskSpec:
    return bind_task(config("policy=dexterous_pick_place"))


@pytest.fixture(scope="session")
def drawer_task(config: Callable[..., ExperimentConfig]) -> TaskSpec:
    return bind_task(config("policy=drawer_manipulation"))


@pytest.fixture(scope="module")
def isaac_tasks() -> Iterator[None]:
    """Tasks of the double of Isaac Lab, its app running; another double is put aside for as long."""
    from blueprint_tune.simulators.isaaclab import launch, tasks

    aside = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith("isaaclab")}
    saved = launch._launched, tasks._built, dict(gymnasium.registry)
    launch._launched, tasks._built = None, False
    sys.path.insert(0, str(DOUBLE))
    try:
        launch.launch("cpu", cameras=True)
        yield
    finally:
        sys.path.remove(str(DOUBLE))
        for name in [name for name in sys.modules if name.startswith("isaaclab")]:
            del sys.modules[name]
        sys.modules.update(aside)
        launch._launched, tasks._built = saved[:2]
        gymnasium.registry.clear()
        gymnasium.registry.update(saved[2])


@pytest.fixture
def new_task(isaac_tasks: None) -> Iterator[Callable[..., IsaacLabTaskEnv]]:
    """new_task(task, *overrides, num_envs=…) -> its environment, in place of the one before."""
    from blueprint_tune.envs.factory import make_env

    opened: list[IsaacLabTaskEnv] = []

    def make(task: str, *overrides: str, num_envs: int = 8) -> IsaacLabTaskEnv:
        while opened:
            opened.pop().close()
        words = ["backend=isaaclab_task", f"backend.task={task}", f"backend.num_envs={num_envs}", *ON_CPU]
        opened.append(make_env(compose([*words, "preset=smoke", *overrides]), 1))
        return opened[-1]

    yield make
    while opened:
        opened.pop().close()
    sys.modules["isaaclab.sim"].SimulationContext.clear_instance()  # of one that failed while it was built
