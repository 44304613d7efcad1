from __future__ import annotations

from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from blueprint_tune.config import paths
from blueprint_tune.config.tree import load, no_scene, searchpath_overrides

SCENE = "+scene=kitchen_001"


def test_choices_and_usable_overrides_of_a_good_command() -> None:
    composed = load([SCENE, "sweep=asha", "seed=3"])
    assert composed.problems == []
    assert composed.usable == [SCENE, "sweep=asha", "seed=3"]
    assert (composed.choices["scene"], composed.choices["sweep"]) == ("kitchen_001", "asha")
    assert composed.tree["seed"] == 3
    assert "hydra" not in composed.tree


def test_interpolations_are_resolved_to_plain_values() -> None:
    tree = load([SCENE, "preset=quick", "policy.budget.quick=1000"]).tree
    assert tree["budget"]["env_steps"] == 1000
    assert isinstance(tree["budget"]["report_env_steps"], int)


def test_hyperband_counts_reports() -> None:
    sizes = ["budget.env_steps=1000", "budget.report_env_steps=300"]
    tree = load([SCENE, "preset=smoke", "sweep=hyperband", *sizes]).tree
    assert tree["sweep"]["scheduler"]["max_t"] == 5, "after the first update, at 300, 600, 900 and 1000"


def test_no_scene_lists_the_scenes_and_says_nothing_else_about_it() -> None:
    composed = load(["sweep=asha"])
    assert composed.problems == [no_scene(paths.group_options("scene"))]
    assert "scene" in composed.silent
    assert composed.tree["sweep"]["name"] == "asha"


def test_a_wrong_scene_is_reported_once() -> None:
    (problem,) = load(["+scene=kitchn_001", "scene.up_axis=z"]).problems
    assert "Did you mean 'kitchen_001'?" in problem


def test_a_value_that_must_be_given_is_asked_for() -> None:
    composed = load(["+scene=manifest"])
    assert "scene.manifest has no value yet; add scene.manifest=… to the command." in composed.problems
    assert "manifest" not in composed.tree["scene"]


def test_an_incomplete_experiment_can_be_shown() -> None:
    assert load([], complete=False).problems == []
    assert load(["+scene=manifest"], complete=False).problems == []
    assert len(load(["agent.learning_rte=1", "sed=2"], complete=False).problems) == 2


def test_a_dangling_interpolation_names_both_ends() -> None:
    composed = load([SCENE, "seed=${policy.sed}"])
    (problem,) = composed.problems
    assert problem.startswith("seed: ")
    assert "policy.sed" in problem
    assert composed.silent == ["seed"]


def test_a_share_of_no_number_is_left_to_the_schema() -> None:
    composed = load([SCENE, "preset=quick", "policy.budget.quick=many"])
    assert composed.problems == []
    assert composed.tree["budget"]["report_env_steps"] == "many"


@pytest.mark.parametrize("name", ["plain", "with space", "comma,and[bracket]", "quote'd"])
def test_user_folders_reach_hydra_whatever_their_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    (folder / "storage").mkdir(parents=True)
    (folder / "storage" / "mine.yaml").write_text("kind: local\nroot: elsewhere\n")
    composed = load([SCENE, "storage=mine"], folder)
    assert composed.problems == []
    assert composed.tree["storage"]["root"] == "elsewhere"
    assert searchpath_overrides([]) == []


def test_composing_inside_a_hydra_application_leaves_it_alone() -> None:
    before = GlobalHydra.instance().hydra
    with initialize_config_dir(str(paths.conf_dir()), version_base="1.3"):
        application = GlobalHydra.instance().hydra
        assert load([SCENE]).problems == []
        assert load(["+scene=kitchn_001"]).problems != []
        assert GlobalHydra.instance().hydra is application
    assert GlobalHydra.instance().hydra is before
