"""Objects without joints of their own: what can be carried, what stands where it is, what is only seen.

Whatever can be carried is built from its parts (tasks/shapes.py); so is what plays a role, and hollow things
that stand in reach. Everything else that stands is one convex primitive of the world.
"""

from __future__ import annotations

import mujoco

from blueprint_tune.tasks.classes import Shape
from blueprint_tune.tasks.primitives import Part
from blueprint_tune.tasks.regions import region
from blueprint_tune.tasks.scene import Entity
from blueprint_tune.tasks.shapes import hull, parts

STATIC_CONTACT = {"contype": 0, "conaffinity": 6}
FREE_CONTACT = {"contype": 4, "conaffinity": 6}
HOLLOW_CONTACT = {"contype": 8, "conaffinity": 6}
"""Of walls, which are thin enough to pass between the masses of a cloth: these meet its surface as well."""
NO_CONTACT = {"contype": 0, "conaffinity": 0}
DRAWN_ONLY_GROUP = 2
REGION_GROUP = 4
"""Of sites that mark regions; viewers do not draw it unless asked."""

OBJECT_FRICTION = [1.0, 0.02, 0.0001]
"""Sliding, torsional (m) and rolling (m) friction of an object whose manifest gives none."""

STIFF_SOLIMP = [0.95, 0.99, 0.001, 0.5, 2.0]
"""Contact impedance: with MuJoCo's default an arm presses a tin centimetres into a table."""

TIGHT = {"solref": [0.004, 1.0], "solmix": 1000.0}
"""A socket's contacts, whatever touches it: with the default 20 ms a part sinks 2 mm into its walls, more
than its clearance. MuJoCo raises the time constant to two physics steps where those are longer."""

_HOLLOW: frozenset[Shape] = frozenset({"bin", "rack", "shelf", "pallet", "socket", "zone"})
_BOX, _CYLINDER = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER
_CAPSULE, _SPHERE = mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_SPHERE
_KINDS = {"box": _BOX, "cylinder": _CYLINDER, "capsule": _CAPSULE, "sphere": _SPHERE}


def add_free(world: mujoco.MjsBody, entity: Entity, rgba: list[float]) -> None:
    """Add a body ``<id>`` that moves freely; its parts share the mass by their volumes."""
    body = world.add_body(name=entity.id, pos=entity.position, quat=entity.quat)
    body.add_freejoint(name=f"{entity.id}_free")
    density = entity.mass_kg / sum(piece.volume for piece in parts(entity))
    for index, piece in enumerate(parts(entity)):
        mass = density * piece.volume
        _add_part(body, entity, index, piece, rgba, condim=3, mass=mass, **FREE_CONTACT)
    _add_region(body, entity)


def add_static(world: mujoco.MjsBody, entity: Entity, rgba: list[float], role: bool) -> None:
    """Add a collider that stays: for roles and hollow things a body ``<id>``, else a geom of the world."""
    if not role and entity.shape not in _HOLLOW:
        _add_hull(world, entity, rgba, 0, STATIC_CONTACT)
        return
    body = world.add_body(name=entity.id, pos=entity.position, quat=entity.quat)
    contact = NO_CONTACT if entity.shape == "zone" else HOLLOW_CONTACT
    tight = TIGHT if entity.shape == "socket" else {}
    for index, piece in enumerate(parts(entity)):
        _add_part(body, entity, index, piece, rgba, **contact, **tight)
    _add_region(body, entity)


def add_drawn(world: mujoco.MjsBody, entity: Entity, rgba: list[float]) -> None:
    """Add what is only seen."""
    _add_hull(world, entity, rgba, DRAWN_ONLY_GROUP, NO_CONTACT)


def _add_part(
    body: mujoco.MjsBody, entity: Entity, index: int, piece: Part, rgba: list[float], **more: object
) -> None:
    """Add one part; the first bears the entity's name."""
    body.add_geom(
        name=entity.id if index == 0 else "",
        type=_KINDS[piece.kind],
        size=_half(piece),
        pos=piece.center,
        quat=piece.quat,
        friction=[entity.friction, *OBJECT_FRICTION[1:]],
        solimp=STIFF_SOLIMP,
        rgba=rgba,
        **more,
    )


def _add_hull(
    world: mujoco.MjsBody, entity: Entity, rgba: list[float], group: int, contact: dict[str, int]
) -> None:
    world.add_geom(
        name=entity.id,
        type=_KINDS[hull(entity).kind],
        size=_half(hull(entity)),
        pos=entity.position,
        quat=entity.quat,
        friction=[entity.friction, *OBJECT_FRICTION[1:]],
        solimp=STIFF_SOLIMP,
        rgba=rgba,
        group=group,
        **contact,
    )


def _half(piece: Part) -> list[float]:
    """A part's size as MuJoCo has it: half extents; radius and half length; of a capsule without its caps."""
    x, y, z = (float(extent) / 2 for extent in piece.size)
    if piece.kind == "box":
        return [x, y, z]
    return [x, z - x if piece.kind == "capsule" else z, 0.0]


def _add_region(body: mujoco.MjsBody, entity: Entity) -> None:
    """A site ``<id>_region`` where the entity's region is, turned as the entity is."""
    found = region(entity)
    if found is not None:
        body.add_site(
            name=f"{entity.id}_region",
            type=_BOX,
            pos=found.center,
            size=found.size / 2,
            rgba=[0.2, 0.6, 0.9, 0.2],
            group=REGION_GROUP,
        )
