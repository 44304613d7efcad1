"""Runs a scene in Isaac Lab and speaks of it in our order: joints as ``robot_joints`` and fixtures, wxyz, and
positions relative to each environment's origin. Imported after Isaac Sim has started, never before.
"""

from __future__ import annotations

import gc
from typing import Any, NamedTuple

import isaaclab.sim as sim_utils
import numpy as np
import torch
from isaaclab.scene import InteractiveScene
from isaaclab.sensors import Camera
from isaaclab.sim import SimulationContext
from numpy.typing import NDArray
from torch import Tensor

from blueprint_tune.errors import SimulatorError, nearest
from blueprint_tune.simulators.base import Viewpoint
from blueprint_tune.simulators.isaaclab.contacts import ContactPlan
from blueprint_tune.simulators.isaaclab.quaternions import QuaternionOrder
from blueprint_tune.simulators.isaaclab.scene_cfg import SceneSetup

FRAMES_TO_SETTLE = 8
"""Rendered before a picture is taken: the renderer gathers light over several frames."""

_running: World | None = None
"""A process has one simulation; building another ends it."""


class Motion(NamedTuple):
    """Of C bodies: position (N, C, 3) m, orientation (N, C, 4) wxyz, velocities (N, C, 3) m/s and rad/s.

    Position and linear velocity are those of the body's frame.
    """

    position: Tensor
    quat: Tensor
    linear: Tensor
    angular: Tensor


class Written:
    """Values of all environments that PhysX takes from the CPU: as they were built, and as they are now.

    Kept here because reading them back walks over every environment.
    """

    def __init__(self, built: Tensor) -> None:
        self.nominal, self.now = built.clone(), built.clone()


