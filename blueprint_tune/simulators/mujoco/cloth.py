"""Cloth: a square grid of small masses on edges of fixed length, as one MuJoCo flex.

A grasp by friction holds with up to 37 mm between neighbours; wider grids slip out of every gripper. The
cost of a physics step grows with the number of masses that touch something, so there are at most 36.

The surface meets what is thin, the robot and the walls it is thrown over; what it lies on meets the masses
alone, as small balls, because a triangle on a table is three contacts and a mass is one: four times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from blueprint_tune.simulators.mujoco.bodies import OBJECT_FRICTION
from blueprint_tune.tasks.geometry import quat_matrix
from blueprint_tune.tasks.scene import Entity

Floats = NDArray[np.float64]

SPACING_M = 0.037
MOST_NODES = 6
"""Along each edge."""
RADIUS_M = 0.004
"""Half the thickness with which cloth collides."""
NODE_CONTACT = {"contype": 4, "conaffinity": 0}
"""Of the masses: with whatever stands or can be carried, never with the robot or with each other."""
SURFACE_CONTACT = {"contype": 0, "conaffinity": 10}
"""Of the triangles: with the robot and with thin walls."""
COLLIDER_GROUP = 3
"""Viewers do not draw it unless asked."""
EDGE_DAMPING = 0.01
NODE_INERTIA = 1e-6
"""kg m²: nodes do not turn, but MuJoCo wants one."""


@dataclass(frozen=True)
class Cloth:
    """A compiled cloth.

    Attributes:
        name: of its body. anchor, anchor_quat: pose of that body, which does not move. local: (V, 3) m, the
            nodes spread out flat in its axes. first: the column of ``qpos`` where 3 V displacements begin.
        geoms: of the nodes.
    """

    name: str
    anchor: Floats
    anchor_quat: Floats
    local: Floats
    first: int
    geoms: tuple[int, ...]

    def displacements(self, position: Floats, quat: Floats) -> Floats:
        """(k, 3 V) that spread it out flat at k poses: (k, 3) m of its middle, (k, 4) wxyz."""
        to_anchor = quat_matrix(self.anchor_quat).T
        turns = np.stack([quat_matrix(q) for q in quat])
        world = position[:, None] + np.einsum("kij,vj->kvi", turns, self.local)
        moved = np.einsum("ij,kvj->kvi", to_anchor, world - self.anchor) - self.local
        return np.asarray(moved.reshape(len(position), -1))


def nodes(entity: Entity) -> tuple[int, int]:
    """How many masses lie along its width and its depth."""
    across, along = (
        int(np.clip(np.ceil(extent / SPACING_M) + 1, 2, MOST_NODES)) for extent in entity.size[:2]
    )
    return across, along


def corners(entity: Entity) -> tuple[str, ...]:
    """Names of the bodies at its corners."""
    across, along = nodes(entity)
    return tuple(_node(entity.id, i, j) for i in (0, across - 1) for j in (0, along - 1))


def grid(entity: Entity) -> Floats:
    """(V, 3) m: where the masses lie in its own frame, row by row."""
    across, along = nodes(entity)
    half = entity.size[:2] / 2 - RADIUS_M
    x, y = np.linspace(-half[0], half[0], across), np.linspace(-half[1], half[1], along)
    return np.array([(a, b, 0.0) for a in x for b in y])


def add_cloth(spec: mujoco.MjSpec, entity: Entity, rgba: list[float]) -> None:
    """Add a cloth whose masses are children of a body ``<id>`` that stays where the entity is."""
    across, along = nodes(entity)
    anchor = spec.worldbody.add_body(name=entity.id, pos=entity.position, quat=entity.quat)
    local, friction = grid(entity), [entity.friction, *OBJECT_FRICTION[1:]]
    names = [_node(entity.id, i, j) for i in range(across) for j in range(along)]
    for name, place in zip(names, local, strict=True):
        node = anchor.add_body(name=name, pos=place, gravcomp=0)
        node.mass, node.inertia, node.ipos = entity.mass_kg / len(names), [NODE_INERTIA] * 3, [0, 0, 0]
        node.explicitinertial = True
        node.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=[RADIUS_M, 0, 0],
            friction=friction,
            group=COLLIDER_GROUP,
            **NODE_CONTACT,
        )
        for axis, letter in zip(np.eye(3), "xyz", strict=True):
            node.add_joint(name=f"{name}_{letter}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis)
    spec.add_flex(
        name=entity.id,
        dim=2,
        radius=RADIUS_M,
        vertbody=names,
        vert=[0.0] * 3 * len(names),
        elem=_triangles(across, along),
        condim=3,
        friction=friction,
        selfcollide=mujoco.mjtFlexSelf.mjFLEXSELF_NONE,
        edgedamping=EDGE_DAMPING,
        rgba=rgba,
        **SURFACE_CONTACT,
    )
    spec.add_equality(type=mujoco.mjtEq.mjEQ_FLEX, objtype=mujoco.mjtObj.mjOBJ_FLEX, name1=entity.id)


def describe(model: mujoco.MjModel, entity: Entity) -> Cloth:
    """Where a compiled cloth is found."""
    body = model.body(entity.id)
    first = int(model.joint(f"{_node(entity.id, 0, 0)}_x").qposadr[0])
    across, along = nodes(entity)
    geoms = tuple(model.geom(_node(entity.id, i, j)).id for i in range(across) for j in range(along))
    return Cloth(entity.id, np.array(body.pos), np.array(body.quat), grid(entity), first, geoms)


def _node(name: str, i: int, j: int) -> str:
    return f"{name}_node_{i}_{j}"


def _triangles(across: int, along: int) -> list[int]:
    """Two for every cell of the grid."""
    found: list[int] = []
    for i in range(across - 1):
        for j in range(along - 1):
            a, b = i * along + j, (i + 1) * along + j
            found += [a, b, b + 1, a, b + 1, a + 1]
    return found
