"""Whatever is done to a manifest, it is read into finite numbers and sane names, or refused in a sentence."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blueprint_tune.errors import BlueprintTuneError, ManifestError
from blueprint_tune.tasks.manifest import read_manifest
from blueprint_tune.tasks.scene import Scene

Json = dict[str, Any]

odd_numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(10**30), 10**30),
    st.sampled_from([0, -1, 1e308, -1e308, 5e-324, 1e-9, 2**64, 90, 1e5]),
)
odd_texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["../x", "/etc", "a b", "\x00", "-y", "x", "revolute", "z_up", "nan"]),
)
odd_values = st.recursive(
    st.one_of(st.none(), st.booleans(), odd_numbers, odd_texts),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(odd_texts, inner, max_size=4),
    max_leaves=6,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every path into a JSON tree."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def mutate(tree: Json, path: tuple[Any, ...], how: str, value: Any) -> None:
    node: Any = tree
    for key in path[:-1]:
        node = node[key]
    if how == "delete":
        del node[path[-1]]
    elif how == "replace":
        node[path[-1]] = value
    elif isinstance(node, list):
        node.append(node[path[-1]])
    else:
        node[str(value)[:20]] = node[path[-1]]


def check(scene: Scene) -> None:
    names = [entity.id for entity in scene.entities]
    assert len(set(names)) == len(names) > 0
    for entity in scene.entities:
        assert re.fullmatch(r"[A-Za-z0-9_]{1,80}", entity.id)
        assert np.isfinite(
            [*entity.position, *entity.quat, *entity.size, entity.mass_kg, entity.friction]
        ).all()
        assert abs(np.linalg.norm(entity.quat) - 1) < 1e-9
        assert entity.size.min() > 0
        assert entity.mass_kg > 0
        if entity.joint is not None:
            joint = entity.joint
            assert np.isfinite([*joint.axis, *joint.anchor, joint.lower, joint.upper]).all()
            assert joint.range > 0
            assert abs(np.linalg.norm(joint.axis) - 1) < 1e-9
        if entity.handle is not None:
            assert np.isfinite(entity.handle.center).all()
            assert abs(np.linalg.norm(entity.handle.outward) - 1) < 1e-9
            assert entity.handle.length_m > 0
    assert all(isinstance(note, str) and note for note in scene.notes)


def read_text(content: str) -> Scene | None:
    """The scene, or None when it is refused; any other exception is a failure."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene_manifest.json"
        path.write_text(content, encoding="utf-8", errors="surrogatepass")
        try:
            return read_manifest(path)
        except ManifestError as error:
            message = str(error)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_mutated_manifest_is_read_or_refused(
    kitchenette: Callable[[], Json], data: st.DataObject
) -> None:
    tree = kitchenette()
    for _ in range(data.draw(st.integers(1, 3))):
        paths = sorted(places(tree), key=str)
        if not paths:
            break
        path = data.draw(st.sampled_from(paths))
        mutate(tree, path, data.draw(st.sampled_from(["delete", "replace", "copy"])), data.draw(odd_values))
    scene = read_text(json.dumps(tree))
    if scene is not None:
        check(scene)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60) | odd_values.map(json.dumps))
def test_any_text_is_read_or_refused(content: str) -> None:
    scene = read_text(content)
    if scene is not None:
        check(scene)


def test_refusals_are_what_the_command_line_catches() -> None:
    assert issubclass(ManifestError, BlueprintTuneError)
