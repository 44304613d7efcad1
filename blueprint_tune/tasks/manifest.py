"""Reading a scene manifest into a :class:`~blueprint_tune.tasks.scene.Scene`.

Lenient where the pipeline that writes manifests breaks its own schema, and every leniency, decision and
guess is a sentence in ``Scene.notes``; what cannot be meant is a :class:`ManifestError`.

``position`` is the centre of an object's box. ``dimensions_est`` is the object's size along its own axes in scene
units: width along x, height along the axis that points up, depth along the third; ``scale`` belongs to the mesh.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from blueprint_tune.errors import ManifestError
from blueprint_tune.tasks.articulation import Source, read_articulation
from blueprint_tune.tasks.classes import CLASSES, EntityClass, recognise, words
from blueprint_tune.tasks.geometry import Floats, quat_from_euler
from blueprint_tune.tasks.reading import Names, Notes, load, number, numbers, section, show, text
from blueprint_tune.tasks.scene import Entity, Scene
from blueprint_tune.tasks.upaxis import TO_Z_UP, Placed, Up, convert, decide

SIM_ROLES = frozenset(
    "static interactive manipulable_object deformable_object articulated_furniture articulated_appliance clutter "
    "background scene_shell unknown".split()
)
_MOVABLE_ROLES = frozenset({"manipulable_object", "deformable_object", "clutter"})
_TOP_KEYS = frozenset({"version", "scene_id", "scene", "assets", "objects", "background", "metadata"})
_OBJECT_KEYS = frozenset(
    "id name category description sim_role must_be_separate_asset placement_region transform dimensions_est "
    "dimensions_source asset semantics physics physics_hints placement asset_generation articulation relationships "
    "variation_candidate source".split()
)
_SMALLEST_M, _LARGEST_M, _FARTHEST_M = 0.0005, 100.0, 1000.0
_FRICTION = 0.6
_UNKNOWN_MOVABLE = EntityClass((0.1, 0.1, 0.1), 0.3)
_UNKNOWN_FIXED = EntityClass((0.5, 0.5, 0.5), 20.0)


@dataclass(frozen=True)
class _Object:
    """One manifest object, its numbers checked, still in the manifest's axes."""

    raw: dict[str, Any]
    name: str
    source_id: str
    known: str | None
    sim_role: str
    placed: Placed


def read_manifest(path: str | Path, up_axis: Literal["auto", "y", "z"] = "auto") -> Scene:
    """Read a scene manifest. Raises ManifestError with the file, the object and what is wrong."""
    tree, digest = load(path)
    notes = Notes(str(path))
    header = section(tree, "scene", "top level", notes)
    meters = _meters(header, notes)
    items = tree.get("objects")
    if not isinstance(items, list) or not items:
        notes.refuse("has no objects; a scene needs at least one in 'objects'.")
    objects = _objects(items, meters, notes)
    floors = _floors(header, meters, notes)
    up = _up(objects, header, up_axis, floors, notes)
    for key in sorted(map(str, set(tree) - _TOP_KEYS)):
        notes.note(f"top level: the key {show(key)!r} is not in the schema and is ignored.")
    entities = tuple(_entity(item, up, meters, notes) for item in objects)
    return Scene(
        id=text(tree, "scene_id") or Path(path).stem,
        path=str(path),
        entities=entities,
        environment=text(header, "environment_type"),
        floor_m=floors[up],
        up_axis=up,
        notes=tuple(notes.entries),
        guesses=tuple(notes.guesses),
        digest=digest,
    )


def _meters(header: dict[str, Any], notes: Notes) -> float:
    value = number(header.get("meters_per_unit"), "scene.meters_per_unit", notes)
    if value is None:
        notes.guess("scene.meters_per_unit is missing; 1 metre a unit is assumed.")
        return 1.0
    if not 1e-4 <= value <= 1000:
        notes.refuse(
            f"scene.meters_per_unit is {value:g}; expected 0.0001 to 1000 (1 = metres, 0.01 = centimetres)."
        )
    return value


def _floors(header: dict[str, Any], meters: float, notes: Notes) -> dict[str, float]:
    """The floor's height in metres if y, and if z, points up: ``room.origin`` stands on it."""
    room = section(header, "room", "scene", notes)
    origin = numbers(room.get("origin"), ("x", "y", "z"), "scene.room.origin", Notes(notes.path))
    heights = {"y": (origin[1] or 0.0) * meters, "z": (origin[2] or 0.0) * meters}
    return {up: height if abs(height) <= _FARTHEST_M else 0.0 for up, height in heights.items()}


