import json

import pytest

from blueprint_tune.packages.reader import read_package
from blueprint_tune.packages.validate import examine


def _codes(folder):
    return {finding.code for finding in examine(read_package(folder)).findings}


AS_GENERATED = {
    # loading and building, in the order in which a run fails
    "scene-entity-prim-path": ("env_cfg.py", "prim_path=prim"),
    "no-decimation": ("env_cfg.py", "EnvCfg(ManagerBasedEnvCfg)"),
    "no-actuators": ("env_cfg.py", "robot = ArticulationCfg("),
    "unresolved-function": ("env_cfg.py", "envs.mdp.joint_pos"),
    "not-in-mdp": ("env_cfg.py", "envs.mdp.body_pos_w"),
    "undefined-function": ("env_cfg.py", "randomize_drawer_state"),
    "action-is-a-dict": ("env_cfg.py", "joint_vel = {"),
    "not-an-rl-env": ("env_cfg.py", "EnvCfg(ManagerBasedEnvCfg)"),
    "shared-prim": ("env_cfg.py", "robot = ArticulationCfg("),
    "placeholder-usd": ("env_cfg.py", "{ROBOT_USD_PATH}"),
    "joint-names": ("env_cfg.py", "robot = ArticulationCfg("),
    "scene-get": ("env_cfg.py", "env.scene.get("),
    "no-such-data": ("reward_functions.py", "net_contact_forces_w"),
    "stray-sim-settings": ("env_cfg.py", "self.sim.substeps"),
    "prim-paths": ("env_cfg.py", '"robot": "/World/Robot"'),
    "relative-import": ("env_cfg.py", "from . import reward_functions"),
    "build-time-path": ("env_cfg.py", "/mnt/gcs/"),
    # terms
    "term-raises": ("reward_functions.py", "env.scene[articulation_name]"),
    "term-zero": ("reward_functions.py", "return torch.zeros("),
    "no-task-reward": ("env_cfg.py", "reward_joint_progress"),
    "history-not-reset": ("reward_functions.py", "env._prev_ee_vel = "),
    "success-never-set": ("env_cfg.py", "return status"),
    # what no run reaches
    "task-class-unused": ("task_drawer_manipulation.py", "class "),
    "compute-without-dt": ("task_drawer_manipulation.py", "reward_manager.compute()"),
    "hooks-unused": ("randomizations.py", "def randomize_object_poses"),
    "poses-ignore-origins": ("randomizations.py", "write_root_pose_to_sim"),
    "limits-of-all-environments": ("randomizations.py", ".joint_limits"),
    "no-such-attribute": ("randomizations.py", "observation_manager.observation"),
    "delay-never-applied": ("randomizations.py", "class ActionDelayBuffer"),
    "delays-replaced": ("randomizations.py", "self.delays = delays"),
    "event-params-dropped": ("train_cfg.yaml", "on_reset"),
    "per-frame-events": ("train_cfg.yaml", "on_step"),
    # what the files say of themselves
    "validation-failed": ("generation_metadata.json", ""),
    "no-validation-block": ("generation_metadata.json", ""),
    "rollout-too-large": ("train_cfg.yaml", "rollout_steps"),
    "episode-lengths-differ": ("env_cfg.py", "episode_length_s"),
    "setting-without-counterpart": ("train_cfg.yaml", "max_kl"),
    "no-manifest": ("../assets/scene_manifest.json", ""),
}


@pytest.mark.parametrize("namespace", ["isaaclab", "omni.isaac.lab"])
def test_every_defect_of_a_generated_package_is_found_where_it_is(package, namespace):
    folder = package(namespace=namespace)
    report = examine(read_package(folder))
    assert {finding.code for finding in report.findings} == set(AS_GENERATED)
    first = {}
    for finding in report.findings:
        first.setdefault(finding.code, finding.place)
    for code, (file, text) in AS_GENERATED.items():
        assert first[code].file == file, code
        if text:
            line = (folder / file).read_text().splitlines()[first[code].line - 1]
            assert text in line, (code, line)
    assert report.status == 1


