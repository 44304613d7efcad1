"""The ``isaaclab`` backend: the scene of MuJoCo's builder in PhysX, all environments in one world."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from blueprint_tune.config.schema import BackendConfig
from blueprint_tune.errors import SimulatorError
from blueprint_tune.mdp.state import Catalog, SceneState
from blueprint_tune.simulators.base import Simulator, Starts, Viewpoint
from blueprint_tune.simulators.isaaclab.contacts import plan_contacts
from blueprint_tune.simulators.isaaclab.frames import CarriedFrames, frame_table
from blueprint_tune.simulators.isaaclab.launch import launch
from blueprint_tune.simulators.isaaclab.quaternions import QuaternionOrder, scalar_first
from blueprint_tune.simulators.isaaclab.variation import Variation
from blueprint_tune.simulators.mujoco.nominal import nominal_starts
from blueprint_tune.simulators.mujoco.render import clearest_view
from blueprint_tune.simulators.mujoco.scene_builder import compile_scene
from blueprint_tune.tasks.spec import TaskSpec

LIMIT_TOLERANCE = 1e-3
"""rad or m by which joint limits of an asset may differ from the model's without being told apart."""
EE_TOLERANCE_M, EE_TOLERANCE_RAD = 0.005, 0.02
"""How far an asset's end effector may be from the model's in the same posture."""

OUTSIDE_INFERENCE = torch.inference_mode(False)
"""Of everything that reads: Isaac Lab keeps what it has read and writes into it later, which PyTorch forbids
where the reading was done in inference mode, as rollouts and selection evaluations are."""


