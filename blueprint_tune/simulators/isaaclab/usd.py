"""Writes parts of a compiled MuJoCo model as USD: both backends have the same shapes, masses, joints, frames.

Metres, kilograms, z up. A body's file has the body's frame as its own, shapes are children of their body.
PhysX's own schemas (``Physx…API``) are written by name, because USD outside Isaac Sim does not have them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, UsdShade, Vt

from blueprint_tune.tasks.geometry import quat_matrix, quat_multiply

Floats = NDArray[np.float64]
Pose = tuple[Floats, Floats]
"""(3,) m and (4,) wxyz."""

HERE: Pose = (np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))
LEAST_MASS_KG, LEAST_INERTIA_KGM2 = 1e-3, 1e-7
"""Of a body that has none in the model: 0 would have PhysX compute one from its shapes."""
HINGE_ROUNDING_RAD = 1e-6
"""By which limits of hinges are widened: a start at a limit must lie within it, rounded as degrees and as
radians, because Isaac Lab refuses one that does not."""
MOST_EFFORT = 1e6
"""N or N m: more than any drive gives."""
_RESERVED = ("Robot", "furniture", "backdrop")
_SHAPES = {
    int(mujoco.mjtGeom.mjGEOM_BOX): "box",
    int(mujoco.mjtGeom.mjGEOM_CYLINDER): "cylinder",
    int(mujoco.mjtGeom.mjGEOM_CAPSULE): "capsule",
    int(mujoco.mjtGeom.mjGEOM_SPHERE): "sphere",
    int(mujoco.mjtGeom.mjGEOM_MESH): "mesh",
}


def prim_name(name: str) -> str:
    """A body's name as a prim's, if it cannot be one as it is; two names never become the same one."""
    if Sdf.Path.IsValidIdentifier(name) and name[0] != "_" and name not in _RESERVED:
        return name
    letters = ("__" if c == "_" else c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in name)
    return "_" + "".join(letters)


def new_stage(path: Path, root: str) -> tuple[Usd.Stage, Usd.Prim]:
    """A stage that will be saved to ``path``, with its default prim."""
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    prim = UsdGeom.Xform.Define(stage, f"/{root}").GetPrim()
    stage.SetDefaultPrim(prim)
    return stage, prim


def collides(model: mujoco.MjModel, geom: int) -> bool:
    """Whether a geom touches anything."""
    return bool(model.geom_contype[geom] or model.geom_conaffinity[geom])


def geoms_of(model: mujoco.MjModel, body: int) -> list[int]:
    """Ids of a body's geoms."""
    return [int(geom) for geom in np.flatnonzero(model.geom_bodyid == body)]


def add_body(
    stage: Usd.Stage,
    path: str,
    model: mujoco.MjModel,
    body: int,
    pose: Pose = HERE,
    geoms: Iterable[int] | None = None,
) -> Usd.Prim:
    """A rigid body at ``pose`` of its parent prim, with its mass and shapes, or with those ``geoms``."""
    prim = UsdGeom.Xform.Define(stage, path).GetPrim()
    if pose is not HERE:
        _place(prim, pose)
    UsdPhysics.RigidBodyAPI.Apply(prim)
    mass = UsdPhysics.MassAPI.Apply(prim)
    mass.CreateMassAttr(max(float(model.body_mass[body]), LEAST_MASS_KG))
    mass.CreateCenterOfMassAttr(_vector(model.body_ipos[body]))
    mass.CreateDiagonalInertiaAttr(_vector(np.maximum(model.body_inertia[body], LEAST_INERTIA_KGM2)))
    mass.CreatePrincipalAxesAttr(_quat(model.body_iquat[body]))
    add_shapes(stage, path, model, geoms_of(model, body) if geoms is None else geoms)
    return prim


def add_shapes(
    stage: Usd.Stage, path: str, model: mujoco.MjModel, geoms: Iterable[int], within: Pose = HERE
) -> None:
    """Geoms as children of a prim, in whose frame their body is at ``within``."""
    for geom in geoms:
        add_shape(stage, f"{path}/shape_{geom}", model, geom, composed(within, pose_of(model, geom)))


