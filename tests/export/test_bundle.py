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
from blueprint_tune.errors import ConfigError, ExportMismatch
from blueprint_tune.export.bundle import (
    Bundle,
    PolicyFacts,
    load_bundled_policy,
    verify_checksums,
    write_bundle,
)
from blueprint_tune.export.onnx import JointTargets, joint_targets
from blueprint_tune.learning.networks import DeployablePolicy
from blueprint_tune.schemas import load_schema

SUMMARY: dict[str, Any] = {"job_id": "a"}


@pytest.fixture
def bundle(
    tmp_path: Path,
    policy: DeployablePolicy,
    observations: Tensor,
    cfg: ExperimentConfig,
    facts: PolicyFacts,
    joints: JointTargets,
) -> Bundle:
    return write_bundle(tmp_path / "bundle", policy, observations, cfg, facts, SUMMARY, joints)


def test_a_bundle_is_whole(
    bundle: Bundle, policy: DeployablePolicy, observations: Tensor, facts: PolicyFacts
) -> None:
    names = {file.name for file in bundle.folder.iterdir()}
    assert names == {
        "policy.pt",
        "policy.onnx",
        "policy_config.json",
        "training_summary.json",
        "checksums.sha256",
    }
    assert [file.name for file in bundle.folder.parent.iterdir()] == ["bundle"]
    _check_config(bundle, facts)
    _check_metadata(bundle)
    loaded = load_bundled_policy(bundle.folder / "policy.pt")
    with torch.no_grad():
        torch.testing.assert_close(loaded(observations), policy(observations), rtol=0, atol=0)
    _check_checksums(bundle)


def _check_config(bundle: Bundle, facts: PolicyFacts) -> None:
    config = json.loads((bundle.folder / "policy_config.json").read_text())
    Draft202012Validator(load_schema("policy_config")).validate(config)
    assert config["observation_space"] == {"joint_pos": 9, "target_rel": 3, "total_dim": 12}
    assert config["architecture"]["actor_hidden_dims"] == [32, 16]
    assert config["training_info"]["training_time_hours"] == pytest.approx(0.05)
    assert config["control_hz"] == pytest.approx(31.25)
    assert config["onnx"]["max_abs_difference"] == bundle.onnx_difference
    assert config["action_space"]["names"] == list(facts.action_names)


def _check_metadata(bundle: Bundle) -> None:
    props = {p.key: p.value for p in onnx.load(str(bundle.folder / "policy.onnx")).metadata_props}
    assert json.loads(props["observations"]) == [["joint_pos", 9], ["target_rel", 3]]
    assert json.loads(props["actions"])[-1] == "gripper"
    assert json.loads(props["joint_targets"])["gripper"] == "binary"
    assert float(props["control_hz"]) == pytest.approx(31.25)
    assert (props["robot"], props["scene"]) == ("franka", "kitchen_001")
    assert (props["input_hash"], props["content_hash"]) == ("0123456789ab", "ba9876543210")


def _check_checksums(bundle: Bundle) -> None:
    assert verify_checksums(bundle.folder) == []
    if shutil.which("sha256sum"):
        done = subprocess.run(["sha256sum", "-c", "checksums.sha256"], cwd=bundle.folder, check=False)
        assert done.returncode == 0
    data = bytearray((bundle.folder / "policy.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (bundle.folder / "policy.onnx").write_bytes(data)
    (bundle.folder / "policy.pt").unlink()
    assert verify_checksums(bundle.folder) == ["policy.onnx", "policy.pt"]


def test_a_controller_takes_the_place_of_joint_targets(
    tmp_path: Path, policy: DeployablePolicy, observations: Tensor, facts: PolicyFacts
) -> None:
    cfg = compose(["+scene=kitchen_001", "policy=dexterous_pick_place", "agent.policy_hidden_dims=[32,16]"])
    actions = replace(cfg.policy.actions, kind="ee_delta", axes="xyz_yaw", scale_m=0.04, windup_m=0.1)
    cfg = replace(cfg, policy=replace(cfg.policy, actions=actions))
    assert joint_targets(actions, cfg.robot, np.zeros((9, 2))) is None
    write_bundle(tmp_path / "bundle", policy, observations, cfg, facts, SUMMARY, None)
    config = json.loads((tmp_path / "bundle/policy_config.json").read_text())
    Draft202012Validator(load_schema("policy_config")).validate(config)
    assert config["joint_targets"] is None
    assert config["controller"]["frame"] == cfg.robot.ee_site
    assert config["controller"]["scale_m"] == 0.04
    assert config["onnx"]["inputs"] == ["observations"]
    props = {p.key: p.value for p in onnx.load(str(tmp_path / "bundle/policy.onnx")).metadata_props}
    assert json.loads(props["controller"]) == config["controller"]


def test_a_mismatch_leaves_the_earlier_bundle(
    tmp_path: Path, policy: DeployablePolicy, observations: Tensor, cfg: ExperimentConfig, facts: PolicyFacts
) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "policy.onnx").write_text("earlier")
    strict = replace(cfg, evaluation=replace(cfg.evaluation, onnx_tolerance=1e-30))
    with pytest.raises(ExportMismatch):
        write_bundle(folder, policy, observations, strict, facts, SUMMARY, None)
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]
    assert (folder / "policy.onnx").read_text() == "earlier"


@pytest.mark.parametrize("content", [{"format_version": 2}, [1, 2]])
def test_a_policy_of_another_format_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "policy.pt")
    with pytest.raises(ConfigError, match="is not known here"):
        load_bundled_policy(tmp_path / "policy.pt")
