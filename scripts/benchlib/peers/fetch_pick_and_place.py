"""gymnasium-robotics' FetchPickAndPlace, one process an environment as gymnasium's AsyncVectorEnv runs it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

import gymnasium
import gymnasium_robotics

from benchlib.peers.service import serve

TASK = "FetchPickAndPlace-v4"


class ControlRate(gymnasium.Wrapper):
    """Sets the physics steps of an env step, which the environment's constructor does not take."""

    def __init__(self, env: gymnasium.Env, dt_s: float, decimation: int) -> None:
        super().__init__(env)
        env.unwrapped.model.opt.timestep = dt_s
        env.unwrapped.n_substeps = decimation


def build(settings: dict[str, Any]) -> tuple[Callable[[], None], int, dict[str, Any]]:
    """``num_envs`` processes, ``decimation`` physics steps of ``dt_s`` an env step."""
    gymnasium.register_envs(gymnasium_robotics)
    shipped = gymnasium.make(TASK).unwrapped.model.opt.timestep
    decimation = settings["decimation"] or round(settings["control_dt_s"] / shipped)
    dt_s = settings["control_dt_s"] / decimation

    def make() -> gymnasium.Env:
        gymnasium.register_envs(gymnasium_robotics)
        return ControlRate(gymnasium.make(TASK), dt_s, decimation)

    env = gymnasium.vector.AsyncVectorEnv([make] * settings["num_envs"])
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(50)]
    count = 0

    def step() -> None:
        nonlocal count
        env.step(actions[count % len(actions)])
        count += 1

    facts = {
        "task": TASK,
        "dt_s": dt_s,
        "decimation": decimation,
        "shipped_dt_s": shipped,
        "versions": {name: metadata.version(name) for name in ("gymnasium-robotics", "gymnasium", "mujoco")},
    }
    return step, env.num_envs, facts


if __name__ == "__main__":
    serve(build)
