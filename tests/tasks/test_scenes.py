"""Every shipped scene: full, sensible, read without leniency, good for each policy of its environment."""

from __future__ import annotations

import json
from functools import lru_cache

import numpy as np
import pytest
import torch
import yaml

from blueprint_tune.config.compose import compose
from blueprint_tune.config.paths import assets_dir, conf_dir
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.factory import check_task, make_env
from blueprint_tune.tasks.geometry import half_extents
from blueprint_tune.tasks.goals import goals
from blueprint_tune.tasks.manifest import read_manifest
from blueprint_tune.tasks.obstacles import Obstacles
from blueprint_tune.tasks.overlaps import deep_overlaps, inside, support, top_below
from blueprint_tune.tasks.scene import Scene

DEFAULT_POLICIES: dict[str, list[str]] = yaml.safe_load((conf_dir() / "environments.yaml").read_text())

SCENES = {
    path.parent.name: read_manifest(path)
    for path in sorted((assets_dir() / "scenes").glob("*/scene_manifest.json"))
}
PAIRS = [(id, policy) for id, scene in SCENES.items() for policy in DEFAULT_POLICIES[scene.environment]]
INTENDED = {"base_cabinet_002: no joint limits are given; 0 to 90 degrees is assumed, as for a cabinet."}

ENVS, STEPS = 4, 50

each_scene = pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
each_pair = pytest.mark.parametrize(("id", "policy"), PAIRS)


@lru_cache
def experiment(id: str, policy: str) -> ExperimentConfig:
    """A policy in a scene, with the robot it needs."""
    robot = ["robot=fetch", "robot.base=planar"] if policy == "pallet_handling" else ["robot=franka"]
    return compose([f"+scene={id}", f"policy={policy}", *robot, "preset=smoke", f"backend.num_envs={ENVS}"])


def test_every_environment_has_a_scene() -> None:
    assert {scene.environment for scene in SCENES.values()} == set(DEFAULT_POLICIES)
    assert {f"{scene.environment}_001" for scene in SCENES.values()} == set(SCENES)


@each_scene
def test_it_trains_the_first_policy_of_its_environment_unless_told(scene: Scene) -> None:
    cfg = compose([f"+scene={scene.id}", "preset=smoke"])
    assert cfg.scene.id == scene.id
    assert cfg.policy.name == DEFAULT_POLICIES[scene.environment][0]


@each_scene
def test_it_needs_no_leniency_and_few_guesses(scene: Scene) -> None:
    guesses = {guess.text for guess in scene.guesses}
    unexpected = {text for text in guesses if "no handle is described" not in text} - INTENDED
    assert unexpected == set()
    assert [note for note in scene.notes if note not in guesses] == ["z is up, as the manifest says."]


@each_scene
def test_it_is_full_and_inside_its_room(scene: Scene) -> None:
    assert len(scene.entities) >= 20
    with open(scene.path) as file:
        room = json.load(file)["scene"]["room"]["bounds"]
    for entity in scene.entities:
        half = half_extents(entity.rotation, entity.size)
        farthest = np.abs(entity.position) + half - (0.12, 0.12, 0.0)
        assert farthest[0] <= room["width"] / 2, entity.id
        assert farthest[1] <= room["depth"] / 2, entity.id
        assert entity.bottom >= -0.03 and entity.top <= room["height"] + 1e-9, entity.id


@each_scene
def test_nothing_is_where_it_cannot_be(scene: Scene) -> None:
    assert [str(overlap) for overlap in deep_overlaps(scene.entities) if not overlap.expected] == []


@each_scene
def test_everything_that_can_be_carried_stands_on_something(scene: Scene) -> None:
    for entity in scene.entities:
        if entity.movable and inside(entity, scene.entities) is None:
            below = top_below(entity, scene.entities)
            assert below is not None, entity.id
            assert abs(entity.bottom - below) < 0.011, entity.id


@each_scene
def test_what_says_on_what_it_stands_or_in_what_it_lies_does(scene: Scene) -> None:
    with open(scene.path) as file:
        objects = json.load(file)["objects"]
    for said in (relation for item in objects for relation in item.get("relationships", [])):
        entity, other = (scene.by_id[said[key]] for key in ("subject_id", "object_id"))
        where = support if said["type"] == "on" else inside
        assert where(entity, [other]) is other, said


@each_pair
def test_it_serves_each_policy_of_its_environment(id: str, policy: str) -> None:
    task = check_task(experiment(id, policy))
    x, y, z, _ = task.robot_base
    others = [e for e in task.scene.entities if e.id not in {role.id for role in task.roles.values()}]
    clear = Obstacles(others, (), 0.0, z + task.robot.shoulder_m).distance(np.array([[x, y]]))[0]
    assert clear >= task.robot.base_radius_m
    if not task.robot.driven_base:
        reached = np.concatenate([goal.points for goal in goals(task.roles)])
        assert np.linalg.norm(reached - (x, y, z + task.robot.shoulder_m), axis=1).max() <= task.robot.reach_m


@each_pair
def test_random_actions_leave_every_number_finite(id: str, policy: str) -> None:
    env = make_env(experiment(id, policy), 1)
    try:
        observations = env.reset(np.full(ENVS, 5, dtype=np.int64), np.arange(ENVS))
        generator = torch.Generator().manual_seed(11)
        for _ in range(STEPS):
            assert torch.isfinite(observations).all()
            result = env.step(2 * torch.rand(ENVS, env.num_actions, generator=generator) - 1)
            assert torch.isfinite(result.rewards).all()
            observations = result.observations
    finally:
        env.close()
