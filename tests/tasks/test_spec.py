from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blueprint_tune.config.compose import compose
from blueprint_tune.config.policy_schema import RoleConfig
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import ManifestError, TaskPackageError
from blueprint_tune.tasks.spec import bind, bind_task, catalog, manifest_path

Json = dict[str, Any]


@pytest.fixture(scope="module")
def configs() -> dict[str, ExperimentConfig]:
    """The shipped kitchen with each policy that ships."""
    names = ("dexterous_pick_place", "drawer_manipulation")
    return {name: compose(["+scene=kitchen_001", f"policy={name}", "preset=smoke"]) for name in names}


@pytest.fixture
def pick(configs: dict[str, ExperimentConfig]) -> ExperimentConfig:
    return configs["dexterous_pick_place"]


@pytest.fixture
def at(tmp_path: Path, pick: ExperimentConfig) -> Callable[..., ExperimentConfig]:
    """at(tree, **scene) -> the pick-and-place experiment on a manifest given as a dictionary."""

    def _at(tree: Json, **scene: Any) -> ExperimentConfig:
        path = tmp_path / "scene_manifest.json"
        path.write_text(json.dumps(tree))
        return replace(pick, scene=replace(pick.scene, manifest=str(path), **scene))

    return _at


def test_the_kitchen_binds_for_picking(pick: ExperimentConfig) -> None:
    task = bind_task(pick)
    tin = task.roles["target"]
    assert tin.id == "tea_tin_001"
    assert [entity.id for entity in task.free] == ["tea_tin_001"]
    assert task.robot_base[2] == pytest.approx(0.9)
    assert 0.45 <= np.hypot(*(tin.position[:2] - task.robot_base[:2])) <= 0.6
    assert len(task.static) <= 8
    assert len(task.pruned) > 40
    everyone = [e.id for group in (task.free, task.jointed, task.static, task.pruned) for e in group]
    assert sorted(everyone) == sorted(e.id for e in task.scene.entities)
    assert np.all(task.workspace[0] < tin.bounds[0])
    assert np.all(task.workspace[1] > tin.bounds[1])


def test_the_kitchen_binds_for_opening_a_drawer(configs: dict[str, ExperimentConfig]) -> None:
    task = bind_task(configs["drawer_manipulation"])
    drawer = task.roles["target"]
    assert drawer.id == "drawer_001"
    assert task.jointed == (drawer,)
    assert (drawer.joint.lower, drawer.joint.upper) == (0.0, 0.3)
    assert task.guesses == ("drawer_001: no handle is described; a bar of 0.16 m on its front is assumed.",)
    assert "'spoon_001' lies inside 'drawer_001' and is not simulated." in task.notes


def test_names_for_terms(configs: dict[str, ExperimentConfig]) -> None:
    picked = catalog(bind_task(configs["dexterous_pick_place"]))
    assert picked.frames == ("robot/ee", "target")
    assert picked.bodies["target"] == ("tea_tin_001",)
    assert picked.bodies["robot/gripper"] == ("panda_leftfinger", "panda_rightfinger")
    assert picked.command_positions == ("goal",)
    opened = catalog(bind_task(configs["drawer_manipulation"]))
    assert opened.frames == ("robot/ee", "target", "target/handle")
    assert opened.joints[-1] == "target/joint"
    assert opened.joints[:7] == tuple(f"panda_joint{i}" for i in range(1, 8))
    assert opened.bodies["target/handle"] == ("drawer_001_handle",)
    assert (opened.commands, opened.command_positions) == (("opening",), ())


def test_a_joint_of_the_arm_that_slides_is_told_in_metres() -> None:
    words = ["+scene=kitchen_001", "policy=dexterous_pick_place", "preset=smoke", "robot=fetch"]
    units = catalog(bind_task(compose([*words, "robot.base=planar"]))).joint_units
    sliding = ("torso_lift_joint", "base_x_joint", "base_y_joint", "r_gripper_finger_joint")
    assert all(units[name] == "m" for name in sliding)
    assert units["base_yaw_joint"] == units["shoulder_pan_joint"] == units["wrist_roll_joint"] == "rad"


def test_a_manifest_of_one_mug_in_the_air_binds_with_guesses(
    at: Callable[..., ExperimentConfig], obj: Callable[..., Json]
) -> None:
    mug = obj(
        "mug_0", "mug", (0.1, 0.2, 0.8), (0.07, 0.07, 0.1), "manipulable_object", affordances=["Graspable"]
    )
    task = bind_task(
        at({"scene_id": "s", "scene": {"coordinate_frame": "y_up", "meters_per_unit": 1}, "objects": [mug]})
    )
    assert task.scene.up_axis == "z"
    assert [entity.id for entity in task.static] == ["mug_0_surface"]
    assert any("a surface at 0.75 m is assumed" in guess for guess in task.guesses)


def test_guesses_are_only_those_the_physics_rests_on(
    at: Callable[..., ExperimentConfig], kitchenette: Callable[[], Json]
) -> None:
    tree = kitchenette()
    del tree["objects"][1]["physics"], tree["objects"][4]["dimensions_est"]
    task = bind_task(at(tree))
    assert task.roles["target"].id == "box"
    assert [guess.split(":")[0] for guess in task.guesses] == ["box", "box"]
    assert any(note.startswith("fridge: no width") for note in task.notes)


