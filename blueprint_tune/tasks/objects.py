"""One object of a manifest: its identity, pose and size checked, still in the manifest's own axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from blueprint_tune.tasks.classes import CLASSES, EntityClass, recognise
from blueprint_tune.tasks.geometry import Floats, quat_from_euler
from blueprint_tune.tasks.reading import Names, Notes, numbers, section, show, text
from blueprint_tune.tasks.upaxis import Placed

MOVABLE_ROLES = frozenset({"manipulable_object", "deformable_object", "clutter"})
SIM_ROLES = MOVABLE_ROLES | {
    "static",
    "interactive",
    "articulated_furniture",
    "articulated_appliance",
    "background",
    "scene_shell",
    "unknown",
}
FARTHEST_M = 1000.0
_SMALLEST_M, _LARGEST_M = 0.0005, 100.0
_UNKNOWN_MOVABLE = EntityClass((0.1, 0.1, 0.1), 0.3)
_UNKNOWN_FIXED = EntityClass((0.5, 0.5, 0.5), 20.0)
_SIZE_KEYS = ("width", "depth", "height")
_SCHEMA_KEYS = frozenset(
    (
        "id",
        "name",
        "category",
        "description",
        "sim_role",
        "must_be_separate_asset",
        "placement_region",
        "transform",
        "dimensions_est",
        "dimensions_source",
        "asset",
        "semantics",
        "physics",
        "physics_hints",
        "placement",
        "asset_generation",
        "articulation",
        "relationships",
        "variation_candidate",
        "source",
    )
)


@dataclass(frozen=True)
class ManifestObject:
    """A manifest object whose numbers are checked.

    Attributes:
        raw: the JSON object. name: its sane, unique id here. source_id: its id in the manifest.
        known: the class it was recognised as, or None. default: what is assumed of it. placed: pose and size.
    """

    raw: dict[str, Any]
    name: str
    source_id: str
    known: str | None
    default: EntityClass
    sim_role: str
    placed: Placed


def read_objects(items: list[Any], meters: float, notes: Notes) -> list[ManifestObject]:
    """Every object of a manifest, in order. Raises ManifestError naming the object."""
    names = Names(notes)
    names.reserve(item.get("id") for item in items if isinstance(item, dict))
    found = []
    for index, raw in enumerate(items):
        if not isinstance(raw, dict):
            notes.refuse(f"objects[{index}] is {show(raw)}; expected an object.")
        name, source_id = names.take(raw.get("id"), index)
        found.append(_object(raw, name, source_id, meters, notes))
    return found


def _object(raw: dict[str, Any], name: str, source_id: str, meters: float, notes: Notes) -> ManifestObject:
    semantics = section(raw, "semantics", name, notes)
    known = recognise((text(semantics, "class"), text(raw, "category"), text(raw, "name"), source_id))
    sim_role = _sim_role(raw, name, notes)
    if not isinstance(raw.get("asset"), dict):
        notes.note(f"{name}: 'asset' is missing, which the schema requires; a shape is made from its size.")
    for key in sorted(map(str, set(raw) - _SCHEMA_KEYS)):
        notes.note(f"{name}: the key {show(key)!r} is not in the schema and is ignored.")
    default = CLASSES[known] if known else _UNKNOWN_MOVABLE if sim_role in MOVABLE_ROLES else _UNKNOWN_FIXED
    transform = section(raw, "transform", name, notes)
    placed = Placed(
        position=_position(transform, name, meters, notes),
        quat=_quat(transform, name, notes),
        size=_size(raw, name, default, known, meters, notes),
        stands=default.stands,
        movable=sim_role in MOVABLE_ROLES,
        shell=default.shell or sim_role in ("scene_shell", "background"),
    )
    return ManifestObject(raw, name, source_id, known, default, sim_role, placed)


def _sim_role(raw: dict[str, Any], name: str, notes: Notes) -> str:
    role = text(raw, "sim_role").lower()
    if role not in SIM_ROLES:
        given = show(raw.get("sim_role"))
        notes.note(f"{name}: sim_role {given!r} is not one of the schema's; taken as 'unknown'.")
        return "unknown"
    return role


def _position(transform: dict[str, Any], name: str, meters: float, notes: Notes) -> Floats:
    given = numbers(transform.get("position"), ("x", "y", "z"), f"{name}: transform.position", notes)
    position = [value * meters for value in given if value is not None]
    if len(position) < 3:
        notes.refuse(f"{name} has no complete transform.position; expected x, y and z.")
    farthest = max(abs(value) for value in position)
    if farthest > FARTHEST_M:
        notes.refuse(f"{name} is {farthest:.3g} m from the origin; is scene.meters_per_unit right?")
    return np.array(position)


def _quat(transform: dict[str, Any], name: str, notes: Notes) -> Floats:
    """(4,) unit quaternion in the manifest's axes; the quaternion wins over the Euler angles."""
    if transform.get("rotation_quaternion"):
        return _from_quaternion(
            transform["rotation_quaternion"], f"{name}: transform.rotation_quaternion", notes
        )
    where = f"{name}: transform.rotation_euler"
    angles = numbers(transform.get("rotation_euler") or None, ("roll", "pitch", "yaw"), where, notes)
    roll, pitch, yaw = (math.remainder(angle or 0.0, 2 * math.pi) for angle in angles)
    return quat_from_euler(roll, pitch, yaw)


def _from_quaternion(value: Any, where: str, notes: Notes) -> Floats:
    given = numbers(value, ("w", "x", "y", "z"), where, notes)
    if given[0] is None:
        notes.note(f"{where} has no w; 1 is assumed.")
        given[0] = 1.0
    quat = [component or 0.0 for component in given]
    length = math.hypot(*quat)
    if not 1e-6 < length < 1e6:
        notes.note(f"{where} has length {length:g}, so it turns nothing.")
        return np.array([1.0, 0.0, 0.0, 0.0])
    if abs(length - 1) > 1e-3:
        notes.note(f"{where} has length {length:.4g} and is normalised.")
    return np.array(quat) / length


def _size(
    raw: dict[str, Any], name: str, default: EntityClass, known: str | None, meters: float, notes: Notes
) -> Floats:
    """(3,) width, depth, height in metres; what is missing comes from the class."""
    size = list(default.size)
    missing = []
    for i, value in enumerate(
        numbers(raw.get("dimensions_est"), _SIZE_KEYS, f"{name}: dimensions_est", notes)
    ):
        if value is None:
            missing.append(_SIZE_KEYS[i])
        elif not value > 0:
            notes.refuse(f"{name}: dimensions_est.{_SIZE_KEYS[i]} is {value:g}; sizes must be positive.")
        elif not _SMALLEST_M <= value * meters <= _LARGEST_M:
            notes.refuse(
                f"{name}: dimensions_est.{_SIZE_KEYS[i]} is {value * meters:.3g} m, expected 0.0005 to 100. "
                "Is scene.meters_per_unit right?"
            )
        else:
            size[i] = value * meters
    if missing:
        shown = " x ".join(f"{value:g}" for value in size)
        kind = f"a usual {known}" if known else "an unknown object"
        notes.guess(f"no {', '.join(missing)} given; {shown} m is assumed, as for {kind}.", name, "place")
    return np.array(size)
