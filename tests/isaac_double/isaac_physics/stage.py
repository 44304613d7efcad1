"""The USD side: putting spawned assets onto the stage and finding prims by expressions.

Only the first environment exists on the stage; the others are copies of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

from isaac_physics import session

ANY_ENV = f"{session.ENV_NS}/env_.*"
FIRST_ENV = f"{session.ENV_NS}/env_0"
CONTACT_REPORT = "physxContactReport:threshold"
KINEMATIC = "physics:kinematicEnabled"
NO_GRAVITY = "physxRigidBody:disableGravity"
SELF_COLLISIONS = "physxArticulation:enabledSelfCollisions"
FIX_ROOT = "double:fixRootLink"
_FLAG, _NUMBER = Sdf.ValueTypeNames.Bool, Sdf.ValueTypeNames.Float


def first(expression: str) -> str:
    """A path expression as it reads in the first environment."""
    path = expression.format(ENV_REGEX_NS=ANY_ENV).replace(ANY_ENV, FIRST_ENV)
    if not path.startswith("/"):
        raise ValueError(f"Prim path '{path}' is not global. It must start with '/'.")
    return path


def matching(expression: str) -> list[Usd.Prim]:
    """Prims of the first environment whose path an expression matches, level by level."""
    pattern = re.compile(first(expression))
    return [prim for prim in session.current.stage.Traverse() if pattern.fullmatch(str(prim.GetPath()))]


def below(path: str, wanted: Callable[[Usd.Prim], bool]) -> list[Usd.Prim]:
    """The prim at a path and its descendants, as far as wanted."""
    return [p for p in Usd.PrimRange(session.current.stage.GetPrimAtPath(path)) if wanted(p)]


def is_body(prim: Usd.Prim) -> bool:
    """Whether it is a rigid body."""
    return prim.HasAPI(UsdPhysics.RigidBodyAPI)


def is_root(prim: Usd.Prim) -> bool:
    """Whether an articulation starts there."""
    return prim.HasAPI(UsdPhysics.ArticulationRootAPI)


def define(expression: str, kind: str, position: Any, quat_wxyz: Any, scale: Any = None) -> Usd.Prim:
    """A new prim at a pose in its parent."""
    path, stage = first(expression), session.current.stage
    if stage.GetPrimAtPath(path):
        raise RuntimeError(f"A prim already exists at '{path}'; Isaac Lab would go on with the old one.")
    if not stage.GetPrimAtPath(path.rsplit("/", 1)[0]) and not path.startswith("/World/"):
        raise RuntimeError(f"Unable to find source prim path of '{path}'.")
    prim = stage.DefinePrim(path, kind)
    place = UsdGeom.Xformable(prim)
    place.ClearXformOpOrder()
    place.AddTranslateOp().Set(Gf.Vec3d(*map(float, position)))
    w, x, y, z = map(float, quat_wxyz)
    place.AddOrientOp(UsdGeom.XformOp.PrecisionDouble).Set(Gf.Quatd(w, x, y, z))
    place.AddScaleOp().Set(Gf.Vec3f(*map(float, scale or (1, 1, 1))))
    return prim


def spawn_file(expression: str, cfg: Any, position: Any, quat_wxyz: Any) -> None:
    """Reference a USD file and apply the properties of its config."""
    if not Path(cfg.usd_path).is_file():
        raise FileNotFoundError(f"USD file not found at path at: '{cfg.usd_path}'.")
    prim = define(expression, "Xform", position, quat_wxyz, cfg.scale)
    prim.GetReferences().AddReference(str(cfg.usd_path))
    if not prim.GetChildren() and not prim.GetAppliedSchemas():
        raise RuntimeError(f"'{cfg.usd_path}' has no default prim, so a reference to it is empty.")
    _apply(prim, cfg)


def _apply(prim: Usd.Prim, cfg: Any) -> None:
    path = str(prim.GetPath())
    bodies = below(path, is_body)
    rigid, collision, articulation = cfg.rigid_props, cfg.collision_props, cfg.articulation_props
    if rigid is not None:
        _set(bodies, KINEMATIC, _FLAG, rigid.kinematic_enabled)
        _set(bodies, NO_GRAVITY, _FLAG, rigid.disable_gravity)
    if collision is not None:
        colliders = below(path, lambda p: p.HasAPI(UsdPhysics.CollisionAPI))
        _set(colliders, "physics:collisionEnabled", _FLAG, collision.collision_enabled)
        _set(colliders, "physxCollision:contactOffset", _NUMBER, collision.contact_offset)
        _set(colliders, "physxCollision:restOffset", _NUMBER, collision.rest_offset)
    if articulation is not None:
        _set([prim], SELF_COLLISIONS, _FLAG, articulation.enabled_self_collisions)
        _set([prim], FIX_ROOT, _FLAG, articulation.fix_root_link)
    if cfg.activate_contact_sensors:
        outermost = [body for body in bodies if not any(map(is_body, _ancestors(body)))]
        if not outermost:
            raise ValueError(f"No contact sensors added to the prim: '{path}': it has no rigid bodies.")
        _set(outermost, CONTACT_REPORT, _NUMBER, 0.0)


def _set(prims: list[Usd.Prim], name: str, kind: Any, value: Any) -> None:
    for prim in prims if value is not None else ():
        prim.CreateAttribute(name, kind).Set(value)


def _ancestors(prim: Usd.Prim) -> Iterator[Usd.Prim]:
    while prim := prim.GetParent():
        yield prim


def attribute(prim: Usd.Prim, name: str, otherwise: Any = None) -> Any:
    """An attribute's value, or what holds where it is not authored."""
    found = prim.GetAttribute(name)
    value = found.Get() if found else None
    return otherwise if value is None else value
