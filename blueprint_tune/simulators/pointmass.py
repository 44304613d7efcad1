"""The ``pointmass`` backend: every task on a gantry that carries points about, cheap and exact.

For tests and for trying out agents: the same terms, actions and episodes as on real physics, a hundred
times faster, nothing to do with how a robot moves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blueprint_tune.config.schema import BackendConfig
from blueprint_tune.mdp.state import Catalog, ContactRequest, SceneState
from blueprint_tune.simulators.base import Simulator, Starts, Viewpoint
from blueprint_tune.simulators.gantry import Floats, Gantry
from blueprint_tune.tasks.geometry import quat_multiply
from blueprint_tune.tasks.regions import region
from blueprint_tune.tasks.scene import Entity
from blueprint_tune.tasks.spec import TaskSpec

Pose = tuple[Floats, Floats, Floats, Floats]
"""Position, orientation, linear and angular velocity of a frame; each broadcasts to (N, 3 or 4)."""
_STILL = np.zeros(3)


class PointmassSimulator(Simulator):
    """``num_envs`` gantries over one bound task; ``num_threads`` and ``backend`` have no effect."""

    def __init__(
        self,
        task: TaskSpec,
        catalog: Catalog,
        num_envs: int,
        num_threads: int,
        num_actions: int,
        backend: BackendConfig,
    ) -> None:
        self.num_envs, self.device, self.exact_state = num_envs, "cpu", True
        self.physics_dt_s = task.physics.dt_s
        self.robot_joints = tuple(task.robot.joints)
        self.joint_names = (*self.robot_joints, *(f"{entity.id}_joint" for entity in task.jointed))
        self.free_bodies = tuple(entity.id for entity in task.free)
        self._task, self._gantry = task, Gantry(task, num_envs)
        self.joint_limits = self._gantry.limits
        fingers = len(self.robot_joints) - len(task.robot.chain)
        self.sliding = np.repeat([False, True], [len(task.robot.chain), fingers])
        count = len(task.free)
        self.nominal = Starts(
            joint_pos=self._gantry.home[None].copy(),
            joint_target=self._gantry.home[None, : len(self.robot_joints)].copy(),
            body_pos=np.array([e.position for e in task.free], dtype=np.float64).reshape(1, count, 3),
            body_quat=np.array([e.quat for e in task.free], dtype=np.float64).reshape(1, count, 4),
            mass_scale=np.ones((1, count)),
            friction_scale=np.ones((1, count)),
            size_scale=np.ones((1, count)),
            dt_s=np.full(1, task.physics.dt_s),
            solver_iterations=np.full(1, float(task.physics.solver_iterations)),
        )
        self.state = SceneState(catalog, num_envs, len(self.robot_joints), num_actions)
        self.state.joint_limits = torch.from_numpy(self.joint_limits).float()
        self._frames = [self._frame(name) for name in catalog.frames]
        self._contacts = [self._touched(request) for request in catalog.contacts]
        self.reset(np.arange(num_envs), self.nominal.take(np.zeros(num_envs, dtype=np.int64)))

    def _frame(self, name: str) -> Callable[[], Pose]:
        """What computes the pose of a frame of the catalog."""
        if name == "robot/ee":
            return self._end_effector
        role, _, part = name.partition("/")
        entity = self._task.roles[role]
        if entity in self._task.jointed:
            point = entity.handle_position if part and entity.handle_position is not None else entity.position
            index = self._task.jointed.index(entity)
            return lambda: self._on_fixture(entity, index, point)
        if entity in self._task.free:
            column = self._task.free.index(entity)
            now = self._gantry.now
            return lambda: (
                now["body_pos"][:, column],
                now["body_quat"][:, column],
                now["body_vel"][:, column],
                _STILL,
            )
        place = region(entity)
        position = entity.position if place is None else entity.to_scene(place.center)
        return lambda: (position, entity.quat, _STILL, _STILL)

    def _end_effector(self) -> Pose:
        position, velocity = self._gantry.end_effector()
        return position, self._gantry.ee_quat, velocity, _STILL

    def _on_fixture(self, entity: Entity, index: int, point: Floats) -> Pose:
        column = len(self.robot_joints) + index
        opening = self._gantry.now["joint_pos"][:, column]
        speed = self._gantry.now["joint_vel"][:, column, None]
        position, along = self._gantry.on_fixture(index, point)
        assert entity.joint is not None
        if entity.joint.kind == "prismatic":
            return position, entity.quat, along * speed, _STILL
        axis = entity.rotation @ entity.joint.axis
        turn = np.stack([np.cos(opening / 2), *(np.sin(opening / 2) * axis[:, None])])
        return position, quat_multiply(turn, entity.quat).T, along * speed, axis * speed

    def _touched(self, request: ContactRequest) -> list[int]:
        """The points whose hold a contact request feels; only fingers touch anything."""
        fingers = self._task.robot.hand.fingers if self._task.robot.hand else []
        points = [*self.free_bodies, *(f"{entity.id}_handle" for entity in self._task.jointed)]
        if request.body not in fingers:
            return []
        return [i for i, name in enumerate(points) if request.against in (None, name)]

    def reset(self, env_ids: NDArray[np.int64], starts: Starts) -> None:
        """See :meth:`Simulator.reset`."""
        now = self._gantry.now
        now["joint_pos"][env_ids] = starts.joint_pos
        now["targets"][env_ids] = starts.joint_target
        for name in ("body_pos", "body_quat", "mass_scale", "friction_scale", "size_scale", "dt_s"):
            now[name][env_ids] = getattr(starts, name)
        for name in ("joint_vel", "body_vel", "finger_force"):
            now[name][env_ids] = 0.0
        self.state.joint_targets[env_ids] = torch.from_numpy(now["targets"][env_ids]).float()
        self._refresh()

    def set_joint_targets(self, position: Tensor) -> None:
        """See :meth:`Simulator.set_joint_targets`."""
        self.state.joint_targets.copy_(position)
        self._gantry.now["targets"][:] = position.numpy()

    def ee_jacobian(self) -> Tensor:
        """See :meth:`Simulator.ee_jacobian`."""
        rows = torch.from_numpy(self._gantry.jacobian()).float()
        return rows.expand(self.num_envs, -1, -1)

    def step(self, num_physics_steps: int) -> None:
        """See :meth:`Simulator.step`."""
        for _ in range(num_physics_steps):
            self._gantry.step()
        self._refresh()

    def _refresh(self) -> None:
        state, now = self.state, self._gantry.now
        state.joint_pos.copy_(torch.from_numpy(now["joint_pos"]))
        state.joint_vel.copy_(torch.from_numpy(now["joint_vel"]))
        views = (state.frame_pos, state.frame_quat, state.frame_linvel, state.frame_angvel)
        for index, pose in enumerate(self._frames):
            for view, values in zip(views, pose(), strict=True):
                view[:, index] = torch.from_numpy(np.asarray(values))
        for index, points in enumerate(self._contacts):
            state.contact_force[:, index] = torch.from_numpy(now["finger_force"][:, points].sum(axis=1))
        state.changed()

    def save_state(self) -> dict[str, Any]:
        """See :meth:`Simulator.save_state`."""
        return {name: torch.from_numpy(values.copy()) for name, values in self._gantry.now.items()}

    def load_state(self, saved: dict[str, Any]) -> None:
        """See :meth:`Simulator.load_state`."""
        for name, values in self._gantry.now.items():
            values[:] = saved[name].numpy()
        self.state.joint_targets.copy_(saved["targets"])
        self._refresh()

    def render(
        self, env_id: int = 0, width: int = 640, height: int = 480, view: Viewpoint | None = None
    ) -> NDArray[np.uint8]:
        """See :meth:`Simulator.render`: the work area from above, x to the right, y upwards."""
        low, high = self._task.workspace
        metres = max((high[0] - low[0]) / width, (high[1] - low[1]) / height)
        x = (np.arange(width) - width / 2) * metres + (low[0] + high[0]) / 2
        y = (height / 2 - np.arange(height)) * metres + (low[1] + high[1]) / 2
        picture = np.full((height, width, 3), 245, dtype=np.uint8)
        for entity in sorted(self._task.static, key=lambda e: e.top):
            (left, front, _), (right, back, _) = entity.bounds
            picture[np.ix_((y >= front) & (y <= back), (x >= left) & (x <= right))] = 205
        colours = ((40, 40, 40), *[(217, 92, 56)] * len(self._frames))
        for pose, colour in reversed(list(zip(self._frames, colours))):
            centre = np.broadcast_to(pose()[0], (self.num_envs, 3))[env_id]
            near = (x[None] - centre[0]) ** 2 + (y[:, None] - centre[1]) ** 2 < 0.02**2
            picture[near] = colour
        return picture

    def viewpoint(self, env_id: int = 0) -> Viewpoint:
        """See :meth:`Simulator.viewpoint`: straight above the middle; there is no other."""
        (left, front), (right, back) = (bound[:2] for bound in self._task.workspace)
        return Viewpoint(((left + right) / 2, (front + back) / 2, 0.0), 1.0, 0.0, -90.0)

    def close(self) -> None:
        """See :meth:`Simulator.close`; numpy frees itself."""
