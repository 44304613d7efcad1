"""The scene of a task package: its manifest, or, without one, guesses from the names of its entities."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Literal

from blueprint_tune.packages.model import Package
from blueprint_tune.packages.reader import read_package
from blueprint_tune.tasks.classes import CLASSES, EntityClass, recognise
from blueprint_tune.tasks.manifest import read_manifest, read_tree
from blueprint_tune.tasks.reading import Guess
from blueprint_tune.tasks.scene import Scene

_NOT_OBJECTS = ("robot", "scene_root")
_CONTAINERS = ("bin", "rack", "shelf", "socket", "zone", "pallet")
_THING = EntityClass((0.06, 0.06, 0.1), 0.3)
_GAP_M, _BENCH_M = 0.4, 0.75
_TABLE = "guessed_table"
_MOST = 60
"""Objects that a made-up scene has at most."""


def read_package_scene(
    package: str, manifest: str | None, up_axis: Literal["auto", "y", "z"] = "auto"
) -> Scene:
    """The scene of the package in a folder; its digest covers package and manifest.

    Raises TaskPackageError and ManifestError.
    """
    found = read_package(package)
    scene = _guessed(found) if manifest is None else read_manifest(manifest, up_axis)
    digest = hashlib.sha256(f"{scene.digest} {found.digest}".encode()).hexdigest()
    return replace(scene, digest=digest)


def _guessed(package: Package) -> Scene:
    """Entities of SCENE_ENTITY_MAP side by side: furniture in a row, what can be carried on a table."""
    names = [name for name in package.entities if name not in _NOT_OBJECTS][:_MOST]
    objects = _furniture([name for name in names if not _carried(name)])
    objects += _things([name for name in names if _carried(name)])
    scene = {"coordinate_frame": "z_up", "meters_per_unit": 1.0}
    if package.environment:
        scene["environment_type"] = package.environment
    tree = {"version": "1.0.0", "scene_id": package.scene_id or "package", "scene": scene, "objects": objects}
    read = read_tree(tree, "", f"{package.path} (SCENE_ENTITY_MAP)")
    pairs = zip(read.entities, objects, strict=True)
    guesses = [Guess(f"{entity.id}: {_told(item)}", entity.id, "place") for entity, item in pairs]
    made_up = tuple(guess.text for guess in guesses)
    return replace(read, notes=(*made_up, *read.notes), guesses=(*guesses, *read.guesses))


def _told(item: dict[str, Any]) -> str:
    x, y, z = item["transform"]["position"].values()
    kind = recognise([str(item["id"])])
    what = f"taken for a {kind} by its name" if kind else "of an unknown class"
    if item["id"] == _TABLE:
        what = "added to stand things on"
    return f"no scene manifest; {what} and put at [{x:.2f}, {y:.2f}, {z:.2f}] m."


def _class(name: str) -> EntityClass:
    kind = recognise([name])
    return CLASSES[kind] if kind else _THING


def _carried(name: str) -> bool:
    """Whether a thing of that name is carried, and not furniture, a part of the room or a container."""
    known = _class(name)
    fixed = known.stands or known.shell or known.opening is not None or known.shape in _CONTAINERS
    return not fixed and known.mass_kg <= 3.0


def _object(
    name: str, at: tuple[float, float, float], role: str, size: tuple[float, float, float]
) -> dict[str, Any]:
    return {
        "id": name,
        "sim_role": role,
        "asset": {"path": ""},
        "transform": {"position": dict(zip("xyz", at, strict=True))},
        "dimensions_est": dict(zip(("width", "depth", "height"), size, strict=True)),
        "semantics": {"affordances": ["Graspable"] if role == "manipulable_object" else []},
    }


def _furniture(names: list[str]) -> list[dict[str, Any]]:
    """A row along x behind the table, their fronts towards it, on the floor or at working height."""
    found, x = [], -0.5 * sum(_class(name).size[0] + _GAP_M for name in names if not _class(name).shell)
    for name in names:
        known = _class(name)
        if known.shell:
            continue
        width, _, height = known.size
        z = height / 2 + (0.0 if known.stands or known.shape in ("zone", "pallet") else _BENCH_M)
        role = "articulated_furniture" if known.opening else "static"
        found.append(_object(name, (x + width / 2, 1.6, z), role, known.size))
        x += width + _GAP_M
    return found


def _things(names: list[str]) -> list[dict[str, Any]]:
    """What can be carried, in a grid on a table as large as it takes."""
    if not names:
        return []
    columns = min(len(names), 6)
    rows = -(-len(names) // columns)
    pitch = 0.08 + max(max(_class(name).size[:2]) for name in names)
    size = (max(1.2, columns * pitch + 0.2), max(0.7, rows * pitch + 0.2), _BENCH_M)
    found = [_object(_TABLE, (0.0, 0.0, _BENCH_M / 2), "static", size)]
    for index, name in enumerate(names):
        row, column = divmod(index, columns)
        at_x, at_y = (column - (columns - 1) / 2) * pitch, -size[1] / 2 + 0.15 + row * pitch
        extents = _class(name).size
        found.append(_object(name, (at_x, at_y, _BENCH_M + extents[2] / 2), "manipulable_object", extents))
    return found
