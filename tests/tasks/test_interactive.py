"""Articulation that upstream measured: real .glb and .urdf files beside a manifest, laid out as it does."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable
from math import pi
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blueprint_tune.config.paths import assets_dir
from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.tasks.manifest import read_manifest
from blueprint_tune.tasks.obstacles import moved
from blueprint_tune.tasks.scene import Entity, Scene

Json = dict[str, Any]
Bounds = tuple[tuple[float, float, float], tuple[float, float, float]]

SIZE = (0.5, 0.4, 0.3)
BODY: Bounds = ((-0.25, -0.2, -0.15), (0.25, 0.2, 0.15))
DRAWER: Bounds = ((-0.23, -0.2, -0.08), (0.23, 0.15, 0.08))
PANEL: Bounds = ((-0.25, -0.2, -0.15), (0.25, -0.18, 0.15))
CARCASS: Bounds = ((-0.25, -0.18, -0.15), (0.25, 0.2, 0.15))


def glb(*parts: tuple[str, Bounds], shift: tuple[float, float, float] = (0, 0, 0), **node: Any) -> bytes:
    """A binary glTF with one node a part, each moved by ``shift`` and its mesh the other way."""
    tree: Json = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": list(range(len(parts)))}]}
    tree["nodes"] = [
        {"name": name, "mesh": i, "translation": shift} | node for i, (name, _) in enumerate(parts)
    ]
    tree["meshes"] = [{"primitives": [{"attributes": {"POSITION": i}}]} for i in range(len(parts))]
    tree["accessors"] = [
        {
            "componentType": 5126,
            "type": "VEC3",
            "count": 2,
            **{key: list(np.subtract(corner, shift)) for key, corner in zip(("min", "max"), bounds)},
        }
        for _, bounds in parts
    ]
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text


def link(name: str, mesh: str = "", **origin: str) -> str:
    at = "".join(f' {key}="{value}"' for key, value in origin.items())
    shape = f'<visual><origin{at}/><geometry><mesh filename="{mesh}"/></geometry></visual>' if mesh else ""
    return f'<link name="{name}">{shape}</link>'


def joint(name: str, kind: str, parent: str, child: str, inside: str = "", at: str = "0 0 0") -> str:
    ends = f'<parent link="{parent}"/><child link="{child}"/><origin xyz="{at}" rpy="0 0 0"/>'
    return f'<joint name="{name}" type="{kind}">{ends}{inside}</joint>'


def moves(axis: str, lower: float, upper: float) -> str:
    return f'<axis xyz="{axis}"/><limit lower="{lower}" upper="{upper}" effort="100" velocity="1.0"/>'


def robot(*parts: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<robot name="obj_thing">{"".join(parts)}</robot>'


SLIDES = robot(
    link("base_link", "body.glb"),
    link("drawer", "drawer.glb"),
    joint("slide", "prismatic", "base_link", "drawer", moves("0 -1 0", 0, 0.25)),
)
SLIDE_MESHES = {"body.glb": glb(("body", BODY)), "drawer.glb": glb(("front", DRAWER))}
TURNS = robot(
    link("base_link", "body.glb"),
    link("panel", "panel.glb", xyz="0.25 0 0"),
    joint("hinge", "revolute", "base_link", "panel", moves("0 0 1", -1.4, 0), "-0.25 -0.2 0"),
)
TURN_MESHES = {
    "body.glb": glb(("body", CARCASS)),
    "panel.glb": glb(("p", ((-0.25, 0.0, -0.15), (0.25, 0.02, 0.15)))),
}


@pytest.fixture
def thing(tmp_path: Path, obj: Callable[..., Json]) -> Callable[..., tuple[Entity, Scene]]:
    """thing(urdf, files, category, size, …) -> the entity at (0, 0, 1) with this URDF, and its scene."""

    def _thing(
        urdf: str | bytes | None,
        files: dict[str, bytes] | None = None,
        category: str = "drawer",
        size: tuple[float, float, float] = SIZE,
        role: str = "articulated_furniture",
        name: str = "obj_thing.urdf",
        frame: str = "z_up",
        meters: float = 1.0,
        **more: Any,
    ) -> tuple[Entity, Scene]:
        folder = tmp_path / "assets" / "interactive" / "obj_thing"
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in (files or {}).items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
        if urdf is not None:
            (folder / name).write_bytes(urdf.encode() if isinstance(urdf, str) else urdf)
        position = (0.0, 0.0, 1.0 / meters) if frame == "z_up" else (0.0, 1.0 / meters, 0.0)
        scaled = tuple(extent / meters for extent in size)
        tree = {
            "version": "1.0.0",
            "scene_id": "test",
            "scene": {"coordinate_frame": frame, "meters_per_unit": meters},
            "objects": [obj("thing", category, position, scaled, role, **more)],
        }
        manifest = tmp_path / "assets" / "scene_manifest.json"
        manifest.write_text(json.dumps(tree))
        scene = read_manifest(manifest)
        return scene.entities[0], scene

    return _thing


def motion(scene: Scene) -> str:
    return "\n".join(guess.text for guess in scene.guesses if guess.about == "motion")


def test_a_measured_drawer_is_no_guess_but_for_its_handle(thing: Any) -> None:
    drawer, scene = thing(SLIDES, SLIDE_MESHES)
    found = drawer.joint
    assert (found.kind, found.lower, found.upper) == ("prismatic", 0.0, 0.25)
    np.testing.assert_allclose(found.axis, [0, -1, 0], atol=1e-9)
    np.testing.assert_allclose(found.moving.size, [0.46, 0.35, 0.16])
    np.testing.assert_allclose(found.moving.center, [0, -0.025, 0], atol=1e-12)
    np.testing.assert_allclose(drawer.handle.center, [0, -0.2 - 0.045, 0], atol=1e-12)
    assert motion(scene) == "thing: no handle is described; a bar of 0.16 m on its front is assumed."
    assert "interactive/obj_thing/obj_thing.urdf: prismatic, 0 to 0.25 m" in "\n".join(scene.notes)


def test_the_body_stays_where_the_drawer_is_not(thing: Any) -> None:
    """Its mesh is one closed box; what collides must leave room for the drawer and fill the rest."""
    drawer, _ = thing(SLIDES, SLIDE_MESHES)
    volume = sum(box.size.prod() for box in drawer.joint.fixed)
    assert volume == pytest.approx(0.5 * 0.4 * 0.3 - 0.46 * 0.35 * 0.16)
    for box in drawer.joint.fixed:
        apart = np.abs(box.center - drawer.joint.moving.center) - (box.size + drawer.joint.moving.size) / 2
        assert apart.max() > -1e-9


@pytest.mark.parametrize("stands_in_box", [True, False])
def test_a_part_named_handle_is_the_handle(thing: Any, stands_in_box: bool) -> None:
    """Whether the manifest's size counts the handle or not, as its proportions tell."""
    bar: Bounds = ((-0.06, -0.24, -0.006), (0.06, -0.2, 0.006))
    urdf = robot(
        link("base_link", "body.glb"),
        link("drawer", "drawer.glb"),
        link("drawer_handle", "bar.glb"),
        joint("slide", "prismatic", "base_link", "drawer", moves("0 -1 0", 0, 0.25)),
        joint("screw", "fixed", "drawer", "drawer_handle"),
    )
    size = (0.5, 0.44, 0.3) if stands_in_box else SIZE
    drawer, scene = thing(urdf, SLIDE_MESHES | {"bar.glb": glb(("bar", bar))}, size=size)
    handle, shift = drawer.handle, 0.02 if stands_in_box else 0.0
    np.testing.assert_allclose(handle.center, [0, -0.24 + 0.006 + shift, 0], atol=1e-9)
    assert (handle.radius_m, handle.standoff_m) == pytest.approx((0.006, 0.034))
    assert handle.length_m == pytest.approx(0.108)
    np.testing.assert_allclose(np.abs(handle.along), [1, 0, 0])
    np.testing.assert_allclose(drawer.joint.moving.size, [0.46, 0.35, 0.16])
    assert motion(scene) == ""


