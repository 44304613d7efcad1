"""From the stage to one MuJoCo model of the first environment, named by prim paths."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import mujoco
import numpy as np
from pxr import Gf, Usd, UsdGeom

from isaac_physics.articulation import Link, links_of
from isaac_physics.motors import add_motor
from isaac_physics.shapes import Floats, Material, pose, shapes_of
from isaac_physics.stage import (
    FIRST_ENV,
    KINEMATIC,
    NO_GRAVITY,
    SELF_COLLISIONS,
    attribute,
    below,
    is_body,
    is_root,
)

THING = {"contype": 1, "conaffinity": 1}
CONTACT = {"condim": 4, "solref": [0.01, 1.0], "solimp": [0.97, 0.99, 0.001, 0.5, 2.0]}
"""Of every shape: stiff, with torsional friction. Of two frictions MuJoCo takes the larger one."""
TORSION_ROLLING = [0.02, 0.0001]
PLANE = mujoco.mjtGeom.mjGEOM_PLANE
DRAWN = {"contype": 0, "conaffinity": 0, "group": 2}
SLOTS = 16
"""Contacts of one sensor that are counted, the strongest ones."""


@dataclass
class Built:
    """A model in the making.

    Attributes:
        links: per articulation prim path, paths of its links, breadth first.
        joints: per articulation prim path, names of its joints in the order of their links.
        materials: per body path, those of its colliding shapes, which are geoms ``<path>#<index>``.
        moving: bodies that forces move -> whether they are free.
        drive_targets: per joint, where USD drives it to.
        speed_limits: per joint, m/s or rad/s.
        pairs: of geoms, one of them at least of a free body, whose friction may be no larger one.
    """

    spec: mujoco.MjSpec
    default: Material
    links: dict[str, list[str]] = field(default_factory=dict)
    joints: dict[str, list[str]] = field(default_factory=dict)
    materials: dict[str, list[Material]] = field(default_factory=dict)
    moving: dict[str, bool] = field(default_factory=dict)
    drive_targets: dict[str, float] = field(default_factory=dict)
    speed_limits: dict[str, float] = field(default_factory=dict)
    pairs: list[tuple[str, str]] = field(default_factory=list)


def build(stage: Usd.Stage, dt_s: float, gravity: Any, material: Any) -> Built:
    """Everything on the stage that collides or moves; ``material`` is the scene's default."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep, spec.option.gravity = dt_s, gravity
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone, spec.option.impratio = mujoco.mjtCone.mjCONE_ELLIPTIC, 10.0
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    if material.friction_combine_mode != "max":
        raise ValueError("The double combines friction by 'max' only: SimulationCfg.physics_material.")
    built = Built(spec, Material(material.static_friction, material.dynamic_friction, material.restitution))
    _add_ground(built, stage)
    for asset in stage.GetPrimAtPath(FIRST_ENV).GetChildren():
        if below(str(asset.GetPath()), is_root):
            _add_articulation(built, asset)
        else:
            _add_free(built, asset)
    _add_pairs(built)
    return built


def _add_pairs(built: Built) -> None:
    """Contacts between shapes of which either may get another material while the simulation plays."""
    for one, other in combinations(built.moving, 2):
        if not built.moving[one] and not built.moving[other]:
            continue
        for i, mine in enumerate(built.materials[one]):
            for j, theirs in enumerate(built.materials[other]):
                sliding = max(mine.dynamic_friction, theirs.dynamic_friction)
                names = f"{one}#{i}", f"{other}#{j}"
                built.spec.add_pair(
                    geomname1=names[0],
                    geomname2=names[1],
                    friction=[sliding, sliding, TORSION_ROLLING[0], TORSION_ROLLING[1], TORSION_ROLLING[1]],
                    **CONTACT,
                )
                built.pairs.append(names)


def _add_ground(built: Built, stage: Usd.Stage) -> None:
    """What stands beside the environments: Isaac Lab's ground, or planes of a file."""
    for prim in stage.GetPrimAtPath("/World").GetChildren():
        path = str(prim.GetPath())
        if FIRST_ENV.startswith(f"{path}/"):
            continue
        pos, quat = pose(UsdGeom.XformCache().GetLocalToWorldTransform(prim))
        body = built.spec.worldbody.add_body(name=path, pos=pos, quat=quat)
        friction = prim.GetCustomDataByKey("ground_friction")
        if friction is not None:
            sliding = [friction, *TORSION_ROLLING]
            body.add_geom(type=PLANE, size=[0, 0, 1], friction=sliding, **CONTACT, **THING)
            continue
        if any(shape.collides and shape.kind != PLANE for shape in shapes_of(prim, built.default)):
            raise ValueError(f"{path}: of what all environments share the double knows planes only.")
        _add_shapes(built, body, prim)


def _add_shapes(built: Built, body: mujoco.MjsBody, prim: Usd.Prim) -> None:
    """The shapes of a prim, its own mass shared out by theirs."""
    shapes = shapes_of(prim, built.default)
    colliding = [shape for shape in shapes if shape.collides]
    total, wanted = sum(s.mass for s in colliding), attribute(prim, "physics:mass", 0.0)
    factor = wanted / total if wanted > 0 and total > 0 else 1.0
    for index, shape in enumerate((*colliding, *(s for s in shapes if not s.collides))):
        mesh = {} if shape.vertices is None else {"meshname": _add_mesh(built.spec, shape.vertices)}
        body.add_geom(
            name=f"{prim.GetPath()}#{index}",
            type=shape.kind,
            size=shape.size,
            **mesh,
            pos=shape.pos,
            quat=shape.quat,
            mass=shape.mass * factor,
            rgba=shape.rgba,
            friction=[shape.material.dynamic_friction, *TORSION_ROLLING],
            **CONTACT,
            **(THING if shape.collides else DRAWN),
        )
    _set_inertia(body, prim, wanted or total or 1.0, bool(colliding))
    built.materials[str(prim.GetPath())] = [shape.material for shape in colliding]