def _up(
    objects: list[_Object], header: dict[str, Any], wanted: str, floors: dict[str, float], notes: Notes
) -> Up:
    if wanted == "y" or wanted == "z":
        notes.note(f"{wanted} is up, as scene.up_axis says.")
        return wanted
    frame = text(header, "coordinate_frame").lower().replace("-", "_")
    declared: dict[str, Up] = {"y_up": "y", "z_up": "z"}
    if frame and frame not in declared:
        notes.note(f"scene.coordinate_frame {show(frame)!r} is neither y_up nor z_up and is ignored.")
    up, reason = decide([item.placed for item in objects], declared.get(frame), floors)
    notes.note(reason)
    return up


def _objects(items: list[Any], meters: float, notes: Notes) -> list[_Object]:
    names = Names(notes)
    names.reserve(item.get("id") for item in items if isinstance(item, dict))
    found = []
    for index, raw in enumerate(items):
        if not isinstance(raw, dict):
            notes.refuse(f"objects[{index}] is {show(raw)}; expected an object.")
        name, source_id = names.take(raw.get("id"), index)
        found.append(_object(raw, name, source_id, meters, notes))
    return found


def _object(raw: dict[str, Any], name: str, source_id: str, meters: float, notes: Notes) -> _Object:
    semantics = section(raw, "semantics", name, notes)
    known = recognise((text(semantics, "class"), text(raw, "category"), text(raw, "name"), source_id))
    sim_role = _sim_role(raw, name, notes)
    if not isinstance(raw.get("asset"), dict):
        notes.note(f"{name}: 'asset' is missing, which the schema requires; a shape is made from its size.")
    for key in sorted(map(str, set(raw) - _OBJECT_KEYS)):
        notes.note(f"{name}: the key {show(key)!r} is not in the schema and is ignored.")
    default = CLASSES[known] if known else _UNKNOWN_MOVABLE if sim_role in _MOVABLE_ROLES else _UNKNOWN_FIXED
    transform = section(raw, "transform", name, notes)
    placed = Placed(
        position=_position(transform, name, meters, notes),
        quat=_quat(transform, name, notes),
        size=_size(raw, name, default, known, meters, notes),
        stands=default.stands,
        movable=sim_role in _MOVABLE_ROLES,
        shell=default.shell or sim_role in ("scene_shell", "background"),
    )
    return _Object(raw, name, source_id, known, sim_role, placed)


def _sim_role(raw: dict[str, Any], name: str, notes: Notes) -> str:
    role = text(raw, "sim_role").lower()
    if role not in SIM_ROLES:
        notes.note(
            f"{name}: sim_role {show(raw.get('sim_role'))!r} is not one of the schema's; taken as 'unknown'."
        )
        return "unknown"
    return role


def _position(transform: dict[str, Any], name: str, meters: float, notes: Notes) -> Floats:
    given = numbers(transform.get("position"), ("x", "y", "z"), f"{name}: transform.position", notes)
    if any(value is None for value in given):
        notes.refuse(f"{name} has no complete transform.position; expected x, y and z.")
    position = np.array(given, dtype=float) * meters
    if np.any(np.abs(position) > _FARTHEST_M):
        notes.refuse(f"{name} is {np.abs(position).max():.3g} m from the origin; is meters_per_unit right?")
    return position


def _quat(transform: dict[str, Any], name: str, notes: Notes) -> Floats:
    """(4,) unit quaternion in the manifest's axes; the quaternion wins over the Euler angles."""
    where = f"{name}: transform.rotation_quaternion"
    if transform.get("rotation_quaternion"):
        given = numbers(transform["rotation_quaternion"], ("w", "x", "y", "z"), where, notes)
        if given[0] is None:
            notes.note(f"{where} has no w; 1 is assumed.")
            given[0] = 1.0
        quat = np.array([value or 0.0 for value in given])
        length = float(np.linalg.norm(quat))
        if not 1e-6 < length < 1e6:
            notes.note(f"{where} has length {length:g}, so it turns nothing.")
            return np.array([1.0, 0, 0, 0])
        if abs(length - 1) > 1e-3:
            notes.note(f"{where} has length {length:.4g} and is normalised.")
        return quat / length
    angles = numbers(
        transform.get("rotation_euler") or None, ("roll", "pitch", "yaw"), f"{name}: rotation_euler", notes
    )
    return quat_from_euler(*(float(np.remainder(value or 0.0, 2 * np.pi)) for value in angles))