def add_shape(
    stage: Usd.Stage, path: str, model: mujoco.MjModel, geom: int, pose: Pose, size: Floats | None = None
) -> Usd.Prim:
    """One geom at ``pose`` of its parent: a collider if it touches anything. ``size``: instead of its own."""
    prim = _shape(stage, path, model, geom, pose, model.geom_size[geom] if size is None else size)
    rgba = model.geom_rgba[geom]
    UsdGeom.Gprim(prim).CreateDisplayColorAttr(Vt.Vec3fArray([Gf.Vec3f(*(float(c) for c in rgba[:3]))]))
    if collides(model, geom):
        UsdPhysics.CollisionAPI.Apply(prim)
        _bind_material(stage, prim, float(model.geom_friction[geom, 0]))
    return prim


def add_plane(stage: Usd.Stage, path: str, friction: float) -> None:
    """The plane z = 0, endless for physics and 100 m wide to look at."""
    plane = UsdGeom.Plane.Define(stage, path)
    plane.CreateAxisAttr(UsdGeom.Tokens.z)
    plane.CreateWidthAttr(100.0)
    plane.CreateLengthAttr(100.0)
    plane.CreateDisplayColorAttr(Vt.Vec3fArray([Gf.Vec3f(0.86, 0.86, 0.84)]))
    UsdPhysics.CollisionAPI.Apply(plane.GetPrim())
    _bind_material(stage, plane.GetPrim(), friction)


def _shape(
    stage: Usd.Stage, path: str, model: mujoco.MjModel, geom: int, pose: Pose, size: Floats
) -> Usd.Prim:
    kind = _SHAPES[int(model.geom_type[geom])]
    radius, half = float(size[0]), float(size[1])
    if kind == "box":
        cube = UsdGeom.Cube.Define(stage, path)
        cube.CreateSizeAttr(1.0)
        cube.CreateExtentAttr(Vt.Vec3fArray([Gf.Vec3f(-0.5), Gf.Vec3f(0.5)]))
        _place(cube.GetPrim(), pose, scale=2 * size)
        return cube.GetPrim()
    if kind == "sphere":
        sphere = UsdGeom.Sphere.Define(stage, path)
        sphere.CreateRadiusAttr(radius)
        _place(sphere.GetPrim(), pose)
        return sphere.GetPrim()
    if kind == "mesh":
        return _mesh(stage, path, model, int(model.geom_dataid[geom]), pose)
    shape = (UsdGeom.Cylinder if kind == "cylinder" else UsdGeom.Capsule).Define(stage, path)
    shape.CreateAxisAttr(UsdGeom.Tokens.z)
    shape.CreateRadiusAttr(radius)
    shape.CreateHeightAttr(2 * half)
    _place(shape.GetPrim(), pose)
    return shape.GetPrim()


def _mesh(stage: Usd.Stage, path: str, model: mujoco.MjModel, mesh: int, pose: Pose) -> Usd.Prim:
    """A mesh, which collides as its convex hull, as in MuJoCo."""
    first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    face, faces = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
    made = UsdGeom.Mesh.Define(stage, path)
    vertices = model.mesh_vert[first : first + count].astype(np.float32)
    made.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(vertices)))
    made.CreateFaceVertexCountsAttr([3] * faces)
    made.CreateFaceVertexIndicesAttr(model.mesh_face[face : face + faces].ravel().tolist())
    UsdPhysics.MeshCollisionAPI.Apply(made.GetPrim()).CreateApproximationAttr(UsdPhysics.Tokens.convexHull)
    _place(made.GetPrim(), pose)
    return made.GetPrim()


def _bind_material(stage: Usd.Stage, prim: Usd.Prim, friction: float) -> None:
    """One material for each coefficient; of two that touch the larger counts, as in MuJoCo."""
    root = stage.GetDefaultPrim().GetPath()
    path = root.AppendChild(f"friction_{friction:.4f}".replace(".", "_"))
    if not stage.GetPrimAtPath(path):
        material = UsdPhysics.MaterialAPI.Apply(UsdShade.Material.Define(stage, path).GetPrim())
        material.CreateStaticFrictionAttr(friction)
        material.CreateDynamicFrictionAttr(friction)
        material.CreateRestitutionAttr(0.0)
        material.GetPrim().AddAppliedSchema("PhysxMaterialAPI")
        mode = material.GetPrim().CreateAttribute(
            "physxMaterial:frictionCombineMode", Sdf.ValueTypeNames.Token
        )
        mode.Set("max")
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(
        UsdShade.Material.Get(stage, path), UsdShade.Tokens.weakerThanDescendants, "physics"
    )


