"""Bodies with real joints and handles for articulated entities.

Geometry follows the entity's own frame, with the front where its handle points. The part that
stays is a collider of the world; the part that moves is a body with one joint and, rigidly on it, the
handle as a body of its own, so that terms can ask for its pose and its contacts.
"""

from __future__ import annotations

import mujoco
import numpy as np

from blueprint_tune.tasks.geometry import Box, quat_matrix
from blueprint_tune.tasks.scene import FRONT, Entity, Handle, Joint

PANEL_THICKNESS_M = 0.018
"""Drawer bottoms, sides and fronts: a common furniture board."""

FIXTURE_CONTACT = {"contype": 0, "conaffinity": 6}
"""Touched by the robot (bit 2) and by free objects (bit 4), not by the furniture around it."""

DAMPING = {"prismatic": 4.0, "revolute": 0.6}
"""N s/m and N m s/rad where the manifest gives none: a drawer on runners, a door on its hinges."""
DRY_FRICTION = {"prismatic": 1.0, "revolute": 0.1}
"""N and N m: enough for a drawer or a door to stay where it is left."""
BUTTON_N, BUTTON_AT = 3.5, 0.8
"""A button's spring: this force at this share of its travel. Schneider's data sheet of Harmony XB4 push
buttons gives 3.5 to 3.8 N where the contact changes; panel_interaction counts 80 % of travel as pressed."""
BUTTON_PRELOAD_N, BUTTON_FRICTION_N = 0.5, 0.1
"""What holds it out, and what its spring must overcome to return it."""
HANDLE_MASS_KG = 0.05
_UPRIGHT = 0.9
"""Of a hinge's axis, upwards: gravity does not move what turns about one that stands."""
DISC_SHARE, BAR_SHARE = 0.3, 0.3
"""Of a knob's depth that its disc takes, and of its width that the bar takes by which it is turned."""

_BOX, _CAPSULE = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CAPSULE


def add_fixture(world: mujoco.MjsBody, entity: Entity, rgba: list[float]) -> None:
    """Add an articulated entity with its joint ``<id>_joint`` and its handle body ``<id>_handle``, if any."""
    joint, handle = entity.joint, entity.handle
    assert joint is not None
    for box in joint.fixed:
        _add_fixed_part(world, entity, box, rgba)
    body = world.add_body(name=entity.id, pos=entity.position, quat=entity.quat)
    added = _add_joint(body, entity.id, joint)
    if handle is None:
        if joint.kind == "prismatic":
            _add_spring(added, joint)
        _add_grip(body, entity, joint, rgba)
        return
    boxes = _drawer_boxes(joint.moving, handle) if _is_drawer(joint, handle) else [joint.moving]
    density = entity.moving_mass_kg / sum(float(np.prod(box.size)) for box in boxes)
    for box in boxes:
        body.add_geom(
            type=_BOX, pos=box.center, size=box.size / 2, density=density, rgba=rgba, **FIXTURE_CONTACT
        )
    grip = _add_handle(body, entity.id, handle)
    if _is_flap(entity, joint):
        body.gravcomp = grip.gravcomp = 1.0


def _is_flap(entity: Entity, joint: Joint) -> bool:
    """Whether it swings up or down: springs or struts carry what does, so that it stays where it is left."""
    up = (quat_matrix(entity.quat) @ joint.axis)[2]
    return joint.kind == "revolute" and bool(abs(up) < _UPRIGHT)


def _add_fixed_part(world: mujoco.MjsBody, entity: Entity, box: Box, rgba: list[float]) -> None:
    world.add_geom(
        type=_BOX,
        pos=entity.to_scene(box.center),
        quat=entity.quat,
        size=box.size / 2,
        rgba=rgba,
        **FIXTURE_CONTACT,
    )


def _add_joint(body: mujoco.MjsBody, entity_id: str, joint: Joint) -> mujoco.MjsJoint:
    slide = joint.kind == "prismatic"
    return body.add_joint(
        name=f"{entity_id}_joint",
        type=mujoco.mjtJoint.mjJNT_SLIDE if slide else mujoco.mjtJoint.mjJNT_HINGE,
        axis=joint.axis,
        pos=joint.anchor,
        range=[joint.lower, joint.upper],
        limited=mujoco.mjtLimited.mjLIMITED_TRUE,
        damping=[DAMPING[joint.kind] if joint.damping is None else joint.damping, 0, 0],
        frictionloss=DRY_FRICTION[joint.kind],
        armature=0.01,
    )


