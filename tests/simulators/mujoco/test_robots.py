"""UR10 and Fetch against their published numbers, computed here; then motors, grippers, base, Jacobians."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from blueprint_tune.config.checks import cross_checks
from blueprint_tune.config.schema import ExperimentConfig, RobotConfig
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.errors import ConfigError, SimulatorError
from blueprint_tune.simulators.mujoco.robots import robot_spec
from blueprint_tune.simulators.mujoco.simulator import MujocoSimulator

Compose = Callable[..., ExperimentConfig]
Matrix = NDArray[np.float64]
NUMBERS = json.loads((Path(__file__).parent / "robot_numbers.json").read_text())
"""Link origins (m, rad), joint axes, ranges, effort (N m, N) and speed (rad/s, m/s) limits, masses (kg)."""
BASE = {
    "root_x_axis_joint": "base_x_joint",
    "root_y_axis_joint": "base_y_joint",
    "root_z_rotation_joint": "base_yaw_joint",
}
HEAD = {"head_pan_joint", "head_tilt_joint"}
GRIPPED = {
    "ur10": ("robot=ur10", "robot.gripper=parallel"),
    "fetch": ("robot=fetch",),
}
OWN = Path(__file__).parents[3] / "examples/robots/six_axis.urdf"
DRIVEN = {"ur10": ("robot=ur10",), "fetch": ("robot=fetch", "robot.base=planar")}
ALL = [("robot=franka",), *GRIPPED.values(), *DRIVEN.values()]


def robot(config: Compose, *overrides: str) -> RobotConfig:
    return config("policy=drawer_manipulation", *overrides).robot


def compiled(settings: RobotConfig, dt_s: float = 0.004, scene: str = "") -> mujoco.MjModel:
    spec = robot_spec(settings)
    spec.option.timestep, spec.option.integrator = dt_s, mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone, spec.option.impratio = mujoco.mjtCone.mjCONE_ELLIPTIC, 10.0
    return spec.compile()


def rotation(axis: list[float], angle: float) -> Matrix:
    """Rodrigues' formula."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def forward(links: list[dict], joints: dict[str, float]) -> dict[str, tuple[Matrix, Matrix]]:
    """Position and rotation of every link, from the table."""
    poses = {"world": (np.zeros(3), np.eye(3))}
    for link in links:
        position, turned = poses[link["parent"]]
        roll, pitch, yaw = link["rpy"]
        position = position + turned @ link["xyz"]
        turned = turned @ rotation([0, 0, 1], yaw) @ rotation([0, 1, 0], pitch) @ rotation([1, 0, 0], roll)
        if (joint := link["joint"]) is not None:
            value = joints.get(BASE.get(joint["name"], joint["name"]), 0.0)
            if joint["type"] == "slide":
                position = position + turned @ (np.array(joint["axis"]) * value)
            else:
                turned = turned @ rotation(joint["axis"], value)
        poses[link["name"]] = position, turned
    return poses


def joint_table(name: str) -> dict[str, dict]:
    """The table's joints by the model's names."""
    found = [link["joint"] for link in NUMBERS[name] if link["joint"] is not None]
    return {BASE.get(joint["name"], joint["name"]): joint for joint in found if joint["name"] not in HEAD}


@pytest.mark.parametrize("name", ["ur10", "fetch"])
def test_forward_kinematics_within_a_tenth_of_a_millimetre(config: Compose, name: str) -> None:
    settings = robot(config, *DRIVEN[name])
    model = compiled(settings)
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    links = [link["name"] for link in NUMBERS[name] if link["name"] not in ("fetch_x", "fetch_y")]
    for _ in range(100):
        data.qpos[:] = rng.uniform(*model.jnt_range.T)
        mujoco.mj_kinematics(model, data)
        poses = forward(NUMBERS[name], dict(zip(settings.joints, data.qpos, strict=True)))
        for link in links:
            position, turned = poses[link]
            assert np.abs(data.body(link).xpos - position).max() < 1e-4, link
            assert np.abs(data.body(link).xmat.reshape(3, 3) - turned).max() < 1e-6, link


