"""The ``mujoco`` backend: one persistent ``mujoco.batch.Batch``, all environments in one call."""

from __future__ import annotations

import warnings
from typing import Any

import mujoco
import numpy as np
import torch
from mujoco.batch import Batch, SimulationError
from numpy.typing import NDArray
from torch import Tensor

from blueprint_tune.config.schema import BackendConfig
from blueprint_tune.errors import SimulatorError
from blueprint_tune.mdp.state import Catalog, SceneState
from blueprint_tune.simulators.base import Simulator, Starts, Viewpoint
from blueprint_tune.simulators.mujoco.nominal import nominal_starts
from blueprint_tune.simulators.mujoco.render import clearest_view, render_environment
from blueprint_tune.simulators.mujoco.scene_builder import CompiledScene, compile_scene
from blueprint_tune.simulators.mujoco.variation import VARIED, Variation
from blueprint_tune.tasks.spec import TaskSpec

VELOCITY_STAGE = int(mujoco.mjtStage.mjSTAGE_VEL)
"""Positions, velocities and their sensors at the new state; free in a persistent batch."""


class MujocoSimulator(Simulator):
    """``num_envs`` copies of a compiled task on ``num_threads`` CPU threads.

    Raises SimulatorError when the task does not compile or the robot cannot reach its start pose.
    """

    def __init__(
        self,
        task: TaskSpec,
        catalog: Catalog,
        num_envs: int,
        num_threads: int,
        num_actions: int,
        backend: BackendConfig,
    ) -> None:
        _keep_warnings_out_of_files()
        compiled = compile_scene(task, catalog)
        nominal = nominal_starts(compiled, task)
        self.num_envs, self.device = num_envs, "cpu"
        self.physics_dt_s = task.physics.dt_s
        self.robot_joints = compiled.robot_joints
        self.joint_names = compiled.robot_joints + compiled.fixture_joints
        self.free_bodies = compiled.free_bodies
        self.exact_state = True
        self._compiled = compiled
        self._batch = Batch(compiled.model, num_envs, num_threads, persistent=True)
        self._bind_state(catalog, num_actions)
        self._bind_arm(catalog, len(task.robot.chain))
        self._variation = Variation(self._batch, compiled)
        self.joint_limits = np.array([compiled.model.joint(n).range for n in self.joint_names])
        self.state.joint_limits = torch.from_numpy(self.joint_limits).float()
        self.nominal = nominal
        everyone = np.arange(num_envs)
        self.reset(everyone, self.nominal.take(np.zeros(num_envs, dtype=np.int64)))

    def _bind_state(self, catalog: Catalog, num_actions: int) -> None:
        """Make ``state``'s tensors views of one float32 buffer in the order of the sensors."""
        batch, layout = self._batch, self._compiled.layout
        self._qpos, self._qvel, self._ctrl = batch.bind("qpos"), batch.bind("qvel"), batch.bind("ctrl")
        self._warmstart = batch.bind("qacc_warmstart")
        self._sensors = _shared_tensor(batch.bind("sensordata"))
        n, f, c = self.num_envs, layout.num_frames, layout.num_contacts
        self._buffer = torch.zeros(n, layout.size)
        state = SceneState(catalog, n, len(self.robot_joints), num_actions)
        pos, quat, lin, ang, force = torch.split(self._buffer, [3 * f, 4 * f, 3 * f, 3 * f, 3 * c], dim=1)
        state.frame_pos, state.frame_quat = pos.view(n, f, 3), quat.view(n, f, 4)
        state.frame_linvel, state.frame_angvel = lin.view(n, f, 3), ang.view(n, f, 3)
        self._force = force.view(n, c, 3) if c else None
        state.contact_vector = force.view(n, c, 3)
        j = len(self.joint_names)
        self._joint_pos = torch.from_numpy(self._qpos[:, :j])
        self._joint_vel = torch.from_numpy(self._qvel[:, :j])
        self.state = state

    def _bind_arm(self, catalog: Catalog, num_arm_joints: int) -> None:
        """Joint axes and anchors of the arm, (N, A, 3) in world axes, for the Jacobian."""
        self._ee_frame = catalog.frames.index("robot/ee")
        self._joint_axis = _shared_tensor(self._batch.bind("xaxis"))[:, :num_arm_joints]
        self._joint_anchor = _shared_tensor(self._batch.bind("xanchor"))[:, :num_arm_joints]
        kinds = self._compiled.model.jnt_type[: len(self.robot_joints)]
        self.sliding = kinds == int(mujoco.mjtJoint.mjJNT_SLIDE)
        self._slides = np.flatnonzero(self.sliding[:num_arm_joints])
        self._jacobian = torch.zeros(self.num_envs, num_arm_joints, 6)

    def reset(self, env_ids: NDArray[np.int64], starts: Starts) -> None:
        """See :meth:`Simulator.reset`."""
        joints = len(self.joint_names)
        self._qpos[env_ids, :joints] = starts.joint_pos
        bodies = np.concatenate([starts.body_pos, starts.body_quat], axis=2)
        rigid = len(self.free_bodies) - len(self._compiled.cloths)
        flat = bodies[:, :rigid].reshape(len(env_ids), -1)
        self._qpos[env_ids, joints : joints + flat.shape[1]] = flat
        for cloth, pose in zip(self._compiled.cloths, bodies[:, rigid:].swapaxes(0, 1), strict=True):
            spread = cloth.displacements(pose[:, :3], pose[:, 3:])
            self._qpos[env_ids, cloth.first : cloth.first + spread.shape[1]] = spread
        self._qvel[env_ids] = 0.0
        self._warmstart[env_ids] = 0.0
        self._ctrl[env_ids] = starts.joint_target
        self.state.joint_targets[env_ids] = torch.from_numpy(starts.joint_target).float()
        self._variation.apply(env_ids, starts)
        self._batch.forward(env_ids.astype(np.int32), VELOCITY_STAGE)
        self._refresh_rows(torch.from_numpy(env_ids))

    def set_joint_targets(self, position: Tensor) -> None:
        """See :meth:`Simulator.set_joint_targets`."""
        self.state.joint_targets.copy_(position)
        self._ctrl[:] = position.numpy()

    def ee_jacobian(self) -> Tensor:
        """See :meth:`Simulator.ee_jacobian`."""
        # written out: Batch.jac would run the kinematics again and spoil the stages kept for the next step
        jacobian = self._jacobian
        linear, angular = jacobian[:, :, :3], jacobian[:, :, 3:]
        angular.copy_(self._joint_axis)
        lever = self.state.frame_pos[:, self._ee_frame].unsqueeze(1) - self._joint_anchor.float()
        linear.copy_(torch.linalg.cross(angular, lever))
        if len(self._slides):
            linear[:, self._slides] = angular[:, self._slides]
            angular[:, self._slides] = 0.0
        return jacobian.mT

    def step(self, num_physics_steps: int) -> None:
        """See :meth:`Simulator.step`."""
        try:
            self._batch.step(nstep=num_physics_steps, stage=VELOCITY_STAGE)
        except SimulationError as error:
            raise SimulatorError(f"MuJoCo failed: {error}") from error
        self._refresh()

    def _refresh(self) -> None:
        state = self.state
        self._buffer.copy_(self._sensors)
        state.joint_pos.copy_(self._joint_pos)
        state.joint_vel.copy_(self._joint_vel)
        if self._force is not None:
            torch.linalg.vector_norm(self._force, dim=2, out=state.contact_force)
        state.changed()

    def _refresh_rows(self, rows: Tensor) -> None:
        """Refresh environments that start; those put at their starts before must keep their zero contacts."""
        state = self.state
        self._buffer[rows] = self._sensors[rows].float()
        state.joint_pos[rows] = self._joint_pos[rows].float()
        state.joint_vel[rows] = self._joint_vel[rows].float()
        state.contact_force[rows] = 0.0
        state.changed()

    def save_state(self) -> dict[str, Any]:
        """See :meth:`Simulator.save_state`."""
        return {
            "rows": torch.from_numpy(self._batch.state.copy()),
            "buffer": self._buffer.clone(),
            "contact_force": self.state.contact_force.clone(),
            "joint_targets": self.state.joint_targets.clone(),
            "variation": {name: torch.from_numpy(v) for name, v in self._variation.save().items()},
        }

    def load_state(self, saved: dict[str, Any]) -> None:
        """See :meth:`Simulator.load_state`."""
        everyone = np.arange(self.num_envs)
        starts = self.nominal.take(np.zeros(self.num_envs, dtype=np.int64))
        for name in VARIED:
            setattr(starts, name, saved["variation"][name].numpy())
        self._variation.apply(everyone, starts)
        self._batch.state[:] = saved["rows"].numpy()
        self._batch.forward(None, VELOCITY_STAGE)
        self._refresh()
        self._buffer.copy_(saved["buffer"])
        self.state.contact_force.copy_(saved["contact_force"])
        self.state.joint_targets.copy_(saved["joint_targets"])

    @property
    def compiled(self) -> CompiledScene:
        """The compiled model and its name tables."""
        return self._compiled

    def render(
        self, env_id: int = 0, width: int = 640, height: int = 480, view: Viewpoint | None = None
    ) -> NDArray[np.uint8]:
        """See :meth:`Simulator.render`."""
        return render_environment(self._batch, env_id, width, height, view or self.viewpoint(env_id))

    def viewpoint(self, env_id: int = 0) -> Viewpoint:
        """See :meth:`Simulator.viewpoint`."""
        points = self.state.frame_pos[env_id].double().numpy()
        return clearest_view(self._batch.get_model(env_id), self._batch.get_data(env_id), points)

    def close(self) -> None:
        """See :meth:`Simulator.close`."""
        del self._batch


def _keep_warnings_out_of_files() -> None:
    """MuJoCo would write MUJOCO_LOG.TXT into the working folder, which is the user's."""
    settings = mujoco.MjLogConfig.get()
    settings.logto_file = False
    mujoco.MjLogConfig.set(settings)


def _shared_tensor(array: NDArray[np.float64]) -> Tensor:
    """A tensor over a read-only array of the batch; nothing here writes to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
