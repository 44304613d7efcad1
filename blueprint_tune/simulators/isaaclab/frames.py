"""Where the frames of a task are: on bodies that Isaac Lab tells of, or standing still."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

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
