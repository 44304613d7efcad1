"""The double, launched for a test and left as it was found."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

REPLACED = (signal.SIGTERM, signal.SIGABRT, signal.SIGSEGV)


@pytest.fixture
def launched(isaac_double: str) -> Iterator[None]:
    """A launched app, this process's handlers and output put back afterwards."""
    from isaac_physics import session

    handlers, output = {number: signal.getsignal(number) for number in REPLACED}, sys.stdout
    mine, cameras = session.current.app is None, session.current.cameras_enabled
    if mine:
        from isaaclab.app import AppLauncher

        AppLauncher(headless=True, device="cpu", enable_cameras=True)
    sys.stdout, session.current.cameras_enabled = output, True
    yield
    session.current.clear()
    session.current.stage, session.current.cameras_enabled = None, cameras
    if mine:
        session.current.app = None
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def play(launched: None) -> Callable[..., Any]:
    """play(name=config, ...) -> sim, scene and the scene's entities by name, on the CPU, at 4 ms steps."""

    def start(num_envs: int = 3, **entities: Any) -> SimpleNamespace:
        import isaaclab.sim as sim_utils
        from isaaclab.scene import InteractiveScene, InteractiveSceneCfg

        sim_utils.SimulationContext.clear_instance()
        sim_utils.create_new_stage()
        material = sim_utils.RigidBodyMaterialCfg(friction_combine_mode="max")
        sim = sim_utils.SimulationContext(
            sim_utils.SimulationCfg(device="cpu", dt=0.004, physics_material=material)
        )
        cfg = InteractiveSceneCfg(num_envs=num_envs, env_spacing=2.0)
        for name, entity in entities.items():
            setattr(cfg, name, entity)
        scene = InteractiveScene(cfg)
        sim.reset()
        made = {name: scene[name] for name in entities}
        return SimpleNamespace(sim=sim, scene=scene, **made)

    return start