def test_end_effector_frames_point_out_of_the_hand(config: Compose) -> None:
    for overrides, hand, out in (
        (GRIPPED["fetch"], "gripper_link", [1, 0, 0]),
        (GRIPPED["ur10"], "wrist_3_link", [0, 1, 0]),
    ):
        settings = robot(config, *overrides)
        model = compiled(settings)
        data = mujoco.MjData(model)
        data.qpos[: len(settings.chain)] = settings.chain_home
        mujoco.mj_forward(model, data)
        axes = data.body(hand).xmat.reshape(3, 3).T @ data.site("ee").xmat.reshape(3, 3)
        np.testing.assert_allclose(axes[:, 2], out, atol=1e-9)
        before = data.body(settings.hand.fingers[0]).xpos.copy()
        data.joint(settings.hand.joints[0]).qpos[0] = settings.hand.open_m
        mujoco.mj_forward(model, data)
        moved = data.body(settings.hand.fingers[0]).xpos - before
        along = moved @ data.site("ee").xmat.reshape(3, 3)
        np.testing.assert_allclose(np.abs(along), [0, settings.hand.open_m, 0], atol=1e-9)


@pytest.mark.parametrize("name", ["ur10", "fetch"])
def test_ranges_and_efforts_are_the_published_ones(config: Compose, name: str) -> None:
    model = compiled(robot(config, *DRIVEN[name]))
    for joint, numbers in joint_table(name).items():
        low, high = model.joint(joint).range
        assert high - low > 4 * np.pi - 1 or numbers["range"] is not None or joint.startswith("base")
        if numbers["range"] is not None:
            np.testing.assert_allclose([low, high], numbers["range"], err_msg=joint)
        assert np.abs(model.actuator(joint).forcerange).tolist() == [numbers["effort"]] * 2
    masses = {
        link["name"]: link["mass"] for link in NUMBERS[name] if link["name"] not in ("fetch_x", "fetch_y")
    }
    for link, mass in masses.items():
        assert model.body(link).mass[0] == pytest.approx(mass), link


@pytest.mark.parametrize("name", ["ur10", "fetch"])
def test_no_target_makes_a_joint_faster_than_it_is(config: Compose, name: str) -> None:
    settings = robot(config, *DRIVEN[name])
    model = compiled(settings)
    data = mujoco.MjData(model)
    home = np.array(
        [*settings.chain_home, *(model.joint(j).range[1] for j in settings.joints[len(settings.chain) :])]
    )
    for index, (joint, numbers) in enumerate(joint_table(name).items()):
        mujoco.mj_resetData(model, data)
        data.qpos[:] = data.ctrl[:] = home
        low, high = model.joint(joint).range
        data.ctrl[index] = low if home[index] - low > high - home[index] else high
        fastest = 0.0
        for _ in range(400):
            mujoco.mj_step(model, data)
            fastest = max(fastest, abs(data.qvel[index]))
            assert abs(data.actuator_force[index]) <= numbers["effort"] + 1e-9
        assert 0.6 * numbers["speed"] < fastest <= 1.01 * numbers["speed"], joint


@pytest.mark.parametrize("dt_s", [0.002, 0.004, 0.008])
@pytest.mark.parametrize("overrides", [GRIPPED["ur10"], DRIVEN["fetch"]])
def test_joints_hold_and_step_without_overshoot(
    config: Compose, overrides: tuple[str, ...], dt_s: float
) -> None:
    settings = robot(config, *overrides)
    model = compiled(settings, dt_s)
    data = mujoco.MjData(model)
    home = np.array([*settings.chain_home, *[settings.hand.open_m] * 2])
    data.qpos[:] = data.ctrl[:] = home
    mujoco.mj_step(model, data, nstep=round(2.0 / dt_s))
    np.testing.assert_allclose(data.qpos, home, atol=1e-9)
    for index in range(model.nu):
        mujoco.mj_resetData(model, data)
        data.qpos[:] = data.ctrl[:] = home
        slides = model.jnt_type[index] == mujoco.mjtJoint.mjJNT_SLIDE
        step = -0.02 if slides else 0.2
        data.ctrl[index] += step
        most = 0.0
        for _ in range(round(2.5 / dt_s)):
            mujoco.mj_step(model, data)
            most = max(most, (data.qpos[index] - home[index]) / step)
        assert most < 1.02, settings.joints[index]
        np.testing.assert_allclose(data.qpos, data.ctrl, atol=2e-3)
        assert np.abs(data.qvel).max() < 2e-3