def _add_mesh(spec: mujoco.MjSpec, vertices: Floats) -> str:
    name = f"mesh_{len(spec.meshes)}"
    spec.add_mesh(name=name, uservert=vertices.ravel())
    return name


def _set_inertia(body: mujoco.MjsBody, prim: Usd.Prim, mass: float, has_shapes: bool) -> None:
    """What MassAPI says beside the mass; a body without shapes is a ball of 10 cm."""
    inertia = attribute(prim, "physics:diagonalInertia", (0, 0, 0))
    if has_shapes and not any(inertia):
        return
    axes = attribute(prim, "physics:principalAxes", Gf.Quatf(0))
    body.explicitinertial, body.mass = True, mass
    body.ipos = [c if np.isfinite(c) else 0.0 for c in attribute(prim, "physics:centerOfMass", (0, 0, 0))]
    body.iquat = [axes.GetReal(), *axes.GetImaginary()] if axes.GetLength() > 0 else [1, 0, 0, 0]
    body.inertia = inertia if any(inertia) else [0.4 * mass * 0.1**2] * 3


def _add_free(built: Built, asset: Usd.Prim) -> None:
    world = built.spec.worldbody
    bodies = below(str(asset.GetPath()), is_body)
    for prim in bodies:
        pos, quat = pose(UsdGeom.XformCache().GetLocalToWorldTransform(prim))
        moves = not attribute(prim, KINEMATIC, False)
        body = world.add_body(name=str(prim.GetPath()), pos=pos, quat=quat, mocap=not moves)
        if moves:
            body.add_freejoint(name=str(prim.GetPath()))
            built.moving[str(prim.GetPath())] = True
            body.gravcomp = float(attribute(prim, NO_GRAVITY, False))
        _add_shapes(built, body, prim)
    if asset not in bodies:
        pos, quat = pose(UsdGeom.XformCache().GetLocalToWorldTransform(asset))
        _add_shapes(built, world.add_body(name=str(asset.GetPath()), pos=pos, quat=quat), asset)


def _add_articulation(built: Built, asset: Usd.Prim) -> None:
    links = links_of(asset)
    bodies: dict[str | None, mujoco.MjsBody] = {None: built.spec.worldbody}
    for link in links:
        name = str(link.prim.GetPath())
        root = link.parent is None
        body = bodies[link.parent].add_body(name=name, pos=link.pos, quat=link.quat, mocap=root)
        bodies[name] = body
        if not root:
            built.moving[name] = False
        body.gravcomp = float(attribute(link.prim, NO_GRAVITY, False))
        _add_shapes(built, body, link.prim)
        if link.joint is not None:
            _add_joint(built, body, link)
    path = str(asset.GetPath())
    built.links[path] = [str(link.prim.GetPath()) for link in links]
    built.joints[path] = [link.joint for link in links if link.joint is not None]
    _exclude(built, links, all_pairs=not attribute(asset, SELF_COLLISIONS, True))


def _add_joint(built: Built, body: mujoco.MjsBody, link: Link) -> None:
    kinds = mujoco.mjtJoint
    joint = body.add_joint(
        name=link.joint,
        type=kinds.mjJNT_SLIDE if link.slides else kinds.mjJNT_HINGE,
        axis=link.axis,
        pos=link.anchor,
        armature=link.armature,
        frictionloss=link.friction,
    )
    if link.limits is not None:
        joint.range, joint.limited = link.limits, mujoco.mjtLimited.mjLIMITED_TRUE
    drive = link.drive
    built.drive_targets[link.joint] = drive.target
    built.speed_limits[link.joint] = link.speed_limit
    add_motor(built.spec, link.joint, drive.stiffness, drive.damping, drive.effort)


def _exclude(built: Built, links: list[Link], all_pairs: bool) -> None:
    """PhysX lets no two links meet that a joint connects; none at all without self-collisions."""
    names = [str(link.prim.GetPath()) for link in links]
    jointed = {(link.parent, str(link.prim.GetPath())) for link in links}
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            if all_pairs or (one, other) in jointed:
                built.spec.add_exclude(bodyname1=one, bodyname2=other)


def add_contact_sensor(spec: mujoco.MjSpec, name: str, body: str, against: str | None) -> None:
    """A sensor of the contacts of a body, or of those between it and another: SLOTS × (force, normal)."""
    fields, kinds = mujoco.mjtConDataField, mujoco.mjtObj
    data = 1 << int(fields.mjCONDATA_FORCE) | 1 << int(fields.mjCONDATA_NORMAL)
    strongest_first = 2
    spec.add_sensor(
        name=name,
        type=mujoco.mjtSensor.mjSENS_CONTACT,
        objtype=kinds.mjOBJ_BODY,
        objname=body,
        intprm=[data, strongest_first, SLOTS],
        **({} if against is None else {"reftype": kinds.mjOBJ_BODY, "refname": against}),
    )
