from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from blueprint_tune.errors import ManifestError
from blueprint_tune.tasks.scene import Entity, Scene

Json = dict[str, Any]
LEVEL = {"w": 1.0, "x": 0.0, "y": 0.0, "z": 0.0}


def as_y_up(tree: Json) -> Json:
    """The same scene written y up: (x, y, z) -> (x, z, -y), quaternions and axes alike."""
    out = copy.deepcopy(tree)
    out["scene"]["coordinate_frame"] = "y_up"
    letters = {"-y": "z", "y": "-z", "z": "y", "-z": "-y", "x": "x", "-x": "-x"}
    for item in out["objects"]:
        for key in ("position", "rotation_quaternion"):
            value = item["transform"].get(key)
            if value:
                value["y"], value["z"] = value["z"], -value["y"]
        axis = item.get("articulation", {}).get("axis")
        if axis:
            item["articulation"]["axis"] = letters[axis]
    return out


def same(a: Entity, b: Entity) -> None:
    assert (a.id, a.category, a.labels, a.affordances, a.shape) == (
        b.id,
        b.category,
        b.labels,
        b.affordances,
        b.shape,
    )
    np.testing.assert_allclose(a.position, b.position, atol=1e-12)
    np.testing.assert_allclose(a.rotation, b.rotation, atol=1e-12)
    np.testing.assert_allclose(a.size, b.size)
    assert (a.joint is None) == (b.joint is None)
    if a.joint is not None and b.joint is not None:
        np.testing.assert_allclose(a.joint.axis, b.joint.axis, atol=1e-12)
        np.testing.assert_allclose(a.joint.anchor, b.joint.anchor)
        assert (a.joint.lower, a.joint.upper) == pytest.approx((b.joint.lower, b.joint.upper))
    if a.handle is not None:
        np.testing.assert_allclose(a.handle_position, b.handle_position, atol=1e-12)


def test_y_up_and_z_up_give_the_same_scene(
    read: Callable[..., Scene], kitchenette: Callable[[], Json]
) -> None:
    tree = kitchenette()
    tree["objects"][2]["transform"]["rotation_quaternion"] = {"w": 0.8, "x": 0.0, "y": 0.0, "z": 0.6}
    z_up, y_up = read(tree), read(as_y_up(tree))
    assert (z_up.up_axis, y_up.up_axis) == ("z", "y")
    for a, b in zip(z_up.entities, y_up.entities, strict=True):
        same(a, b)


@pytest.mark.parametrize("meters", [0.01, 0.0254, 1.0])
def test_units_are_converted_once(
    read: Callable[..., Scene], kitchenette: Callable[[], Json], meters: float
) -> None:
    tree = kitchenette()
    scaled = copy.deepcopy(tree)
    scaled["scene"]["meters_per_unit"] = meters
    for item in scaled["objects"]:
        for block in (item["transform"]["position"], item["dimensions_est"]):
            for key in block:
                block[key] /= meters
        if item.get("articulation", {}).get("type") == "prismatic":
            item["articulation"]["limits"]["upper"] /= meters
    for a, b in zip(read(tree).entities, read(scaled).entities, strict=True):
        same(a, b)


