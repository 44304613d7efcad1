from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from blueprint_tune.config import paths
from blueprint_tune.config.compose import compose, inspect
from blueprint_tune.config.tree import load
from blueprint_tune.errors import ConfigError

SCENE = "+scene=kitchen_001"
SHIPPED = [(group, name) for group in paths.GROUPS if group != "scene" for name in paths.group_options(group)]
FITTING = {
    ("robot", "ur10"): ["policy=drawer_manipulation"],
    ("policy", "pallet_handling"): ["robot=fetch", "robot.base=planar"],
    ("storage", "gcs"): ["storage.root=gs://bucket/prefix"],
    ("storage", "s3"): ["storage.root=s3://bucket/prefix"],
    ("backend", "isaaclab_task"): ["~scene", "backend.task=Mine-Reach-v0"],
}
"""What must be chosen with a file that does not go with the defaults; ``~scene``: no scene goes with it."""


def problems(*overrides: str, config_dir: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        compose(overrides, config_dir)
    return str(caught.value)


@pytest.mark.parametrize(("group", "name"), SHIPPED)
def test_every_shipped_file_composes(group: str, name: str) -> None:
    words = [SCENE, f"{group}={name}", *FITTING.get((group, name), ())]
    config = compose([word for word in words if "~scene" not in words or word not in (SCENE, "~scene")])
    chosen = getattr(config, group)
    if group not in ("storage", "logger"):
        assert (chosen if isinstance(chosen, str) else chosen.name) == name


def test_readme_command_composes_a_search() -> None:
    config = compose([SCENE, "sweep=asha"])
    assert config.searchspace == "ppo_core"
    assert config.sweep.scheduler is not None
    assert config.sweep.scheduler["time_attr"] == "env_steps"
    assert config.sweep.scheduler["max_t"] == config.budget.env_steps == config.policy.budget.full
    assert config.sweep.scheduler["grace_period"] == round(0.25 * config.budget.env_steps)
    assert config.sweep.num_samples == config.budget.trials > 1


def test_no_sweep_is_one_trial_without_a_search_space() -> None:
    config = compose([SCENE])
    assert (config.sweep.num_samples, config.searchspace, config.sweep.scheduler) == (1, None, None)


def test_a_searchspace_of_the_command_line_replaces_the_sweeps_own() -> None:
    config = compose([SCENE, "sweep=asha", "searchspace=[ppo_core,network]"])
    assert config.searchspace == ["ppo_core", "network"]


@pytest.mark.parametrize("preset", ["smoke", "quick", "benchmark"])
def test_small_presets_choose_the_lean_agent_and_the_command_line_wins(preset: str) -> None:
    assert compose([SCENE, f"preset={preset}"]).agent.name == "ppo_cpu"
    assert compose([SCENE, "agent=ppo", f"preset={preset}"]).agent.name == "ppo"


def test_smoke_is_small_but_keeps_the_benchmarks_seeds() -> None:
    smoke = compose([SCENE, "preset=smoke"])
    assert smoke.evaluation.seeds == [42, 123, 456, 789, 1024]
    assert smoke.evaluation.episodes_per_seed > 1
    assert smoke.budget.env_steps <= 8192


def test_values_of_the_command_line_win_over_preset_scene_and_sweep() -> None:
    config = compose(
        [SCENE, "preset=smoke", "sweep=asha", "backend.num_envs=64", "sweep.num_samples=3", "scene.up_axis=z"]
    )
    assert (config.backend.num_envs, config.sweep.num_samples, config.scene.up_axis) == (64, 3, "z")


def test_upstreams_control_period_holds_in_every_manipulation_profile() -> None:
    for name in paths.group_options("physics"):
        physics = compose([SCENE, f"physics={name}"]).physics
        assert physics.dt_s * physics.substeps == pytest.approx(0.033 if name == "vision_only" else 0.016)


def own_policy(folder: Path, name: str, *edits: tuple[str, str]) -> None:
    """A policy file that stands alone: a shipped one with what it is based on."""
    tree = load([SCENE, "policy=drawer_manipulation"]).tree
    text = yaml.safe_dump(tree["policy"], sort_keys=False)
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    (folder / "policy" / f"{name}.yaml").write_text(text)


def test_a_policy_may_ask_for_its_physics_and_others_overrule_it(user_conf: Path) -> None:
    wish = "defaults:\n  - override /physics@_global_.physics: manipulation_contact_rich\nname: "
    own_policy(user_conf, "mine", ("name: ", wish))
    asked = compose([SCENE, "policy=mine"], user_conf)
    told = compose([SCENE, "policy=mine", "physics=navigation"], user_conf)
    assert (asked.physics.name, told.physics.name) == ("manipulation_contact_rich", "navigation")


def test_a_scene_overrides_groups_and_the_command_line_overrules_it(user_conf: Path) -> None:
    text = (paths.conf_dir() / "scene" / "kitchen_001.yaml").read_text()
    (user_conf / "scene").mkdir()
    (user_conf / "scene" / "lab.yaml").write_text(
        text.replace("override /policy: dish_loading", "override /policy: drawer_manipulation").replace(
            "override /robot: franka", "override /physics: deformable"
        )
    )
    of_scene = compose(["+scene=lab"], user_conf)
    told = compose(["+scene=lab", "policy=dexterous_pick_place", "physics=navigation"], user_conf)
    assert (of_scene.policy.name, of_scene.physics.name) == ("drawer_manipulation", "deformable")
    assert (told.policy.name, told.physics.name) == ("dexterous_pick_place", "navigation")


def test_user_folders_by_environment_and_by_argument(
    user_conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_policy(user_conf, "mine", ("episode_s: 4.0", "episode_s: 7.5"))
    assert "Did you mean" in problems(SCENE, "policy=mne", config_dir=user_conf)
    assert compose([SCENE, "policy=mine"], user_conf).policy.episode_s == 7.5
    monkeypatch.setenv(paths.CONF_ENV, str(user_conf))
    assert compose([SCENE, "policy=mine"]).policy.episode_s == 7.5


def test_a_mistake_in_a_file_names_the_file(user_conf: Path) -> None:
    own_policy(
        user_conf, "mine", ("episode_s: 4.0", "episode_s: -1"), ("action_repeat: 3", "acton_repeat: 3")
    )
    text = problems(SCENE, "policy=mine", config_dir=user_conf)
    file = user_conf / "policy" / "mine.yaml"
    assert f"{file}: policy.episode_s=-1 should be greater than 0." in text
    assert f"{file}: policy.acton_repeat: there is no such setting. Did you mean 'action_repeat'?" in text
    assert f"{file}: policy.action_repeat is missing; give it a value." in text


def test_a_file_that_is_no_yaml_gets_a_sentence(user_conf: Path) -> None:
    (user_conf / "policy" / "broken.yaml").write_text("name: [1,\nfoo: }")
    text = problems(SCENE, "policy=broken", config_dir=user_conf)
    assert "broken.yaml" in text


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "nowhere") in problems(SCENE, config_dir=tmp_path / "nowhere")


def test_the_problems_of_overrides_schema_and_rules_come_together() -> None:
    text = problems(
        "+scene=kitchn_001",
        "policy=drawer_manipulaton",
        "agent.learning_rte=1",
        "+bogus.key=1",
        "physics.dt_s=-0.1",
    )
    assert text.startswith("5 problems")
    for part in (
        "+scene=kitchn_001: there is no scene 'kitchn_001'. Did you mean 'kitchen_001'?",
        "policy=drawer_manipulaton: there is no policy 'drawer_manipulaton'. "
        "Did you mean 'drawer_manipulation'?",
        "agent.learning_rte=1: there is no such setting. Did you mean 'agent.learning_rate'?",
        "bogus: there is no such setting.",
        "physics.dt_s=-0.1 should be greater than 0.",
    ):
        assert part in text


def test_a_problem_stands_alone_in_its_message() -> None:
    assert problems(SCENE, "agent.learning_rate=-1") == "agent.learning_rate=-1 should be greater than 0."


def test_search_space_problems_come_with_the_others() -> None:
    text = problems(SCENE, "sweep=asha", "searchspace=ppo_cor")
    assert text == "searchspace=ppo_cor: there is no such search space. Did you mean 'ppo_core'?"


def test_inspect_returns_what_compose_raises() -> None:
    config, found = inspect([SCENE, "seed=x"])
    assert (config, found) == (None, ["seed=x should be a valid integer."])


def test_the_published_id_of_a_manifest_is_its_own(tmp_path: Path) -> None:
    manifest = tmp_path / "scene_manifest.json"
    manifest.write_text(json.dumps({"scene_id": "../lab 7"}))
    given = f"scene.manifest={manifest}"
    assert compose(["+scene=manifest", given]).scene.id == "lab_7"
    assert compose(["+scene=manifest", given, "scene.id=mine"]).scene.id == "mine"
    manifest.write_text("no json")
    assert compose(["+scene=manifest", given]).scene.id == "manifest"
