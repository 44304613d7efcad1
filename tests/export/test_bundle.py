from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from jsonschema import Draft202012Validator
from torch import Tensor

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import ExportMismatch
from blueprint_tune.export.bundle import Bundle, PolicyFacts, replace_folder, write_bundle
from blueprint_tune.export.contract import contract
from blueprint_tune.export.onnx import JointTargets
from blueprint_tune.learning.networks import DeployablePolicy
from blueprint_tune.schemas import load_schema

SUMMARY: dict[str, Any] = {"job_id": "a"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("written") / "bundle"


@pytest.fixture(scope="module")
def bundle(
    folder: Path, policy: DeployablePolicy, observations: Tensor, cfg: ExperimentConfig, facts: PolicyFacts
) -> Bundle:
    return write_bundle(folder, policy, observations, cfg, facts, SUMMARY)


def test_a_bundle_is_whole(
    bundle: Bundle, folder: Path, policy: DeployablePolicy, observations: Tensor
) -> None:
    names = {"policy.pt", "policy.onnx", "policy_config.json", "training_summary.json", "recorded.npz"}
    assert {file.name for file in folder.iterdir()} == {*names, "checksums.sha256"}
    assert [file.name for file in folder.parent.iterdir()] == ["bundle"]
    assert set(bundle.files) == names and bundle.summary() == SUMMARY
    with torch.no_grad():
        expected = policy(observations)
        torch.testing.assert_close(bundle.torch_policy()(observations), expected, rtol=0, atol=0)
        torch.testing.assert_close(bundle.onnx_policy()(observations), expected, rtol=0, atol=1e-5)
    if shutil.which("sha256sum"):
        command = ["sha256sum", "--strict", "-c", "checksums.sha256"]
        done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), "also for people without our program"


def test_the_config_is_what_its_schema_says(
    bundle: Bundle, facts: PolicyFacts, cfg: ExperimentConfig
) -> None:
    config = dict(bundle.config)
    Draft202012Validator(load_schema("policy_config")).validate(config)
    assert config["observation_space"] == {"joint_pos": 9, "target_rel": 3, "total_dim": 12}
    assert config["architecture"]["actor_hidden_dims"] == [32, 16]
    assert config["training_info"]["training_time_hours"] == pytest.approx(0.05)
    assert config["control_hz"] == pytest.approx(31.25)
    assert 0.0 <= config["onnx"]["max_abs_difference"] < 1e-5 and config["torch_files"] == {}
    assert config["action_space"]["names"] == list(facts.action_names)
    target = config["observations"][1]
    assert (target["name"], target["shape"], target["scale"], target["frame"]) == (
        "target_rel",
        [3],
        5.0,
        "world",
    )
    assert config["observations"][0]["units"] == ["rad"] * 7 + ["m"] * 2
    assert config["joints"][9] == {"name": "target/joint", "unit": "m", "lower": 0.0, "upper": 0.4}
    assert config["world"]["robot_base"] == [0.1, -0.6, 0.6, 1.57]
    first, gripper = config["actions"][0], config["actions"][-1]
    assert (first["unit"], first["scale"], first["low"], first["high"]) == ("rad", 0.08, -1.0, 1.0)
    lift = replace(facts.joints[0], unit="m")
    lifting = contract(cfg, replace(facts, joints=(lift, *facts.joints[1:])), None)["actions"]
    assert [action["unit"] for action in lifting[:2]] == ["m", "rad"]
    assert gripper["unit"] is None and "opens the gripper above 0" in gripper["meaning"]


def test_graph_and_config_say_the_same_under_the_same_names(
    bundle: Bundle, cfg: ExperimentConfig, facts: PolicyFacts, joints: JointTargets
) -> None:
    graph = onnx.load_model_from_string(bundle.files["policy.onnx"])
    said = {p.key: p.value for p in graph.metadata_props}
    assert set(said) == set(contract(cfg, facts, joints))
    for key, text in said.items():
        value = bundle.config[key]
        assert text == value if isinstance(value, str) else json.loads(text) == value, key
    assert {"observations", "actions", "control_hz", "robot", "scene", "content_hash"} <= set(said)


def test_some_observations_and_their_actions_are_recorded(bundle: Bundle, folder: Path) -> None:
    with np.load(folder / "recorded.npz") as recorded:
        observations, actions = recorded["observations"], recorded["actions"]
    assert observations.shape == (128, 12) and actions.shape == (128, 8)
    answers = bundle.onnx_policy()(torch.from_numpy(observations))
    np.testing.assert_allclose(answers.numpy(), actions, atol=1e-5)


