"""Links and joints of an articulation in USD, level by level as PhysX orders them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Usd, UsdGeom, UsdPhysics

from isaac_physics.shapes import TO_Z, pose, rigid
from isaac_physics.stage import FIX_ROOT, attribute, below, is_body, is_root

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drive:
    """A joint's motor: force = stiffness (target - position) - damping velocity, at most ``effort``."""

    stiffness: float
    damping: float
    effort: float
    target: float


@dataclass(frozen=True)
class Link:
    """A link with the joint that leads to it: ``pos`` and ``quat`` in its parent when the joint is at 0.

    Attributes:
        parent: path of the parent link, None for the root. joint: path of a joint that moves, else None.
        slides: prismatic or revolute. axis, anchor: of the joint, on this link. limits: rad or m, or None.
    """

    prim: Usd.Prim
    parent: str | None
    pos: Floats
    quat: Floats
    joint: str | None = None
    slides: bool = False
    axis: Floats | None = None
    anchor: Floats | None = None
    limits: tuple[float, float] | None = None
    drive: Drive = Drive(0.0, 0.0, np.inf, 0.0)
    armature: float = 0.0
    friction: float = 0.0
    speed_limit: float = np.inf


def links_of(asset: Usd.Prim) -> list[Link]:
    """The links of the articulation below a prim, breadth first.

    Raises RuntimeError where it has no single root that a fixed joint holds.
    """
    path = str(asset.GetPath())
    bodies = {str(body.GetPath()): body for body in below(path, is_body)}
    joints = [UsdPhysics.Joint(p) for p in below(path, lambda p: p.IsA(UsdPhysics.Joint))]
    children: dict[str, list[tuple[UsdPhysics.Joint, str]]] = {parent: [] for parent in bodies}
    held = any(attribute(prim, FIX_ROOT, False) for prim in (asset, *below(path, is_root)))
    for joint in joints:
        parent, child = _end(joint.GetBody0Rel()), _end(joint.GetBody1Rel())
        if parent in bodies and child in bodies:
            children[parent].append((joint, child))
        else:
            held |= joint.GetPrim().IsA(UsdPhysics.FixedJoint)
    grown = {child for added in children.values() for _, child in added}
    roots = [body for body in bodies if body not in grown]
    if len(roots) != 1 or not held:
        raise RuntimeError(
            f"'{path}': the double needs one root link, held by a fixed joint or fix_root_link: {roots}."
        )
    found, queue = [_root(bodies[roots[0]])], [roots[0]]
    while queue:
        parent = queue.pop(0)
        for joint, child in children[parent]:
            found.append(_link(joint, bodies[parent], bodies[child]))
            queue.append(child)
    return found


def _end(relationship: Usd.Relationship) -> str | None:
    targets = relationship.GetTargets()
    return str(targets[0]) if targets else None


def _root(body: Usd.Prim) -> Link:
    return Link(body, None, *pose(UsdGeom.XformCache().GetLocalToWorldTransform(body)))


def _frame(joint: UsdPhysics.Joint, end: int, body: Usd.Prim) -> Gf.Matrix4d:
    """A joint's frame on one of its bodies, whose scale it follows."""
    position = attribute(joint.GetPrim(), f"physics:localPos{end}", Gf.Vec3f(0))
    turn = attribute(joint.GetPrim(), f"physics:localRot{end}", Gf.Quatf(1))
    scale = Gf.Transform(UsdGeom.XformCache().GetLocalToWorldTransform(body)).GetScale()
    scaled = Gf.Vec3d(*(p * s for p, s in zip(position, scale, strict=True)))
    return Gf.Matrix4d().SetTransform(Gf.Rotation(Gf.Quatd(turn)), scaled)


def _link(joint: UsdPhysics.Joint, parent: Usd.Prim, child: Usd.Prim) -> Link:
    prim, on_child = joint.GetPrim(), _frame(joint, 1, child)
    at_zero = pose(rigid(on_child.GetInverse() * _frame(joint, 0, parent)))
    slides = prim.IsA(UsdPhysics.PrismaticJoint)
    if not slides and not prim.IsA(UsdPhysics.RevoluteJoint):
        return Link(child, str(parent.GetPath()), *at_zero)
    unit = 1.0 if slides else np.pi / 180  # USD has degrees
    turn = TO_Z[attribute(prim, "physics:axis", "X")]
    axis = on_child.TransformDir(turn.TransformDir(Gf.Vec3d(0, 0, 1)))
    low, high = (attribute(prim, f"physics:{end}Limit", sign * np.inf) for end, sign in LIMITS)
    kind = "linear" if slides else "angular"
    drive = {name: attribute(prim, f"drive:{kind}:physics:{name}", value) for name, value in NO_DRIVE.items()}
    return Link(
        prim=child,
        parent=str(parent.GetPath()),
        pos=at_zero[0],
        quat=at_zero[1],
        joint=str(prim.GetPath()),
        slides=slides,
        axis=np.array(axis),
        anchor=np.array(on_child.ExtractTranslation()),
        limits=(low * unit, high * unit) if np.isfinite([low, high]).all() else None,
        drive=Drive(
            stiffness=drive["stiffness"] / unit,
            damping=drive["damping"] / unit,
            effort=drive["maxForce"],
            target=drive["targetPosition"] * unit,
        ),
        armature=attribute(prim, "physxJoint:armature", 0.0),
        friction=attribute(prim, "physxJoint:jointFriction", 0.0),
        speed_limit=attribute(prim, "physxJoint:maxJointVelocity", np.inf) * unit,
    )


LIMITS = (("lower", -1), ("upper", 1))
NO_DRIVE = {"stiffness": 0.0, "damping": 0.0, "maxForce": np.inf, "targetPosition": 0.0}