@pytest.mark.parametrize("dt_s", [0.002, 0.004, 0.008])
@pytest.mark.parametrize("mass_kg", [0.1, 1.0])
@pytest.mark.parametrize("overrides", [*GRIPPED.values(), (f"robot.model={OWN}",)])
def test_a_box_is_held_for_two_seconds(
    config: Compose, overrides: tuple[str, ...], mass_kg: float, dt_s: float
) -> None:
    settings = robot(config, *overrides)
    spec = robot_spec(settings)
    spec.option.timestep, spec.option.integrator = dt_s, mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone, spec.option.impratio = mujoco.mjtCone.mjCONE_ELLIPTIC, 10.0
    box = spec.worldbody.add_body(name="box")
    box.add_freejoint()
    box.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.02, 0.02, 0.02], mass=mass_kg, contype=4, conaffinity=6
    )
    model = spec.compile()
    data = mujoco.MjData(model)
    arm, hand = len(settings.chain), settings.hand
    data.qpos[:arm] = data.ctrl[:arm] = settings.chain_home
    data.qpos[arm : arm + 2] = 0.021
    mujoco.mj_forward(model, data)
    data.joint(model.body("box").jntadr[0]).qpos[:3] = data.site("ee").xpos
    mujoco.mju_mat2Quat(data.joint(model.body("box").jntadr[0]).qpos[3:], data.site("ee").xmat)
    data.ctrl[arm:] = hand.closed_m
    mujoco.mj_step(model, data, nstep=round(0.3 / dt_s))
    offset = data.body("box").xpos - data.site("ee").xpos
    assert np.linalg.norm(offset) < 0.02
    mujoco.mj_step(model, data, nstep=round(2.0 / dt_s))
    creep = np.linalg.norm(data.body("box").xpos - data.site("ee").xpos - offset)
    assert creep < 1e-3
    assert np.abs(data.qvel).max() < 0.05


def test_a_gripper_takes_the_place_of_the_peg(config: Compose) -> None:
    bare, gripped = robot(config, "robot=ur10"), robot(config, *GRIPPED["ur10"])
    assert bare.hand is None and compiled(bare).nu == 6
    model = compiled(gripped)
    bodies = {model.body(i).name for i in range(model.nbody)}
    assert "tip" not in bodies and {"gripper_base", *gripped.hand.fingers} <= bodies
    assert [model.actuator(i).name for i in range(model.nu)] == gripped.joints
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    flange, tip = data.site("tool0"), data.site("ee")
    np.testing.assert_allclose(
        flange.xmat.reshape(3, 3).T @ (tip.xpos - flange.xpos), [0, 0, 0.15], atol=1e-9
    )


