"""How big the parts of a mesh file are: their boxes, without the triangles.

glTF 2.0 requires ``min`` and ``max`` of every POSITION accessor (specification, "Accessors Bounds"), so
the JSON of a .glb or .gltf is all that is read of it. Of .obj and .stl the vertices are read.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from blueprint_tune.tasks.geometry import Floats, quat_matrix

MAX_BYTES = 64 * 2**20
FORMATS = (".glb", ".gltf", ".obj", ".stl")
_FARTHEST = 1e6
_FLOAT = 5126
"""glTF's code for 32-bit floats; bounds of quantised positions are not lengths."""


class MeshError(ValueError):
    """A mesh file cannot be read; the message completes 'meshes/door.glb …'."""


class MeshPart(NamedTuple):
    """One named part: ``corners`` (8, 3) of the box around it, in the file's own units and axes."""

    name: str
    corners: Floats


def box_corners(low: Floats, high: Floats) -> Floats:
    """(8, 3) the corners of the axis-aligned box between two of them, (3,) each."""
    pick = np.array([[i >> axis & 1 for axis in range(3)] for i in range(8)])
    return np.where(pick, high, low)


def transformed(matrix: Floats, points: Floats) -> Floats:
    """(k, 3) points under a (4, 4) transform."""
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def read_parts(path: Path) -> list[MeshPart]:
    """The parts of a mesh file, at least one. Raises MeshError for what cannot be read."""
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise MeshError(f"is no {', '.join(FORMATS)}")
    try:
        with np.errstate(all="ignore"):
            if kind in (".glb", ".gltf"):
                parts = _gltf_parts(_gltf(path, kind), path.stem)
            else:
                points = _obj_points(path) if kind == ".obj" else _stl_points(path)
                parts = [MeshPart(path.stem, box_corners(points.min(axis=0), points.max(axis=0)))]
    except MeshError:
        raise
    except OSError as error:
        raise MeshError(f"cannot be read: {error.strerror}") from error
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
        OverflowError,
        struct.error,
    ) as error:
        raise MeshError(f"is not a valid {kind} file") from error
    if not parts:
        raise MeshError("holds no vertices")
    if not all(np.isfinite(p.corners).all() and np.abs(p.corners).max() < _FARTHEST for p in parts):
        raise MeshError("holds positions that are not finite")
    return parts


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise MeshError(f"is larger than {MAX_BYTES // 2**20} MB")
    return path.read_bytes()


def _gltf(path: Path, kind: str) -> Any:
    """The JSON of a glTF file. Of a .glb only its first chunk is read, which is the JSON."""
    if kind == ".gltf":
        return json.loads(_bytes(path))
    with path.open("rb") as file:
        magic, version, _, length, chunk = struct.unpack("<4sII I4s", file.read(20))
        if magic != b"glTF" or version != 2 or chunk != b"JSON":
            raise MeshError("is not a binary glTF 2.0 file")
        if length > MAX_BYTES:
            raise MeshError(f"has more than {MAX_BYTES // 2**20} MB of JSON")
        return json.loads(file.read(length))


def _gltf_parts(tree: Any, stem: str) -> list[MeshPart]:
    """A part for each node of the scene that has a mesh."""
    nodes, scenes = tree.get("nodes", []), tree.get("scenes")
    if scenes:
        roots = scenes[tree.get("scene", 0)].get("nodes", [])
    else:
        inner = {child for node in nodes for child in node.get("children", [])}
        roots = [index for index in range(len(nodes)) if index not in inner]
    parts, seen = [], set()
    waiting = [(index, np.eye(4)) for index in reversed(roots)]
    while waiting:
        index, above = waiting.pop()
        if index in seen:
            raise MeshError("has nodes that are not a tree")
        seen.add(index)
        node = nodes[index]
        matrix = above @ _node_matrix(node)
        if "mesh" in node:
            mesh = tree["meshes"][node["mesh"]]
            boxes = [transformed(matrix, _bounds(tree, primitive)) for primitive in mesh["primitives"]]
            name = node.get("name") or mesh.get("name") or stem
            parts.append(MeshPart(str(name), _around(boxes)))
        waiting += [(child, matrix) for child in reversed(node.get("children", []))]
    return parts


def _around(boxes: list[Floats]) -> Floats:
    """The corners of the box around several; one alone keeps its orientation."""
    if len(boxes) == 1:
        return boxes[0]
    points = np.concatenate(boxes)
    return box_corners(points.min(axis=0), points.max(axis=0))


def _bounds(tree: Any, primitive: Any) -> Floats:
    accessor = tree["accessors"][primitive["attributes"]["POSITION"]]
    if accessor.get("componentType", _FLOAT) != _FLOAT:
        raise MeshError("has quantised positions, whose bounds are no lengths; export it with 32-bit floats")
    if "min" not in accessor or "max" not in accessor:
        raise MeshError("gives no bounds of its positions, which glTF 2.0 requires; export it again")
    return box_corners(_vector(accessor["min"], 3), _vector(accessor["max"], 3))


def _node_matrix(node: Any) -> Floats:
    if "matrix" in node:
        return _vector(node["matrix"], 16).reshape(4, 4).T
    x, y, z, w = _vector(node.get("rotation", [0, 0, 0, 1]), 4)
    matrix = np.eye(4)
    matrix[:3, :3] = quat_matrix([w, x, y, z]) * _vector(node.get("scale", [1, 1, 1]), 3)
    matrix[:3, 3] = _vector(node.get("translation", [0, 0, 0]), 3)
    return matrix


def _vector(values: Any, length: int) -> Floats:
    vector = np.array(values, dtype=float)
    if vector.shape != (length,):
        raise MeshError(f"has {vector.size} numbers where {length} belong")
    return vector


def _obj_points(path: Path) -> Floats:
    lines = _bytes(path).decode(errors="replace").splitlines()
    points = [line.split()[1:4] for line in lines if line.startswith(("v ", "v\t"))]
    if not points:
        raise MeshError("holds no vertices")
    return np.array(points, dtype=float).reshape(-1, 3)


def _stl_points(path: Path) -> Floats:
    data = _bytes(path)
    count = int.from_bytes(data[80:84], "little")
    if count and len(data) == 84 + 50 * count:
        facets = np.frombuffer(data, dtype=[("numbers", "<f4", (4, 3)), ("attribute", "<u2")], offset=84)
        return facets["numbers"][:, 1:].reshape(-1, 3).astype(float)
    lines = (line.split() for line in data.decode(errors="replace").splitlines())
    points = [line[1:4] for line in lines if line[:1] == ["vertex"]]
    if not points:
        raise MeshError("holds no vertices")
    return np.array(points, dtype=float).reshape(-1, 3)
