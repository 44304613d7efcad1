from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from blueprint_tune.config.policy_schema import RoleConfig
from blueprint_tune.config.schema import RobotConfig
from blueprint_tune.errors import TaskPackageError
from blueprint_tune.tasks.overlaps import deep_overlaps
from blueprint_tune.tasks.roles import Casting, bindings, candidates, grasp_width, open_radius
from blueprint_tune.tasks.scene import Scene

Json = dict[str, Any]
MOVES = "manipulable_object"
GRASP = {"affordances": ["Graspable"]}


@pytest.fixture
def cast(robot: RobotConfig) -> Callable[..., Casting]:
    """cast(scene, **role) -> the casting of role 'target' of policy 'pick'."""

    def _cast(scene: Scene, role: str = "target", gripper: bool = True, **asked: Any) -> Casting:
        config = RoleConfig(**({"kind": "rigid"} | asked))
        return Casting(
            scene, deep_overlaps(scene.entities), "pick", role, config, robot.hand if gripper else None
        )

    return _cast


@pytest.fixture
def shelf_of(read_objects: Callable[..., Scene], obj: Callable[..., Json]) -> Callable[..., Scene]:
    """shelf_of(*(id, category, size, more)) -> a scene with these things a metre apart on one long table."""

    def _shelf(*things: tuple[str, str, tuple[float, float, float], Json]) -> Scene:
        table = obj("table", "table", (0, 0, 0.4), (40, 1, 0.8))
        items = [
            obj(name, category, (i - 5.0, 0, 0.8 + size[2] / 2), size, **({"role": MOVES} | more))
            for i, (name, category, size, more) in enumerate(things)
        ]
        return read_objects(table, *items)

    return _shelf


SMALL = (0.05, 0.05, 0.06)


def test_told_beats_untold_and_boxes_beat_cylinders(
    shelf_of: Callable[..., Scene], cast: Callable[..., Casting]
) -> None:
    scene = shelf_of(("a_box", "box", SMALL, {}), ("can", "can", SMALL, GRASP), ("tin", "tin", SMALL, GRASP))
    found = [entity.id for entity in candidates(cast(scene, graspable=True))]
    assert found == ["tin", "can", "a_box"]


def test_names_break_ties(shelf_of: Callable[..., Scene], cast: Callable[..., Casting]) -> None:
    scene = shelf_of(("tin_2", "tin", SMALL, GRASP), ("tin_1", "tin", SMALL, GRASP))
    assert [entity.id for entity in candidates(cast(scene))] == ["tin_1", "tin_2"]


def test_the_open_is_better_than_a_crowd(
    read_objects: Callable[..., Scene], obj: Callable[..., Json], cast: Callable[..., Casting]
) -> None:
    table = obj("table", "table", (0, 0, 0.4), (4, 1, 0.8))
    crowded = obj("a", "tin", (0, 0, 0.83), SMALL, MOVES, **GRASP)
    kettle = obj("kettle", "kettle", (0.2, 0, 0.9), (0.2, 0.2, 0.2))
    free = obj("b", "tin", (1.5, 0, 0.83), SMALL, MOVES, **GRASP)
    scene = read_objects(table, crowded, kettle, free)
    assert [entity.id for entity in candidates(cast(scene))] == ["b", "a"]
    assert open_radius(scene, scene.by_id["a"]) == pytest.approx(0.1)


def test_slender_things_come_last(shelf_of: Callable[..., Scene], cast: Callable[..., Casting]) -> None:
    scene = shelf_of(("a_tall", "carton", (0.05, 0.05, 0.3), GRASP), ("b", "carton", SMALL, GRASP))
    assert candidates(cast(scene))[0].id == "b"


@pytest.mark.parametrize(
    ("thing", "asked", "reason"),
    [
        (
            ("x", "box", (0.2, 0.2, 0.2), GRASP),
            {"graspable": True},
            "'x' (is 20.0 cm wide where it is narrowest, the gripper takes 7.2)",
        ),
        (("x", "box", SMALL, {"role": "static"}), {}, "'x' (is static, not something to move)"),
        (("x", "box", SMALL, {"mass": 9.0}), {}, "'x' (weighs 9 kg, more than 5)"),
        (("x", "box", SMALL, {}), {"affordances": ["graspable"]}, "'x' (is not graspable)"),
        (("x", "box", SMALL, {}), {"categories": ["mug", "plate"]}, "'x' (is a box, not one of mug, plate)"),
        (("x", "box", SMALL, {}), {"graspable": True, "gripper": False}, "the robot has no gripper"),
        (("x", "box", SMALL, {}), {"kind": "articulated"}, "'x' (has no joint)"),
        (("x", "box", SMALL, {}), {"kind": "region"}, "'x' (is a box, into or onto which nothing is put)"),
    ],
)
def test_a_role_nobody_fits_names_who_comes_near_and_why_not(
    shelf_of: Callable[..., Scene], cast: Callable[..., Casting], thing: Any, asked: Json, reason: str
) -> None:
    with pytest.raises(TaskPackageError) as caught:
        candidates(cast(shelf_of(thing), **asked))
    message = str(caught.value)
    assert "test: policy 'pick' needs a role 'target'" in message
    assert "of 2 entities none fits" in message
    assert reason in message


