"""Reading a scene manifest into a :class:`~blueprint_tune.tasks.scene.Scene`.

Lenient where the pipeline that writes manifests breaks its own schema, and every leniency, decision and
guess is a sentence in ``Scene.notes``; what cannot be meant is a ManifestError.

``position`` is the centre of an object's box. ``dimensions_est`` is the object's size along its own axes in
scene units: width along x, height along the axis that points up, depth along the third; ``scale`` belongs
to the mesh. A ``rotation_quaternion`` wins over ``rotation_euler``, whose angles are radians: yaw about z,
then pitch about the turned y, then roll about the turned x.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import numpy as np

from blueprint_tune.tasks.articulation import Source, read_articulation
from blueprint_tune.tasks.classes import words
from blueprint_tune.tasks.geometry import half_extents, quat_matrix
from blueprint_tune.tasks.interactive import Interactive, read_interactive, scene_identity
from blueprint_tune.tasks.interior import flattened, read_interior, shape_of
from blueprint_tune.tasks.objects import FARTHEST_M, ManifestObject, read_objects
from blueprint_tune.tasks.reading import Notes, load, number, numbers, section, show, text
from blueprint_tune.tasks.scene import Entity, Scene
from blueprint_tune.tasks.upaxis import TO_Z_UP, Reading, Up, convert, decide

_TOP_KEYS = frozenset({"version", "scene_id", "scene", "assets", "objects", "background", "metadata"})
_FRICTION = 0.6
_FRICTION_KEYS = ("friction", "static_friction", "friction_static", "dynamic_friction")


def read_manifest(path: str | Path, up_axis: Literal["auto", "y", "z"] = "auto") -> Scene:
    """Read a scene manifest. Raises ManifestError with the file, the object and what is wrong."""
    tree, digest = load(path)
    return read_tree(tree, digest, path, up_axis)


def read_tree(
    tree: dict[str, Any], digest: str, path: str | Path, up_axis: Literal["auto", "y", "z"] = "auto"
) -> Scene:
    """Read a manifest that is parsed already; ``path`` is where it is, or what it stands for."""
    notes = Notes(str(path))
    header = section(tree, "scene", "top level", notes)
    meters = _meters(header, notes)
    items = tree.get("objects")
    if not isinstance(items, list) or not items:
        notes.refuse("has no objects; a scene needs at least one in 'objects'.")
    for key in sorted(map(str, set(tree) - _TOP_KEYS)):
        notes.note(f"top level: the key {show(key)!r} is not in the schema and is ignored.")
    objects = read_objects(items, meters, notes)
    reading = _reading(objects, header, up_axis, _floors(header, meters, notes), notes)
    sources = [_source(item, reading, meters) for item in objects]
    measured = [read_interactive(source, Path(path).parent, notes) for source in sources]
    return Scene(
        id=_scene_id(tree, path, notes),
        path=str(path),
        entities=tuple(
            _entity(item, source, found, reading, notes)
            for item, source, found in zip(objects, sources, measured, strict=True)
        ),
        environment=text(header, "environment_type"),
        up_axis=reading.up,
        notes=tuple(notes.entries),
        guesses=tuple(notes.guesses),
        digest=scene_identity(digest, measured),
    )


def _scene_id(tree: dict[str, Any], path: str | Path, notes: Notes) -> str:
    """The scene's id as a name that is safe in paths."""
    given = text(tree, "scene_id") or Path(path).stem
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", given).strip("._-")[:64] or "scene"
    if name != tree.get("scene_id"):
        notes.note(f"the scene_id {show(tree.get('scene_id'))!r} is called '{name}' here.")
    return name


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


def _floors(header: dict[str, Any], meters: float, notes: Notes) -> dict[Up, float]:
    """The floor's height in metres if y, and if z, points up: ``room.origin`` lies on it."""
    room = section(header, "room", "scene", notes)
    _, y, z = numbers(room.get("origin"), ("x", "y", "z"), "scene.room.origin", Notes(notes.path))
    floors: dict[Up, float] = {"y": (y or 0.0) * meters, "z": (z or 0.0) * meters}
    for up, height in floors.items():
        if abs(height) > FARTHEST_M:
            notes.refuse(
                f"scene.room.origin.{up} is {height:.3g} m from the origin; is scene.meters_per_unit right?"
            )
    return floors


