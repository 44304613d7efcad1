from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from blueprint_tune.tasks.layout import Layout, in_reach, lay_out
from blueprint_tune.tasks.overlaps import deep_overlaps
from blueprint_tune.tasks.scene import Scene

Json = dict[str, Any]
MOVES = "manipulable_object"
TIN = (0.05, 0.05, 0.06)
BASE = (0.0, -0.65, 0.8, np.pi / 2)
REACH = 0.855


def sort_out(scene: Scene, **roles: str) -> Layout:
    cast = {role: scene.by_id[name] for role, name in roles.items()}
    kinds = {
        role: "rigid" if entity.movable else "articulated" if entity.joint else "region"
        for role, entity in cast.items()
    }
    return lay_out(scene, cast, kinds, deep_overlaps(scene.entities), BASE, REACH)


def names(layout: Layout) -> dict[str, list[str]]:
    return {key: [e.id for e in getattr(layout, key)] for key in ("free", "jointed", "static", "pruned")}


def test_every_entity_has_one_place(read_objects: Callable[..., Scene], obj: Callable[..., Json]) -> None:
    told = {"type": "prismatic", "axis": "-y", "limits": {"lower": 0, "upper": 0.3}}
    scene = read_objects(
        obj("floor", "floor", (0, 0, -0.01), (9, 9, 0.02), "scene_shell"),
        obj("table", "table", (0, 0, 0.4), (1.6, 0.8, 0.8)),
        obj("near", "tin", (0.15, 0, 0.83), TIN, MOVES),
        obj("target", "tin", (0, 0, 0.83), TIN, MOVES),
        obj("beyond", "tin", (0.4, 0, 0.83), TIN, MOVES),
        obj("fridge", "fridge", (4, 0, 0.9), (0.7, 0.7, 1.8)),
        obj(
            "drawer", "drawer", (0.5, -0.2, 0.7), (0.4, 0.4, 0.1), "articulated_furniture", articulation=told
        ),
    )
    found = names(sort_out(scene, target="target", other="drawer"))
    assert found == {
        "free": ["target", "near"],
        "jointed": ["drawer"],
        "static": ["table", "beyond"],
        "pruned": ["floor_2", "fridge"],
    }


def test_contents_are_drawn_at_most(read_objects: Callable[..., Scene], obj: Callable[..., Json]) -> None:
    scene = read_objects(
        obj("fridge", "fridge", (0, 0, 0.9), (0.7, 0.7, 1.8)),
        obj("milk", "carton", (0, 0, 1.0), (0.07, 0.07, 0.2), MOVES),
        obj("target", "tin", (0, -0.5, 0.03), TIN, MOVES),
    )
    layout = sort_out(scene, target="target")
    assert names(layout)["pruned"] == ["milk"]
    assert layout.notes == ["'milk' lies inside 'fridge' and is not simulated."]


def test_overlapping_clutter_stays_where_it_is(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    scene = read_objects(
        obj("target", "tin", (0, 0, 0.83), TIN, MOVES),
        obj("a", "tin", (0.15, 0, 0.83), TIN, MOVES),
        obj("b", "tin", (0.16, 0, 0.83), TIN, MOVES),
        obj("table", "table", (0, 0, 0.4), (1.6, 0.8, 0.8)),
    )
    layout = sort_out(scene, target="target")
    assert names(layout)["free"] == ["target"]
    assert layout.notes == ["'a' and 'b' overlap by 4 cm; they stay as they are."]


def test_a_region_is_a_collider_even_out_of_reach(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    scene = read_objects(
        obj("t", "tin", (0, 0, 0.03), TIN, MOVES), obj("bin", "bin", (3, 0, 0.2), (0.3, 0.3, 0.4))
    )
    assert names(sort_out(scene, target="t", into="bin"))["static"] == ["bin"]


def test_a_surface_is_made_up_under_what_hangs_in_the_air(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    scene = read_objects(obj("mug", "mug", (0.1, 0.2, 0.8), (0.08, 0.08, 0.1), MOVES))
    layout = sort_out(scene, target="mug")
    (surface,) = layout.static
    assert surface.id == "mug_surface"
    assert surface.top == pytest.approx(scene.entities[0].bottom)
    assert not surface.movable
    assert layout.guesses == ["mug: nothing is under it; a surface at 0.75 m is assumed."]


@pytest.mark.parametrize(
    ("position", "size", "expected"),
    [
        ((0.9, -0.65, 0.8), 0.2, True),
        ((1.2, -0.65, 0.8), 0.2, False),
        ((0.0, -0.65, 2.0), 0.2, True),
        ((0.0, -0.65, 2.3), 0.2, False),
        ((0.0, -0.65, -0.3), 0.2, False),
        ((0.0, -0.65, 0.0), 0.2, True),
    ],
)
def test_reach_is_measured_from_the_robot_s_axis(
    read_objects: Callable[..., Scene], obj: Callable[..., Json], position: Any, size: float, expected: bool
) -> None:
    (entity,) = read_objects(obj("a", "box", position, (size, size, size))).entities
    assert in_reach(entity, BASE, REACH) is expected
