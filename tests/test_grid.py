"""Every policy type x robot x physics profile, in its scene: it steps without NaN, or is refused in words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from blueprint_tune.config.compose import compose
from blueprint_tune.config.paths import group_options
from blueprint_tune.envs.factory import make_env
from blueprint_tune.errors import ConfigError

ROBOTS = {
    "franka": ["robot=franka"],
    "ur10": ["robot=ur10"],
    "ur10 with a gripper": ["robot=ur10", "robot.gripper=parallel"],
    "fetch": ["robot=fetch"],
    "driving fetch": ["robot=fetch", "robot.base=planar"],
}
PUSHES = {
    "articulated_access",
    "door_manipulation",
    "drawer_manipulation",
    "knob_manipulation",
    "panel_interaction",
    "general_manipulation",
}
"""What needs no grasp, so that a robot without a gripper can try it."""
STEPS = 200


def possible(policy: str, robot: str) -> bool:
    if policy == "pallet_handling":
        return robot == "driving fetch"
    return robot != "ur10" or policy in PUSHES


@pytest.mark.parametrize("policy", group_options("policy"))
def test_every_robot_and_every_physics(benchmark: Callable[[str], list[str]], policy: str) -> None:
    torch.set_num_threads(1)
    scene = benchmark(policy)[0]
    for robot, choice in ROBOTS.items():
        for physics in group_options("physics"):
            where = f"{policy}, {robot}, {physics}"
            words = [scene, f"policy={policy}", f"physics={physics}", "preset=smoke", *choice]
            words += ["backend=mujoco", "backend.num_envs=1"]
            if not possible(policy, robot):
                with pytest.raises(ConfigError, match=r"^robot '.*' .*; policy '.*' .* Use robot="):
                    make_env(compose(words), 1)
                continue
            env = make_env(compose(words), 1)
            for step in range(STEPS):
                actions = torch.sin(torch.arange(env.num_actions) + 0.3 * step)[None]
                result = env.step(actions)
                assert torch.isfinite(result.observations).all(), f"{where}, env step {step}"
            env.close()