@pytest.mark.parametrize("policy", ["drawer_manipulation", "dish_loading", "dexterous_pick_place"])
@pytest.mark.parametrize("shape", ["real", "specified"])
def test_a_package_as_generated_is_usable_with_adaptations(package, policy, shape):
    report = examine(read_package(package(policy, shape=shape)))
    assert report.status == 1
    assert all(finding.what and finding.here for finding in report.findings)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"weights": {"joint_progress": 1.0, "smooth_motion": -1.0}}, "double-negative"),
        ({"weights": {"collision_penalty": -1.0}}, "double-negative"),
        ({"weights": {"grasp_success": 1.0}}, "grasp-on-nothing"),
        ({"weights": {"smooth_ee_velocity": 1.0}}, "term-shape"),
        ({"weights": {"nothing_of_that_name": 1.0}}, "undefined-function"),
        ({"objects": ("mug_0", "mug-1")}, "not-an-identifier"),
        ({"objects": ("mug_0", "12")}, "not-an-identifier"),
        ({"objects": ("mug_0", "class")}, "not-an-identifier"),
        ({"policy": "manipulation"}, "fallback-policy"),
        ({"policy": "juggling"}, "unknown-policy"),
        ({"robot": "tiago"}, "unknown-robot"),
        ({"robot": "panda"}, "robot-alias"),
        ({"validated": None}, "never-validated"),
        ({"edit": {"generation_metadata.json": ("10:00:00Z", "12:00:00Z")}}, "stale-validation"),
        ({"edit": {".isaac_lab_complete": ('"complete"', '"running"')}}, "not-complete"),
        ({"edit": {"generation_metadata.json": ("kitchen_001", "../../etc")}}, "unsafe-id"),
        ({"edit": {"env_cfg.py": ("class SceneCfg", "class SceneCfg(")}}, "unreadable"),
    ],
)  # fmt: skip
def test_other_defects_are_found(package, changes, code):
    assert code in _codes(package(**changes))


def test_a_primary_target_that_is_no_identifier_breaks_the_file_and_the_line_is_told(package):
    report = examine(read_package(package(objects=("mug-1",), target="mug-1")))
    broken = [finding for finding in report.findings if finding.level == "fatal"]
    assert [finding.code for finding in broken] == ["unreadable"]
    assert broken[0].place.file == "env_cfg.py" and broken[0].place.line > 0 and report.status == 2


def test_a_scene_with_what_the_terms_ask_for_makes_them_live(package):
    items = "\n".join(
        f'    {name} = RigidObjectCfg(prim_path="{{ENV_REGEX_NS}}/{name}")' for name in ("dishes", "other")
    )
    report = examine(read_package(package("dish_loading", scene_items=items)))
    worth = {reward.name: reward.verdict.kind for reward in report.rewards}
    assert worth["dish_placed"] == worth["rack_utilization"] == "live"
    assert "no-task-reward" not in {finding.code for finding in report.findings}


def test_weights_of_the_specification_are_told_to_be_doubly_negative(package):
    weights = {"grasp_success": 10.0, "placement_accuracy": 5.0, "collision_penalty": -1.0}
    report = examine(read_package(package("dexterous_pick_place", weights=weights, shape="specified")))
    assert [reward.name for reward in report.rewards if reward.doubly_negative] == ["collision_penalty"]


@pytest.mark.parametrize(
    "missing", ["env_cfg.py", "train_cfg.yaml", "generation_metadata.json", ".isaac_lab_complete"]
)
def test_a_missing_file_is_told(package, missing):
    folder = package()
    (folder / missing).unlink()
    report = examine(read_package(folder))
    assert report.status == (2 if missing == "env_cfg.py" else 1)
    assert (
        any(missing == finding.place.file for finding in report.findings)
        or missing == "generation_metadata.json"
    )


def test_a_package_that_is_validated_and_complete_says_nothing_of_it(package):
    folder = package(shape="specified", validated=True)
    assert not _codes(folder) & {
        "never-validated",
        "validation-failed",
        "stale-validation",
        "no-validation-block",
    }
    marker = json.loads((folder / ".isaac_lab_complete").read_text())
    (folder / ".isaac_lab_complete").write_text(json.dumps({**marker, "policy_id": "dish_loading"}))
    assert "stale-validation" in _codes(folder)


def test_no_text_of_a_package_reaches_the_terminal_as_a_command(package):
    escape = "\\x1b]0;owned\\x07"
    folder = package()
    (folder / "generation_metadata.json").write_text(
        '{"policy_id": "\\u001b]0;owned\\u0007", "scene_id": "a\\u202eb"}'
    )
    (folder / "reward_functions.py").write_text(
        f'def reward_joint_progress(env, **p):\n    return env.scene["{escape}"].data.root_pos_w\n'
    )
    (folder / "train_cfg.yaml").write_text('rewards: {"\\x1b[2Jfold": 1.0}\n')
    report = examine(read_package(folder))
    assert (report.package.policy, report.package.scene_id) == ("?]0;owned?", "a?b")
    said = [word for f in report.findings for word in (f.what, f.runs, f.here)]
    said += [reward.name for reward in report.rewards]
    assert any("?]0;owned?" in word for word in said) and any("?[2Jfold" in word for word in said)
    assert all(word.isprintable() for word in said)


@pytest.mark.parametrize("weight", ["1e999", "-1e999", "1e12", "True"])
def test_a_weight_that_is_no_number_of_use_is_none(package, weight):
    folder = package(edit={"env_cfg.py": ("weight=1.0", f"weight={weight}")})
    report = examine(read_package(folder))
    assert report.package.rewards[0].weight is None
    assert "no-weight" in {finding.code for finding in report.findings}
