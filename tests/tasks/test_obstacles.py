from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from blueprint_tune.tasks.obstacles import Obstacles, in_sight, is_solid, moved
from blueprint_tune.tasks.scene import Scene

Json = dict[str, Any]
EIGHTH = {
    "rotation_quaternion": {"w": float(np.cos(np.pi / 8)), "x": 0, "y": 0, "z": float(np.sin(np.pi / 8))}
}
LYING = {"rotation_quaternion": {"w": 0.70710678, "x": 0, "y": 0.70710678, "z": 0}}
LIMITS = {"lower": 0.0, "upper": 1.5707963}


def gap(obstacles: Obstacles, x: float, y: float) -> float:
    return float(obstacles.distance(np.array([[x, y]]))[0])


def test_nothing_is_infinitely_far() -> None:
    assert gap(Obstacles((), (), 0, 1), 0, 0) == np.inf


def test_distance_to_turned_and_lying_boxes(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    turned = read_objects(obj("a", "counter", (0, 0, 0.5), (2, 2, 1), **EIGHTH)).entities
    assert gap(Obstacles(turned, (), 0, 1), 2, 0) == pytest.approx(2 - np.sqrt(2))
    assert gap(Obstacles(turned, (), 0, 1), 1.0, 1.0) == pytest.approx(np.sqrt(2) - 1)
    assert gap(Obstacles(turned, (), 0, 1), 0.1, 0) == 0
    lying = read_objects(obj("a", "box", (0, 0, 0.5), (0.2, 0.2, 2), **LYING)).entities
    assert gap(Obstacles(lying, (), 0, 1), 1.5, 0) == pytest.approx(0.5)


def test_only_what_is_between_the_heights_counts(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    lamp = obj("lamp", "lamp", (0, 0, 2.2), (0.4, 0.4, 0.4))
    rug = obj("rug", "rug", (0, 0, 0.01), (4, 4, 0.02))
    entities = read_objects(lamp, rug).entities
    assert gap(Obstacles(entities, (), 0, 1.9), 0, 0) == np.inf
    assert gap(Obstacles(entities, (), 0, 2.1), 0, 0) == 0


def test_an_opening_door_needs_its_space(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    told = {"type": "revolute", "hinge": "left", "limits": LIMITS}
    door = obj("door", "cabinet_door", (0, 0, 1), (0.6, 0.02, 1), "articulated_furniture", articulation=told)
    entities = read_objects(door).entities
    assert gap(Obstacles(entities, (), 0, 2), -0.3, -0.5) > 0.4
    assert gap(Obstacles(entities, entities, 0, 2), -0.29, -0.5) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(
        moved(entities[0], 1.0, np.array([0.3, -0.01, 0])), [-0.3, -0.61, 0], atol=1e-6
    )


def test_shells_of_rooms_are_not_solid_and_walls_are(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    scene = read_objects(
        obj("room", "room", (0, 0, 1.25), (5, 5, 2.5), "scene_shell"),
        obj("wall", "wall", (0, 2.5, 1.25), (5, 0.1, 2.5), "scene_shell"),
        obj("crate", "tote", (0, 0, 0.5), (1, 1, 1)),
    )
    assert [is_solid(entity) for entity in scene.entities] == [False, True, True]


def test_sight_is_blocked_by_what_stands_between(
    read_objects: Callable[..., Scene], obj: Callable[..., Json]
) -> None:
    box = read_objects(obj("box", "box", (1, 0, 0.5), (0.2, 0.2, 1.0))).entities
    eyes = np.array([[0, 0, 0.5], [0, 0, 3.0], [0, 1, 0.5], [3, 0, 0.5]])
    assert in_sight(eyes, np.array([2.0, 0.0, 0.5]), box).tolist() == [False, True, True, True]
    assert in_sight(eyes, np.array([2.0, 0.0, 0.5]), []).all()
