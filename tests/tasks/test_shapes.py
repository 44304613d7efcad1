"""Shapes fill the boxes of their entities, and are hollow where their regions say so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from blueprint_tune.tasks.classes import CLASSES, Shape
from blueprint_tune.tasks.geometry import Floats, quat_matrix
from blueprint_tune.tasks.primitives import Part
from blueprint_tune.tasks.regions import region
from blueprint_tune.tasks.scene import Entity, Interior
from blueprint_tune.tasks.shapes import hull, parts

Make = Callable[..., Entity]
LEVEL = np.array([1.0, 0.0, 0.0, 0.0])


@pytest.fixture
def make() -> Make:
    """make(shape, size, **fields) -> an entity in the origin."""

    def _make(shape: Shape, size: Sequence[float], **fields: object) -> Entity:
        entity = Entity(
            id="it",
            source_id="it",
            category=shape,
            labels=frozenset(),
            sim_role="static",
            affordances=frozenset(),
            position=np.zeros(3),
            quat=LEVEL,
            size=np.array(size),
            shape=shape,
            mass_kg=0.3,
            friction=0.6,
            movable=True,
        )
        return replace(entity, **fields)

    return _make


def bounds(found: Sequence[Part]) -> tuple[Floats, Floats]:
    return np.min([p.bounds[0] for p in found], axis=0), np.max([p.bounds[1] for p in found], axis=0)


def covers(part: Part, point: Floats) -> bool:
    """Is a point of the entity's frame inside the part?"""
    x, y, z = quat_matrix(part.quat).T @ (point - part.center)
    if part.kind == "box":
        return bool((np.abs([x, y, z]) < part.size / 2).all())
    return bool(np.hypot(x, y) < part.size[0] / 2 and abs(z) < part.size[2] / 2)


@pytest.mark.parametrize("name", CLASSES)
def test_the_parts_of_every_class_reach_each_face_of_its_box(make: Make, name: str) -> None:
    known = CLASSES[name]
    entity = make(known.shape, known.size)
    if hull(entity).kind == "cylinder" and known.shape != "cup":
        entity = make(known.shape, [known.size[0], known.size[0], known.size[2]])
    for found in (parts(entity), (hull(entity),)):
        low, high = bounds(found)
        np.testing.assert_allclose(low, -entity.size / 2, atol=1e-9)
        np.testing.assert_allclose(high, entity.size / 2, atol=1e-9)
        assert all((part.size > 0).all() and part.volume > 0 for part in found)
    assert len(parts(entity)) <= 13, "every primitive costs physics time"


HOLLOW: list[tuple[Shape, tuple[float, float, float]]] = [
    ("bin", (0.3, 0.4, 0.25)),
    ("rack", (0.5, 0.48, 0.12)),
    ("cup", (0.085, 0.085, 0.1)),
    ("cup", (0.12, 0.085, 0.1)),
    ("cup", (0.085, 0.12, 0.1)),
    ("bowl", (0.16, 0.16, 0.07)),
    ("shelf", (0.9, 0.3, 1.8)),
    ("pallet", (1.2, 0.8, 0.14)),
    ("socket", (0.08, 0.08, 0.06)),
]


@pytest.mark.parametrize(("shape", "size"), HOLLOW)
def test_a_region_is_free_and_closed_but_where_it_opens(
    make: Make, shape: Shape, size: tuple[float, float, float]
) -> None:
    entity = make(shape, size)
    found, pieces = region(entity), parts(entity)
    assert found is not None
    rng = np.random.default_rng(0)
    inside = found.center + (rng.random((300, 3)) - 0.5) * found.size
    if shape in ("cup", "bowl"):  # round, and a bowl narrower at its foot
        away = np.hypot(*(inside - found.center)[:, :2].T)
        inside = inside[away < (0.5 if shape == "cup" else 0.3) * found.size[0]]
    assert not any(covers(part, point) for part in pieces for point in inside)
    floor = found.center - [0.0, 0.0, found.size[2] / 2 + 1e-4]
    assert any(covers(part, floor) for part in pieces), "something to lie on"


def test_a_shelf_is_open_at_the_front_alone(make: Make) -> None:
    entity = make("shelf", (0.9, 0.3, 1.8))
    found = region(entity)
    assert found is not None
    front, back = found.center.copy(), found.center.copy()
    front[1], back[1] = -0.149, 0.149
    assert not any(covers(part, front) for part in parts(entity))
    assert any(covers(part, back) for part in parts(entity))


def test_a_shelf_has_the_boards_it_is_said_to_have(make: Make) -> None:
    told = make("shelf", (0.9, 0.3, 1.5), interior=Interior(boards_m=(0.1, 0.7, 1.2)))
    tops = sorted(part.bounds[1][2] + 0.75 for part in parts(told)[3:])
    np.testing.assert_allclose(tops, [0.1, 0.7, 1.2])
    assert len(parts(make("shelf", (0.9, 0.3, 0.4)))) == 5, "one compartment"


def test_a_cup_has_a_handle_where_its_size_leaves_room(make: Make) -> None:
    assert len(parts(make("cup", (0.085, 0.085, 0.1)))) == 10
    for size, along in (((0.12, 0.085, 0.1), 0), ((0.085, 0.12, 0.1), 1)):
        mug = make("cup", size)
        bar = parts(mug)[10]
        assert bar.bounds[1][along] == pytest.approx(0.06)
        gap = np.zeros(3)
        gap[along] = 0.06 - bar.size[along] - 0.003
        assert not any(covers(part, gap) for part in parts(mug)), "a finger fits through"


@pytest.mark.parametrize("round_hole", [False, True])
def test_a_hole_is_as_wide_as_it_is_said_to_be(make: Make, round_hole: bool) -> None:
    interior = Interior(hole_width_m=0.032, hole_depth_m=0.04, hole_round=round_hole)
    pieces = parts(make("socket", (0.08, 0.06, 0.05), interior=interior))
    for angle in np.arange(8) * np.pi / 4:
        way = np.array([np.cos(angle), np.sin(angle), 0.0])
        assert not any(covers(part, 0.0159 * way) for part in pieces)
        assert any(covers(part, 0.0161 * way) for part in pieces) == (
            round_hole or angle % (np.pi / 2) < 1e-6
        )


def test_a_capsule_and_a_sphere_are_as_big_as_they_say() -> None:
    lying = np.array([np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0])
    capsule = Part("capsule", np.ones(3), np.array([0.2, 0.2, 0.6]), lying)
    np.testing.assert_allclose(capsule.bounds[1] - 1, [0.3, 0.1, 0.1])
    assert capsule.volume == pytest.approx(np.pi * 0.01 * 0.4 + 4 / 3 * np.pi * 0.001)
    sphere = Part("sphere", np.zeros(3), np.full(3, 0.2), lying)
    np.testing.assert_allclose(sphere.bounds[1], 0.1)
    assert sphere.volume == pytest.approx(4 / 3 * np.pi * 0.001)
