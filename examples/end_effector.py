"""From actions of kind ``ee_delta`` to joint targets, by ``controller`` in policy_config.json.

numpy alone. The robot's own kinematics give the end effector's pose in the world and its Jacobian; the
formulas are explained in docs/deploy.md.
"""

import numpy as np


def product(a, b):
    """Of two quaternions w x y z."""
    w = a[0] * b[0] - a[1:] @ b[1:]
    return np.append(w, a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:]))


class EndEffector:
    """One robot's controller; ``position`` (3,) m and ``quaternion`` (4,): measured at an episode's start."""

    def __init__(self, controller, position, quaternion):
        self.c, self.position, self.quaternion = controller, np.array(position), np.array(quaternion)

    def targets(self, action, position, quaternion, jacobian, joints, fingers):
        """Joint targets (R,) for an action (A,) in [-1, 1]; call it once a control step.

        position, quaternion: the measured pose. jacobian: (6, arm) m/s and rad/s in world axes by joint
        velocity. joints: (arm,) measured. fingers: the gripper's targets so far.
        """
        c, action = self.c, np.clip(action, -1.0, 1.0)
        moved = self.position + c["scale_m"] * action[:3] - position
        self.position = position + np.clip(moved, -c["windup_m"], c["windup_m"])
        self._turn(c["scale_rad"] * action)
        difference = product(self.quaternion, quaternion * [1, -1, -1, -1])
        turn = difference[1:] * (-2.0 if quaternion @ self.quaternion < 0 else 2.0)
        weights = np.array(c["joint_weights"])
        j = jacobian * weights
        error = np.append(self.position - position, turn)
        damped = np.linalg.solve(j @ j.T + c["damping"] ** 2 * np.eye(6), error)
        lead = np.clip(c["pose_gain"] * weights * (j.T @ damped), -c["windup_rad"], c["windup_rad"])
        return np.append(np.clip(joints + lead, c["lower"], c["upper"]), self._fingers(action[-1], fingers))

    def _turn(self, angle):
        axes = self.c["axes"]
        if axes == "xyz":
            return
        step = np.append(1.0, 0.5 * (angle[3:6] if axes == "pose" else np.array([0.0, 0.0, angle[3]])))
        own = axes == "xyz_twist"  # about the gripper's own z axis, else about the world's
        turned = product(self.quaternion, step) if own else product(step, self.quaternion)
        self.quaternion = turned / np.linalg.norm(turned)

    def _fingers(self, output, fingers):
        opened, closed = self.c["gripper_open_m"], self.c["gripper_closed_m"]
        if self.c["gripper"] == "binary":
            return np.full(len(fingers), opened if output > 0 else closed)
        if self.c["gripper"] == "continuous":
            return np.full(len(fingers), closed + (output + 1.0) / 2.0 * (opened - closed))
        return fingers
