from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from blueprint_tune.config.schema import RobotConfig
from blueprint_tune.errors import TaskPackageError
from blueprint_tune.tasks.obstacles import Obstacles
from blueprint_tune.tasks.placement import HIGHEST_M, check_given, goals, place
from blueprint_tune.tasks.scene import Scene

Json = dict[str, Any]
MOVES = "manipulable_object"
TIN = (0.05, 0.05, 0.06)
LIMITS = {"lower": 0.0, "upper": 0.3}
DRAWER = {
    "role": "articulated_furniture",
    "articulation": {"type": "prismatic", "axis": "-y", "limits": LIMITS},
}


@pytest.fixture
def on_table(read_objects: Callable[..., Scene], obj: Callable[..., Json]) -> Callable[..., Scene]:
    """on_table(*others) -> a table at the origin with a tin near its -y edge, and other objects."""

    def _scene(*others: Json) -> Scene:
        table = obj("table", "table", (0, 0, 0.4), (1.6, 0.8, 0.8))
        return read_objects(table, obj("tin", "tin", (0, -0.1, 0.83), TIN, MOVES), *others)

    return _scene


def test_beside_the_table_level_with_its_top_facing_the_tin(
    on_table: Callable[..., Scene], robot: RobotConfig
) -> None:
    scene = on_table()
    x, y, z, yaw = place(scene, {"target": scene.by_id["tin"]}, robot)
    assert z == pytest.approx(0.8)
    assert y < -0.4 - robot.base_radius_m
    assert 0.45 <= np.hypot(x, y + 0.1) <= 0.66
    np.testing.assert_allclose(
        [np.cos(yaw), np.sin(yaw)], -np.array([x, y + 0.1]) / np.hypot(x, y + 0.1), atol=1e-9
    )


def test_a_robot_on_wheels_stands_on_the_floor_as_far_away_as_suits_it(
    on_table: Callable[..., Scene], robot: RobotConfig
) -> None:
    scene = on_table()
    tall = replace(robot, mount="floor", shoulder_m=1.05, work_m=0.75, base_radius_m=0.3)
    x, y, z, _ = place(scene, {"target": scene.by_id["tin"]}, tall)
    assert z == 0.0
    assert np.hypot(x, y + 0.1) == pytest.approx(0.75, abs=0.11)
    assert Obstacles(scene.entities, (), 0, 1.8).distance(np.array([[x, y]]))[0] >= 0.3


def test_a_lower_shoulder_is_put_higher(
    read_objects: Callable[..., Scene], obj: Callable[..., Json], robot: RobotConfig
) -> None:
    scene = read_objects(obj("drawer", "drawer", (1, 2, 0.8), (0.45, 0.4, 0.16), **DRAWER))
    heights = [
        place(scene, {"target": scene.by_id["drawer"]}, replace(robot, shoulder_m=s))[2] + s
        for s in (0.13, 0.33)
    ]
    assert heights[0] == pytest.approx(heights[1])


def test_the_same_scene_gives_the_same_base(on_table: Callable[..., Scene], robot: RobotConfig) -> None:
    bases = [place(scene, {"target": scene.by_id["tin"]}, robot) for scene in (on_table(), on_table())]
    assert bases[0] == bases[1]


def test_something_in_the_way_moves_the_base(
    on_table: Callable[..., Scene], obj: Callable[..., Json], robot: RobotConfig
) -> None:
    scene = on_table(obj("chair", "chair", (0, -0.7, 0.45), (0.5, 0.5, 0.9)))
    x, y, _, _ = place(scene, {"target": scene.by_id["tin"]}, robot)
    assert Obstacles(scene.entities, (), 0, 1.8).distance(np.array([[x, y]]))[0] >= robot.base_radius_m


def test_a_wall_is_not_reached_across(
    read_objects: Callable[..., Scene], obj: Callable[..., Json], robot: RobotConfig
) -> None:
    table = obj("table", "table", (0, 0, 0.4), (3.0, 2.0, 0.8))
    tin = obj("tin", "tin", (0, -0.9, 0.83), TIN, MOVES)
    wall = obj("wall", "wall", (0, -1.03, 1.0), (3.0, 0.02, 2.0), "scene_shell")
    assert place(read_objects(table, tin), {"target": read_objects(table, tin).by_id["tin"]}, robot)[1] < -1.1
    scene = read_objects(table, tin, wall)
    with pytest.raises(TaskPackageError, match="can stand nowhere") as caught:
        place(scene, {"target": scene.by_id["tin"]}, robot)
    message = str(caught.value)
    assert "role 'target' ('tin')" in message
    assert "m away" in message
    assert "scene.robot_base" in message


