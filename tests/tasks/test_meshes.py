from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blueprint_tune.tasks.meshes import FORMATS, MeshError, read_parts

ACCESSOR = {"componentType": 5126, "type": "VEC3", "count": 2, "min": [-1, -2, -3], "max": [1, 2, 3]}


def tree(**changes: Any) -> bytes:
    """A .gltf: a node moved by (10, 0, 0) that holds a mesh and, itself moved, a second one."""
    made = {
        "nodes": [
            {"name": "body", "mesh": 0, "translation": [10, 0, 0], "children": [1]},
            {"mesh": 0, "scale": [2, 1, 1]},
        ],
        "meshes": [{"name": "box", "primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [ACCESSOR],
    }
    return json.dumps(made | changes).encode()


def test_nodes_hang_at_each_other(tmp_path: Path) -> None:
    file = tmp_path / "scene.gltf"
    file.write_bytes(tree())
    body, box = read_parts(file)
    assert (body.name, box.name) == ("body", "box")
    np.testing.assert_allclose(
        [body.corners.min(axis=0), body.corners.max(axis=0)], [[9, -2, -3], [11, 2, 3]]
    )
    np.testing.assert_allclose([box.corners.min(axis=0), box.corners.max(axis=0)], [[8, -2, -3], [12, 2, 3]])


def test_a_matrix_is_written_column_by_column(tmp_path: Path) -> None:
    file = tmp_path / "scene.gltf"
    matrix = [0, 1, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 5, 6, 7, 1]  # a quarter turn about z, then a shift
    file.write_bytes(tree(nodes=[{"mesh": 0, "matrix": matrix}]))
    (part,) = read_parts(file)
    np.testing.assert_allclose([part.corners.min(axis=0), part.corners.max(axis=0)], [[3, 5, 4], [7, 7, 10]])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not a valid .gltf file"),
        (b"[" * 100_000, "is not a valid .gltf file"),
        (tree(nodes=[]), "holds no vertices"),
        (tree(nodes=[{"children": [0]}], scenes=[{"nodes": [0]}]), "has nodes that are not a tree"),
        (tree(accessors=[{"componentType": 5126}]), "gives no bounds of its positions"),
        (tree(accessors=[ACCESSOR | {"componentType": 5122}]), "has quantised positions"),
        (tree(accessors=[ACCESSOR | {"max": [1e300, 1, 1]}]), "holds positions that are not finite"),
        (tree(accessors=[ACCESSOR | {"max": [1, 1]}]), "has 2 numbers where 3 belong"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "scene.gltf"
    file.write_bytes(content)
    with pytest.raises(MeshError, match=says):
        read_parts(file)


def test_an_ascii_stl_has_its_vertices(tmp_path: Path) -> None:
    file = tmp_path / "part.stl"
    file.write_text(
        "solid\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 2 0\nvertex 0 0 3\nendloop\n"
    )
    (part,) = read_parts(file)
    np.testing.assert_allclose(part.corners.max(axis=0), [1, 2, 3])


def test_a_format_without_a_reader_is_named(tmp_path: Path) -> None:
    with pytest.raises(MeshError, match="is no .glb, .gltf, .obj, .stl"):
        read_parts(tmp_path / "part.dae")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(FORMATS),
    head=st.sampled_from([b"", b"v 1 2 ", b"vertex ", struct.pack("<4sIII4s", b"glTF", 2, 0, 40, b"JSON")]),
    body=st.binary(max_size=120),
)
def test_any_bytes_are_a_box_or_a_mesh_error(tmp_path: Path, suffix: str, head: bytes, body: bytes) -> None:
    file = tmp_path / f"part{suffix}"
    file.write_bytes(head + body)
    try:
        parts = read_parts(file)
    except MeshError:
        return
    assert all(np.isfinite(part.corners).all() for part in parts)