def add_fixed_joint(stage: Usd.Stage, path: str, parent: Sdf.Path, child: Sdf.Path, pose: Pose) -> None:
    """Hold ``child`` at ``pose`` of ``parent``, which holds it to the world if it is no rigid body."""
    joint = UsdPhysics.FixedJoint.Define(stage, path)
    _connect(joint, parent, child, pose, HERE)


def add_joint(
    stage: Usd.Stage,
    path: str,
    model: mujoco.MjModel,
    joint: int,
    parent: Sdf.Path,
    child: Sdf.Path,
    speed: float | None = None,
) -> None:
    """A joint of the model between the prims of its bodies: about or along the X axis of its frames.

    ``speed``: its largest, rad/s or m/s.
    """
    body = int(model.jnt_bodyid[joint])
    slides = int(model.jnt_type[joint]) == int(mujoco.mjtJoint.mjJNT_SLIDE)
    made = (UsdPhysics.PrismaticJoint if slides else UsdPhysics.RevoluteJoint).Define(stage, path)
    made.CreateAxisAttr(UsdPhysics.Tokens.x)
    if model.jnt_limited[joint]:
        low, high = (float(bound) for bound in model.jnt_range[joint])
        made.CreateLowerLimitAttr(low if slides else np.degrees(low - HINGE_ROUNDING_RAD))
        made.CreateUpperLimitAttr(high if slides else np.degrees(high + HINGE_ROUNDING_RAD))
    if speed is not None:
        made.GetPrim().AddAppliedSchema("PhysxJointAPI")
        most = made.GetPrim().CreateAttribute("physxJoint:maxJointVelocity", Sdf.ValueTypeNames.Float)
        most.Set(speed if slides else np.degrees(speed))
    # PhysX drives only joints that have a drive; the actuators' configuration sets its gains
    drive = UsdPhysics.DriveAPI.Apply(made.GetPrim(), "linear" if slides else "angular")
    drive.CreateTypeAttr(UsdPhysics.Tokens.force)
    drive.CreateStiffnessAttr(0.0)
    drive.CreateDampingAttr(0.0)
    drive.CreateMaxForceAttr(MOST_EFFORT)
    in_child: Pose = (np.array(model.jnt_pos[joint]), _x_to(model.jnt_axis[joint]))
    in_parent = composed((model.body_pos[body], model.body_quat[body]), in_child)
    _connect(made, parent, child, in_parent, in_child)


def _connect(
    joint: UsdPhysics.Joint, parent: Sdf.Path, child: Sdf.Path, in_parent: Pose, in_child: Pose
) -> None:
    joint.CreateBody0Rel().SetTargets([parent])
    joint.CreateBody1Rel().SetTargets([child])
    joint.CreateLocalPos0Attr(_vector(in_parent[0]))
    joint.CreateLocalRot0Attr(_quat(in_parent[1]))
    joint.CreateLocalPos1Attr(_vector(in_child[0]))
    joint.CreateLocalRot1Attr(_quat(in_child[1]))


def _x_to(axis: Floats) -> Floats:
    """(4,) the shortest turn of the x axis to a unit axis."""
    if axis[0] < -0.999999:
        return np.array([0.0, 0.0, 0.0, 1.0])
    turn = np.concatenate([[1.0 + axis[0]], np.cross([1.0, 0.0, 0.0], axis)])
    return np.asarray(turn / np.linalg.norm(turn))


def pose_of(model: mujoco.MjModel, geom: int) -> Pose:
    """A geom's pose in its body."""
    return np.array(model.geom_pos[geom]), np.array(model.geom_quat[geom])


def composed(outer: Pose, inner: Pose) -> Pose:
    """``inner``, given in a frame that is at ``outer``."""
    return outer[0] + quat_matrix(outer[1]) @ inner[0], quat_multiply(outer[1], inner[1])


def _place(prim: Usd.Prim, pose: Pose, scale: Floats | None = None) -> None:
    xform = UsdGeom.Xformable(prim)
    xform.AddTranslateOp().Set(Gf.Vec3d(*(float(v) for v in pose[0])))
    xform.AddOrientOp().Set(_quat(pose[1]))
    if scale is not None:
        xform.AddScaleOp().Set(_vector(scale))


def _vector(values: Floats) -> Gf.Vec3f:
    return Gf.Vec3f(*(float(v) for v in values))


def _quat(quat: Floats) -> Gf.Quatf:
    w, x, y, z = (float(v) for v in quat / np.linalg.norm(quat))
    return Gf.Quatf(w, x, y, z)