def test_a_door_that_opens_backwards_on_paper_opens_to_its_limit(thing: Any) -> None:
    """Limits of -1.4 to 0 about +z: here it opens at positive angles about -z, hinged where the URDF says."""
    door, scene = thing(TURNS, TURN_MESHES, "cabinet")
    found = door.joint
    assert (found.kind, found.lower, found.upper) == ("revolute", 0.0, 1.4)
    np.testing.assert_allclose(found.axis, [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(found.anchor, [-0.25, -0.2, 0], atol=1e-12)
    np.testing.assert_allclose(found.moving.size, [0.5, 0.02, 0.3])
    (body,) = found.fixed
    np.testing.assert_allclose(body.size, [0.5, 0.38, 0.3])
    free_edge = moved(door, 1.0, np.array([0.25, -0.2, 0.0]))
    np.testing.assert_allclose(free_edge, [-0.25 + 0.5 * np.cos(1.4), -0.2 - 0.5 * np.sin(1.4), 0])
    assert door.handle.center[0] > 0.1 and abs(door.handle.along[2]) == 1
    assert motion(scene).count("\n") == 0 and "no handle is described" in motion(scene)


def test_a_knob_turns_where_it_is_and_without_limits_by_its_class(thing: Any) -> None:
    urdf = robot(
        link("base_link", "plate.glb"),
        link("cap", "cap.glb"),
        joint("turn", "continuous", "base_link", "cap", '<axis xyz="0 -1 0"/>', "0 -0.005 0"),
    )
    files = {
        "plate.glb": glb(("plate", ((-0.03, 0.0, -0.03), (0.03, 0.01, 0.03)))),
        "cap.glb": glb(("cap", ((-0.025, -0.01, -0.025), (0.025, 0.005, 0.025)))),
    }
    knob, scene = thing(urdf, files, "knob", (0.06, 0.025, 0.06))
    found = knob.joint
    assert knob.handle is None and found.upper == pytest.approx(pi)
    np.testing.assert_allclose(found.axis, [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(found.moving.size, [0.05, 0.015, 0.05])
    np.testing.assert_allclose(knob.grip_position, [0, -0.005, 1.0], atol=1e-9)
    assert (
        motion(scene) == "thing: joint 'turn' of its URDF turns without limits; 0 to 180 degrees is assumed."
    )


def test_normalised_shapes_without_their_files_are_found_in_the_whole_mesh(thing: Any) -> None:
    """As Particulate writes it: the longest edge is 1, and upstream keeps its parts as nodes of part.glb."""
    urdf = robot(
        link("link_0", "./meshes/part_0.obj"),
        link("link_1", "./meshes/part_1.obj", xyz="9 9 9"),
        joint("joint_0_1", "prismatic", "link_0", "link_1", moves("0 -1 0", 0, 0.5), "7 7 7"),
    )
    doubled = [
        (name, tuple(tuple(2 * x for x in c) for c in b))
        for name, b in (("part_0", BODY), ("part_1", DRAWER))
    ]
    drawer, scene = thing(urdf, {"part.glb": glb(*doubled, shift=(0.1, 0.2, 0.3))}, name="thing.urdf")
    assert drawer.joint.upper == pytest.approx(0.25)
    np.testing.assert_allclose(drawer.joint.moving.size, [0.46, 0.35, 0.16])
    assert "is scaled by 0.5 x 0.5 x 0.5" in "\n".join(scene.notes)


@pytest.mark.parametrize(("frame", "meters"), [("y_up", 1.0), ("y_up", 0.01), ("z_up", 0.01)])
def test_axes_of_gltf_and_units_of_the_scene_make_no_difference(
    thing: Any, frame: str, meters: float
) -> None:
    """A URDF in glTF's axes (y up, front to +z) beside a manifest in any axes and units."""
    y_up = {
        name: glb((name, ((low[0], low[2], -high[1]), (high[0], high[2], -low[1]))))
        for name, (low, high) in (("body.glb", BODY), ("drawer.glb", DRAWER))
    }
    drawer, _ = thing(SLIDES.replace("0 -1 0", "0 0 1"), y_up, frame=frame, meters=meters)
    np.testing.assert_allclose(drawer.joint.axis, [0, -1, 0], atol=1e-9)
    np.testing.assert_allclose(drawer.joint.moving.center, [0, -0.025, 0], atol=1e-9)
    np.testing.assert_allclose(drawer.joint.moving.size, [0.46, 0.35, 0.16])
    assert drawer.joint.upper == pytest.approx(0.25)


def test_what_points_up_is_a_listed_guess_where_neither_shape_nor_joint_tells(thing: Any) -> None:
    cube: Bounds = ((-0.2, -0.2, -0.2), (0.2, 0.2, 0.2))
    urdf, files = (
        SLIDES.replace("0 -1 0", "1 0 0"),
        {"body.glb": glb(("body", cube)), "drawer.glb": glb(("d", cube))},
    )
    _, scene = thing(urdf, files, size=(0.4, 0.4, 0.4))
    assert "nothing tells whether y or z points up in its URDF; z is assumed" in motion(scene)
    _, scene = thing(SLIDES, files, size=(0.4, 0.4, 0.4))
    assert "points up" not in motion(scene), "no drawer is pulled out downwards"
    _, scene = thing(SLIDES, SLIDE_MESHES, size=(0.5, 0.4, 0.9))
    assert "its URDF is stretched by 1 x 1 x 3 to fill its box" in motion(scene)


def test_parts_of_obj_stl_and_plain_shapes_are_measured_too(thing: Any) -> None:
    low, high = DRAWER
    obj_text = "".join(
        f"v {x} {y} {z}\n" for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])
    )
    facet = struct.pack("<12fH", 0, 0, 1, *BODY[0], *BODY[1], *BODY[0], 0)
    stl = b"\0" * 80 + struct.pack("<I", 1) + facet
    urdf = SLIDES.replace("body.glb", "body.stl").replace("drawer.glb", "meshes/drawer.obj")
    drawer, _ = thing(urdf, {"body.stl": stl, "meshes/drawer.obj": obj_text.encode()})
    np.testing.assert_allclose(drawer.joint.moving.size, [0.46, 0.35, 0.16], atol=1e-6)
    box = SLIDES.replace('<mesh filename="body.glb"/>', '<box size="0.5 0.4 0.3"/>')
    again, _ = thing(box, SLIDE_MESHES)
    np.testing.assert_allclose(again.joint.moving.size, drawer.joint.moving.size, atol=1e-6)


def test_nodes_are_turned_and_scaled_as_gltf_says(thing: Any) -> None:
    """Half the size, a quarter turn about y: x of the mesh is -z of its node."""
    turned: Bounds = ((-0.16, -0.4, -0.46), (0.16, 0.3, 0.46))
    node = {"rotation": [0, np.sqrt(0.5), 0, np.sqrt(0.5)], "scale": [0.5, 0.5, 0.5]}
    drawer, _ = thing(SLIDES, SLIDE_MESHES | {"drawer.glb": glb(("front", turned), **node)})
    np.testing.assert_allclose(drawer.joint.moving.size, [0.46, 0.35, 0.16])


TWO = robot(
    link("base_link", "body.glb"),
    link("drawer", "drawer.glb"),
    link("flap", "flap.glb"),
    joint("slide", "prismatic", "base_link", "drawer", moves("0 -1 0", 0, 0.25)),
    joint("tip", "revolute", "base_link", "flap", moves("1 0 0", 0, 1.2), "0 -0.2 -0.15"),
)
TWO_MESHES = SLIDE_MESHES | {"flap.glb": glb(("flap", ((-0.23, -0.2, -0.15), (0.23, -0.18, -0.09))))}


@pytest.mark.parametrize(
    ("told", "used", "left"), [(None, "prismatic", "tip"), ("revolute", "revolute", "slide")]
)
def test_of_several_joints_the_manifests_kind_or_else_the_largest_is_used(
    thing: Any, told: str | None, used: str, left: str
) -> None:
    more = {"articulation": {"type": told}} if told else {}
    entity, scene = thing(TWO, TWO_MESHES, "cabinet", **more)
    assert entity.joint.kind == used
    assert f"{left} stays as it is" in "\n".join(scene.notes)


def test_the_measurement_wins_over_the_manifest_and_says_so(thing: Any) -> None:
    told = {"type": "revolute", "axis": "z", "limits": {"lower": 0, "upper": 1.0}}
    drawer, scene = thing(SLIDES, SLIDE_MESHES, articulation=told)
    assert drawer.joint.kind == "prismatic"
    assert "thing: articulation.type is revolute, which its URDF contradicts; the URDF counts." in scene.notes
    told = {
        "type": "prismatic",
        "limits": {"upper": 0.4},
        "handle": {"position": {"x": 0, "y": -0.25, "z": 0.05}},
    }
    drawer, scene = thing(SLIDES, SLIDE_MESHES, articulation=told)
    assert drawer.joint.upper == 0.25
    assert any("limits.upper is 0.4 m, which its URDF contradicts" in note for note in scene.notes)
    np.testing.assert_allclose(drawer.handle.center, [0, -0.25, 0.05])
    assert motion(scene) == ""


def test_what_a_urdf_lacks_is_listed(thing: Any) -> None:
    bare = SLIDES.replace(moves("0 -1 0", 0, 0.25), "")
    drawer, scene = thing(bare, SLIDE_MESHES)
    np.testing.assert_allclose(drawer.joint.axis, [0, -1, 0])
    assert drawer.joint.upper == pytest.approx(0.28)
    assert "joint 'slide' of its URDF has no axis; (0, -1, 0) is assumed" in motion(scene)
    assert "joint 'slide' of its URDF has no limits; 0 to 0.28 m is assumed" in motion(scene)
    both_ways, scene = thing(SLIDES.replace('lower="0"', 'lower="-0.2"'), SLIDE_MESHES)
    assert (both_ways.joint.lower, both_ways.joint.upper) == (0.0, 0.25)
    assert "lets it move from -0.2 to 0.25; what is below 0" in motion(scene)


@pytest.mark.parametrize("files", [{}, {"body.glb": SLIDE_MESHES["body.glb"], "drawer.glb": b"glTF?"}])
def test_without_readable_meshes_the_boxes_are_guesses_and_the_joint_is_not(thing: Any, files: Json) -> None:
    drawer, scene = thing(SLIDES, files, articulation={"limits": {"upper": 0.1}})
    np.testing.assert_allclose(drawer.joint.axis, [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(drawer.joint.moving.size, SIZE)
    assert drawer.joint.upper == pytest.approx(0.25)
    assert "its class and size tell which part moves" in motion(scene)
    assert "no joint" not in motion(scene) and ("drawer.glb' is not" in motion(scene) or not files)


HEURISTIC = robot(
    link("base_link", "mesh.glb"),
    joint("obj_thing_joint", "prismatic", "base_link", "movable_part", moves("-1 0 0", 0, 0.4)),
    link("movable_part"),
)


@pytest.mark.parametrize("urdf", [HEURISTIC, robot(link("base_link", "mesh.glb"))])
def test_a_urdf_that_measured_nothing_leaves_the_scene_as_it_was(thing: Any, urdf: str) -> None:
    """Upstream's static fallback, and its heuristic, which repeats a pattern of the class's name."""
    plain, before = thing(None)
    drawer, scene = thing(urdf, {"mesh.glb": SLIDE_MESHES["body.glb"]})
    np.testing.assert_allclose(drawer.joint.axis, plain.joint.axis)
    assert scene.guesses == before.guesses and scene.digest == before.digest
    assert any("describes nothing that moves" in note for note in scene.notes)


def test_damping_is_the_urdfs_or_else_the_manifests(thing: Any) -> None:
    told = {"damping": 5.0}
    assert thing(SLIDES, SLIDE_MESHES, articulation=told)[0].joint.damping == 5.0
    damped = SLIDES.replace("</joint>", '<dynamics damping="3.5" friction="0"/></joint>')
    assert thing(damped, SLIDE_MESHES, articulation=told)[0].joint.damping == 3.5


def test_what_is_carried_has_no_joint(thing: Any) -> None:
    box, scene = thing(SLIDES, SLIDE_MESHES, "box", role="manipulable_object")
    assert box.joint is None
    assert "thing: is carried as one piece; interactive/obj_thing/obj_thing.urdf is not read." in scene.notes


ENTITIES = '<!DOCTYPE robot [<!ENTITY a SYSTEM "file:///etc/hostname">]><robot name="&a;"/>'


@pytest.mark.parametrize(
    ("urdf", "says"),
    [
        ("<robot>", "it is not XML"),
        (b"\xff\xfe<", "it is not XML"),
        ("<mujoco/>", "its top element is <mujoco>, expected <robot>"),
        ("<robot/>", "it has 0 links"),
        (ENTITIES, "it has a DOCTYPE, which no URDF needs"),
        (
            SLIDES.replace('<child link="drawer"/>', '<child link="drawr"/>'),
            "joint 'slide' names no link 'drawr'",
        ),
        (SLIDES.replace('parent link="base_link"', 'parent link="drawer"'), "hangs at itself"),
        (SLIDES.replace("0 -1 0", "0 nan 0"), "'0 nan 0' stands where 3 finite numbers belong"),
        (SLIDES.replace('upper="0.25"', 'upper="far"'), "'far' stands where 1 finite numbers belong"),
        (SLIDES.replace('upper="0.25"', 'upper="5000"'), "joint 'slide' has absurd limits"),
    ],
)
def test_a_bad_urdf_is_named_and_the_manifest_read_instead(thing: Any, urdf: str | bytes, says: str) -> None:
    drawer, scene = thing(urdf, SLIDE_MESHES)
    assert drawer.joint.kind == "prismatic"
    told = next(line for line in motion(scene).split("\n") if "cannot be used" in line)
    assert told.startswith("thing: interactive/obj_thing/obj_thing.urdf cannot be used: ") and says in told
    assert told.endswith("Correct or remove the file.")


def test_nothing_outside_the_scenes_folder_is_read(thing: Any, tmp_path: Path) -> None:
    (tmp_path / "outside.glb").write_bytes(SLIDE_MESHES["drawer.glb"])
    for reference in (
        "../../../outside.glb",
        str(tmp_path / "outside.glb"),
        "file://" + str(tmp_path / "outside.glb"),
    ):
        _, scene = thing(SLIDES.replace("drawer.glb", reference), {"body.glb": SLIDE_MESHES["body.glb"]})
        assert "is not beside it" in motion(scene)
    folder = tmp_path / "assets" / "interactive" / "obj_thing"
    (folder / "obj_thing.urdf").rename(tmp_path / "secret.urdf")
    os.symlink(tmp_path / "secret.urdf", folder / "obj_thing.urdf")
    _, scene = thing(None)
    assert not any(".urdf" in note for note in scene.notes)


def test_the_scenes_identity_follows_the_urdf_and_its_meshes(thing: Any, tmp_path: Path) -> None:
    _, plain = thing(None)
    manifest = tmp_path / "assets" / "scene_manifest.json"
    assert plain.digest == hashlib.sha256(manifest.read_bytes()).hexdigest()
    seen = {plain.digest}
    larger = glb(("front", (DRAWER[0], (0.23, 0.17, 0.08))))
    for urdf, files in (
        (SLIDES, SLIDE_MESHES),
        (SLIDES.replace("0.25", "0.26"), SLIDE_MESHES),
        (SLIDES, SLIDE_MESHES | {"drawer.glb": larger}),
    ):
        seen.add(thing(urdf, files)[1].digest)
    assert len(seen) == 4
    assert thing(SLIDES, SLIDE_MESHES)[1].digest in seen


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_arbitrary_bytes_give_notes_and_never_a_traceback(thing: Any, data: st.DataObject) -> None:
    """Files cut, overwritten and replaced: every outcome is a scene with finite joints."""

    def spoilt(content: bytes) -> bytes:
        if data.draw(st.integers(0, 5)) == 0:
            return data.draw(st.binary(max_size=60))
        at = data.draw(st.integers(0, len(content)))
        gone = data.draw(st.integers(0, 20))
        odd = st.sampled_from(
            [b"1e308", b"-1e400", b"nan", b"null", b"[]", b"{}", b'"', b"<", b"9" * 30, b"-7", b"0"]
        )
        return content[:at] + data.draw(odd | st.binary(max_size=6)) + content[at + gone :]

    urdf, files = TWO.encode(), dict(TWO_MESHES)
    for name in data.draw(st.lists(st.sampled_from(["urdf", *files]), min_size=1, max_size=3)):
        if name == "urdf":
            urdf = spoilt(urdf)
        else:
            files[name] = spoilt(files[name])
    entity, _ = thing(urdf, files, "cabinet")
    found = entity.joint
    assert np.isfinite([*found.axis, *found.anchor, found.lower, found.upper, *found.moving.size]).all()
    assert found.range > 0 and np.linalg.norm(found.axis) == pytest.approx(1)
    assert found.moving.size.min() > 0 and all(box.size.min() > 0 for box in found.fixed)


PANE: Bounds = ((-0.25, -0.2, -0.15), (0.0, -0.18, 0.15))
ASIDE = SLIDES.replace("0 -1 0", "1 0 0")


def test_a_panel_that_slides_along_itself_is_pulled_at_its_face(thing: Any) -> None:
    pane, scene = thing(ASIDE, SLIDE_MESHES | {"drawer.glb": glb(("pane", PANE))}, "cabinet")
    np.testing.assert_allclose(pane.joint.axis, [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(pane.handle.outward, [0, -1, 0])
    assert pane.handle.center[0] == pytest.approx(-0.25 + 0.2 * 0.25), "where it is pushed open from"
    assert abs(pane.handle.along[2]) == 1
    assert not any("inwards" in note for note in scene.notes)


def test_a_door_that_opens_into_its_body_is_pushed_at_its_face(thing: Any) -> None:
    door, scene = thing(
        TURNS.replace("-1.4", "0").replace('upper="0"', 'upper="1.4"'), TURN_MESHES, "cabinet"
    )
    np.testing.assert_allclose(door.joint.axis, [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(door.handle.outward, [0, -1, 0])
    assert "thing: it opens inwards, as its URDF says." in scene.notes


@pytest.mark.parametrize(
    ("policy", "name", "urdf", "files", "to"),
    [
        ("drawer_manipulation", "drawer_001", SLIDES, SLIDE_MESHES, [0, -1, 0]),
        ("door_manipulation", "base_cabinet_001", TURNS, TURN_MESHES, [0, -1, 0]),
        (
            "drawer_manipulation",
            "sink_cabinet_001",
            ASIDE,
            SLIDE_MESHES | {"drawer.glb": glb(("pane", PANE))},
            [1, 0, 0],
        ),
    ],
    ids=["drawer", "door", "pane"],
)
def test_in_physics_it_moves_about_its_axis_to_its_limit(
    new_env: Callable[..., ManipulationEnv],
    tmp_path: Path,
    policy: str,
    name: str,
    urdf: str,
    files: dict[str, bytes],
    to: list[float],
) -> None:
    """A scene as upstream lays it out, its joint pushed by a force until it stops."""
    tree = json.loads((assets_dir() / "scenes/kitchen_001/scene_manifest.json").read_text())
    tree["objects"] = [o for o in tree["objects"] if o["id"] == name or "articulation" not in o]
    (tmp_path / "scene_manifest.json").write_text(json.dumps(tree))
    folder = tmp_path / "interactive" / f"obj_{name}"
    folder.mkdir(parents=True)
    for file, content in {f"{name}.urdf": urdf.encode(), **files}.items():
        (folder / file).write_bytes(content)
    env = new_env(
        "+scene=manifest", f"scene.manifest={tmp_path}/scene_manifest.json", f"policy={policy}", num_envs=1
    )
    task = env.task
    entity, model = task.roles["target"], env.simulator.compiled.model
    assert not any("no joint" in guess for guess in task.guesses)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    closed = data.body(f"{name}_handle").xpos.copy()
    np.testing.assert_allclose(closed, entity.handle_position, atol=1e-6)
    data.joint(f"{name}_joint").qfrc_applied[0] = 8.0
    mujoco.mj_step(model, data, nstep=round(6.0 / model.opt.timestep))
    assert data.joint(f"{name}_joint").qpos[0] == pytest.approx(entity.joint.upper, rel=0.02)
    opened = entity.to_scene(moved(entity, 1.0, entity.handle.center))
    np.testing.assert_allclose(data.body(f"{name}_handle").xpos, opened, atol=0.02)
    assert (opened - closed) @ to > 0.15