class World:
    """One running scene.

    Attributes:
        device: of all tensors. num_envs: environments. joint_limits: (R, 2) of the robot's joints, rad or m.
    """

    def __init__(
        self,
        setup: SceneSetup,
        contacts: ContactPlan,
        ee_body: str,
        fixture_bodies: tuple[str, ...],
        num_arm_joints: int,
        order: QuaternionOrder,
    ) -> None:
        """``ee_body``: of the robot; ``fixture_bodies``: of the furniture, whose motion is told."""
        global _running
        if _running is not None:
            _running.end()
        SimulationContext.clear_instance()
        sim_utils.create_new_stage()
        self._order, self._contacts, self._setup = order, contacts, setup
        self._start(setup)
        _running = self
        self.device, self.num_envs = str(self._sim.device), int(setup.scene.num_envs)
        self._dt_s = float(setup.sim.dt)
        self._origins = self._scene.env_origins
        self._robot: Any = self._scene["robot"]
        self._bodies = [self._scene[name] for name in setup.bodies]
        self._furniture: Any = self._scene["furniture"] if setup.fixture_joints else None
        self._robot_joints = self._ids(self._robot, "joint", setup.robot_joints)
        self._arm = self._robot_joints[:num_arm_joints]
        self._ee_body = self._ids(self._robot, "body", (ee_body,))
        self._jacobian_row = int(self._ee_body[0]) - (1 if self._robot.is_fixed_base else 0)
        if self._furniture is not None:
            self._fixture_joints = self._ids(self._furniture, "joint", setup.fixture_joints)
            self._fixture_bodies = self._ids(self._furniture, "body", fixture_bodies)
            self._pull = torch.tensor(setup.fixture_targets, device=self.device)
        limits = self._robot.data.joint_pos_limits[0, self._robot_joints]
        self.joint_limits: NDArray[np.float64] = limits.double().cpu().numpy()
        views = [body.root_physx_view for body in self._bodies]
        self._masses = [Written(view.get_masses()) for view in views]
        self._inertias = [Written(view.get_inertias()) for view in views]
        self._frictions = [Written(view.get_material_properties()) for view in views]
        self._robot_friction = Written(self._robot.root_physx_view.get_material_properties())
        self._scene.update(self._dt_s)

    def _start(self, setup: SceneSetup) -> None:
        """Have Isaac Lab build the scene. Raises SimulatorError with what it has to say."""
        try:
            self._sim = SimulationContext(setup.sim)
            self._scene = InteractiveScene(setup.scene)
            self._camera = None if setup.camera is None else Camera(setup.camera)
            self._sim.reset()
        except (ValueError, RuntimeError, FileNotFoundError) as error:
            raise SimulatorError(
                f"Isaac Lab cannot build the scene: {error} The robot is "
                f"{setup.scene.robot.spawn.usd_path}; its links and joints must have the names of "
                "robot.model, and files on a server must be within reach (docs/isaac-lab.md)."
            ) from error

    def _ids(self, asset: Any, kind: str, names: tuple[str, ...]) -> Tensor:
        """Indices of joints or bodies; Isaac Lab orders them by breadth. Raises SimulatorError."""
        known = list(asset.joint_names if kind == "joint" else asset.body_names)
        for name in names:
            if name not in known:
                raise SimulatorError(
                    f"{asset.cfg.prim_path} ({asset.cfg.spawn.usd_path}) has no {kind} '{name}'. "
                    f"{nearest(name, known)} The file's names must be those of robot.model."
                )
        return torch.tensor([known.index(name) for name in names], dtype=torch.int64, device=self.device)

    def _check_alive(self) -> None:
        if _running is not self:
            raise SimulatorError(
                "This simulation has ended, because a process can run one Isaac Sim scene at a time and "
                "another was built. Build environments of backend 'isaaclab' in processes of their own."
            )

    def step(self, num_physics_steps: int) -> None:
        """Advance all environments; targets are held."""
        self._check_alive()
        self._scene.write_data_to_sim()
        for _ in range(num_physics_steps):
            self._sim.step(render=False)
        self._scene.update(num_physics_steps * self._dt_s)

    def set_targets(self, position: Tensor, env_ids: Tensor | None = None) -> None:
        """(k, R) rad or m where the robot's joints are driven to."""
        self._robot.set_joint_position_target(position, joint_ids=self._robot_joints, env_ids=env_ids)

    def joints(self) -> tuple[Tensor, Tensor]:
        """Positions and velocities, (N, J) each: the robot's, then the fixtures'."""
        data, ids = self._robot.data, self._robot_joints
        if self._furniture is None:
            return data.joint_pos[:, ids], data.joint_vel[:, ids]
        other, more = self._furniture.data, self._fixture_joints
        return (
            torch.cat([data.joint_pos[:, ids], other.joint_pos[:, more]], dim=1),
            torch.cat([data.joint_vel[:, ids], other.joint_vel[:, more]], dim=1),
        )

    def motion(self) -> Motion:
        """Of the end effector's body, the fixtures' bodies, then the free ones."""
        parts = [self._links(self._robot.data, self._ee_body)]
        if self._furniture is not None:
            parts.append(self._links(self._furniture.data, self._fixture_bodies))
        parts += [Motion(*(values.unsqueeze(1) for values in self._root(body.data))) for body in self._bodies]
        position, quat, linear, angular = (torch.cat(each, dim=1) for each in zip(*parts, strict=True))
        return Motion(position - self._origins.unsqueeze(1), self._order.ours(quat), linear, angular)

    @staticmethod
    def _links(data: Any, ids: Tensor) -> Motion:
        return Motion(
            data.body_link_pos_w[:, ids],
            data.body_link_quat_w[:, ids],
            data.body_link_lin_vel_w[:, ids],
            data.body_link_ang_vel_w[:, ids],
        )

    @staticmethod
    def _root(data: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return (
            data.root_link_pos_w,
            data.root_link_quat_w,
            data.root_link_lin_vel_w,
            data.root_link_ang_vel_w,
        )

    def forces(self) -> Tensor:
        """(N, C, 3) newtons in world axes, a column each of the contact plan, of the last physics step."""
        if not self._contacts.columns:
            return torch.zeros(self.num_envs, 0, 3, device=self.device)
        columns = []
        for body, index in self._contacts.columns:
            data = self._scene[self._setup.sensors[body]].data
            columns.append(data.net_forces_w[:, 0] if index is None else data.force_matrix_w[:, 0, index])
        return torch.stack(columns, dim=1)

    def jacobian(self) -> tuple[Tensor, Tensor]:
        """(N, 6, A) of the end effector's body, and (N, 3) the point of it, in its frame, that it is of.

        PhysX tells the velocity of a link's centre of mass (isaac-sim/IsaacLab pull request 5400).
        """
        _ = self._robot.data.body_link_pos_w  # reading poses makes links follow what was written to joints
        rows = self._robot.root_physx_view.get_jacobians()[:, self._jacobian_row]
        return rows[:, :, self._arm], self._robot.data.body_com_pos_b[:, int(self._ee_body[0])]

    def put_joints(self, env_ids: Tensor, position: Tensor, velocity: Tensor) -> None:
        """Set positions and velocities, (k, J) each; fixtures are left to their springs."""
        robot = len(self._robot_joints)
        self._robot.write_joint_state_to_sim(
            position[:, :robot], velocity[:, :robot], joint_ids=self._robot_joints, env_ids=env_ids
        )
        if self._furniture is None:
            return
        more = self._fixture_joints
        self._furniture.write_joint_state_to_sim(
            position[:, robot:], velocity[:, robot:], joint_ids=more, env_ids=env_ids
        )
        pull = self._pull.expand(len(env_ids), -1)
        self._furniture.set_joint_position_target(pull, joint_ids=more, env_ids=env_ids)

    def put_bodies(self, env_ids: Tensor, position: Tensor, quat: Tensor, velocity: Tensor) -> None:
        """Set poses, (k, B, 3) and (k, B, 4), and velocities, (k, B, 6) of their centres of mass."""
        origins = self._origins[env_ids]
        for column, body in enumerate(self._bodies):
            pose = torch.cat([position[:, column] + origins, self._order.theirs(quat[:, column])], dim=1)
            body.write_root_pose_to_sim(pose, env_ids=env_ids)
            body.write_root_velocity_to_sim(velocity[:, column].contiguous(), env_ids=env_ids)

    def body_velocities(self) -> Tensor:
        """(N, B, 6) of the free bodies' centres of mass, as :meth:`put_bodies` takes them."""
        if not self._bodies:
            return torch.zeros(self.num_envs, 0, 6, device=self.device)
        each = [
            torch.cat([body.data.root_com_lin_vel_w, body.data.root_com_ang_vel_w], dim=1)
            for body in self._bodies
        ]
        return torch.stack(each, dim=1)

    def begin(self, env_ids: Tensor) -> None:
        """Forget what sensors and drives hold of these environments, before they are put somewhere else."""
        self._check_alive()
        self._scene.reset(env_ids)

    def scale_masses(self, env_ids: NDArray[np.int64], column: int, factors: NDArray[np.float64]) -> None:
        """Make a free body heavier by (k,) factors; inertia goes with mass."""
        rows, view = torch.from_numpy(env_ids), self._bodies[column].root_physx_view
        factor = torch.from_numpy(factors).float().unsqueeze(1)
        masses, inertias = self._masses[column], self._inertias[column]
        masses.now[rows] = masses.nominal[rows] * factor
        inertias.now[rows] = inertias.nominal[rows] * factor
        view.set_masses(masses.now, rows.int())
        view.set_inertias(inertias.now, rows.int())

    def scale_frictions(self, env_ids: NDArray[np.int64], column: int, factors: NDArray[np.float64]) -> None:
        """Give a free body (k,) times its friction, and with the first one the robot, whose pads decide.

        PhysX averages the coefficients of two materials that were written like this, whatever their files
        say, so the robot gets what makes the average with the first body ``factor`` times its own.
        """
        rows, own = torch.from_numpy(env_ids), self._frictions[column]
        factor = torch.from_numpy(factors).float()[:, None, None]
        own.now[rows, :, :2] = own.nominal[rows, :, :2] * factor
        self._bodies[column].root_physx_view.set_material_properties(own.now, rows.int())
        if column == 0:
            robot = self._robot_friction
            wanted = 2.0 * robot.nominal[rows, :, :2] - own.nominal[rows, :1, :2]
            robot.now[rows, :, :2] = wanted * factor
            self._robot.root_physx_view.set_material_properties(robot.now, rows.int())

    def picture(self, env_id: int, view: Viewpoint) -> NDArray[np.uint8]:
        """(H, W, 3) of one environment, in the camera's size. Raises SimulatorError without a camera."""
        self._check_alive()
        if self._camera is None:
            raise SimulatorError(
                "Isaac Sim was started without cameras. For pictures and films of backend 'isaaclab' set "
                "backend.cameras=true."
            )
        origin = self._origins[env_id]
        target = torch.tensor(view.lookat, device=self.device) + origin
        azimuth, elevation = np.radians(view.azimuth_deg), np.radians(view.elevation_deg)
        gaze = [
            np.cos(azimuth) * np.cos(elevation),
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
        eye = target - view.distance_m * torch.tensor(gaze, dtype=torch.float32, device=self.device)
        self._camera.set_world_poses_from_view(eye.unsqueeze(0), target.unsqueeze(0))
        for _ in range(FRAMES_TO_SETTLE):
            self._sim.render()
        self._camera.update(self._dt_s)
        return np.asarray(self._camera.data.output["rgb"][0, ..., :3].cpu().numpy(), dtype=np.uint8)

    def end(self) -> None:
        """Make way for the next scene of this process; Isaac Sim itself stays (``launch``)."""
        global _running
        if _running is not self:
            return
        _running = None
        # assets listen to Isaac Sim's timeline until they are deleted
        self._sim = self._scene = self._camera = self._robot = self._furniture = None
        self._bodies = []
        gc.collect()
