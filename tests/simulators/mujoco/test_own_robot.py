"""A user's own URDF or MJCF in physics: motors, contacts and frames are added where the file has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import RobotConfig
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.errors import SimulatorError
from blueprint_tune.simulators.mujoco.robots import robot_spec

EXAMPLE = Path(__file__).parents[3] / "examples/robots/six_axis.urdf"
MJCF = """
<mujoco>
  <compiler angle="radian"/>
  <worldbody>
    <geom name="my_floor" type="plane" size="1 1 1"/>
    <body name="foot"><freejoint/>
      <geom size="0.05" mass="1"/>
      <body name="link" pos="0 0 0.2">
        <joint name="turn" axis="0 0 1" range="-2 2"/><geom size="0.05" mass="1"/>
        <body name="head"><joint name="nod" range="-1 1"/><geom size="0.03" mass="1"/></body>
        <body name="fore" pos="0.3 0 0">
          <joint name="bend" axis="0 1 0" range="-2 2"/>
          <geom type="capsule" fromto="0 0 0 0.2 0 0" size="0.03" mass="1"/>
          <geom size="0.1" contype="0" conaffinity="0" mass="0"/>
          <site name="tip" pos="0.25 0 0"/>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator><motor name="m" joint="turn"/><position name="p" joint="bend" kp="100" kv="20"/></actuator>
  <sensor><jointpos joint="turn"/></sensor>
  <keyframe><key qpos="0 0 0 1 0 0 0 0 0 0"/></keyframe>
</mujoco>
"""


def robot(model: Path, *overrides: str) -> RobotConfig:
    return compose(
        ["+scene=kitchen_001", f"robot.model={model}", "policy=drawer_manipulation", *overrides]
    ).robot


@pytest.fixture
def mjcf(tmp_path: Path) -> Callable[[str], RobotConfig]:
    """mjcf(yaml) -> the robot above with this description."""

    def make(about: str) -> RobotConfig:
        path = tmp_path / "odd.xml"
        path.write_text(MJCF)
        path.with_suffix(".yaml").write_text(about)
        return robot(path)

    return make


def test_a_urdf_gets_motors_pads_and_an_end_effector() -> None:
    settings = robot(EXAMPLE)
    model = robot_spec(settings).compile()
    assert [model.actuator(i).name for i in range(model.nu)] == settings.joints
    for name, servo in settings.servos.items():
        assert model.actuator(name).forcerange.tolist() == [-servo.effort, servo.effort]
        assert model.joint(name).damping[0] == pytest.approx(servo.effort / servo.speed)
    assert (model.geom_contype == 2).all() and (model.geom_conaffinity == 0).all()
    assert (model.body_gravcomp[1:] == 1).all()
    pads = {model.body(model.geom_bodyid[g]).name for g in np.flatnonzero(model.geom_priority)}
    assert pads == {"left_finger", "right_finger"}
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    hand, tip = data.body("hand"), data.site("ee")
    np.testing.assert_allclose(hand.xmat.reshape(3, 3).T @ (tip.xpos - hand.xpos), [0, 0, 0.125], atol=1e-9)


@pytest.mark.parametrize("dt_s", [0.002, 0.004, 0.008])
def test_added_motors_hold_and_settle(dt_s: float) -> None:
    settings = robot(EXAMPLE)
    spec = robot_spec(settings)
    spec.option.timestep, spec.option.integrator = dt_s, mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    model = spec.compile()
    data = mujoco.MjData(model)
    home = np.array([*settings.chain_home, 0.02, 0.02])
    for index, name in enumerate(settings.joints):
        mujoco.mj_resetData(model, data)
        data.qpos[:] = data.ctrl[:] = home
        step = 0.2 if index < len(settings.chain) else -0.015
        data.ctrl[index] += step
        most, fastest = 0.0, 0.0
        for _ in range(round(2.5 / dt_s)):
            mujoco.mj_step(model, data)
            most = max(most, (data.qpos[index] - home[index]) / step)
            fastest = max(fastest, abs(data.qvel[index]))
        assert most < 1.1 and fastest < 1.02 * settings.servos[name].speed, name
        np.testing.assert_allclose(data.qpos, data.ctrl, atol=2e-3)


@pytest.mark.parametrize("policy", ["dexterous_pick_place", "drawer_manipulation"])
def test_a_urdf_steps_through_a_task(new_env: Callable[..., ManipulationEnv], policy: str) -> None:
    env = new_env(f"robot.model={EXAMPLE}", f"policy={policy}", "backend=mujoco", num_envs=8)
    assert any("six_axis" in guess for guess in env.task.guesses)
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        result = env.step(torch.rand(8, env.num_actions, generator=generator) * 2 - 1)
        assert torch.isfinite(result.observations).all() and torch.isfinite(result.rewards).all()


def test_an_mjcf_written_for_another_scene_is_cut_down_to_the_robot(
    mjcf: Callable[[str], RobotConfig],
) -> None:
    settings = mjcf(
        "{ee: tip, home_rad: [0, 0.5], servos: {turn: {effort: 30, speed: 2}}, arm_joints: [turn, bend]}"
    )
    assert "nod stand still at 0." in settings.guesses[0]
    model = robot_spec(settings).compile()
    assert [model.joint(i).name for i in range(model.njnt)] == ["turn", "bend"]
    assert model.nkey == 0 and model.nsensor == 0
    assert "my_floor" not in [model.geom(i).name for i in range(model.ngeom)]
    assert model.actuator("turn").gainprm[0] == pytest.approx(300), "30 N m at 0.1 rad"
    assert model.actuator("p").gainprm[0] == 100, "a position servo of the file stays"
    drawn = [g for g in range(model.ngeom) if model.geom_contype[g] == 0]
    assert len(drawn) == 1, "what only is drawn stays so"


def test_an_actuator_that_is_no_position_servo_is_named(mjcf: Callable[[str], RobotConfig]) -> None:
    with pytest.raises(SimulatorError) as caught:
        robot_spec(mjcf("{ee: tip, home_rad: [0, 0.5]}"))
    assert "joint 'turn' has an actuator ('m') that is no position servo." in str(caught.value)
    assert "servos: {turn: {effort:" in str(caught.value)
