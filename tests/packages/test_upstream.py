"""The real generator's output, where BLUEPRINT_PIPELINE_REPO names a checkout of BlueprintPipeline."""

import ast
import collections
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from blueprint_tune.config.paths import assets_dir
from blueprint_tune.packages.interpret import judge
from blueprint_tune.packages.knowledge import POLICIES, TEMPLATE
from blueprint_tune.packages.reader import read_package
from blueprint_tune.packages.validate import examine

REPO = os.environ.get("BLUEPRINT_PIPELINE_REPO", "")
pytestmark = pytest.mark.skipif(
    not Path(REPO, "tools/isaac_lab_tasks").is_dir(),
    reason="BLUEPRINT_PIPELINE_REPO names no checkout of BlueprintPipeline",
)
KITCHEN = assets_dir() / "scenes/kitchen_001/scene_manifest.json"
_GENERATE = """
import json, sys
from pathlib import Path
repo, out, manifest = sys.argv[1:]
sys.path.insert(0, repo)
from tools.isaac_lab_tasks.task_generator import IsaacLabTaskGenerator
config = json.loads(Path(repo, "policy_configs/environment_policies.json").read_text())
objects = json.loads(Path(manifest).read_text())["objects"]
generator = IsaacLabTaskGenerator(config)
for policy in config["policies"]:
    scene = {"environment_type": "kitchen", "scene_path": "/mnt/gcs/scene.usda", "scene_id": "kitchen_001"}
    task = generator.generate({"metadata": scene, "room": {}, "objects": objects}, policy)
    generator.save(task, str(Path(out, policy, "isaac_lab")))
"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    out = tmp_path_factory.mktemp("upstream")
    command = [sys.executable, "-c", _GENERATE, REPO, str(out), str(KITCHEN)]
    subprocess.run(command, check=True, timeout=120)
    return out


def test_all_14_are_read_without_a_problem_and_exit_1_within_a_fifth_of_a_second(generated):
    seconds = {}
    for policy in POLICIES:
        began = time.process_time()
        report = examine(read_package(generated / policy / "isaac_lab"))
        seconds[policy] = time.process_time() - began
        assert report.package.problems == [] and report.status == 1, policy
        assert report.package.policy == policy and report.package.robot == "franka"
        codes = {finding.code for finding in report.findings}
        assert {"scene-entity-prim-path", "no-decimation", "no-actuators", "action-is-a-dict"} <= codes
        assert {"no-task-reward", "history-not-reset", "rollout-too-large", "placeholder-usd"} <= codes
    assert max(seconds.values()) < 0.2, seconds


def test_train_cfg_says_what_the_template_does(generated):
    found = read_package(generated / "dish_loading" / "isaac_lab")
    assert {key: found.setting(key) for key in TEMPLATE} == TEMPLATE


def test_of_all_36_terms_8_are_live_24_zero_3_raise_and_1_has_a_wrong_shape(tmp_path):
    code = "import sys, json; sys.path.insert(0, sys.argv[1])\n"
    code += "from tools.isaac_lab_tasks import reward_functions as r\n"
    code += "print(json.dumps(r.RewardTemplateRegistry.REWARD_TEMPLATES))"
    printed = subprocess.run(
        [sys.executable, "-c", code, REPO], check=True, capture_output=True, timeout=60
    ).stdout
    scene = {"robot": "ArticulationCfg", "floor_001": "RigidObjectCfg", "light": "AssetBaseCfg"}
    templates = json.loads(printed)
    verdicts = {name: judge(ast.parse(text).body[0], {}, scene, {}).kind for name, text in templates.items()}
    assert collections.Counter(verdicts.values()) == {"live": 8, "zero": 24, "raises": 3, "shape": 1}
    assert {name for name, kind in verdicts.items() if kind == "live"} == {
        "grasp_success", "efficiency_bonus", "efficiency", "smooth_motion", "action_jerk_penalty",
        "action_rate_penalty", "action_magnitude_penalty", "joint_acceleration_penalty",
    }  # fmt: skip