def _reading(
    objects: list[ManifestObject], header: dict[str, Any], wanted: str, floors: dict[Up, float], notes: Notes
) -> Reading:
    """Which axis is up, decided by ``wanted``, the manifest's word, or the heights of its objects."""
    frame = text(header, "coordinate_frame").lower().replace("-", "_")
    said: dict[str, Up] = {"y_up": "y", "z_up": "z", "y": "y", "z": "z"}
    if frame not in said:
        notes.note(f"scene.coordinate_frame {show(frame)!r} is neither y_up nor z_up and is ignored.")
    insisted = wanted != "auto"
    reading = decide(
        [item.placed for item in objects], said.get(wanted if insisted else frame), floors, insisted
    )
    notes.note(reading.reason)
    if reading.bottoms:
        notes.guess("positions are taken as the middles of the objects' undersides, not of their boxes.")
    if reading.floor_m:
        notes.note(f"the floor is {reading.floor_m:g} m up in the manifest; here it is z = 0.")
    return reading


def _source(item: ManifestObject, reading: Reading, meters: float) -> Source:
    placed, to_z_up = item.placed, TO_Z_UP[reading.up]
    return Source(
        item.raw,
        item.name,
        item.source_id,
        item.known,
        item.sim_role,
        placed.movable,
        placed.size,
        meters,
        to_z_up,
    )


def _entity(
    item: ManifestObject, source: Source, measured: Interactive | None, reading: Reading, notes: Notes
) -> Entity:
    placed, semantics = item.placed, section(item.raw, "semantics", item.name, notes)
    position, quat = convert(placed, reading.up)
    raised = half_extents(quat_matrix(quat), placed.size)[2] if reading.bottoms else 0.0
    shape = shape_of(item.default.shape, placed.size)
    joint, handle = (measured.joint, measured.handle) if measured else read_articulation(source, notes)
    mass, friction = _physics(item, placed.movable or joint is not None, notes)
    given = ["_".join(words(word)) for word in (text(semantics, "class"), text(item.raw, "category"))]
    entity = Entity(
        id=item.name,
        source_id=item.source_id,
        category=item.known or next(filter(None, given), "unknown"),
        labels=frozenset(filter(None, (*given, item.known))),
        sim_role=item.sim_role,
        affordances=_affordances(semantics, item.name, notes),
        position=position + np.array([0.0, 0.0, raised - reading.floor_m]),
        quat=quat,
        size=placed.size,
        shape=shape,
        mass_kg=mass,
        friction=friction,
        movable=placed.movable,
        joint=joint,
        handle=handle,
        interior=read_interior(semantics, shape, item.name, placed.size, source.meters, notes),
    )
    return flattened(entity, notes) if shape == "zone" else entity


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


def _physics(item: ManifestObject, moves: bool, notes: Notes) -> tuple[float, float]:
    """(mass in kg, sliding friction); the class default of what is missing, a guess where it matters."""
    name, kind = item.name, item.known or "an unknown object"
    blocks = [section(item.raw, key, name, notes) for key in ("physics", "physics_hints")]
    mass = _first(blocks, ("mass", "mass_kg"), name, notes)
    friction = _first(blocks, _FRICTION_KEYS, name, notes)
    if mass is None:
        mass = item.default.mass_kg
        if moves:
            notes.guess(f"no mass given; {mass:g} kg is assumed, as for {kind}.", name, "body")
    elif not 1e-4 <= mass <= 1e5:
        notes.refuse(f"{name}: physics.mass is {mass:g} kg; expected 0.1 g to 100 t.")
    if friction is None:
        friction = _FRICTION
        if moves:
            notes.guess(f"no friction given; {friction:g} is assumed.", name, "body")
    elif not 0 <= friction <= 10:
        notes.refuse(f"{name}: physics.friction is {friction:g}; expected 0 to 10.")
    return mass, friction


def _first(blocks: list[dict[str, Any]], keys: tuple[str, ...], name: str, notes: Notes) -> float | None:
    for block in blocks:
        for key in keys:
            value = number(block.get(key), f"{name}: physics.{key}", notes)
            if value is not None:
                return value
    return None
