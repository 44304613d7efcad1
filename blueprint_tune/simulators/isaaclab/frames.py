"""Where the frames of a task are: on bodies that Isaac Lab tells of, or standing still."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blueprint_tune.mdp.frames import rotate
from blueprint_tune.simulators.mujoco.scene_builder import CompiledScene
from blueprint_tune.tasks.regions import region
from blueprint_tune.tasks.spec import TaskSpec

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FrameTable:
    """F frames of a catalog.

    Attributes:
        bodies: the bodies that carry frames: the end effector's, then those of fixtures, then the free ones.
        num_fixture_bodies: how many of them belong to fixtures.
        moving: (M,) the frames that are carried, and carrier: (M,) by which of ``bodies``.
        offset: (M, 3) m and turn: (M, 4) wxyz, their poses on it.
        position: (F, 3), quat: (F, 4): of frames that stand still.
    """

    bodies: tuple[str, ...]
    num_fixture_bodies: int
    moving: NDArray[np.int64]
    carrier: NDArray[np.int64]
    offset: Floats
    turn: Floats
    position: Floats
    quat: Floats


def frame_table(task: TaskSpec, compiled: CompiledScene, frames: tuple[str, ...]) -> FrameTable:
    """The frames of a task's catalog, in its order."""
    model = compiled.model
    site = model.site(task.robot.ee_site).id
    ee_body = model.body(int(model.site_bodyid[site])).name
    parts = [name for entity in task.jointed for name in (entity.id, f"{entity.id}_handle")]
    fixtures = tuple(n for n in parts if mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, n) > 0)
    bodies = (ee_body, *fixtures, *compiled.free_bodies)
    count = len(frames)
    position, quat = np.zeros((count, 3)), np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
    carried: list[tuple[int, int, Floats, Floats]] = []
    for index, frame in enumerate(frames):
        if frame == "robot/ee":
            carried.append((index, 0, np.array(model.site_pos[site]), np.array(model.site_quat[site])))
            continue
        role, _, part = frame.partition("/")
        entity = task.roles[role]
        place = region(entity) if task.kinds[role] == "region" else None
        offset = np.zeros(3) if place is None else np.asarray(place.center)
        name = f"{entity.id}_{part}" if part else entity.id
        if name in bodies:
            carried.append((index, bodies.index(name), offset, np.array([1.0, 0.0, 0.0, 0.0])))
        else:
            position[index], quat[index] = entity.to_scene(offset), entity.quat
    moving, carrier, offsets, turns = zip(*carried, strict=True)
    return FrameTable(
        bodies=bodies,
        num_fixture_bodies=len(fixtures),
        moving=np.array(moving),
        carrier=np.array(carrier),
        offset=np.array(offsets),
        turn=np.array(turns),
        position=position,
        quat=quat,
    )


class CarriedFrames:
    """The frames of a table that are carried, as tensors on a device.

    Attributes:
        indices: (M,) of them among the catalog's frames.
    """

    def __init__(self, table: FrameTable, device: str) -> None:
        self.indices = torch.from_numpy(table.moving).to(device)
        self._carrier = torch.from_numpy(table.carrier).to(device)
        self._offset = torch.from_numpy(table.offset).float().to(device)
        self._turn = torch.from_numpy(table.turn).float().to(device)
        self._rows = {int(frame): row for row, frame in enumerate(table.moving)}

    def motion(
        self, position: Tensor, quat: Tensor, linear: Tensor, angular: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The same of the frames, (k, M, …), from those of the bodies, (k, C, …)."""
        on = self._carrier
        quat, angular = quat[:, on], angular[:, on]
        arm = rotated(quat, self._offset)
        swing = torch.linalg.cross(angular, arm)
        return position[:, on] + arm, product(quat, self._turn), linear[:, on] + swing, angular

    def lever(self, frame: int, quat: Tensor, point: Tensor) -> Tensor:
        """(N, 3) m in world axes from a point (N, 3) of a frame's body, in the body's axes, to the frame.

        ``quat``: (N, 4) of the frame.
        """
        row = self._rows[frame]
        return rotate(product(quat, inverse(self._turn[row])), self._offset[row] - point)


def rotated(quat: Tensor, vector: Tensor) -> Tensor:
    """(k, M, 3) vectors (M, 3) turned by quaternions (k, M, 4) wxyz."""
    vector = vector.expand(*quat.shape[:-1], 3)
    return rotate(quat.reshape(-1, 4), vector.reshape(-1, 3)).view_as(vector)


def product(a: Tensor, b: Tensor) -> Tensor:
    """(…, 4) wxyz: the rotation ``b`` followed by ``a``."""
    a, b = a.expand_as(a * b), b.expand_as(a * b)
    aw, bw, av, bv = a[..., :1], b[..., :1], a[..., 1:], b[..., 1:]
    scalar = aw * bw - (av * bv).sum(dim=-1, keepdim=True)
    return torch.cat([scalar, aw * bv + bw * av + torch.linalg.cross(av, bv)], dim=-1)


def inverse(quat: Tensor) -> Tensor:
    """(…, 4) wxyz of the rotation back."""
    return quat * torch.tensor([1.0, -1.0, -1.0, -1.0], device=quat.device)