@pytest.mark.parametrize("kind", ["joint_position_delta", "ee_delta"])
def test_torchs_own_formats_compute_the_same(
    kind: str,
    tmp_path: Path,
    policy: DeployablePolicy,
    observations: Tensor,
    cfg: ExperimentConfig,
    facts: PolicyFacts,
) -> None:
    if kind == "ee_delta":
        cfg, facts = _end_effector(facts)
    folder, formats = tmp_path / "bundle", ["torch_export", "torchscript"]
    bundle = write_bundle(folder, policy, observations, cfg, facts, SUMMARY, formats)
    Draft202012Validator(load_schema("policy_config")).validate(dict(bundle.config))
    assert set(bundle.config["torch_files"]) == {"policy.pt2", "policy.ts"} < set(bundle.files)
    assert all(0.0 <= difference <= 1e-5 for difference in bundle.config["torch_files"].values())
    inputs = [observations[:5]]
    if kind == "joint_position_delta":
        inputs += [torch.zeros(5, 9), torch.full((5, 9), 0.01)]
    extra = {"contract.json": ""}
    jit: Any = torch.jit
    script = jit.load(str(folder / "policy.ts"), _extra_files=extra)(*inputs)
    program = torch.export.load(folder / "policy.pt2").module()(*inputs)
    assert json.loads(extra["contract.json"])["robot"] == "franka"
    for given in (script, program):
        actions = given if isinstance(given, Tensor) else given[0]
        with torch.no_grad():
            torch.testing.assert_close(actions, policy(observations[:5]), rtol=0, atol=1e-6)


def _end_effector(facts: PolicyFacts) -> tuple[ExperimentConfig, PolicyFacts]:
    cfg = compose(["+scene=kitchen_001", "policy=dexterous_pick_place", "agent.policy_hidden_dims=[32,16]"])
    actions = replace(cfg.policy.actions, kind="ee_delta", axes="pose", scale_m=0.04, windup_m=0.1)
    names = ("x", "y", "z", "rx", "ry", "rz")
    facts = replace(facts, action_names=(*names, "twist", "gripper"))
    return replace(cfg, policy=replace(cfg.policy, actions=actions)), facts


def test_a_controller_takes_the_place_of_joint_targets(
    tmp_path: Path, policy: DeployablePolicy, observations: Tensor, facts: PolicyFacts
) -> None:
    cfg, facts = _end_effector(facts)
    config = write_bundle(tmp_path / "bundle", policy, observations, cfg, facts, SUMMARY).config
    Draft202012Validator(load_schema("policy_config")).validate(dict(config))
    assert config["joint_targets"] is None
    assert config["controller"]["frame"] == cfg.robot.ee_site
    assert config["controller"]["scale_m"] == 0.04
    assert config["controller"]["lower"] == [-2.9] * 7
    assert config["onnx"]["inputs"] == ["observations"]
    x, twist = config["actions"][0], config["actions"][6]
    assert (x["unit"], x["scale"], x["frame"]) == ("m", 0.04, "world")
    assert (twist["unit"], twist["frame"]) == ("rad", "robot/ee")


def test_a_folder_is_replaced_whether_it_is_there_or_not(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "bundle"
    for content in ("first", "second"):
        new.mkdir()
        (new / "file").write_text(content)
        replace_folder(new, old)
        assert (old / "file").read_text() == content and list(tmp_path.iterdir()) == [old]


def test_the_folder_before_is_lost_only_when_the_new_one_stands(tmp_path: Path) -> None:
    aside = tmp_path / ".bundle.old"  # as a kill between the two renames leaves it
    aside.mkdir()
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "missing", tmp_path / "bundle")
    assert aside.exists()
    (tmp_path / "bundle").mkdir()
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "missing", tmp_path / "bundle")
    assert aside.exists(), "the one that was there, to be put back"


def test_a_mismatch_leaves_the_earlier_bundle(
    tmp_path: Path, policy: DeployablePolicy, observations: Tensor, cfg: ExperimentConfig, facts: PolicyFacts
) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "policy.onnx").write_text("earlier")
    strict = replace(cfg, evaluation=replace(cfg.evaluation, onnx_tolerance=1e-30))
    with pytest.raises(ExportMismatch):
        write_bundle(folder, policy, observations, strict, facts, SUMMARY)
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]
    assert (folder / "policy.onnx").read_text() == "earlier"
