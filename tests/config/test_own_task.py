"""Backends whose tasks bring their own environment: what composes, what does not, what identifies them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from blueprint_tune.config.compose import compose, to_dict
from blueprint_tune.config.identity import input_hash, task_digest
from blueprint_tune.config.own_task import read_signal
from blueprint_tune.errors import ConfigError

TASK = ("backend=isaaclab_task", "backend.task=Isaac-Lift-Cube-Franka-v0")


def test_one_word_and_a_name_make_an_experiment() -> None:
    cfg = compose(TASK)
    assert cfg.scene.id == "Isaac-Lift-Cube-Franka-v0" and cfg.scene.manifest is None
    assert (cfg.policy.name, cfg.robot.name, cfg.physics.name) == ("external",) * 3
    assert cfg.sweep.resources.gpus == 1 and cfg.backend.device == "cuda:0"
    assert cfg.backend.success == "termination:success"
    named = compose([*TASK, "policy.name=lift_cube", "robot.name=franka", "scene.id=table"])
    assert (named.scene.id, named.policy.name, named.robot.name) == ("table", "lift_cube", "franka")


def test_a_namespace_is_no_part_of_the_scenes_id() -> None:
    assert compose([TASK[0], 'backend.task="mine:Isaac Reach/v0"']).scene.id == "Isaac_Reach_v0"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([TASK[0]], "no task is named. Give backend.task="),
        ([*TASK, "policy=dish_loading"], "policy 'dish_loading' does not apply"),
        ([*TASK, "+scene=kitchen_001"], r"does not apply. Leave policy=… and \+scene=… out"),
        ([*TASK, "+scene=manifest", "scene.manifest=x.json"], "the scene is the task's own"),
        (
            [*TASK, "backend.success=often"],
            "success=often: which episodes succeed. Give termination:<",
        ),
        ([*TASK, "backend.success=return:much"], "backend.success=return:much: which episodes"),
        ([*TASK, "backend.success=return:nan"], "backend.success=return:nan: which episodes"),
        ([*TASK, "backend.success=return:-inf"], "backend.success=return:-inf: which episodes"),
        ([*TASK, "backend.success=null"], "which episodes succeed. Give termination:<"),
        (
            [*TASK, "sweep.metric=train/return"],
            "Use one of eval/success_rate, .*, eval/return",
        ),
        (["+scene=kitchen_001", "sweep.metric=eval/return"], "'eval/return' cannot compare trials"),
        (["+scene=kitchen_001", "policy=_external"], "stands for the task of another backend"),
        (
            [*TASK, "sweep=random", "searchspace=randomization"],
            "what is rewarded, seen and randomised is",
        ),
        (["+scene=kitchen_001", "backend.task=A"], "backend.task"),
    ],
)
def test_what_does_not_go_with_a_task_of_its_own_is_said(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        compose(words)


def test_without_a_scene_the_usual_message_stays() -> None:
    with pytest.raises(ConfigError, match=r"No scene is given. Add one to the command"):
        compose(["policy=dish_loading"])


def test_settings_of_learning_are_searched_as_ever() -> None:
    words = ["sweep=random", "searchspace=ppo_core", "sweep.metric=eval/return", "backend.success=return:60"]
    assert compose([*TASK, *words]).sweep.metrics == ("eval/return",)


def test_signals_are_read_with_whatever_their_names_hold() -> None:
    assert read_signal("extras:log/Metrics/reached: 1").name == "log/Metrics/reached: 1"
    assert read_signal("return:-3.5").at_least == -3.5
    assert "earns 60 or more" in read_signal("return:60").sentence
    for wrong in ("", "success", "termination:", "reward:x", "return:"):
        with pytest.raises(ValueError):  # noqa: PT011  its text is whoever's that asks
            read_signal(wrong)


def digests(*words: str) -> tuple[str, str]:
    cfg: Any = compose([*TASK, *words])
    return input_hash(cfg, "digest"), task_digest(to_dict(cfg), "digest")


def test_what_is_asked_is_told_apart_and_where_it_runs_is_not() -> None:
    question, task = digests()
    assert digests("backend.cameras=true", "backend.start_timeout_s=60") == (question, task)
    for words in ("backend.success=return:60", "backend.action_scale=2", "backend.num_envs=1024"):
        other = digests(words)
        assert other[0] != question and other[1] != task, words
    cfg = compose(TASK)
    there = replace(cfg, backend=replace(cfg.backend, env_path="/somewhere/env_package"))
    assert input_hash(there, "digest") == question


def test_other_backends_keep_the_identity_they_had() -> None:
    tree = to_dict(compose(["+scene=kitchen_001", "policy=dexterous_pick_place"]))
    known = ("name", "num_envs", "num_threads", "ignores")
    before = {**tree, "backend": {key: tree["backend"][key] for key in known}}
    assert task_digest(tree, "digest") == task_digest(before, "digest")