class IsaacLabSimulator(Simulator):
    """``num_envs`` copies of a task on one device; ``num_threads`` has no effect.

    A process has one: building another ends it. Raises BackendUnavailable where Isaac Lab is missing,
    SimulatorError where the task cannot be simulated or the robot's asset is not the model's robot.
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
        self._compiled = compile_scene(task, catalog)
        self.nominal = nominal_starts(self._compiled, task)
        launch(backend.device, backend.cameras, backend.start_timeout_s, backend.close_timeout_s)
        self.num_envs, self.physics_dt_s, self.exact_state = num_envs, task.physics.dt_s, False
        self.robot_joints = self._compiled.robot_joints
        self.joint_names = self.robot_joints + self._compiled.fixture_joints
        self.free_bodies = self._compiled.free_bodies
        self._task, self._num_arm = task, len(task.robot.chain)
        self._table = frame_table(task, self._compiled, catalog.frames)
        self._build(catalog, backend)
        self.device = self._world.device
        self.joint_limits = self._limits()
        model = self._compiled.model
        kinds = model.jnt_type[: len(self.robot_joints)]
        self.sliding = kinds == int(mujoco.mjtJoint.mjJNT_SLIDE)
        self._bind_state(catalog, num_actions)
        self._variation = Variation(self._world, task, self.free_bodies, num_envs)
        self.reset(np.arange(num_envs), self.nominal.take(np.zeros(num_envs, dtype=np.int64)))
        self._check_end_effector()

    def _build(self, catalog: Catalog, backend: BackendConfig) -> None:
        """Write the scene's files and have Isaac Lab build it."""
        # these import Isaac Lab, which only works once the app runs
        from blueprint_tune.simulators.isaaclab.scene_cfg import describe
        from blueprint_tune.simulators.isaaclab.usd import prim_name
        from blueprint_tune.simulators.isaaclab.usd_scene import write_scene
        from blueprint_tune.simulators.isaaclab.world import World

        self._folder = tempfile.TemporaryDirectory(prefix="blueprint-tune-usd-")
        files = write_scene(self._compiled, self._task, catalog, Path(self._folder.name))
        contacts, order = plan_contacts(catalog.contacts), QuaternionOrder(scalar_first())
        setup = describe(self._task, self._compiled, files, contacts, backend, self.num_envs, order)
        ee, *others = (prim_name(name) for name in self._table.bodies)
        fixtures = tuple(others[: self._table.num_fixture_bodies])
        self._world = World(setup, contacts, ee, fixtures, self._num_arm, order)

    def _limits(self) -> NDArray[np.float64]:
        """(J, 2) the model's limits, the robot's narrowed where its asset's are clearly narrower."""
        model, robot = self._compiled.model, len(self.robot_joints)
        limits = np.array([model.joint(name).range for name in self.joint_names])
        theirs, ours = self._world.joint_limits, limits[:robot]
        ours[:, 0] = np.where(theirs[:, 0] > ours[:, 0] + LIMIT_TOLERANCE, theirs[:, 0], ours[:, 0])
        ours[:, 1] = np.where(theirs[:, 1] < ours[:, 1] - LIMIT_TOLERANCE, theirs[:, 1], ours[:, 1])
        return limits

    def _bind_state(self, catalog: Catalog, num_actions: int) -> None:
        state = SceneState(catalog, self.num_envs, len(self.robot_joints), num_actions, self.device)
        state.joint_limits = self._tensor(self.joint_limits)
        state.frame_pos[:] = self._tensor(self._table.position)
        state.frame_quat[:] = self._tensor(self._table.quat)
        self._carried = CarriedFrames(self._table, self.device)
        self._ee = catalog.frames.index("robot/ee")
        self.state = state

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).float().to(self.device)

    def _check_end_effector(self) -> None:
        """The asset must be the robot that postures and observations are computed for."""
        model = self._compiled.model
        data = mujoco.MjData(model)
        self._mirror(data, 0)
        site = data.site(self._task.robot.ee_site)
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, site.xmat)
        position = self.state.frame_pos[0, self._ee].double().cpu().numpy()
        found = self.state.frame_quat[0, self._ee].double().cpu().numpy()
        off_m = float(np.linalg.norm(position - site.xpos))
        off_rad = 2.0 * float(np.arccos(min(1.0, abs(float(quat @ found)))))
        if off_m > EE_TOLERANCE_M or off_rad > EE_TOLERANCE_RAD:
            raise SimulatorError(
                f"robot '{self._task.robot.name}': in the same posture the end effector of its USD asset is "
                f"{off_m * 100:.1f} cm and {np.degrees(off_rad):.1f} degrees away from that of "
                f"'{self._task.robot.model}': links or joints have other frames. Name another file in "
                "robot.isaaclab.usd_path, or set robot.isaaclab.asset=null to have the model written as USD."
            )

    @OUTSIDE_INFERENCE
    def reset(self, env_ids: NDArray[np.int64], starts: Starts) -> None:
        """See :meth:`Simulator.reset`."""
        rows = torch.from_numpy(env_ids).to(self.device)
        self._variation.apply(env_ids, starts)
        joints, target = self._tensor(starts.joint_pos), self._tensor(starts.joint_target)
        position, quat = self._tensor(starts.body_pos), self._tensor(starts.body_quat)
        self._world.begin(rows)
        self._world.put_joints(rows, joints, torch.zeros_like(joints))
        self._world.set_targets(target, rows)
        still = torch.zeros(*position.shape[:2], 6, device=self.device)
        self._world.put_bodies(rows, position, quat, still)
        state = self.state
        state.joint_pos[rows], state.joint_vel[rows] = joints, torch.zeros_like(joints)
        state.joint_targets[rows] = target
        motion = [values[rows] for values in self._world.motion()]
        free = self._first_free
        motion[0][:, free:], motion[1][:, free:] = position, quat  # exactly, whatever the origin's rounding
        frames = self._carried.motion(*motion)
        for whole, values in zip(self._frame_tensors()[:2], frames[:2], strict=True):
            whole[rows[:, None], self._carried.indices] = values
        # sensors and velocities would tell of the last step until there is another
        for whole in (*self._frame_tensors()[2:], state.contact_force, state.contact_vector):
            whole[rows] = 0.0
        state.changed()

    @property
    def _first_free(self) -> int:
        return 1 + self._table.num_fixture_bodies

    def _frame_tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        state = self.state
        return state.frame_pos, state.frame_quat, state.frame_linvel, state.frame_angvel

    def set_joint_targets(self, position: Tensor) -> None:
        """See :meth:`Simulator.set_joint_targets`."""
        self.state.joint_targets.copy_(position)
        self._world.set_targets(self.state.joint_targets)

    @OUTSIDE_INFERENCE
    def ee_jacobian(self) -> Tensor:
        """See :meth:`Simulator.ee_jacobian`."""
        jacobian, point = self._world.jacobian()
        lever = self._carried.lever(self._ee, self.state.frame_quat[:, self._ee], point)
        linear, angular = jacobian[:, :3], jacobian[:, 3:]
        moved = linear + torch.linalg.cross(angular, lever.unsqueeze(2).expand_as(angular), dim=1)
        return torch.cat([moved, angular], dim=1)

    @OUTSIDE_INFERENCE
    def step(self, num_physics_steps: int) -> None:
        """See :meth:`Simulator.step`."""
        self._world.step(num_physics_steps)
        state = self.state
        position, velocity = self._world.joints()
        state.joint_pos.copy_(position)
        state.joint_vel.copy_(velocity)
        for whole, values in zip(
            self._frame_tensors(), self._carried.motion(*self._world.motion()), strict=True
        ):
            whole[:, self._carried.indices] = values
        state.contact_vector.copy_(self._world.forces())
        torch.linalg.vector_norm(state.contact_vector, dim=2, out=state.contact_force)
        state.changed()

    @OUTSIDE_INFERENCE
    def save_state(self) -> dict[str, Any]:
        """See :meth:`Simulator.save_state`; PhysX's contacts are not among it."""
        motion, free = self._world.motion(), self._first_free
        return {
            "body_pos": motion.position[:, free:].clone(),
            "body_quat": motion.quat[:, free:].clone(),
            "body_velocity": self._world.body_velocities().clone(),
            "variation": self._variation.save(),
            **{name: getattr(self.state, name).clone() for name in _SAVED},
        }

    @OUTSIDE_INFERENCE
    def load_state(self, saved: dict[str, Any]) -> None:
        """See :meth:`Simulator.load_state`."""
        everyone = torch.arange(self.num_envs, device=self.device)
        starts = self.nominal.take(np.zeros(self.num_envs, dtype=np.int64))
        for name, values in saved["variation"].items():
            setattr(starts, name, values.numpy())
        self._variation.apply(np.arange(self.num_envs), starts)
        for name in _SAVED:
            getattr(self.state, name).copy_(saved[name])
        self._world.begin(everyone)
        self._world.put_joints(everyone, self.state.joint_pos, self.state.joint_vel)
        self._world.set_targets(self.state.joint_targets)
        bodies = (saved[name].to(self.device) for name in ("body_pos", "body_quat", "body_velocity"))
        self._world.put_bodies(everyone, *bodies)
        self.state.changed()

    @OUTSIDE_INFERENCE
    def render(
        self, env_id: int = 0, width: int = 640, height: int = 480, view: Viewpoint | None = None
    ) -> NDArray[np.uint8]:
        """See :meth:`Simulator.render`."""
        picture = Image.fromarray(self._world.picture(env_id, view or self.viewpoint(env_id)))
        return np.asarray(picture.resize((width, height)))

    @OUTSIDE_INFERENCE
    def viewpoint(self, env_id: int = 0) -> Viewpoint:
        """See :meth:`Simulator.viewpoint`."""
        model = self._compiled.model
        data = mujoco.MjData(model)
        self._mirror(data, env_id)
        points = self.state.frame_pos[env_id].double().cpu().numpy()
        return clearest_view(model, data, points)

    def _mirror(self, data: mujoco.MjData, env_id: int) -> None:
        """Put a MuJoCo scene into the state of one environment."""
        motion, free, joints = self._world.motion(), self._first_free, len(self.joint_names)
        pose = torch.cat([motion.position[env_id, free:], motion.quat[env_id, free:]], dim=1)
        data.qpos[:joints] = self.state.joint_pos[env_id].cpu().numpy()
        data.qpos[joints:] = pose.flatten().cpu().numpy()
        mujoco.mj_forward(self._compiled.model, data)

    def close(self) -> None:
        """See :meth:`Simulator.close`; Isaac Sim stays for the next one of this process."""
        self._world.end()
        self._folder.cleanup()


_SAVED = (
    "joint_pos",
    "joint_vel",
    "joint_targets",
    "frame_pos",
    "frame_quat",
    "frame_linvel",
    "frame_angvel",
    "contact_force",
    "contact_vector",
)
"""Of the state, what a simulator fills in."""
