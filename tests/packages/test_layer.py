"""A package as a layer of settings, composed as a user would."""

import json
import shutil

import pytest
import yaml

from blueprint_tune.config.compose import compose, inspect
from blueprint_tune.config.identity import input_hash
from blueprint_tune.config.paths import assets_dir, conf_dir
from blueprint_tune.config.train_cfg import TABLE
from blueprint_tune.errors import ConfigError
from blueprint_tune.packages.knowledge import TEMPLATE
from blueprint_tune.tasks.spec import bind_task

KITCHEN = assets_dir() / "scenes/kitchen_001/scene_manifest.json"


@pytest.fixture
def composed(package):
    """composed(words=(…), **changes) -> the experiment of a package with the kitchen's manifest beside it."""

    def make(*words, policy="drawer_manipulation", manifest=True, train=None, **changes):
        folder = package(policy, **changes)
        if manifest:
            (folder.parent / "assets").mkdir(exist_ok=True)
            shutil.copy(KITCHEN, folder.parent / "assets")
        if train:
            file = folder / "train_cfg.yaml"
            tree = yaml.safe_load(file.read_text())
            for key, value in train.items():
                section, name = key.split(".")
                tree[section][name] = value
            file.write_text(yaml.safe_dump(tree))
        return compose(["+scene=package", f"scene.package={folder}", *words])

    return make


def test_a_package_chooses_scene_policy_robot_and_settings(composed):
    cfg = composed()
    assert (cfg.policy.name, cfg.robot.name, cfg.scene.id) == ("drawer_manipulation", "franka", "kitchen_001")
    assert cfg.scene.manifest.endswith("scenes/drawer_manipulation/assets/scene_manifest.json")
    agent = cfg.agent
    assert (
        agent.policy_hidden_dims == agent.value_hidden_dims == [256, 256, 128] and agent.activation == "elu"
    )
    assert (agent.learning_rate, agent.learning_rate_schedule) == (3e-4, "kl_adaptive")
    assert (agent.ratio_clip, agent.entropy_loss_scale, agent.desired_kl) == (0.2, 0.01, 0.01)
    assert (agent.discount_factor, agent.gae_lambda, agent.initial_std) == (0.99, 0.95, 1.0)
    assert (agent.learning_epochs, agent.mini_batches) == (5, 4)
    assert cfg.backend.num_envs == 1024 and cfg.policy.episode_s == pytest.approx(500 * 0.016)
    assert cfg.budget.env_steps == 1500 * 24 * 1024, "max_iterations updates of agent.rollouts env steps"
    assert cfg.budget.report_env_steps == round(0.02 * cfg.budget.env_steps)
    assert cfg.budget.checkpoint_every_reports == 3, "each 100 updates, where a report is 30"


def test_the_rollout_that_fills_the_memory_is_replaced_and_told(composed):
    cfg = composed()
    assert cfg.agent.rollouts == 24
    assert any("500 steps of 1024 environments, 512,000 env steps" in text for text in cfg.scene.adaptations)
    assert composed(train={"algo.rollout_steps": 32}).agent.rollouts == 32


def test_the_command_line_wins(composed):
    cfg = composed(
        "agent.learning_rate=1e-3",
        "policy=articulated_access",
        "robot=fetch",
        "backend.num_envs=64",
        "scene.id=mine",
    )
    assert (cfg.agent.learning_rate, cfg.policy.name, cfg.robot.name) == (1e-3, "articulated_access", "fetch")
    assert (cfg.backend.num_envs, cfg.scene.id) == (64, "mine")
    assert cfg.budget.env_steps == 1500 * 24 * 64, "the updates stay"


def test_a_named_preset_keeps_sizes_and_what_upstream_gives_everything_steps_back(composed, config):
    plain = config("policy=drawer_manipulation")
    quick = compose(["+scene=kitchen_001", "policy=drawer_manipulation", "preset=quick"])
    cfg = composed("preset=quick")
    assert (cfg.agent, cfg.budget, cfg.backend, cfg.policy) == (
        quick.agent,
        quick.budget,
        quick.backend,
        quick.policy,
    )
    assert cfg.policy.rewards == plain.policy.rewards
    assert any("as preset=… was given" in text for text in cfg.scene.adaptations)


def test_what_somebody_changed_in_train_cfg_counts_under_a_preset_too(composed):
    cfg = composed("preset=quick", train={"algo.gamma": 0.98, "env.num_envs": 64, "runner.max_iterations": 7})
    assert cfg.agent.discount_factor == 0.98 and cfg.agent.gae_lambda == 0.95
    assert cfg.backend.num_envs == 128 and cfg.budget.env_steps == cfg.policy.budget.quick
    assert any("num_envs 64 steps back" in text for text in cfg.scene.adaptations)


def test_a_named_agent_keeps_all_of_its_file(composed):
    cfg = composed("agent=ppo_cpu", train={"algo.gamma": 0.9})
    assert cfg.agent.discount_factor == 0.97 and cfg.agent.policy_hidden_dims == [128, 128]
    assert any("gamma 0.9 steps back" in text for text in cfg.scene.adaptations)


def test_weights_scale_the_policy_files_own_and_penalties_keep_their_sign(composed):
    weights = {"joint_progress": 3.0, "handle_grasp": 0.0, "smooth_motion": -2.0, "action_jerk_penalty": 0.02}
    own = yaml.safe_load((conf_dir() / "policy/_handle.yaml").read_text())["rewards"]
    rewards = composed(weights=weights).policy.rewards
    assert rewards["joint_progress"]["weight"] == 3 * own["joint_progress"]["weight"]
    assert rewards["handle_grasp"]["weight"] == 0
    assert rewards["smooth_motion"]["weight"] == pytest.approx(-2 * 0.005), "a double negative is the penalty"
    assert rewards["action_jerk_penalty"]["weight"] == pytest.approx(-0.02)
    assert rewards["reach_handle"]["weight"] == own["reach_handle"]["weight"]