def test_a_drawer_is_wanted_and_only_a_fridge_is_there(
    read: Callable[..., Scene], kitchenette: Callable[[], Json], cast: Callable[..., Casting]
) -> None:
    tree = kitchenette()
    tree["objects"] = [item for item in tree["objects"] if item["id"] != "drawer_1"]
    with pytest.raises(
        TaskPackageError, match=r"with a prismatic joint; of 4 entities .* 'fridge' \(is revolute\)"
    ):
        candidates(cast(read(tree), kind="articulated", joint="prismatic"))


def test_buttons_are_not_drawers_unless_asked_for(
    read_objects: Callable[..., Scene], obj: Callable[..., Json], cast: Callable[..., Casting]
) -> None:
    scene = read_objects(obj("b", "button", (0, 0, 1), (0.03, 0.02, 0.03), "articulated_appliance"))
    with pytest.raises(TaskPackageError, match="has no handle"):
        candidates(cast(scene, kind="articulated", joint="prismatic"))
    assert candidates(cast(scene, kind="articulated", categories=["Button"]))[0].id == "b"


def test_the_handle_nearest_to_working_height_is_taken(
    read_objects: Callable[..., Scene], obj: Callable[..., Json], cast: Callable[..., Casting]
) -> None:
    size = (0.45, 0.4, 0.16)
    stack = [
        obj(f"d{i}", "drawer", (0, 0, z), size, "articulated_furniture")
        for i, z in enumerate((0.1, 0.4, 0.78))
    ]
    found = candidates(cast(read_objects(*stack), kind="articulated"))
    assert [entity.id for entity in found] == ["d2", "d1", "d0"]


def test_what_is_inside_or_overlaps_cannot_be_carried(
    read_objects: Callable[..., Scene], obj: Callable[..., Json], cast: Callable[..., Casting]
) -> None:
    fridge = obj("fridge", "fridge", (0, 0, 0.9), (0.7, 0.7, 1.8))
    milk = obj("milk", "carton", (0, 0, 1.0), (0.07, 0.07, 0.2), MOVES)
    one = obj("one", "tin", (3, 0, 0.03), SMALL, MOVES)
    other = obj("other", "tin", (3.01, 0, 0.03), SMALL, MOVES)
    with pytest.raises(
        TaskPackageError, match="'milk' \\(lies inside 'fridge'\\), 'one' \\(overlaps 'other' by 4 cm\\)"
    ):
        candidates(cast(read_objects(fridge, milk, one, other)))


def test_an_entity_named_by_the_user_is_taken_or_refused(
    shelf_of: Callable[..., Scene], cast: Callable[..., Casting]
) -> None:
    scene = shelf_of(("tea tin", "tin", SMALL, {}), ("tin", "tin", SMALL, GRASP))
    assert candidates(cast(scene, entity="tea_tin"))[0].id == "tea_tin"
    assert candidates(cast(scene, entity="tea tin"))[0].id == "tea_tin"
    with pytest.raises(
        TaskPackageError, match="policy.roles.target.entity is 'tea_tim'.*Did you mean 'tea_tin'"
    ):
        candidates(cast(scene, entity="tea_tim"))
    with pytest.raises(TaskPackageError, match="cannot play role 'target' of kind rigid: it is static"):
        candidates(cast(scene, entity="table"))


def test_roles_are_played_by_different_entities(
    shelf_of: Callable[..., Scene], cast: Callable[..., Casting]
) -> None:
    scene = shelf_of(
        ("tin_1", "tin", SMALL, GRASP), ("tin_2", "tin", SMALL, GRASP), ("bin", "bin", (0.3, 0.3, 0.3), {})
    )
    castings = [cast(scene, "a"), cast(scene, "b"), cast(scene, "into", kind="region", categories=["bin"])]
    first, second, *_ = bindings(castings)
    assert {role: entity.id for role, entity in first.items()} == {"a": "tin_1", "b": "tin_2", "into": "bin"}
    assert second["a"].id == "tin_2"


def test_too_few_entities_for_the_roles(shelf_of: Callable[..., Scene], cast: Callable[..., Casting]) -> None:
    scene = shelf_of(("tin_1", "tin", SMALL, GRASP))
    with pytest.raises(TaskPackageError, match="a different entity for each of its roles a, b"):
        bindings([cast(scene, "a"), cast(scene, "b")])


def test_no_roles_bind_to_nothing() -> None:
    assert bindings([]) == [{}]


def test_grasp_width_of_a_lying_thing(read_objects: Callable[..., Scene], obj: Callable[..., Json]) -> None:
    lying = {"rotation_quaternion": {"w": 0.7071068, "x": 0.7071068, "y": 0.0, "z": 0.0}}
    scene = read_objects(obj("b", "bottle", (0, 0, 0.04), (0.07, 0.09, 0.26), MOVES, **lying))
    assert grasp_width(scene.entities[0]) == pytest.approx(0.07)
    standing = read_objects(obj("b", "bottle", (0, 0, 0.13), (0.3, 0.06, 0.26), MOVES))
    assert grasp_width(standing.entities[0]) == pytest.approx(0.06)
