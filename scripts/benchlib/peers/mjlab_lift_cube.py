"""mjlab's cube-lifting task: an i2rt YAM arm, one free cube, a goal position that is drawn anew."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

from benchlib.peers.service import serve

TASK = "Mjlab-Lift-Cube-Yam"


def build(settings: dict[str, Any]) -> tuple[Callable[[], None], int, dict[str, Any]]:
    """On the CPU with ``num_envs`` environments, ``decimation`` physics steps of ``dt_s`` an env step."""
    import mjlab.tasks  # noqa: F401  registers the tasks
    import torch
    from mjlab.envs import ManagerBasedRlEnv
    from mjlab.tasks.registry import load_env_cfg

    config = load_env_cfg(TASK)
    shipped = config.sim.mujoco.timestep
    config.scene.num_envs = settings["num_envs"]
    config.decimation = settings["decimation"] or round(settings["control_dt_s"] / shipped)
    config.sim.mujoco.timestep = settings["control_dt_s"] / config.decimation
    env = ManagerBasedRlEnv(config, device="cpu")
    env.reset(seed=0)
    generator = torch.Generator().manual_seed(0)
    actions = torch.rand(50, env.num_envs, env.action_manager.total_action_dim, generator=generator) * 2 - 1
    count = 0

    def step() -> None:
        nonlocal count
        env.step(actions[count % len(actions)])
        count += 1

    return step, env.num_envs, _facts(config, shipped)


def _facts(config: Any, shipped_dt_s: float) -> dict[str, Any]:
    return {
        "task": TASK,
        "dt_s": config.sim.mujoco.timestep,
        "decimation": config.decimation,
        "shipped_dt_s": shipped_dt_s,
        "versions": {
            name: metadata.version(name) for name in ("mjlab", "mujoco-warp", "warp-lang", "mujoco")
        },
    }


if __name__ == "__main__":
    serve(build)
