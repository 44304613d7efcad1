"""The arm starts where the policy file says, in a posture with room to move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import SimulatorError
from blueprint_tune.simulators.mujoco.kinematics import start_postures
from blueprint_tune.simulators.mujoco.scene_builder import CompiledScene, compile_scene
from blueprint_tune.tasks.spec import TaskSpec, bind_task, catalog

Compose = Callable[..., ExperimentConfig]
OUT = {"down": [0.0, 0.0, -1.0], "slanted": [0.5**0.5, 0.0, -(0.5**0.5)], "forward": [1.0, 0.0, 0.0]}
"""Where the gripper points, in the base's axes."""


def solved(task: TaskSpec) -> tuple[CompiledScene, mujoco.MjData]:
    compiled = compile_scene(task, catalog(task))
    (joints,) = start_postures(compiled, task).arm
    data = mujoco.MjData(compiled.model)
    for name, angle in zip(task.robot.arm_joints, joints, strict=True):
        data.joint(name).qpos[0] = angle
    mujoco.mj_forward(compiled.model, data)
    return compiled, data


@pytest.mark.parametrize(
    ("policy", "start"),
    [
        ("dexterous_pick_place", {}),
        ("drawer_manipulation", {}),
        ("dexterous_pick_place", {"offset_m": [0.0, 0.1, 0.25], "approach": "down"}),
        (
            "drawer_manipulation",
            {"near": "target/handle", "offset_m": [-0.1, 0.0, 0.0], "approach": "forward"},
        ),
    ],
)
def test_the_end_effector_is_where_the_policy_wants_it(
    config: Compose, policy: str, start: dict[str, object]
) -> None:
    task = bind_task(config(f"policy={policy}"))
    task = replace(task, policy=replace(task.policy, start=replace(task.policy.start, **start)))
    compiled, data = solved(task)
    settings, (*_, yaw) = task.policy.start, task.robot_base
    axes = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    offset = axes @ np.array(settings.offset_m)
    if settings.near is None:
        origin = home_position(task, compiled)
    else:
        target = task.roles["target"]
        origin = target.handle_position if settings.near.endswith("handle") else target.position
    np.testing.assert_allclose(data.site("ee").xpos, origin + offset, atol=0.003)
    pointing = data.site("ee").xmat.reshape(3, 3)[:, 2]
    assert pointing @ axes @ np.array(OUT[settings.approach]) > np.cos(0.03)
    limits = np.array([compiled.model.joint(name).range for name in task.robot.arm_joints])
    room = np.minimum(data.qpos[:7] - limits[:, 0], limits[:, 1] - data.qpos[:7])
    assert room.min() > 0.1, "noise on the joints must not run into a limit"


def home_position(task: TaskSpec, compiled: CompiledScene) -> np.ndarray:
    data = mujoco.MjData(compiled.model)
    data.qpos[:7] = task.robot.home_rad
    mujoco.mj_kinematics(compiled.model, data)
    return data.site("ee").xpos.copy()


def test_the_fingers_close_across_a_level_handle(config: Compose) -> None:
    task = bind_task(config("policy=drawer_manipulation"))
    _, data = solved(task)
    travel = data.site("ee").xmat.reshape(3, 3)[:, 1]
    handle = task.roles["target"].handle
    assert abs(travel @ task.roles["target"].rotation @ handle.along) < 0.05


def test_the_same_task_starts_alike(config: Compose) -> None:
    task = bind_task(config())
    np.testing.assert_array_equal(solved(task)[1].qpos, solved(task)[1].qpos)


def test_a_pose_out_of_reach_is_refused_with_the_distance(config: Compose) -> None:
    task = bind_task(config())
    far = replace(task.policy, start=replace(task.policy.start, offset_m=[0.0, 0.0, 1.5]))
    with pytest.raises(SimulatorError) as caught:
        solved(replace(task, policy=far))
    message = str(caught.value)
    assert "cannot reach its start pose near 'target' (1.63 m from its base, off by" in message
    assert "change policy.start.offset_m" in message
