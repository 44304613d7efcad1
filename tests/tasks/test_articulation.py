from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import numpy as np
import pytest

from blueprint_tune.errors import ManifestError
from blueprint_tune.tasks.obstacles import moved
from blueprint_tune.tasks.scene import Entity, Scene

Json = dict[str, Any]


@pytest.fixture
def entity(read_objects: Callable[..., Scene], obj: Callable[..., Json]) -> Callable[..., tuple[Entity, str]]:
    """entity(category, size, articulation, role) -> (the entity at (0, 0, 1), guesses about its motion)."""

    def _entity(
        category: str,
        size: tuple[float, float, float],
        articulation: Json | None = None,
        role: str = "articulated_furniture",
        **more: Any,
    ) -> tuple[Entity, str]:
        thing = obj("thing", category, (0, 0, 1.0), size, role, **more)
        if articulation is not None:
            thing["articulation"] = articulation
        scene = read_objects(thing)
        return scene.entities[0], "\n".join(guess.text for guess in scene.guesses if guess.about == "motion")

    return _entity


def opening(entity: Entity, fraction: float = 0.5) -> np.ndarray:
    """How far the middle of the handle moves, in the entity's frame, until a fraction of the range."""
    assert entity.handle is not None
    return moved(entity, fraction, entity.handle.center) - entity.handle.center


def test_a_described_drawer_needs_no_guess_but_its_handle(entity: Callable[..., Any]) -> None:
    limits = {"lower": 0.0, "upper": 0.25}
    drawer, guesses = entity(
        "drawer", (0.5, 0.4, 0.16), {"type": "prismatic", "axis": "-y", "limits": limits}
    )
    np.testing.assert_allclose(opening(drawer, 1.0), [0, -0.25, 0])
    np.testing.assert_allclose(drawer.handle.center, [0, -0.2 - 0.045, 0])
    assert drawer.joint.fixed == ()
    assert guesses == "thing: no handle is described; a bar of 0.17 m on its front is assumed."


def test_everything_missing_is_a_listed_guess(entity: Callable[..., Any]) -> None:
    drawer, guesses = entity("drawer", (0.5, 0.4, 0.16))
    np.testing.assert_allclose(opening(drawer, 1.0), [0, -0.28, 0])
    for expected in ("no joint type", "no joint axis", "no joint limits", "0 to 0.28 m", "no handle"):
        assert expected in guesses


@pytest.mark.parametrize("axis", ["y", "Y", " y "])
def test_an_unsigned_axis_opens_outwards(entity: Callable[..., Any], axis: str) -> None:
    drawer, _ = entity("drawer", (0.5, 0.4, 0.16), {"type": "prismatic", "axis": axis})
    assert opening(drawer)[1] < -0.1


@pytest.mark.parametrize("axis", ["-x", [-1, 0, 0], {"x": -3.0, "y": 0, "z": 0}])
def test_a_signed_axis_is_taken_as_it_is_and_carries_the_handle(
    entity: Callable[..., Any], axis: Any
) -> None:
    drawer, _ = entity("drawer", (0.5, 0.4, 0.16), {"type": "prismatic", "axis": axis})
    np.testing.assert_allclose(drawer.handle.outward, [-1, 0, 0])
    np.testing.assert_allclose(drawer.handle.center, [-0.295, 0, 0])
    np.testing.assert_allclose(np.abs(drawer.handle.along), [0, 1, 0])


@pytest.mark.parametrize(
    ("told", "hinge_x"),
    [
        ({"hinge": "left"}, -0.3),
        ({"hinge": "right"}, 0.3),
        ({"axis": "-z"}, -0.3),
        ({"axis": "+z"}, 0.3),
        ({"axis": "z"}, -0.3),
    ],
)
def test_doors_swing_out_about_the_told_edge(entity: Callable[..., Any], told: Json, hinge_x: float) -> None:
    door, guesses = entity("cabinet_door", (0.6, 0.02, 0.8), {"type": "revolute", **told})
    assert door.joint.anchor[0] == pytest.approx(hinge_x)
    assert opening(door)[1] < -0.1
    assert np.sign(door.handle.center[0]) == -np.sign(hinge_x)
    assert abs(door.handle.along[2]) == 1
    assert ("where its hinge is" in guesses) == (told == {"axis": "z"})


@pytest.mark.parametrize(
    ("told", "hinge_z"), [({}, -1), ({"hinge": "top"}, 1), ({"axis": "x"}, -1), ({"axis": "-x"}, 1)]
)
def test_flaps_fold_out_about_the_told_edge(entity: Callable[..., Any], told: Json, hinge_z: int) -> None:
    flap, _ = entity("dishwasher", (0.6, 0.6, 0.82), {"type": "revolute", **told}, "articulated_appliance")
    assert np.sign(flap.joint.anchor[2]) == hinge_z
    assert opening(flap)[1] < -0.1
    assert np.sign(flap.handle.center[2]) == -hinge_z


def test_of_an_appliance_only_the_front_moves(entity: Callable[..., Any]) -> None:
    fridge, _ = entity("fridge", (0.7, 0.6, 1.8), {"type": "revolute"}, "articulated_appliance")
    moving, (fixed,) = fridge.joint.moving, fridge.joint.fixed
    assert moving.size[1] + fixed.size[1] == pytest.approx(0.6)
    assert moving.center[1] - moving.size[1] / 2 == pytest.approx(-0.3)
    assert fixed.center[1] + fixed.size[1] / 2 == pytest.approx(0.3)
    assert fridge.moving_mass_kg == pytest.approx(fridge.mass_kg * 0.03 / 0.6)