def test_the_room_itself_is_not_in_the_way(
    on_table: Callable[..., Scene], obj: Callable[..., Json], robot: RobotConfig
) -> None:
    scene = on_table(
        obj("room", "room", (0, 0, 1.25), (6, 6, 2.5), "scene_shell"),
        obj("rug", "rug", (0, -1, 0.005), (4, 2, 0.01)),
    )
    assert place(scene, {"target": scene.by_id["tin"]}, robot)[2] == pytest.approx(0.8)


def test_high_shelves_are_served_from_the_highest_pedestal(
    read_objects: Callable[..., Scene], obj: Callable[..., Json], robot: RobotConfig
) -> None:
    board = obj("board", "shelf", (0, 0, 1.5), (0.5, 0.5, 0.04))
    scene = read_objects(board, obj("tin", "tin", (0, 0, 1.55), TIN, MOVES))
    assert place(scene, {"target": scene.by_id["tin"]}, robot)[2] == HIGHEST_M


def test_drawers_are_faced_from_the_side_of_the_handle_clear_of_the_opening(
    read_objects: Callable[..., Scene], obj: Callable[..., Json], robot: RobotConfig
) -> None:
    scene = read_objects(obj("drawer", "drawer", (1, 2, 0.8), (0.45, 0.4, 0.16), **DRAWER))
    drawer = scene.by_id["drawer"]
    x, y, z, yaw = place(scene, {"target": drawer}, robot)
    assert yaw == pytest.approx(np.pi / 2)
    assert z == pytest.approx(0.35)
    assert abs(abs(x - 1) - 0.3) < 0.11
    opened = 2 - 0.2 - 0.3
    assert opened - y >= robot.base_radius_m
    assert (
        max(np.linalg.norm(p - (x, y, z + 0.33)) for p in goals({"target": drawer})[0].points)
        <= robot.reach_m
    )


def test_a_turned_drawer_is_faced_as_it_stands(
    read_objects: Callable[..., Scene], obj: Callable[..., Json], robot: RobotConfig
) -> None:
    quarter = {"rotation_quaternion": {"w": 0.70710678, "x": 0, "y": 0, "z": 0.70710678}}
    scene = read_objects(obj("drawer", "drawer", (0, 0, 0.8), (0.45, 0.4, 0.16), **DRAWER, **quarter))
    x, _, _, yaw = place(scene, {"target": scene.by_id["drawer"]}, robot)
    assert x > 0.5
    assert abs(np.cos(yaw)) == pytest.approx(1)


def test_a_low_handle_is_served_from_the_floor(
    read_objects: Callable[..., Scene], obj: Callable[..., Json], robot: RobotConfig
) -> None:
    scene = read_objects(obj("drawer", "drawer", (0, 0, 0.2), (0.45, 0.4, 0.16), **DRAWER))
    assert place(scene, {"target": scene.by_id["drawer"]}, robot)[2] == 0.0


def test_roles_too_far_apart_have_no_common_base(
    read_objects: Callable[..., Scene], obj: Callable[..., Json], robot: RobotConfig
) -> None:
    scene = read_objects(obj("a", "tin", (0, 0, 0.03), TIN, MOVES), obj("b", "tin", (4, 0, 0.03), TIN, MOVES))
    with pytest.raises(TaskPackageError, match="together with the other roles"):
        place(scene, {"one": scene.by_id["a"], "two": scene.by_id["b"]}, robot)


def test_a_given_base_is_checked(on_table: Callable[..., Scene], robot: RobotConfig) -> None:
    scene = on_table()
    roles = {"target": scene.by_id["tin"]}
    assert check_given(scene, roles, robot, [0, -0.65, 0.8, 1.57]) == (0, -0.65, 0.8, 1.57)
    with pytest.raises(TaskPackageError, match=r"within 0.15 m of an entity"):
        check_given(scene, roles, robot, [0, -0.45, 0.4, 0])
    with pytest.raises(TaskPackageError, match=r"role 'target' \('tin'\) is .* it reaches 0.855 m"):
        check_given(scene, roles, robot, [0, -2.0, 0.8, 0])


def test_a_base_may_stand_on_the_table_it_works_on(
    on_table: Callable[..., Scene], robot: RobotConfig
) -> None:
    scene = on_table()
    assert check_given(scene, {"target": scene.by_id["tin"]}, robot, [-0.5, -0.1, 0.8, 0.0])[2] == 0.8
