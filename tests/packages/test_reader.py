import os
from pathlib import Path

import pytest

from blueprint_tune.errors import TaskPackageError
from blueprint_tune.packages.reader import read_package


@pytest.mark.parametrize("namespace", ["isaaclab", "omni.isaac.lab"])
@pytest.mark.parametrize("shape", ["real", "specified"])
def test_reads_both_namespaces_and_both_shapes(package, namespace, shape):
    found = read_package(
        package("dish_loading", namespace=namespace, shape=shape, objects=("mug_0", "rack_1"))
    )
    assert found.problems == []
    assert found.namespace == namespace and found.shape == shape
    assert (found.policy, found.robot, found.scene_id) == ("dish_loading", "franka", "kitchen_001")
    assert found.environment == "kitchen" and found.task_name == "kitchen_dish_loading"
    assert list(found.entities) == ["robot", "scene_root", "mug_0", "rack_1"]
    assert found.entities["rack_1"].value == "/World/Kitchen/Objects/rack_1"


def test_reads_terms_with_weights_lines_and_functions(package):
    found = read_package(package("drawer_manipulation"))
    assert {term.name: term.weight for term in found.rewards} == {
        "joint_progress": 1.0, "handle_grasp": 1.0, "smooth_motion": 1.0,
        "action_jerk_penalty": 0.01, "action_magnitude_penalty": 0.001,
    }  # fmt: skip
    progress = found.rewards[0]
    assert (progress.func, progress.how, progress.module) == (
        "reward_functions.reward_joint_progress", "name", "reward_functions.py",
    )  # fmt: skip
    lines = (found.path / "env_cfg.py").read_text().splitlines()
    assert "reward_joint_progress" in lines[progress.place.line - 1]
    assert [term.name for term in found.observations] == [
        "joint_pos",
        "ee_pos",
        "target_rel_pos",
        "gripper_width",
    ]
    assert found.observations[2].module == "env_cfg.py" and found.observations[0].module is None
    assert [(term.name, term.how) for term in found.actions] == [("joint_vel", "dict")]
    assert [(term.func, term.mode) for term in found.events] == [("randomize_drawer_state", "reset")]
    assert [term.name for term in found.terminations] == ["time_out", "object_dropped", "task_success"]


def test_reads_scene_and_simulation_settings(package):
    found = read_package(package(dt=0.004, substeps=4))
    assert set(found.scene) == {"ground", "scene", "robot", "mug_0", "light"}
    assert found.scene["robot"].usd_path == "{ROBOT_USD_PATH}"
    assert found.scene["robot"].prim_path == "/World/Robot"
    assert found.scene["robot"].joints == ("joint_0", "joint_1")
    assert found.scene["mug_0"].kind == "RigidObjectCfg"
    assert (found.sim["sim.dt"].value, found.sim["sim.substeps"].value) == (0.004, 4)
    assert found.env_fields["episode_length_s"].value == 8.3


def test_reads_train_cfg_with_lines(package):
    found = read_package(package())
    assert found.setting("algo.learning_rate") == 3e-4
    assert found.setting("runner.max_iterations") == 1500 and found.setting("runner.nothing") is None
    lines = (found.path / "train_cfg.yaml").read_text().splitlines()
    assert "rollout_steps" in lines[found.train_lines["algo.rollout_steps"] - 1]


@pytest.mark.parametrize("robot", ["franka", "ur10", "fetch"])
def test_policy_and_robot_are_found_without_metadata(package, robot):
    folder = package("dish_loading", robot=robot)
    (folder / "generation_metadata.json").unlink()
    (folder / ".isaac_lab_complete").unlink()
    found = read_package(folder)
    assert (found.policy, found.robot) == ("dish_loading", robot)
    assert found.sources["policy"] == "task_dish_loading.py" and found.sources["robot"] == "env_cfg.py"


