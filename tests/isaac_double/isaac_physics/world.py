"""The physics of all environments: one ``mujoco.batch.Batch``, read and written in world coordinates.

Each environment is simulated around its own origin; what goes in and out as tensors is float32 and has the
environment's origin added, so it is as coarse as PhysX's far from the world's origin.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import torch
from mujoco.batch import Batch
from numpy.typing import NDArray
from torch import Tensor

from isaac_physics.builder import SLOTS, TORSION_ROLLING, Built
from isaac_physics.rotations import rotate, rotate_back

Ints = NDArray[np.int64]
VELOCITY_STAGE = int(mujoco.mjtStage.mjSTAGE_VEL)
THREADS = 2
STATE = ("qpos", "qvel", "ctrl", "qacc_warmstart")
MOCAP = ("mocap_pos", "mocap_quat")
READ = ("xpos", "xquat", "xipos", "cvel", "subtree_com", "xaxis", "xanchor", "sensordata")


class World:
    """``num_envs`` copies of a built model on a device; ``changes`` counts how often something moved."""

    def __init__(self, built: Built, num_envs: int, origins: Tensor | None, device: str) -> None:
        self.model = built.spec.compile()
        self.built, self.num_envs, self.device = built, num_envs, device
        self.origins = torch.zeros(num_envs, 3).double() if origins is None else origins.double().cpu()
        self.batch = Batch(self.model, num_envs, THREADS, persistent=True)
        self._state = {name: self.batch.bind(name) for name in STATE}
        self._mocap = {name: self.batch.bind(name) for name in MOCAP if self.model.nmocap}
        for name in READ:  # outputs are copied out of calls that come after their first binding
            self.batch.bind(name)
        self._moved = np.ones(num_envs, dtype=bool)
        self.changes = 0
        self._pairs = np.array(
            [[self.model.geom(name).id for name in pair] for pair in built.pairs], dtype=np.int64
        )
        self._friction = np.tile(self.model.geom_friction[:, 0], (num_envs, 1))
        self._given = np.zeros((num_envs, self.model.ngeom), dtype=bool)
        limits = {joint: limit for joint, limit in built.speed_limits.items() if np.isfinite(limit)}
        self._limited = np.array([self.model.joint(joint).id for joint in limits], dtype=np.int64)
        self._limits = np.array(list(limits.values()))
        for joint, target in built.drive_targets.items():
            self._state["ctrl"][:, self.model.actuator(joint).id] = target
        self._forces = self._read("sensordata") * 0.0

    def step(self) -> None:
        """One physics step; contact forces are those of this step until the next."""
        self.redo_kinematics()
        self.changes += 1
        self.batch.step(nstep=1, stage=VELOCITY_STAGE)
        self._forces = self._read("sensordata")
        self._limit_speed()

    def _limit_speed(self) -> None:
        """No joint is faster than its limit; one whose limit is 0 does not move."""
        dofs = self.model.jnt_dofadr[self._limited]
        speed = self._state["qvel"][:, dofs]
        excess = speed - speed.clip(-self._limits, self._limits)
        if excess.any():
            self._state["qvel"][:, dofs] -= excess
            self._state["qpos"][:, self.model.jnt_qposadr[self._limited]] -= excess * self.model.opt.timestep
            self._moved |= excess.any(axis=1)

    def touch(self, envs: Ints) -> None:
        """Note that somebody wrote into the state of environments."""
        self._moved[envs] = True
        self.changes += 1
        self._state["qacc_warmstart"][envs] = 0.0

    def redo_kinematics(self) -> None:
        """Let poses and velocities follow from what was written."""
        if self._moved.any():
            self.batch.forward(np.flatnonzero(self._moved).astype(np.int32), VELOCITY_STAGE)
            self._moved[:] = False

    def _read(self, name: str) -> Tensor:
        """A copy of a field of all environments, float64."""
        return torch.tensor(self.batch.bind(name))

    def _out(self, values: Tensor) -> Tensor:
        return values.to(device=self.device, dtype=torch.float32)

    def link_poses(self, bodies: Ints) -> Tensor:
        """(N, B, 7) position in the world and quaternion wxyz of bodies' own frames."""
        self.redo_kinematics()
        position = self._read("xpos")[:, bodies] + self.origins[:, None]
        return self._out(torch.cat([position, self._read("xquat")[:, bodies]], dim=2))

    def free_velocities(self, bodies: Ints) -> Tensor:
        """(N, B, 6) of free bodies: velocity of centres of mass, linear, then angular, world axes."""
        self.redo_kinematics()
        return self.link_velocities(bodies)

    def link_velocities(self, bodies: Ints) -> Tensor:
        """The same of links: as of the last step, or the last :meth:`link_poses` after a write."""
        return self._out(self._com_velocities(bodies))

    def _com_velocities(self, bodies: Ints) -> Tensor:
        angular, linear = self._read("cvel")[:, bodies].split(3, dim=2)
        reference = self._read("subtree_com")[:, self.model.body_rootid[bodies]]
        lever = self._read("xipos")[:, bodies] - reference
        return torch.cat([linear + torch.linalg.cross(angular, lever), angular], dim=2)

    def set_pose(self, body: int, envs: Ints, pose: Tensor) -> None:
        """Put a free, kinematic or root body somewhere, (k, 7); a free one keeps its centre's velocity."""
        local = pose.detach().cpu().double().clone()
        local[:, :3] -= self.origins[envs]
        mocap = self.model.body_mocapid[body]
        if mocap >= 0:
            self._mocap["mocap_pos"][envs, mocap] = local[:, :3].numpy()
            self._mocap["mocap_quat"][envs, mocap] = local[:, 3:].numpy()
        else:
            self.redo_kinematics()
            velocity = self._com_velocities(np.array([body]))[envs, 0]
            first = self.model.jnt_qposadr[self.model.body_jntadr[body]]
            self._state["qpos"][envs, first : first + 7] = local.numpy()
            self._write_velocity(body, envs, velocity)
        self.touch(envs)

    def set_com_velocity(self, body: int, envs: Ints, velocity: Tensor) -> None:
        """Set the velocity of a body's centre of mass, (k, 6); one that cannot move freely ignores it."""
        if self.model.body_mocapid[body] < 0:
            self._write_velocity(body, envs, velocity.detach().cpu().double())
            self.touch(envs)

    def _write_velocity(self, body: int, envs: Ints, velocity: Tensor) -> None:
        joint = self.model.body_jntadr[body]
        q, v = self.model.jnt_qposadr[joint], self.model.jnt_dofadr[joint]
        quat = torch.from_numpy(self._state["qpos"][envs, q + 3 : q + 7])
        linear, angular = velocity.split(3, dim=1)
        lever = rotate(quat, torch.from_numpy(self.model.body_ipos[body]).expand(len(envs), 3))
        at_frame = linear - torch.linalg.cross(angular, lever)
        self._state["qvel"][envs, v : v + 6] = torch.cat(
            [at_frame, rotate_back(quat, angular)], dim=1
        ).numpy()

    def joints(self, ids: Ints) -> tuple[Tensor, Tensor]:
        """(N, J) positions and velocities of joints."""
        q, v = self.model.jnt_qposadr[ids], self.model.jnt_dofadr[ids]
        return tuple(self._out(torch.from_numpy(self._state[n][:, i])) for n, i in (("qpos", q), ("qvel", v)))

    def set_joints(self, ids: Ints, envs: Ints, position: Tensor | None, velocity: Tensor | None) -> None:
        """Set (k, J) positions or velocities of joints."""
        columns = {"qpos": self.model.jnt_qposadr[ids], "qvel": self.model.jnt_dofadr[ids]}
        for name, values in (("qpos", position), ("qvel", velocity)):
            if values is not None:
                self._state[name][np.ix_(envs, columns[name])] = values.detach().cpu().double().numpy()
        self.touch(envs)

    def set_targets(self, names: list[str], targets: Tensor) -> None:
        """Where joints are driven to from the next step on, (N, J)."""
        ids = [self.model.actuator(name).id for name in names]
        self._state["ctrl"][:, ids] = targets.detach().cpu().double().numpy()

    def jacobian(self, bodies: Ints, joints: Ints) -> Tensor:
        """(N, B, 6, J): velocity of bodies' centres of mass, linear, then angular, per joint velocity.

        As old as :meth:`link_velocities`.
        """
        moves = torch.tensor([[_above(self.model, joint, body) for joint in joints] for body in bodies])
        axis = self._read("xaxis")[:, None, joints] * moves[None, :, :, None]
        lever = self._read("xipos")[:, bodies][:, :, None] - self._read("xanchor")[:, None, joints]
        slides = torch.from_numpy(self.model.jnt_type[joints] == int(mujoco.mjtJoint.mjJNT_SLIDE))[:, None]
        linear = torch.where(slides, axis, torch.linalg.cross(axis, lever.expand_as(axis)))
        angular = torch.where(slides, torch.zeros(()), axis)
        return self._out(torch.cat([linear, angular], dim=3).transpose(2, 3))

    def contact_force(self, sensor: str) -> Tensor:
        """(N, 3) sum of the normal forces on a sensor's body in the last step, world axes."""
        first = self.model.sensor(sensor).adr[0]
        slots = self._forces[:, first : first + 6 * SLOTS].view(-1, SLOTS, 2, 3)
        return self._out(
            -(slots[:, :, 0, :1] * slots[:, :, 1]).sum(dim=1)
        )  # normals point away from the body

    def vary(self, field: str, envs: Ints, column: Any, values: Any) -> None:
        """Give environments their own values of a field of the model."""
        self.batch.expand(field)[np.ix_(envs, np.atleast_1d(column))] = values
        if field != "geom_friction":
            self.batch.set_const(envs.astype(np.int32))
        self.touch(envs)

    def set_friction(self, geoms: Ints, envs: Ints, sliding: NDArray[np.float64]) -> None:
        """Give geoms (k, g) other coefficients.

        PhysX makes such materials anew and forgets their combine mode: of two that were given so the average
        counts, otherwise the larger one still.
        """
        self._friction[np.ix_(envs, geoms)], self._given[np.ix_(envs, geoms)] = sliding, True
        self.vary("geom_friction", envs, geoms, _with_rest(sliding, TORSION_ROLLING))
        if not len(self._pairs):
            return
        one, other = (self._friction[envs][:, column] for column in self._pairs.T)
        both = self._given[envs][:, self._pairs].all(axis=2)
        pairs = np.where(both, (one + other) / 2, np.maximum(one, other))
        self.batch.expand("pair_friction")[envs, :, :2] = pairs[..., None]
        self.touch(envs)

    def values(self, field: str) -> NDArray[np.float64]:
        """A field of the model, per environment."""
        return np.array(self.batch.expand(field))


def _with_rest(sliding: NDArray[np.float64], rest: list[float]) -> NDArray[np.float64]:
    return np.concatenate([sliding[..., None], np.broadcast_to(rest, (*sliding.shape, len(rest)))], axis=-1)


def _above(model: mujoco.MjModel, joint: int, body: int) -> bool:
    """Whether a joint moves a body."""
    while body and body != model.jnt_bodyid[joint]:
        body = model.body_parentid[body]
    return bool(body)