def test_what_cannot_be_mounted_or_driven_is_refused_in_words(config: Compose) -> None:
    for overrides, says in (
        (
            ("robot=franka", "robot.gripper=none"),
            "robot 'franka' has no gripper 'none'. Available: parallel.",
        ),
        (("robot=ur10", "robot.gripper=paralel"), "has no gripper 'paralel'. Did you mean 'parallel'?"),
        (("robot=ur10", "robot.base=planar"), "it can only be held. Use robot=fetch robot.base=planar."),
        (
            ("robot=ur10", "policy=dexterous_pick_place"),
            "robot 'ur10' has no gripper; policy 'dexterous_pick_place' grasps. "
            "Use robot=franka, or robot=ur10 robot.gripper=parallel.",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            config(*overrides)
        assert says in str(caught.value)


def test_a_policy_that_drives_wants_a_mobile_base(config: Compose) -> None:
    still = config("policy=drawer_manipulation", "robot=fetch")
    drives = replace(still, policy=replace(still.policy, mobile_base=True))
    assert cross_checks(drives) == [
        "robot 'fetch' stands still; policy 'drawer_manipulation' drives. Use robot=fetch robot.base=planar."
    ]
    assert not cross_checks(replace(drives, robot=replace(drives.robot, base="planar")))


def test_a_planar_base_drives_a_metre_and_holds(config: Compose) -> None:
    settings = robot(config, *DRIVEN["fetch"])
    model = compiled(settings, 0.008)
    data = mujoco.MjData(model)
    home = np.array([*settings.chain_home, 0.05, 0.05])
    data.qpos[:] = data.ctrl[:] = home
    for _ in range(250):
        data.ctrl[0] = min(1.0, data.qpos[0] + 0.25)
        mujoco.mj_step(model, data)
        assert abs(data.qvel[0]) <= 1.0 and abs(data.actuator_force[0]) <= 500.0
    mujoco.mj_step(model, data, nstep=500)
    arrived = data.qpos.copy()
    np.testing.assert_allclose(arrived[:3], [1.0, 0.0, 0.0], atol=2e-3)
    np.testing.assert_allclose(arrived[3:], home[3:], atol=2e-3)
    mujoco.mj_step(model, data, nstep=250)
    np.testing.assert_allclose(data.qpos, arrived, atol=1e-5)


def test_a_held_base_has_no_joints(config: Compose) -> None:
    settings = robot(config, *GRIPPED["fetch"])
    model = compiled(settings)
    assert [model.joint(i).name for i in range(model.njnt)] == settings.joints
    assert not any("base" in name for name in settings.joints)


@pytest.mark.parametrize("overrides", ALL)
def test_the_jacobian_is_the_derivative_of_the_pose(
    new_env: Callable[..., ManipulationEnv], overrides: tuple[str, ...]
) -> None:
    env = new_env("policy=drawer_manipulation", "backend=mujoco", *overrides, num_envs=2)
    simulator = env.simulator
    assert isinstance(simulator, MujocoSimulator)
    rows, count = np.arange(2), len(env.task.robot.chain)
    start = simulator.nominal.take(np.zeros(2, dtype=np.int64))
    simulator.reset(rows, start)
    jacobian = simulator.ee_jacobian()[0].double().numpy().copy()
    model, step = simulator.compiled.model, 1e-6
    data = mujoco.MjData(model)

    def pose(joints: Matrix) -> tuple[Matrix, Matrix]:
        data.qpos[: len(joints)] = joints
        mujoco.mj_kinematics(model, data)
        return data.site("ee").xpos.copy(), data.site("ee").xmat.reshape(3, 3).copy()

    here = start.joint_pos[0]
    for column in range(count):
        ahead, back = here.copy(), here.copy()
        ahead[column] += step
        back[column] -= step
        (p, r), (q, s) = pose(ahead), pose(back)
        turn = (r @ s.T - s @ r.T) / 2
        found = np.concatenate([p - q, [turn[2, 1], turn[0, 2], turn[1, 0]]]) / (2 * step)
        np.testing.assert_allclose(
            jacobian[:, column], found, atol=2e-5, err_msg=env.task.robot.chain[column]
        )


@pytest.mark.parametrize("policy", ["dexterous_pick_place", "drawer_manipulation", "knob_manipulation"])
@pytest.mark.parametrize("overrides", ALL)
def test_policies_step_with_every_robot_that_fits_them(
    new_env: Callable[..., ManipulationEnv], config: Compose, overrides: tuple[str, ...], policy: str
) -> None:
    if overrides == ("robot=ur10",) and policy == "dexterous_pick_place":
        pytest.skip("refused: it grasps")
    env = new_env(f"policy={policy}", "backend=mujoco", *overrides, num_envs=4)
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        result = env.step(torch.rand(4, env.num_actions, generator=generator) * 2 - 1)
        assert torch.isfinite(result.observations).all() and torch.isfinite(result.rewards).all()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"arm_joints": ["shoulder_pan_jiont"]},
            "no joint 'shoulder_pan_jiont'. Did you mean 'shoulder_pan_joint'?",
        ),
        ({"base_body": "base"}, "no body 'base'. Did you mean 'base_link'?"),
        ({"ee_site": "tool"}, "no site 'tool' for its end effector. Did you mean 'tool0'?"),
        ({"model": "nowhere.urdf"}, "cannot read its model"),
    ],
)
def test_what_a_model_lacks_is_named_with_what_exists(
    config: Compose, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(SimulatorError) as caught:
        robot_spec(replace(robot(config, "robot=ur10"), **changes))
    assert says in str(caught.value)