def test_the_digest_follows_what_is_trained_and_not_when_it_was_generated(package):
    folder = package()
    before = read_package(folder).digest
    (folder / "generation_metadata.json").write_text(
        '{"policy_id": "drawer_manipulation", "generated_at": "2030"}'
    )
    (folder / "README.md").write_text("hello")
    assert read_package(folder).digest == before
    (folder / "train_cfg.yaml").write_text((folder / "train_cfg.yaml").read_text() + "\n")
    assert read_package(folder).digest != before


def test_nothing_of_a_package_is_executed(package, tmp_path):
    trap = tmp_path / "trap"
    folder = package()
    for name in (
        "env_cfg.py",
        "reward_functions.py",
        "randomizations.py",
        "task_drawer_manipulation.py",
        "__init__.py",
    ):
        file = folder / name
        bomb = f"\nopen({str(trap)!r}, 'w').write('executed')\n"
        file.write_text(file.read_text() + bomb)
    (folder / "train_cfg.yaml").write_text(f"!!python/object/apply:os.system ['touch {trap}']\n")
    found = read_package(folder)
    assert not trap.exists()
    assert [problem.file for problem in found.problems] == ["train_cfg.yaml"]
    assert "uses the tag" in found.problems[0].text


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("env_cfg.py", "class A(:\n", "is not Python"),
        ("env_cfg.py", "x = " + "[" * 5000 + "]" * 5000, "brackets deep"),
        ("env_cfg.py", "x = " + "-" * 100_000 + "1", "is nested too deeply"),
        ("env_cfg.py", "x = " + "a." * 100_000 + "b", "is nested too deeply"),
        ("env_cfg.py", "x = " + "1+" * 60_000 + "1", "is nested too deeply"),
        ("env_cfg.py", "#" * 300_000, "is larger than 256 KB"),
        ("env_cfg.py", "x = '\0'", "NUL bytes"),
        ("reward_functions.py", "def f(): return 1\n" * 20_000, "is larger than 128 KB"),
        ("train_cfg.yaml", "a: &a [1]\nb: *a\n", "anchors and aliases"),
        ("train_cfg.yaml", "a: &a [*a]\n", "anchors and aliases"),
        ("train_cfg.yaml", "a: " + "[" * 1000 + "]" * 1000, "is nested more than 64 deep"),
        ("train_cfg.yaml", "a: [1, 2\nb: 3", "is not YAML"),
        ("train_cfg.yaml", "- 1\n- 2\n", "holds a list"),
        ("train_cfg.yaml", "? [1, 2]\n: 3\n", "is not YAML"),
        ("generation_metadata.json", "[" * 100_000, "is nested too deeply"),
        ("generation_metadata.json", "[1, 2]", "holds a list"),
        ("generation_metadata.json", '{"policy_id": ', "is not JSON"),
        ("generation_metadata.json", '{"n": ' + "9" * 5000 + "}", "is not JSON"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_a_problem_and_the_rest_is_read(package, name, content, said):
    folder = package()
    (folder / name).write_text(content)
    found = read_package(folder)
    assert any(problem.file == name and said in problem.text for problem in found.problems), found.problems
    assert found.policy == "drawer_manipulation"


def test_what_is_no_file_is_not_waited_for(package):
    folder = package()
    (folder / "train_cfg.yaml").unlink()
    os.mkfifo(folder / "train_cfg.yaml")
    (folder / "randomizations.py").unlink()
    (folder / "randomizations.py").symlink_to("/dev/zero")
    (folder / "env_cfg.py").unlink()
    (folder / "env_cfg.py").mkdir()
    found = read_package(folder)
    assert {problem.file for problem in found.problems} == {
        "train_cfg.yaml",
        "randomizations.py",
        "env_cfg.py",
    }


@pytest.mark.parametrize("place", ["nowhere", "empty", "file", "nul\0byte"])
def test_what_is_no_package_is_refused_in_a_sentence(tmp_path, place):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        TaskPackageError, match="no such folder|not a task package|is not a folder|cannot be read"
    ):
        read_package(Path(f"{tmp_path}/{place}"))
