"""The shipped Franka against forward kinematics computed here from the published link transforms."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

MODEL = Path(__file__).parents[3] / "blueprint_tune/assets/robots/franka.xml"

# Craig's modified DH parameters of the Panda (a_{i-1} m, alpha_{i-1} rad, d_i m), Franka's documentation.
DH = [
    (0.0, 0.0, 0.333),
    (0.0, -np.pi / 2, 0.0),
    (0.0, np.pi / 2, 0.316),
    (0.0825, np.pi / 2, 0.0),
    (-0.0825, -np.pi / 2, 0.384),
    (0.0, np.pi / 2, 0.0),
    (0.088, np.pi / 2, 0.0),
]
FLANGE_M = 0.107
TCP_M = 0.1034
FINGER_M = 0.0584
HAND_YAW = -np.pi / 4
RANGES = [
    (-2.8973, 2.8973),
    (-1.7628, 1.7628),
    (-2.8973, 2.8973),
    (-3.0718, -0.0698),
    (-2.8973, 2.8973),
    (-0.0175, 3.7525),
    (-2.8973, 2.8973),
    (0.0, 0.04),
    (0.0, 0.04),
]
FORCES = [87, 87, 87, 87, 12, 12, 12, 70, 70]
KP = [400] * 4 + [120] * 3 + [7000] * 2
KV = [80] * 4 + [24] * 3 + [170] * 2
MASSES = [0.629769, 4.970684, 0.646926, 3.228604, 3.587895, 1.225946, 1.666555, 0.735522, 0.73, 0.015, 0.015]

Matrix = NDArray[np.float64]


def turn(axis: str, angle: float) -> Matrix:
    c, s = np.cos(angle), np.sin(angle)
    out = np.eye(4)
    i, j = {"x": (1, 2), "z": (0, 1)}[axis]
    out[i, i], out[i, j], out[j, i], out[j, j] = c, -s, s, c
    return out


def shift(x: float, y: float, z: float) -> Matrix:
    out = np.eye(4)
    out[:3, 3] = x, y, z
    return out


def forward(q: Matrix) -> dict[str, Matrix]:
    """(4, 4) pose of every link, the end effector and the fingers in the base frame."""
    pose, out = np.eye(4), {}
    for i, (a, alpha, d) in enumerate(DH):
        pose = pose @ turn("x", alpha) @ shift(a, 0, 0) @ turn("z", q[i]) @ shift(0, 0, d)
        out[f"panda_link{i + 1}"] = pose
    hand = pose @ shift(0, 0, FLANGE_M) @ turn("z", HAND_YAW)
    out["panda_hand"] = hand
    out["ee"] = hand @ shift(0, 0, TCP_M)
    out["panda_leftfinger"] = hand @ shift(0, q[7], FINGER_M)
    out["panda_rightfinger"] = hand @ shift(0, -q[8], FINGER_M)
    return out


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_path(str(MODEL))


def test_forward_kinematics_within_a_tenth_of_a_millimetre(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    low, high = np.array(RANGES).T
    for _ in range(100):
        data.qpos[:] = rng.uniform(low, high)
        mujoco.mj_kinematics(model, data)
        for name, pose in forward(data.qpos).items():
            found = data.site(name) if name == "ee" else data.body(name)
            assert np.abs(found.xpos - pose[:3, 3]).max() < 1e-4, name
            assert np.abs(found.xmat.reshape(3, 3) - pose[:3, :3]).max() < 1e-6, name


def test_joint_ranges_gains_and_force_limits(model: mujoco.MjModel) -> None:
    names = [f"panda_joint{i}" for i in range(1, 8)] + ["panda_finger_joint1", "panda_finger_joint2"]
    assert [model.joint(i).name for i in range(model.njnt)] == names
    assert [model.actuator(i).name for i in range(model.nu)] == names
    np.testing.assert_allclose(model.jnt_range, RANGES)
    np.testing.assert_allclose(model.actuator_ctrlrange, RANGES)
    np.testing.assert_allclose(model.actuator_forcerange, [(-f, f) for f in FORCES])
    np.testing.assert_allclose(model.actuator_gainprm[:, 0], KP)
    np.testing.assert_allclose(-model.actuator_biasprm[:, 1], KP)
    np.testing.assert_allclose(-model.actuator_biasprm[:, 2], KV)
    np.testing.assert_allclose(model.dof_armature, [0.1] * 7 + [1.0] * 2)
    np.testing.assert_allclose(model.dof_damping, [1.0] * 7 + [0.3] * 2)


def test_masses_and_gravity_compensation(model: mujoco.MjModel) -> None:
    np.testing.assert_allclose(model.body_mass[1:], MASSES)
    assert (model.body_gravcomp[1:] == 1).all()


def test_only_the_pads_have_grasp_settings(model: mujoco.MjModel) -> None:
    pads = np.flatnonzero(model.geom_priority == 1)
    assert [model.body(model.geom_bodyid[g]).name for g in pads] == ["panda_leftfinger", "panda_rightfinger"]
    assert (model.geom_condim[pads] == 4).all()
    np.testing.assert_allclose(model.geom_solref[pads], [[0.01, 1]] * 2)
    np.testing.assert_allclose(model.geom_solimp[pads][:, :3], [[0.97, 0.99, 0.001]] * 2)
    np.testing.assert_allclose(model.geom_friction[pads], [[1, 0.02, 0.0001]] * 2)


def test_robot_meets_the_scene_and_never_itself(model: mujoco.MjModel) -> None:
    assert (model.geom_contype == 2).all()
    assert (model.geom_conaffinity == 0).all()
    assert model.ngeom == 15


def test_gravity_compensated_arm_holds_its_pose(model: mujoco.MjModel) -> None:
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    model.opt.timestep = 0.004
    data = mujoco.MjData(model)
    home = np.array([0, -0.569, 0, -2.81, 0, 3.037, 0.741, 0.04, 0.04])
    data.qpos[:] = data.ctrl[:] = home
    mujoco.mj_step(model, data, nstep=500)
    np.testing.assert_allclose(data.qpos, home, atol=1e-9)


@pytest.mark.parametrize("dt_s", [0.002, 0.004, 0.008])
def test_the_arm_comes_to_rest_at_its_targets(model: mujoco.MjModel, dt_s: float) -> None:
    """Its servos saturate when they are asked for a step; they must not chatter for ever after."""
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    model.opt.timestep = dt_s
    data = mujoco.MjData(model)
    home = np.array([0, -0.569, 0, -2.81, 0, 3.037, 0.741, 0.04, 0.04])
    data.qpos[:] = data.ctrl[:] = home
    data.ctrl[:7] += 0.15 * np.array([1, -1, 1, -1, 1, -1, 1])
    data.ctrl[7:] = 0.0
    mujoco.mj_step(model, data, nstep=round(2.5 / dt_s))
    np.testing.assert_allclose(data.qpos, data.ctrl, atol=1e-3)
    assert np.abs(data.qvel).max() < 1e-3