def test_sizes_are_width_x_depth_y_height_z_and_scale_is_the_mesh_s(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    table = obj("t", "table", (1, 2, 0.4), (1.6, 0.7, 0.8))
    table["transform"]["scale"] = {"x": 100, "y": 100, "z": 100}
    (entity,) = read_objects(table).entities
    np.testing.assert_allclose(entity.size, [1.6, 0.7, 0.8])
    np.testing.assert_allclose(entity.bounds[0], [0.2, 1.65, 0.0])
    assert entity.top == pytest.approx(0.8)


def test_y_up_height_stands_up(read: Callable[..., Scene], obj: Callable[..., Json]) -> None:
    fridge = obj("f", "fridge", (1, 0.9, 3), (0.7, 0.6, 1.8))
    scene = read(
        {"scene_id": "s", "scene": {"coordinate_frame": "y_up", "meters_per_unit": 1}, "objects": [fridge]}
    )
    (entity,) = scene.entities
    np.testing.assert_allclose(entity.position, [1, -3, 0.9])
    np.testing.assert_allclose(entity.bounds[1] - entity.bounds[0], [0.7, 0.6, 1.8])


def test_quaternion_wins_over_euler_angles(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    euler = {"roll": 0.0, "pitch": 0.0, "yaw": np.pi / 2}
    both = obj("a", "box", (0, 0, 0.1), (0.1, 0.2, 0.2), rotation_quaternion=LEVEL, rotation_euler=euler)
    one = obj("b", "box", (1, 0, 0.1), (0.1, 0.2, 0.2), rotation_euler=euler)
    scene = read_objects(both, one)
    np.testing.assert_allclose(scene.by_id["a"].rotation, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(scene.by_id["b"].rotation @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_room_origin_is_on_the_floor(read_objects: Callable[..., Scene], obj: Callable[..., Json]) -> None:
    table = obj("t", "table", (0, 0, 1.4), (1, 1, 0.8))
    scene = read_objects(table, room={"origin": [0, 0, 1.0]})
    assert scene.entities[0].bottom == pytest.approx(0.0)
    assert any("the floor is 1 m up" in note for note in scene.notes)


def test_undersides_as_positions_are_recognised_and_said(
    read: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    items = [obj(f"t{i}", "table", (2.0 * i, 0, 3), (1, 1, 0.8)) for i in range(3)]
    items.append(obj("mug", "mug", (0, 0.8, 3), (0.08, 0.08, 0.1), "manipulable_object"))
    scene = read(
        {"scene_id": "s", "scene": {"coordinate_frame": "y_up", "meters_per_unit": 1}, "objects": items}
    )
    assert scene.by_id["t0"].bottom == pytest.approx(0)
    assert scene.by_id["mug"].bottom == pytest.approx(scene.by_id["t0"].top)
    assert any("undersides" in guess.text for guess in scene.guesses)


def test_a_manifest_s_own_leniencies_are_read_and_noted(
    read: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    mug = obj(
        "mug 1", "kitchenware", (0.5, 0.2, 0.9), (0.08, 0.08, 0.1), "Manipulable_Object", name="Coffee Mug"
    )
    mug["semantics"] = {"class": "", "affordances": ["graspable", {"type": "Fillable"}, 3]}
    mug |= {"placement_stage": "manipulands", "parent_support_id": None, "physics": {"mass_kg": "0.3"}}
    del mug["asset"]
    scene = read({"scene_id": "s", "scene": {"coordinate_frame": "z_up"}, "objects": [mug], "extra": 1})
    (entity,) = scene.entities
    assert (entity.id, entity.category, entity.sim_role) == ("mug_1", "mug", "manipulable_object")
    assert entity.affordances == {"graspable", "fillable"}
    assert (entity.mass_kg, entity.movable, entity.shape) == (0.3, True, "cup")
    notes = "\n".join(scene.notes)
    for expected in (
        "'extra'",
        "'placement_stage'",
        "'asset' is missing",
        "'graspable'",
        "as text",
        "meters_per_unit",
    ):
        assert expected in notes
    assert "affordance 3" in notes


def test_missing_sizes_masses_and_frictions_are_listed_guesses(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    mug = obj("mug", "mug", (0, 0, 0.9), None, "manipulable_object")
    mug["physics"] = {}
    fridge = obj("fridge", "fridge", (0, 0, 0.9), None)
    fridge["dimensions_est"] = {"width": 0.9}
    scene = read_objects(mug, fridge)
    assert scene.by_id["mug"].size[2] == pytest.approx(0.1)
    assert scene.by_id["fridge"].size[0] == pytest.approx(0.9)
    guesses = {(guess.entity, guess.about) for guess in scene.guesses}
    assert guesses == {("mug", "place"), ("mug", "body"), ("fridge", "place")}


def test_rotations_of_no_or_odd_length_are_noted(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    zero = {"w": 0.0, "x": 0.0, "y": 0.0, "z": 0.0}
    a = obj("a", "box", (0, 0, 0.1), (0.2, 0.2, 0.2), rotation_quaternion=zero)
    b = obj("b", "box", (1, 0, 0.1), (0.2, 0.2, 0.2), rotation_quaternion={"w": 2.0})
    c = obj("c", "box", (2, 0, 0.1), (0.2, 0.2, 0.2), rotation_quaternion={"z": 1.0})
    scene = read_objects(a, b, c)
    assert [np.linalg.norm(entity.quat) for entity in scene.entities] == pytest.approx([1, 1, 1])
    notes = "\n".join(scene.notes)
    assert "turns nothing" in notes
    assert "normalised" in notes
    assert "has no w" in notes


def test_digest_is_of_the_bytes(read: Callable[..., Scene], kitchenette: Callable[[], Json]) -> None:
    tree = kitchenette()
    first = read(tree)
    assert first.digest == read(tree).digest
    assert first.digest != read(json.dumps(tree, indent=1)).digest


def test_a_forced_axis_is_noted(read: Callable[..., Scene], kitchenette: Callable[[], Json]) -> None:
    assert read(kitchenette(), "y").up_axis == "y"
    assert any("as scene.up_axis says" in note for note in read(kitchenette(), "z").notes)


def put(path: str, value: Any) -> Callable[[Json], None]:
    """A mistake: ``value`` at a dotted path of the manifest; objects.0 is the table."""

    def _put(tree: Json) -> None:
        node: Any = tree
        *parents, last = path.split(".")
        for key in parents:
            node = node[int(key)] if isinstance(node, list) else node[key]
        node[last] = value

    return _put


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (put("objects", []), "has no objects"),
        (put("objects", {"a": 1}), "has no objects"),
        (put("objects", [1]), r"objects\[0\] is 1"),
        (put("objects.0.id", "box"), "'box' is used twice"),
        (put("objects.0.id", "../x"), r"objects\[0\] has the id"),
        (put("objects.0.dimensions_est.width", 0), "table: dimensions_est.width is 0"),
        (put("objects.0.dimensions_est.depth", -1), "table: dimensions_est.depth is -1"),
        (put("objects.0.dimensions_est.height", 1e6), "table: dimensions_est.height is 1e"),
        (put("objects.0.dimensions_est", "big"), "table: dimensions_est is big"),
        (put("objects.0.transform.position.x", "left"), "table: transform.position.x is left"),
        (put("objects.0.transform.position", {"x": 1}), "no complete transform.position"),
        (put("objects.0.transform", None), "no complete transform.position"),
        (put("objects.0.transform.position.z", 1e300), "from the origin"),
        (put("objects.1.physics", {"mass": -0.2}), "box: physics.mass is -0.2"),
        (put("objects.1.physics", {"mass": 0}), "box: physics.mass is 0"),
        (put("objects.1.physics", {"mass": 0.2, "friction": -1}), "box: physics.friction is -1"),
        (put("objects.3.articulation.limits.upper", 1e9), "drawer_1: articulation.limits"),
        (put("objects.3.articulation.damping", -1), "drawer_1: articulation.damping"),
        (put("scene.meters_per_unit", 0), "meters_per_unit is 0"),
        (put("scene.meters_per_unit", True), "meters_per_unit is True"),
        (put("scene.room", {"origin": [0, 0, 1e9]}), "scene.room.origin.z"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_file_and_object(
    read: Callable[..., Scene], kitchenette: Callable[[], Json], mistake: Callable[[Json], None], message: str
) -> None:
    tree = kitchenette()
    mistake(tree)
    with pytest.raises(ManifestError, match=message) as caught:
        read(tree)
    assert "scene_manifest.json: " in str(caught.value)


def test_numbers_too_large_for_a_float_are_refused(
    read: Callable[..., Scene], kitchenette: Callable[[], Json]
) -> None:
    text = json.dumps(kitchenette()).replace("0.375", "1e999")
    with pytest.raises(ManifestError, match="must be finite"):
        read(text)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("kitchen_1", "kitchen_1"),
        ("../../etc", "etc"),
        ("my kitchen", "my_kitchen"),
        ("..", "scene"),
        (3, "scene_manifest"),
    ],
)
def test_scene_ids_are_safe_in_paths(
    read: Callable[..., Scene], kitchenette: Callable[[], Json], given: Any, expected: str
) -> None:
    scene = read(kitchenette() | {"scene_id": given})
    assert scene.id == expected
    assert any("scene_id" in note for note in scene.notes) == (given != expected)