def _add_spring(button: mujoco.MjsJoint, joint: Joint) -> None:
    """Let a button return; its ends are hard, or the spring would hold it outside of its range."""
    stiffness = (BUTTON_N - BUTTON_PRELOAD_N) / (BUTTON_AT * joint.range)
    button.stiffness = [stiffness, 0, 0]
    button.springref = joint.lower - BUTTON_PRELOAD_N / stiffness
    button.frictionloss = BUTTON_FRICTION_N
    button.solimp_limit = [0.99, 0.999, 0.001, 0.5, 2]


def _add_grip(body: mujoco.MjsBody, entity: Entity, joint: Joint, rgba: list[float]) -> None:
    """What is held or pressed itself: a knob is a disc with a bar across it, a button a block."""
    size = joint.moving.size
    common = {"rgba": rgba, "condim": 4, "friction": [1.0, 0.02, 0.0001], **FIXTURE_CONTACT}
    if joint.kind == "prismatic":
        body.add_geom(type=_BOX, pos=joint.moving.center, size=size / 2, mass=entity.moving_mass_kg, **common)
        return
    along = int(np.argmax(np.abs(joint.axis)))
    across, upright = (i for i in range(3) if i != along)
    disc, bar = np.zeros(3), size.copy()
    disc[along] = DISC_SHARE * size[along]
    bar[across] *= BAR_SHARE
    outward = FRONT if along == 1 else np.abs(joint.axis)
    behind = joint.moving.center - outward * (size[along] - disc[along]) / 2
    radius = min(size[across], size[upright]) / 2
    half = np.eye(3)[along] * disc[along] / 2
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        fromto=[*(behind - half), *(behind + half)],
        size=[radius, 0, 0],
        mass=entity.moving_mass_kg / 2,
        **common,
    )
    body.add_geom(type=_BOX, pos=joint.moving.center, size=bar / 2, mass=entity.moving_mass_kg / 2, **common)


def _is_drawer(joint: Joint, handle: Handle) -> bool:
    """Whether it is pulled out at its face, and hollow: sliding panels and bare fronts are neither."""
    along = float(abs(handle.outward @ joint.axis))
    return joint.kind == "prismatic" and along > 0.7 and bool(joint.moving.size.min() > 3 * PANEL_THICKNESS_M)


def _drawer_boxes(moving: Box, handle: Handle) -> list[Box]:
    """Front, bottom, two sides and back of an open-topped drawer that fills ``moving``."""
    front_axis = int(np.argmax(np.abs(handle.outward[:2])))
    sign = np.sign(handle.outward[front_axis])
    depth, width, height = moving.size[front_axis], moving.size[1 - front_axis], moving.size[2]
    t = PANEL_THICKNESS_M
    side = 0.7 * height
    low = (side - height) / 2

    def box(ahead: float, beside: float, up: float, size: tuple[float, float, float]) -> Box:
        """From (ahead, beside, up) and (depth, width, height) to the entity's axes."""
        order = [0, 1, 2] if front_axis == 0 else [1, 0, 2]
        centre = np.array([sign * ahead, beside, up])[order]
        return Box(moving.center + centre, np.array(size)[order])

    return [
        box((depth - t) / 2, 0, 0, (t, width, height)),
        box(0, 0, (t - height) / 2, (depth - 2 * t, width - 2 * t, t)),
        box(0, (width - t) / 2, low, (depth - 2 * t, t, side)),
        box(0, (t - width) / 2, low, (depth - 2 * t, t, side)),
        box((t - depth) / 2, 0, low, (t, width, side)),
    ]


def _add_handle(body: mujoco.MjsBody, entity_id: str, handle: Handle) -> mujoco.MjsBody:
    """A bar on two posts; its centre is the frame ``<role>/handle``."""
    part = body.add_body(name=f"{entity_id}_handle", pos=handle.center)
    half = handle.along * handle.length_m / 2
    foot = handle.outward * handle.standoff_m
    for start, end in ((-half, half), (half, half - foot), (-half, -half - foot)):
        part.add_geom(
            type=_CAPSULE,
            fromto=[*start, *end],
            size=[handle.radius_m, 0, 0],
            mass=HANDLE_MASS_KG / 3,
            condim=4,
            friction=[1.0, 0.02, 0.0001],
            rgba=[0.55, 0.57, 0.6, 1.0],
            **FIXTURE_CONTACT,
        )
    return part