def _size(
    raw: dict[str, Any], name: str, default: EntityClass, known: str | None, meters: float, notes: Notes
) -> Floats:
    """(3,) width, depth, height in metres; what is missing comes from the class."""
    keys = ("width", "depth", "height")
    size = np.array(default.size)
    missing = []
    for i, value in enumerate(numbers(raw.get("dimensions_est"), keys, f"{name}: dimensions_est", notes)):
        if value is None:
            missing.append(keys[i])
        elif not value > 0:
            notes.refuse(f"{name}: dimensions_est.{keys[i]} is {value:g}; sizes must be positive.")
        elif not _SMALLEST_M <= value * meters <= _LARGEST_M:
            notes.refuse(
                f"{name}: dimensions_est.{keys[i]} is {value * meters:.3g} m; expected 0.5 mm to 100 m."
            )
        else:
            size[i] = value * meters
    if missing:
        shown = " x ".join(f"{value:g}" for value in size)
        kind = f"a usual {known}" if known else "an unknown object"
        notes.guess(f"{name}: no {', '.join(missing)} given; {shown} m is assumed, as for {kind}.")
    return size


def _entity(item: _Object, up: Up, meters: float, notes: Notes) -> Entity:
    raw, placed = item.raw, item.placed
    semantics = section(raw, "semantics", item.name, notes)
    position, quat = convert(placed, up)
    default = CLASSES[item.known] if item.known else _UNKNOWN_MOVABLE if placed.movable else _UNKNOWN_FIXED
    source = Source(raw, item.name, item.known, item.sim_role, placed.size, meters, TO_Z_UP[up])
    joint, handle = read_articulation(source, notes)
    mass, friction = _physics(item, default, notes)
    given = [text(semantics, "class"), text(raw, "category")]
    labels = {"_".join(words(word)) for word in given} | {item.known or ""}
    return Entity(
        id=item.name,
        source_id=item.source_id,
        category=item.known
        or next((word for word in ("_".join(words(g)) for g in given) if word), "unknown"),
        labels=frozenset(labels - {""}),
        sim_role=item.sim_role,
        affordances=_affordances(semantics, item.name, notes),
        position=position,
        quat=quat,
        size=placed.size,
        shape=default.shape,
        mass_kg=mass,
        friction=friction,
        movable=placed.movable,
        joint=joint,
        handle=handle,
    )


def _affordances(semantics: dict[str, Any], name: str, notes: Notes) -> frozenset[str]:
    """The affordances in lower case, from a list of words, of objects with a 'type', or one word."""
    value = semantics.get("affordances")
    items = value if isinstance(value, list) else [] if value is None else [value]
    found = set()
    for item in items:
        word = text(item, "type") if isinstance(item, dict) else item
        if not isinstance(word, str) or not word:
            notes.note(f"{name}: the affordance {show(item)} is not a word and is ignored.")
            continue
        if not word[0].isupper() or word.isupper():
            notes.note(
                f"{name}: the affordance {show(word)!r} is not written as the schema does ('Graspable')."
            )
        found.add(word.lower())
    return frozenset(found)


def _physics(item: _Object, default: EntityClass, notes: Notes) -> tuple[float, float]:
    """(mass in kg, sliding friction)."""
    blocks = [section(item.raw, key, item.name, notes) for key in ("physics", "physics_hints")]
    mass = _first(blocks, ("mass", "mass_kg"), item.name, notes)
    friction = _first(
        blocks, ("friction", "static_friction", "friction_static", "dynamic_friction"), item.name, notes
    )
    if mass is None:
        mass = default.mass_kg
        if item.placed.movable:
            notes.guess(
                f"{item.name}: no mass given; {mass:g} kg is assumed, as for {item.known or 'an unknown object'}."
            )
    elif not 1e-4 <= mass <= 1e5:
        notes.refuse(f"{item.name}: physics.mass is {mass:g} kg; expected 0.1 g to 100 t.")
    if friction is None:
        friction = _FRICTION
        if item.placed.movable:
            notes.guess(f"{item.name}: no friction given; {friction:g} is assumed.")
    elif not 0 <= friction <= 10:
        notes.refuse(f"{item.name}: physics.friction is {friction:g}; expected 0 to 10.")
    return mass, friction


def _first(blocks: list[dict[str, Any]], keys: tuple[str, ...], name: str, notes: Notes) -> float | None:
    for block in blocks:
        for key in keys:
            value = number(block.get(key), f"{name}: physics.{key}", notes)
            if value is not None:
                return value
    return None


__all__ = ["ManifestError", "SIM_ROLES", "read_manifest"]
