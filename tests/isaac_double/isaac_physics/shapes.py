"""USD shapes as MuJoCo has them: kind, size, pose on their body, mass and friction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Usd, UsdGeom, UsdPhysics, UsdShade
from scipy.spatial import ConvexHull

from isaac_physics.stage import attribute, is_body

Floats = NDArray[np.float64]
KINDS = mujoco.mjtGeom
TO_Z = {
    "X": Gf.Rotation(Gf.Vec3d(0, 1, 0), 90),
    "Y": Gf.Rotation(Gf.Vec3d(1, 0, 0), -90),
    "Z": Gf.Rotation(Gf.Vec3d(0, 0, 1), 0),
}
"""Turns that bring z to an axis."""
DENSITY = 1000.0
"""kg/m³ where a file gives no mass: PhysX's default."""


@dataclass(frozen=True)
class Material:
    """Friction and restitution of a shape; PhysX's names."""

    static_friction: float
    dynamic_friction: float
    restitution: float


@dataclass
class Shape:
    """A shape on its body.

    Attributes:
        size: as MuJoCo has it. vertices: (V, 3) of a mesh, which counts as its convex hull.
        mass: kg. collides: or is only drawn.
    """

    kind: Any
    size: list[float]
    pos: Floats
    quat: Floats
    mass: float
    collides: bool
    material: Material
    rgba: list[float]
    vertices: Floats | None = None


def pose(matrix: Gf.Matrix4d) -> tuple[Floats, Floats]:
    """Position (3,) and quaternion (4,) wxyz of a transform, its scale left out."""
    rigid = Gf.Transform(matrix)
    quat = rigid.GetRotation().GetQuat()
    return np.array(rigid.GetTranslation()), np.array([quat.GetReal(), *quat.GetImaginary()])


def rigid(matrix: Gf.Matrix4d) -> Gf.Matrix4d:
    """The same transform without scale."""
    parts = Gf.Transform(matrix)
    return Gf.Matrix4d().SetTransform(parts.GetRotation(), parts.GetTranslation())


def shapes_of(body: Usd.Prim, default: Material) -> list[Shape]:
    """The shapes of a body; of a prim that is none: those below it that belong to no body."""
    cache = UsdGeom.XformCache()
    origin = rigid(cache.GetLocalToWorldTransform(body)).GetInverse()
    found, prims = [], iter(Usd.PrimRange(body))
    for prim in prims:
        if prim != body and is_body(prim):
            prims.PruneChildren()
        elif prim.IsA(UsdGeom.Gprim):
            found.append(_shape(prim, cache.GetLocalToWorldTransform(prim) * origin, default))
    return found


def _shape(prim: Usd.Prim, matrix: Gf.Matrix4d, default: Material) -> Shape:
    scale = [abs(s) for s in Gf.Transform(matrix).GetScale()]
    vertices, turn = None, TO_Z["Z"]
    if prim.IsA(UsdGeom.Mesh):
        vertices = np.array(attribute(prim, "points"), dtype=np.float64) * scale
        kind, size, volume = KINDS.mjGEOM_MESH, [0.0, 0.0, 0.0], float(ConvexHull(vertices).volume)
    else:
        kind, size, turn = _primitive(prim, scale)
        volume = _volume(kind, size)
    pos, quat = pose(Gf.Matrix4d().SetRotate(turn) * rigid(matrix))
    collides = prim.HasAPI(UsdPhysics.CollisionAPI) and attribute(prim, "physics:collisionEnabled", True)
    mass = _mass(prim, volume) if collides else 0.0
    color = attribute(prim, "primvars:displayColor") or [(0.7, 0.7, 0.7)]
    rgba = [*color[0], 1.0]
    return Shape(kind, size, pos, quat, mass, collides, _material(prim, default), rgba, vertices)


def _primitive(prim: Usd.Prim, scale: list[float]) -> tuple[Any, list[float], Gf.Rotation]:
    name, path = prim.GetTypeName(), prim.GetPath()
    if name == "Cube":
        half = attribute(prim, "size") / 2
        return KINDS.mjGEOM_BOX, [half * s for s in scale], TO_Z["Z"]
    if name == "Plane":
        return KINDS.mjGEOM_PLANE, [0.0, 0.0, 1.0], TO_Z[attribute(prim, "axis")]
    if name not in ("Sphere", "Cylinder", "Capsule"):
        raise ValueError(f"{path}: the double knows no {name}: boxes, spheres, cylinders, capsules, meshes.")
    axis = "Z" if name == "Sphere" else attribute(prim, "axis")
    along = "XYZ".index(axis)
    across = [s for i, s in enumerate(scale) if i != along]
    uniform = scale if name in ("Sphere", "Capsule") else across
    if not np.allclose(uniform, uniform[0]):
        raise ValueError(f"{path}: a {name} cannot be scaled by {scale}.")
    radius = attribute(prim, "radius") * across[0]
    if name == "Sphere":
        return KINDS.mjGEOM_SPHERE, [radius, 0, 0], TO_Z["Z"]
    kind = KINDS.mjGEOM_CYLINDER if name == "Cylinder" else KINDS.mjGEOM_CAPSULE
    return kind, [radius, attribute(prim, "height") / 2 * scale[along], 0], TO_Z[axis]


def _volume(kind: Any, size: list[float]) -> float:
    x, y, z = size
    ball, tube = 4 / 3 * np.pi * x**3, 2 * np.pi * x**2 * y
    return {
        KINDS.mjGEOM_BOX: 8 * x * y * z,
        KINDS.mjGEOM_SPHERE: ball,
        KINDS.mjGEOM_PLANE: 0.0,
        KINDS.mjGEOM_CYLINDER: tube,
        KINDS.mjGEOM_CAPSULE: tube + ball,
    }[kind]


def _mass(prim: Usd.Prim, volume: float) -> float:
    """A collider's own mass, or its density's, or water's."""
    mass, density = attribute(prim, "physics:mass", 0.0), attribute(prim, "physics:density", 0.0)
    return mass if mass > 0 else (density if density > 0 else DENSITY) * volume


def _material(prim: Usd.Prim, default: Material) -> Material:
    bound, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
    if not bound or not bound.GetPrim().HasAPI(UsdPhysics.MaterialAPI):
        return default
    if attribute(bound.GetPrim(), "physxMaterial:frictionCombineMode", "average") != "max":
        raise ValueError(f"{bound.GetPath()}: the double combines friction by 'max' only.")
    names = ("staticFriction", "dynamicFriction", "restitution")
    return Material(*(attribute(bound.GetPrim(), f"physics:{name}", 0.0) for name in names))
