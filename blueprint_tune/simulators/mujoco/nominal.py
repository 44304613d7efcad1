"""The nominal starts of a task: nothing randomised, the robot where a policy begins; for every backend."""

from __future__ import annotations

import numpy as np

from blueprint_tune.simulators.base import Starts
from blueprint_tune.simulators.mujoco.kinematics import start_postures
from blueprint_tune.simulators.mujoco.scene_builder import CompiledScene
from blueprint_tune.tasks.spec import TaskSpec


def nominal_starts(compiled: CompiledScene, task: TaskSpec) -> Starts:
    """One start, or several where a policy spreads the start pose.

    Raises SimulatorError when the robot cannot reach it.
    """
    postures = start_postures(compiled, task)
    model, k = compiled.model, len(postures.arm)
    gripper, count = task.robot.hand, len(task.loose)
    arm = np.hstack([np.zeros((k, len(task.robot.driven_base))), postures.arm])
    fingers = np.full((k, len(gripper.joints) if gripper else 0), postures.fingers_m)
    closing = np.full_like(fingers, postures.fingers_target_m)
    fixtures = [model.joint(name).range[0] for name in compiled.fixture_joints]
    body_pos = np.array([e.position for e in task.loose], dtype=np.float64).reshape(1, count, 3)
    body_quat = np.array([e.quat for e in task.loose], dtype=np.float64).reshape(1, count, 4)
    body_pos, body_quat = np.repeat(body_pos, k, axis=0), np.repeat(body_quat, k, axis=0)
    if postures.held is not None:
        column = [entity.id for entity in task.loose].index(postures.held)
        body_pos[:, column], body_quat[:, column] = postures.held_pos, postures.held_quat
    return Starts(
        joint_pos=np.hstack([arm, fingers, np.tile(fixtures, (k, 1))]),
        joint_target=np.hstack([arm, closing]),
        body_pos=body_pos,
        body_quat=body_quat,
        mass_scale=np.ones((k, count)),
        friction_scale=np.ones((k, count)),
        size_scale=np.ones((k, count)),
        dt_s=np.full(k, task.physics.dt_s),
        solver_iterations=np.full(k, float(task.physics.solver_iterations)),
    )