def test_every_change_of_a_weight_is_told(composed):
    cfg = composed(
        "policy.rewards.handle_grasp.weight=9",
        weights={"joint_progress": 3.0, "handle_grasp": 5.0, "fold": 1.0},
    )
    said = "\n".join(cfg.scene.adaptations)
    assert "'joint_progress' has weight 3, 3 x upstream's usual one: it counts 15 here" in said
    assert "'fold' has no counterpart in policy 'drawer_manipulation'" in said
    assert cfg.policy.rewards["handle_grasp"]["weight"] == 9 and "'handle_grasp'" not in said


@pytest.mark.parametrize(
    ("word", "weight"),
    [
        ("policy.rewards.joint_progress={weight:1.25}", 1.25),
        ("policy.rewards.joint_progress.weight=1.25", 1.25),
        ("policy.rewards={joint_progress:{weight:1.25}}", 1.25),
        ("policy=drawer_manipulation", 15.0),
    ],
)
def test_a_reward_typed_as_a_mapping_wins_as_one_typed_by_its_key(composed, word, weight):
    cfg = composed(word, weights={"joint_progress": 3.0})
    assert cfg.policy.rewards["joint_progress"]["weight"] == weight


def test_adaptations_stand_in_the_record_and_among_the_tasks_notes(composed):
    cfg = composed("preset=smoke")
    task = bind_task(cfg)
    assert cfg.scene.adaptations and set(cfg.scene.adaptations) <= set(task.notes)


@pytest.mark.parametrize(
    ("policy", "robot", "expected"),
    [
        ("pallet_handling", "franka", ("pallet_handling", "fetch", "planar", "parallel")),
        ("dish_loading", "ur10", ("dish_loading", "ur10", "held", "parallel")),
        ("drawer_manipulation", "ur10e", ("drawer_manipulation", "ur10", "held", "none")),
        ("pick_place", "panda", ("dexterous_pick_place", "franka", "held", "parallel")),
        ("manipulation", "fetch", ("general_manipulation", "fetch", "held", "parallel")),
    ],
)
def test_policy_and_robot_are_made_to_fit_and_it_is_told(composed, policy, robot, expected):
    cfg = composed("preset=smoke", policy=policy, robot=robot)
    assert (cfg.policy.name, cfg.robot.name, cfg.robot.base, cfg.robot.gripper) == expected
    assert any(robot in text or policy in text for text in cfg.scene.adaptations)


def test_an_unusual_physics_step_is_taken_over(composed):
    assert composed(dt=0.005, substeps=3).physics.dt_s == 0.005
    assert composed(dt=0.004, substeps=4).physics.dt_s == 0.008, (
        "a profile's: the policy file chooses the profile"
    )


def test_the_digest_of_the_package_is_part_of_the_question(composed):
    def question(train=None):
        cfg = composed("preset=smoke", train=train)
        return input_hash(cfg, bind_task(cfg).scene.digest)

    assert question() == question() != question(train={"runner.log_interval": 11})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train": {"algo.learning_rate": "fast"}}, "train_cfg.yaml:"),
        ({"train": {"algo.gamma": 1.5}}, "train_cfg.yaml:"),
        ({"train": {"env.num_envs": 0}}, "expected a whole number"),
        ({"train": {"algo.lr_schedule": "cosine"}}, "expected one of adaptive"),
        ({"policy": "juggling"}, "none of upstream's|unknown|add policy="),
        ({"robot": "tiago"}, "add robot="),
        ({"objects": ("mug-1",), "target": "mug-1"}, "env_cfg.py:"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(composed, changes, said):
    with pytest.raises(ConfigError, match=said):
        composed(**changes)


def test_a_word_settles_an_unknown_policy_or_robot(composed):
    assert composed("policy=dish_loading", policy="juggling").policy.name == "dish_loading"
    assert composed("robot=franka", robot="tiago").robot.name == "franka"


def test_numbers_that_yaml_takes_for_text_are_numbers(package):
    folder = package(edit={"train_cfg.yaml": ("learning_rate: 3.0e-4", "learning_rate: 5e-4")})
    assert compose(["+scene=package", f"scene.package={folder}"]).agent.learning_rate == 5e-4


@pytest.mark.parametrize("place", ["", "/no/such/package", "ftp://host/package", "gs://x"])
def test_a_package_that_is_not_there_is_one_sentence(place):
    _, problems = inspect(["+scene=package", f"scene.package={place}"])
    assert len(problems) == 1 and problems[0].endswith((".", "command."))


def test_no_package_at_all_is_asked_for():
    _, problems = inspect(["+scene=package"])
    assert problems == ["scene.package has no value yet; add scene.package=… to the command."]


def test_every_key_of_the_template_has_a_counterpart():
    assert set(TEMPLATE) == set(TABLE)


def test_a_path_with_spaces_and_quotes_is_read(package, tmp_path):
    odd = tmp_path / "it's a 'package', really=yes" / "isaac_lab"
    shutil.copytree(package(), odd)
    (odd.parent / "assets").mkdir()
    shutil.copy(KITCHEN, odd.parent / "assets")
    word = "scene.package=" + json.dumps(str(odd))
    assert compose(["+scene=package", word]).scene.manifest == str(odd.parent / "assets/scene_manifest.json")
