from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from blueprint_tune.config.schema import RobotConfig
from blueprint_tune.errors import TaskPackageError
from blueprint_tune.tasks.goals import goals
from blueprint_tune.tasks.obstacles import Obstacles
from blueprint_tune.tasks.placement import HIGHEST_M, check_given, place
from blueprint_tune.tasks.scene import Entity, Scene

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


@pytest.fixture
def at_shelf(read_objects: Callable[..., Scene], obj: Callable[..., Json]) -> Callable[..., Scene]:
    """at_shelf(*others) -> a shelf whose front is at y = -0.2, before it a tin on a cart, and others."""

    def _scene(*others: Json) -> Scene:
        return read_objects(
            obj("shelf", "shelf", (0, 0, 0.95), (1.2, 0.4, 1.9)),
            obj("cart", "cart", (0, -0.42, 0.4), (0.4, 0.4, 0.8)),
            obj("tin", "tin", (0, -0.32, 0.83), TIN, MOVES),
            *others,
        )

    return _scene


def _stocking(scene: Scene) -> dict[str, Entity]:
    return {"target": scene.by_id["tin"], "receptacle": scene.by_id["shelf"]}


def test_shelves_are_faced_from_beside_what_stands_before_them(
    at_shelf: Callable[..., Scene], robot: RobotConfig
) -> None:
    scene = at_shelf()
    x, y, _, yaw = place(scene, _stocking(scene), robot)
    assert yaw == pytest.approx(np.pi / 2)
    assert abs(abs(x) - 0.2) < 0.06
    assert y <= -0.62 - robot.base_radius_m


def test_shelves_are_looked_at_aslant_where_no_base_before_them_serves(
    at_shelf: Callable[..., Scene], obj: Callable[..., Json], robot: RobotConfig
) -> None:
    scene = at_shelf(obj("freezer", "freezer", (0, -1.02, 0.45), (1.2, 0.8, 0.9)))
    x, y, _, yaw = place(scene, _stocking(scene), robot)
    looks = np.mean([goal.points[0, :2] for goal in goals(_stocking(scene))], axis=0) - (x, y)
    assert yaw == pytest.approx(np.arctan2(looks[1], looks[0]))
    assert abs(yaw - np.pi / 2) > 0.2


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
    with pytest.raises(TaskPackageError, match="all roles together; each alone is in reach") as caught:
        place(scene, {"one": scene.by_id["a"], "two": scene.by_id["b"]}, robot)
    assert "role 'one' ('a') and role 'two' ('b'), 4.00 m. " in str(caught.value)
    assert "policy.roles.two.entity" in str(caught.value)


def test_no_single_entity_is_asked_for_where_several_play_a_role(
    read_objects: Callable[..., Scene], obj: Callable[..., Json], robot: RobotConfig
) -> None:
    scene = read_objects(obj("a", "tin", (0, 0, 0.03), TIN, MOVES), obj("b", "tin", (4, 0, 0.03), TIN, MOVES))
    with pytest.raises(TaskPackageError, match="use another scene, or set scene.robot_base") as caught:
        place(scene, {"item_0": scene.by_id["a"], "item_1": scene.by_id["b"]}, robot)
    assert ".entity" not in str(caught.value)


def test_a_role_out_of_reach_is_named_with_its_distance(
    read_objects: Callable[..., Scene], obj: Callable[..., Json], robot: RobotConfig
) -> None:
    """The tin lies 1.3 m from the edges of a table 2.6 m wide: the nearest free floor is 1.45 m away."""
    table = obj("table", "table", (0, 0, 0.4), (2.6, 2.6, 0.8))
    scene = read_objects(
        table, obj("tin", "tin", (0, 0, 0.83), TIN, MOVES), obj("near", "tin", (1.2, 0, 0.83), TIN, MOVES)
    )
    with pytest.raises(
        TaskPackageError, match=r"role 'far' \('tin'\): from the nearest free place"
    ) as caught:
        place(scene, {"near": scene.by_id["near"], "far": scene.by_id["tin"]}, robot)
    away = float(str(caught.value).split("its shoulder is ")[1].split(" m away")[0])
    assert np.hypot(1.45, 0.3) <= away <= np.hypot(1.45, 0.3) + 0.1


@pytest.fixture
def driving(robot: RobotConfig) -> RobotConfig:
    """The robot on a base that stands on the floor and drives."""
    return replace(robot, mount="floor", base="planar", base_joints=["x", "y", "turn"])


@pytest.fixture
def staging(read_objects: Callable[..., Scene], obj: Callable[..., Json]) -> Callable[..., Scene]:
    """staging(*others) -> a loaded pallet at the origin, 60 x 40 cm, and a zone 2 m away along x."""

    def _scene(*others: Json) -> Scene:
        pallet = obj("pallet", "pallet", (0, 0, 0.06), (0.6, 0.4, 0.12), MOVES, mass=2.0)
        load = obj("load", "package", (0, 0, 0.22), (0.3, 0.3, 0.2), MOVES, mass=4.0)
        return read_objects(pallet, load, obj("zone", "zone", (2, 0, 0.005), (0.8, 0.8, 0.01)), *others)

    return _scene


def test_a_robot_that_drives_starts_behind_the_load_facing_its_destination(
    staging: Callable[..., Scene], driving: RobotConfig
) -> None:
    scene = staging()
    x, y, z, yaw = place(scene, {name: scene.by_id[name] for name in ("load", "pallet", "zone")}, driving)
    assert (y, z, yaw) == (pytest.approx(0), 0, pytest.approx(0))
    assert x == pytest.approx(-(0.3 + driving.work_m + 0.1))  # half the pallet, the hand, room before it


def test_it_starts_beside_that_line_when_something_stands_there(
    staging: Callable[..., Scene], obj: Callable[..., Json], driving: RobotConfig
) -> None:
    scene = staging(obj("post", "bollard", (-1.0, 0, 0.5), (0.15, 0.15, 1.0)))
    roles = {name: scene.by_id[name] for name in ("load", "pallet", "zone")}
    x, y, _, yaw = place(scene, roles, driving)
    others = [scene.by_id["post"]]
    assert Obstacles(others, (), 0, 1).distance(np.array([[x, y]]))[0] > driving.base_radius_m
    assert yaw == pytest.approx(np.arctan2(-y, -x))


def test_a_robot_that_stands_still_is_refused_there(
    staging: Callable[..., Scene], driving: RobotConfig
) -> None:
    scene = staging()
    roles = {name: scene.by_id[name] for name in ("load", "pallet", "zone")}
    with pytest.raises(TaskPackageError, match="Farthest apart"):
        place(scene, roles, replace(driving, base="held"))


def test_a_load_does_not_hide_what_it_stands_on(staging: Callable[..., Scene], robot: RobotConfig) -> None:
    scene = staging()
    assert place(scene, {"pallet": scene.by_id["pallet"]}, robot)[2] == 0.0


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