def test_an_opening_panel_stays_clear_of_what_is_beside_it(entity: Callable[..., Any]) -> None:
    door, _ = entity(
        "fridge", (0.7, 0.6, 1.8), {"type": "revolute", "hinge": "left"}, "articulated_appliance"
    )
    box = door.joint.moving
    corners = [box.center + box.size / 2 * np.array([x, y, 0]) for x in (-1, 1) for y in (-1, 1)]
    for fraction in (0.25, 0.5, 0.75, 1.0):
        assert min(moved(door, fraction, corner)[0] for corner in corners) > -0.35 - 1e-9


def test_a_chest_lifts_its_lid(entity: Callable[..., Any]) -> None:
    chest, _ = entity("chest", (0.9, 0.45, 0.45))
    assert opening(chest)[2] > 0.1
    assert chest.joint.fixed[0].size[2] == pytest.approx(0.42)


def test_knobs_turn_and_buttons_go_in_and_have_no_handle(entity: Callable[..., Any]) -> None:
    knob, _ = entity("knob", (0.05, 0.03, 0.05))
    button, _ = entity("button", (0.03, 0.02, 0.03))
    np.testing.assert_allclose(knob.joint.axis, [0, -1, 0])
    np.testing.assert_allclose(button.joint.axis, [0, 1, 0])
    assert knob.handle is None
    assert button.handle is None
    assert (knob.joint.kind, button.joint.kind) == ("revolute", "prismatic")
    assert button.joint.upper == pytest.approx(0.01)


@pytest.mark.parametrize(
    "params",
    [
        {"Openable": {"joint_type": "prismatic", "open_distance": 0.2}},
        {"joint_type": "prismatic", "open_distance": 0.2},
    ],
)
def test_affordance_parameters_say_it_too(entity: Callable[..., Any], params: Json) -> None:
    semantics = {"class": "drawer", "affordances": ["Openable"], "affordance_params": params}
    drawer, _ = entity("drawer", (0.5, 0.4, 0.16), role="interactive", semantics=semantics)
    assert (drawer.joint.kind, drawer.joint.upper) == ("prismatic", 0.2)


def test_a_rotation_range_limits_a_knob(entity: Callable[..., Any]) -> None:
    params = {"Turnable": {"rotation_axis": "-y", "rotation_range": [0.5, 2.5]}}
    knob, _ = entity("knob", (0.05, 0.03, 0.05), semantics={"class": "knob", "affordance_params": params})
    assert (knob.joint.lower, knob.joint.upper) == (0.5, 2.5)


def test_degrees_are_recognised_and_said(entity: Callable[..., Any]) -> None:
    door, guesses = entity("door", (0.9, 0.04, 2.0), {"type": "hinge", "limits": {"lower": 0, "upper": 90}})
    assert door.joint.upper == pytest.approx(pi / 2)
    assert "taken as degrees" in guesses


def test_empty_limits_are_replaced(entity: Callable[..., Any]) -> None:
    door, guesses = entity("door", (0.9, 0.04, 2.0), {"type": "revolute", "limits": {"lower": 1, "upper": 1}})
    assert door.joint.range == pytest.approx(pi / 2)
    assert "limits of 1 to 1 are empty" in guesses


@pytest.mark.parametrize(
    ("role", "told"),
    [
        ("static", {}),
        ("static", {"required": False, "backend_hint": "none"}),
        ("articulated_furniture", {"type": "fixed"}),
    ],
)
def test_what_is_not_said_to_move_does_not(entity: Callable[..., Any], role: str, told: Json) -> None:
    drawer, _ = entity("drawer", (0.5, 0.4, 0.16), told, role)
    assert drawer.joint is None
    assert drawer.handle is None


def test_upstream_s_bare_requirement_takes_the_class_default(entity: Callable[..., Any]) -> None:
    fridge, guesses = entity(
        "fridge", (0.7, 0.6, 1.8), {"required": True, "backend_hint": "particulate_first"}, "interactive"
    )
    assert fridge.joint.kind == "revolute"
    assert "a fridge is assumed to be revolute" in guesses


def test_nothing_known_is_rigid(read_objects: Callable[..., Scene], obj: Callable[..., Json]) -> None:
    scene = read_objects(
        obj(
            "q",
            "quux",
            (0, 0, 1),
            (1, 1, 1),
            "articulated_furniture",
            articulation={"type": "wobbly", "axis": "q"},
        )
    )
    assert scene.entities[0].joint is None
    assert any("'wobbly' is not known" in note for note in scene.notes)
    assert any("taken as rigid" in note for note in scene.notes)


def test_a_described_handle_is_where_it_is_said(entity: Callable[..., Any]) -> None:
    told = {"type": "prismatic", "handle": {"position": {"x": 0.1, "y": -0.25, "z": 0.05}, "length": 0.12}}
    drawer, guesses = entity("drawer", (0.5, 0.4, 0.16), told)
    np.testing.assert_allclose(drawer.handle_position, [0.1, -0.25, 1.05])
    assert drawer.handle.length_m == 0.12
    assert "no handle" not in guesses


@pytest.mark.parametrize(
    ("handle", "message"),
    [
        ({"position": [0, -2, 0]}, "outside the part that moves"),
        ({"position": [0, -0.2, 0], "length": 9}, "handle.length is 9 m"),
    ],
)
def test_handles_elsewhere_are_refused(entity: Callable[..., Any], handle: Json, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        entity("drawer", (0.5, 0.4, 0.16), {"type": "prismatic", "handle": handle})
