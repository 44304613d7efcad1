"""The gantry: simple enough to compute, honest enough that a sensible policy succeeds and none by luck."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.learning.selection import play
from blueprint_tune.simulators.base import Simulator
from blueprint_tune.simulators.gantry import GRIP_RATE, LAG_S, METRES_PER_RAD
from blueprint_tune.tasks.obstacles import moved

NewEnv = Callable[..., ManipulationEnv]
DOOR = ("policy=drawer_manipulation", "policy.roles.target.joint=revolute")


def at_rest(new_env: NewEnv, *overrides: str, num_envs: int = 2) -> Simulator:
    simulator = new_env("backend=pointmass", *overrides, num_envs=num_envs).simulator
    simulator.reset(np.arange(num_envs), simulator.nominal.take(np.zeros(num_envs, dtype=np.int64)))
    return simulator


def holding(new_env: NewEnv, mass_scale: float = 1.0, friction_scale: float = 1.0) -> Simulator:
    """The object lifted off its support, between closed fingers, for a second."""
    simulator = at_rest(new_env)
    starts = simulator.nominal.take(np.zeros(2, dtype=np.int64))
    starts.body_pos[:, 0] = simulator.state.frame_pos[:, 0]
    starts.mass_scale[:], starts.friction_scale[:] = mass_scale, friction_scale
    starts.joint_pos[:, 7:9] = starts.joint_target[:, 7:9] = 0.0
    simulator.reset(np.arange(2), starts)
    simulator.step(round(1.0 / simulator.physics_dt_s))
    return simulator


def test_joints_follow_their_targets_with_a_lag(new_env: NewEnv) -> None:
    simulator = at_rest(new_env)
    start = simulator.state.joint_pos[:, :9].clone()
    step = torch.full((2, 9), 0.1)
    step[:, 7:] = -0.01
    simulator.set_joint_targets(start + step)
    simulator.step(10)
    part = 1 - np.exp(-10 * simulator.physics_dt_s / LAG_S)
    torch.testing.assert_close(simulator.state.joint_pos[:, :9] - start, step * part, rtol=1e-4, atol=1e-6)


def test_three_joints_are_the_axes_of_the_gantry(new_env: NewEnv) -> None:
    env = new_env("backend=pointmass", num_envs=4)
    simulator, yaw = env.simulator, env.task.robot_base[3]
    starts = simulator.nominal.take(np.zeros(4, dtype=np.int64))
    starts.joint_pos[:, :3] += np.vstack([np.zeros(3), np.eye(3)])
    starts.joint_pos[:, 3:7] += 0.5
    starts.joint_target[:] = starts.joint_pos[:, :9]
    simulator.reset(np.arange(4), starts)
    went = simulator.state.frame_pos[1:, 0] - simulator.state.frame_pos[0, 0]
    axes = [[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]]
    np.testing.assert_allclose(went, METRES_PER_RAD * np.array(axes), atol=1e-6)


def test_a_held_body_hangs_on_the_spring(new_env: NewEnv) -> None:
    simulator = holding(new_env)
    below = simulator.state.frame_pos[:, 0, 2] - simulator.state.frame_pos[:, 1, 2]
    torch.testing.assert_close(below, torch.full((2,), 9.81 / GRIP_RATE**2), rtol=1e-2, atol=0)
    forces = simulator.state.contact_force[:, :2]
    torch.testing.assert_close(forces, torch.full((2, 2), 15.0 + 0.15 * 9.81 / 2), rtol=1e-3, atol=0)


@pytest.mark.parametrize(("mass", "friction"), [(100.0, 1.0), (1.0, 0.01)])
def test_the_grip_slips_on_what_is_too_heavy_or_too_smooth(
    new_env: NewEnv, mass: float, friction: float
) -> None:
    simulator = holding(new_env, mass, friction)
    frame = simulator.state.frame_pos[:, 1, 2]
    np.testing.assert_allclose(frame, simulator.nominal.body_pos[0, 0, 2], atol=1e-6)
    assert (simulator.state.contact_force == 0).all()


@pytest.mark.parametrize("overrides", [("policy=drawer_manipulation",), DOOR])
def test_handles_move_as_on_real_physics(new_env: NewEnv, overrides: tuple[str, ...]) -> None:
    pairs = [new_env(f"backend={name}", *overrides, num_envs=5) for name in ("pointmass", "mujoco")]
    task = pairs[0].task
    entity = task.jointed[0]
    positions = np.linspace(*pairs[0].simulator.joint_limits[-1], 5)
    for env in pairs:
        starts = env.simulator.nominal.take(np.zeros(5, dtype=np.int64))
        starts.joint_pos[:, -1] = positions
        env.simulator.reset(np.arange(5), starts)
    first, second = (env.simulator.state for env in pairs)
    torch.testing.assert_close(first.frame_pos[:, 1:], second.frame_pos[:, 1:], atol=1e-5, rtol=0)
    same = (first.frame_quat[:, 1:] * second.frame_quat[:, 1:]).sum(dim=2).abs()
    torch.testing.assert_close(same, torch.ones_like(same), atol=1e-5, rtol=0)
    expected = [entity.to_scene(moved(entity, f, entity.handle.center)) for f in np.linspace(0, 1, 5)]
    np.testing.assert_allclose(first.frame_pos[:, 2], expected, atol=1e-5)


def position_of(env: ManipulationEnv, name: str) -> Tensor:
    return env.simulator.state.frame_pos[:, env.simulator.state.catalog.frames.index(name)]


def sensible(env: ManipulationEnv, what: str, goal: Callable[[], Tensor]) -> Callable[[Tensor], Tensor]:
    """Go to a thing with open fingers, close them, and carry it to where it belongs."""

    def act(_: Tensor) -> Tensor:
        ee, thing = position_of(env, "robot/ee"), position_of(env, what)
        there = (ee - thing).norm(dim=1, keepdim=True) < 0.02
        held = there & (env.simulator.state.contact_force[:, :1] > 0)
        actions = torch.zeros(env.num_envs, env.num_actions)
        actions[:, :3] = torch.where(held, goal() - ee, thing - ee) / env.policy.actions.scale_m / 2
        actions[:, -1:] = torch.where(there, -1.0, 1.0)
        return actions

    return act


def test_a_sensible_policy_picks_and_places(new_env: NewEnv) -> None:
    env = new_env("backend=pointmass", num_envs=50)
    act = sensible(env, "target", lambda: env.simulator.state.commands["goal"])
    assert play(env, act, seed=42, episodes=50).success_rate >= 0.95


def test_a_sensible_policy_opens_and_closes_drawers(new_env: NewEnv) -> None:
    env = new_env("backend=pointmass", "policy=drawer_manipulation", num_envs=50)
    entity = env.task.jointed[0]
    assert entity.joint is not None and entity.handle_position is not None
    axis, shut = (
        torch.tensor(entity.rotation @ entity.joint.axis).float(),
        torch.tensor(entity.handle_position),
    )

    def goal() -> Tensor:
        return shut.float() + env.simulator.state.commands["opening"] * entity.joint.range * axis

    assert play(env, sensible(env, "target/handle", goal), seed=42, episodes=50).success_rate >= 0.95


@pytest.mark.parametrize("policy", ["dexterous_pick_place", "drawer_manipulation"])
def test_doing_nothing_fails(new_env: NewEnv, policy: str) -> None:
    env = new_env("backend=pointmass", f"policy={policy}", num_envs=100)
    nothing = play(env, lambda _: torch.zeros(100, env.num_actions), seed=42, episodes=100)
    assert nothing.success_rate <= 0.05


def test_the_picture_shows_where_things_are(new_env: NewEnv) -> None:
    simulator = at_rest(new_env)
    before = simulator.render(0, 120, 90)
    assert (before.reshape(-1, 3) == [217, 92, 56]).all(axis=1).any(), "the object"
    simulator.set_joint_targets(simulator.state.joint_targets + 0.5)
    simulator.step(100)
    assert (simulator.render(0, 120, 90) != before).any()
