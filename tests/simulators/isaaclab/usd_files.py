"""Small USD files, written as a user's would be."""

from __future__ import annotations

from pathlib import Path

from pxr import Gf, Usd, UsdGeom, UsdPhysics


def new_file(path: Path, name: str) -> tuple[Usd.Stage, Usd.Prim]:
    """A stage, z up, in metres, with its default prim."""
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, f"/{name}").GetPrim()
    stage.SetDefaultPrim(root)
    return stage, root


def shape(
    kind: type, body: Usd.Prim, name: str, at=(0, 0, 0), scale=(1, 1, 1), **attributes: object
) -> Usd.Prim:
    """A collider of a body."""
    found = kind.Define(body.GetStage(), body.GetPath().AppendChild(name))
    for attribute, value in attributes.items():
        found.GetPrim().GetAttribute(attribute).Set(value)
    found.AddTranslateOp().Set(Gf.Vec3d(*at))
    found.AddScaleOp().Set(Gf.Vec3f(*scale))
    UsdPhysics.CollisionAPI.Apply(found.GetPrim())
    return found.GetPrim()


def make_body(prim: Usd.Prim, mass: float | None = None) -> Usd.Prim:
    """Make a prim a rigid body."""
    UsdPhysics.RigidBodyAPI.Apply(prim)
    if mass is not None:
        UsdPhysics.MassAPI.Apply(prim).CreateMassAttr(mass)
    return prim


def box(path: Path, mass: float = 0.5, size: float = 0.1, offset=(0, 0, 0)) -> str:
    """A cube, its shape ``offset`` from its frame."""
    stage, root = new_file(path, "box")
    shape(UsdGeom.Cube, make_body(root, mass), "shape", offset, (size, size, size), size=1.0)
    stage.Save()
    return str(path)


def link(root: Usd.Prim, name: str, at=(0, 0, 0), half_m: float = 0.05) -> Usd.Prim:
    """A cube that is a link of an articulation."""
    stage = root.GetStage()
    body = UsdGeom.Xform.Define(stage, root.GetPath().AppendChild(name))
    body.AddTranslateOp().Set(Gf.Vec3d(*at))
    shape(UsdGeom.Cube, make_body(body.GetPrim(), 1.0), "shape", size=2 * half_m)
    return body.GetPrim()


def join(
    kind: type, name: str, parent: Usd.Prim | None, child: Usd.Prim, at=(0, 0, 0), turn=None
) -> Usd.Prim:
    """A joint, its frame ``at`` on the parent and at the child's origin, turned alike on both."""
    joint = kind.Define(child.GetStage(), child.GetParent().GetPath().AppendChild(name))
    if parent is not None:
        joint.CreateBody0Rel().SetTargets([parent.GetPath()])
    joint.CreateBody1Rel().SetTargets([child.GetPath()])
    joint.CreateLocalPos0Attr(Gf.Vec3f(*at))
    for attribute in (joint.CreateLocalRot0Attr, joint.CreateLocalRot1Attr):
        attribute(Gf.Quatf(turn.GetQuat()) if turn is not None else Gf.Quatf(1))
    return joint.GetPrim()


def limit(joint: Usd.Prim, lower: float, upper: float, axis: str = "X") -> None:
    """Limits in m or degrees, and the axis."""
    joint.GetAttribute("physics:axis").Set(axis)
    joint.GetAttribute("physics:lowerLimit").Set(lower)
    joint.GetAttribute("physics:upperLimit").Set(upper)


def cabinet(path: Path) -> str:
    """A box on the world with a drawer (out along y) that has a knob, and a door (about z)."""
    stage, root = new_file(path, "cabinet")
    UsdPhysics.ArticulationRootAPI.Apply(root)
    base, drawer = link(root, "base"), link(root, "drawer", (0.0, 0.2, 0.0))
    door, knob = link(root, "door", (0.3, 0.0, 0.0)), link(root, "knob", (0.0, 0.3, 0.0), 0.01)
    join(UsdPhysics.FixedJoint, "root_joint", None, base)
    y_for_x = Gf.Rotation(Gf.Vec3d(0, 0, 1), 90)
    slide = join(UsdPhysics.PrismaticJoint, "drawer_joint", base, drawer, (0.0, 0.2, 0.0), y_for_x)
    limit(slide, 0.0, 0.3)
    join(UsdPhysics.FixedJoint, "knob_joint", drawer, knob, (0.0, 0.1, 0.0))
    hinge = join(UsdPhysics.RevoluteJoint, "door_joint", base, door, (0.3, 0.0, 0.0))
    limit(hinge, 0.0, 90.0, "Z")
    drive = UsdPhysics.DriveAPI.Apply(hinge, "angular")
    drive.CreateStiffnessAttr(0.5)
    drive.CreateDampingAttr(0.05)
    stage.Save()
    return str(path)
