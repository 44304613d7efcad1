"""Grasping and pulling work by contact alone, and nothing succeeds without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.config.paths import group_options
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.learning.selection import play
from blueprint_tune.mdp.state import Contact

Script = Callable[..., Any]
"""The fixture ``scripted``; what it returns is in conftest.py."""


def height(script: Any) -> Tensor:
    return script.state.frame_pos[:, script.state.catalog.frames.index("target"), 2]


def test_nothing_is_attached(scripted: Script) -> None:
    for policy in ("dexterous_pick_place", "drawer_manipulation"):
        model = scripted(f"policy={policy}").model
        assert model.neq == 0 and model.nmocap == 0 and model.ntendon == 0
        free = [b for b in range(model.nbody) if "panda" not in model.body(b).name]
        assert (model.body_gravcomp[free] == 0).all(), "gravity acts on everything but the robot"


def test_a_tin_is_picked_up_and_held(scripted: Script) -> None:
    script = scripted()
    tin, up = script.frame("target"), np.array([0.0, 0.0, 1.0])
    before = height(script).clone()
    script.go(tin + 0.08 * up, 1.5)
    assert (script.state.contact_force[:, :2] == 0).all()
    torch.testing.assert_close(height(script), before, atol=1e-3, rtol=0)
    script.go(tin, 1.5)
    script.grip(0.0)
    assert (script.state.contact_force[:, :2] > 5.0).all(), "both fingers press"
    script.go(tin + 0.1 * up, 1.5)
    lifted = height(script) - before
    torch.testing.assert_close(lifted, torch.full((2,), 0.1), atol=0.01, rtol=0)
    held = height(script).clone()
    script.wait(3.0)
    torch.testing.assert_close(height(script), held, atol=0.003, rtol=0)
    assert (script.state.contact_force[:, :2] > 5.0).all()
    script.grip(0.04)
    torch.testing.assert_close(height(script), before, atol=0.02, rtol=0)


def test_pressing_with_both_fingers_is_no_grasp(scripted: Script) -> None:
    script = scripted()
    tin, up = script.frame("target"), np.array([0.0, 0.0, 1.0])
    fingers = Contact(columns=(0, 1))
    script.go(tin + 0.1 * up, 1.5)
    script.grip(0.0)
    script.go(tin + 0.02 * up, 1.5)  # closed fingers on its lid
    assert (script.state.contact_force[:, :2] > 1.0).all(), "both fingers press"
    assert (script.state.grasped(fingers, 1.0) == 0).all()
    script.go(tin + 0.1 * up, 1.0)
    script.grip(0.04)
    script.go(tin, 1.5)
    script.grip(0.0)
    assert (script.state.grasped(fingers, 1.0) == 1).all()


def test_a_hollow_mug_is_held_however_it_is_turned(scripted: Script) -> None:
    """Its eight walls are flat; fingers meet an edge, a face or something between."""
    script = scripted("+policy.roles.target.entity=mug_002")
    nominal, up = script.simulator.nominal, np.array([0.0, 0.0, 1.0])
    for yaw in np.radians([0.0, 10.0, 22.5, 35.0]):
        starts = nominal.take(np.zeros(2, dtype=np.int64))
        starts.body_quat[:, 0] = [np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
        script.simulator.reset(np.arange(2), starts)
        script.arm, script.fingers = nominal.joint_pos[0, :7], 0.04
        mug, before = script.frame("target"), height(script).clone()
        script.go(mug + 0.1 * up, 1.5)
        script.go(mug, 1.5)
        script.grip(0.0)
        script.go(mug + 0.1 * up, 1.5)
        script.wait(1.0)
        assert (height(script) - before > 0.08).all(), np.degrees(yaw)
        assert (script.state.contact_force[:, :2] > 5.0).all(), np.degrees(yaw)


def test_a_slippery_tin_stays(scripted: Script) -> None:
    """The same script: what lifts is friction, and 2 × 70 N × 0.005 is half of the weight."""
    script = scripted()
    starts = script.simulator.nominal.take(np.zeros(2, dtype=np.int64))
    starts.friction_scale[:] = 0.005
    script.simulator.reset(np.arange(2), starts)
    tin, before = script.frame("target"), height(script).clone()
    script.go(tin, 2.0)
    script.grip(0.0)
    script.go(tin + np.array([0.0, 0.0, 0.1]), 1.5)
    assert (height(script) - before < 0.02).all()


def test_a_drawer_is_pulled_open_by_its_handle_and_pushed_shut(scripted: Script) -> None:
    script = scripted("policy=drawer_manipulation")
    joint, handle = script.task.jointed[0].joint, script.frame("target/handle")
    outward = script.task.jointed[0].grip_outward
    opening = script.state.joint_pos[:, -1:]
    script.go(handle + 0.08 * outward, 2.0)
    assert (opening < 0.005).all()
    script.go(handle, 1.5)
    script.grip(0.0)
    assert (script.state.contact_force[:, :2] > 1.0).all(), "both fingers hold the bar"
    for part in np.linspace(0.0, 0.8, 9)[1:]:
        script.go(handle + part * joint.range * outward, 0.5)
    assert (opening > 0.7 * joint.range).all()
    assert (script.state.contact_force[:, :2] > 1.0).all()
    for part in np.linspace(0.8, 0.0, 9)[1:]:
        script.go(handle + part * joint.range * outward, 0.5)
    assert (opening < 0.1 * joint.range).all()


def test_what_lies_in_the_way_is_pushed_not_passed(scripted: Script) -> None:
    script = scripted()
    tin = script.frame("target")
    start = script.state.frame_pos[:, 1, :2].clone()
    script.grip(0.0)
    script.go(tin + np.array([0.08, 0.0, 0.01]), 2.0)
    script.go(tin + np.array([-0.02, 0.0, 0.01]), 1.5)
    assert ((script.state.frame_pos[:, 1, :2] - start).norm(dim=1) > 0.03).all()


def zero(env: ManipulationEnv) -> Callable[[Tensor], Tensor]:
    return lambda observations: torch.zeros(len(observations), env.num_actions)


def noise(env: ManipulationEnv) -> Callable[[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)
    return lambda observations: 2 * torch.rand(len(observations), env.num_actions, generator=generator) - 1


@pytest.mark.parametrize("policy", group_options("policy"))
@pytest.mark.parametrize("act", [zero, noise])
def test_doing_nothing_and_doing_anything_fail(
    new_env: Callable[..., ManipulationEnv],
    benchmark: Callable[[str], list[str]],
    policy: str,
    act: Callable[[ManipulationEnv], Callable[[Tensor], Tensor]],
) -> None:
    episodes = 20 if policy == "laundry_sorting" else 100  # cloth takes its time
    env = new_env(*benchmark(policy), "backend=mujoco", num_envs=episodes, num_threads=2)
    assert play(env, act(env), seed=42, episodes=episodes).success_rate <= 0.05