def test_a_given_base_and_a_given_entity_are_respected(
    at: Callable[..., ExperimentConfig], kitchenette: Callable[[], Json]
) -> None:
    cfg = at(kitchenette(), robot_base=[-0.5, -0.6, 0.75, 1.5])
    role = replace(cfg.policy.roles["target"], entity="mug", graspable=False)
    task = bind_task(replace(cfg, policy=replace(cfg.policy, roles={"target": role})))
    assert task.roles["target"].id == "mug"
    assert task.robot_base == (-0.5, -0.6, 0.75, 1.5)
    assert any("as scene.robot_base says" in note for note in task.notes)


def test_the_next_candidate_is_taken_where_the_best_cannot_be_reached(
    at: Callable[..., ExperimentConfig], kitchenette: Callable[[], Json], obj: Callable[..., Json]
) -> None:
    tree = kitchenette()
    tree["objects"][0]["dimensions_est"] = {"width": 6.0, "depth": 6.0, "height": 0.75}
    tree["objects"].append(obj("stand", "stool", (10, 0, 0.3), (0.3, 0.3, 0.6)))
    cup = obj(
        "zcup", "cup", (10, 0, 0.65), (0.06, 0.06, 0.1), "manipulable_object", affordances=["Graspable"]
    )
    tree["objects"].append(cup)
    assert bind_task(at(tree)).roles["target"].id == "zcup"


def test_a_support_inside_something_else_is_refused(
    at: Callable[..., ExperimentConfig], kitchenette: Callable[[], Json], obj: Callable[..., Json]
) -> None:
    tree = kitchenette()
    tree["objects"][0] = obj("slab", "slab", (0, 0, 0.375), (1.6, 0.8, 0.75))
    tree["objects"].append(obj("crate", "package", (0.6, 0, 0.5), (0.4, 0.4, 0.5)))
    with pytest.raises(TaskPackageError, match="'slab' and 'crate' overlap by 40 cm") as caught:
        bind_task(at(tree))
    assert "(role 'target') stands on 'slab'" in str(caught.value)


def test_entities_called_like_the_robot_are_refused(
    at: Callable[..., ExperimentConfig], kitchenette: Callable[[], Json]
) -> None:
    tree = kitchenette()
    tree["objects"][2]["id"] = "panda_hand"
    with pytest.raises(TaskPackageError, match="'panda_hand' is called like a part of robot 'franka'"):
        bind_task(at(tree))


def test_no_entity_for_a_role_is_a_sentence(
    configs: dict[str, ExperimentConfig], at: Callable[..., ExperimentConfig], kitchenette: Callable[[], Json]
) -> None:
    tree = kitchenette()
    del tree["objects"][3]
    cfg = replace(configs["drawer_manipulation"], scene=at(tree).scene)
    with pytest.raises(
        TaskPackageError,
        match="kitchenette: policy 'drawer_manipulation' needs a role 'target' with a prismatic joint",
    ):
        bind_task(cfg)


def test_several_roles_are_bound_together(
    pick: ExperimentConfig,
    at: Callable[..., ExperimentConfig],
    kitchenette: Callable[[], Json],
    obj: Callable[..., Json],
) -> None:
    tree = kitchenette()
    tree["objects"].append(obj("tray", "tray", (-0.1, -0.15, 0.77), (0.3, 0.3, 0.04)))
    roles = {
        "target": RoleConfig(kind="rigid", graspable=True),
        "into": RoleConfig(kind="region", categories=["tray", "bin"]),
    }
    cfg = at(tree)
    task = bind_task(replace(cfg, policy=replace(cfg.policy, roles=roles)))
    assert [entity.id for entity in task.roles.values()] == ["box", "tray"]
    assert "tray" in [entity.id for entity in task.static]
    assert catalog(task).frames == ("robot/ee", "target", "into")


def test_scenes_that_do_not_ship_are_named(pick: ExperimentConfig) -> None:
    with pytest.raises(ManifestError, match="scene 'kitchn_001' does not ship.*Did you mean 'kitchen_001'"):
        manifest_path(replace(pick.scene, id="kitchn_001"))
    with pytest.raises(ManifestError, match="does not ship"):
        manifest_path(replace(pick.scene, id="../scenes/kitchen_001"))
    assert manifest_path(replace(pick.scene, manifest="x.json")) == Path("x.json")


def test_an_insisted_axis_reaches_the_reader(
    at: Callable[..., ExperimentConfig], kitchenette: Callable[[], Json]
) -> None:
    assert bind_task(at(kitchenette(), up_axis="y")).scene.up_axis == "y"
    assert bind_task(at(kitchenette(), up_axis="auto")).scene.up_axis == "z"


def test_bind_takes_a_scene_that_is_already_read(pick: ExperimentConfig) -> None:
    task = bind_task(pick)
    again = bind(task.scene, pick)
    assert again.robot_base == task.robot_base
    assert again.roles == task.roles


def test_binding_needs_no_torch() -> None:
    code = (
        "import sys, blueprint_tune.tasks.spec; sys.exit('torch' in sys.modules or 'mujoco' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
