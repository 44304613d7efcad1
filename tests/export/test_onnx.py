from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from blueprint_tune.errors import ExportMismatch
from blueprint_tune.export.onnx import JointTargets, OnnxPolicy, export_onnx
from blueprint_tune.learning.networks import DeployablePolicy


@pytest.fixture(scope="module")
def exported(
    policy: DeployablePolicy,
    observations: Tensor,
    joints: JointTargets,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, float]:
    path = tmp_path_factory.mktemp("onnx") / "policy.onnx"
    return path, export_onnx(policy, observations, path, 1e-4, {"scene": "kitchen_001"}, joints)


def run(path: Path, observations: Tensor, positions: Tensor, targets: Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path))
    feeds = {"observations": observations, "joint_positions": positions, "previous_targets": targets}
    return session.run(["actions", "joint_targets"], {name: value.numpy() for name, value in feeds.items()})


def test_graph_and_module_agree(exported: tuple[Path, float]) -> None:
    assert 0.0 <= exported[1] < 1e-5


@pytest.mark.parametrize("batch", [1, 2, 64, 200])
def test_any_batch_size(
    exported: tuple[Path, float], policy: DeployablePolicy, observations: Tensor, batch: int
) -> None:
    actions, targets = run(exported[0], observations[:batch], torch.zeros(batch, 9), torch.zeros(batch, 9))
    with torch.no_grad():
        np.testing.assert_allclose(actions, policy(observations[:batch]).numpy(), atol=1e-5)
    assert np.abs(actions).max() <= 1.0
    assert targets.shape == (batch, 9)


def test_joint_targets_are_what_the_numbers_say(
    exported: tuple[Path, float], observations: Tensor, joints: JointTargets
) -> None:
    """Recomputed in numpy from the plain numbers that the bundle gives to people who write their own."""
    generator = torch.Generator().manual_seed(2)
    positions = torch.rand(200, 9, generator=generator) * 8 - 4
    previous = positions + torch.randn(200, 9, generator=generator) * 0.3
    actions, targets = run(exported[0], observations, positions, previous)
    n, q = joints.numbers, positions.numpy()[:, :7]
    arm = previous.numpy()[:, :7] + n["scale_rad"] * actions[:, :7]
    arm = np.clip(np.clip(arm, q - n["windup_rad"], q + n["windup_rad"]), n["lower"][:7], n["upper"][:7])
    fingers = np.where(actions[:, 7:] > 0, n["gripper_open_m"], n["gripper_closed_m"])
    np.testing.assert_allclose(targets, np.concatenate([arm, fingers, fingers], axis=1), atol=1e-5)


def test_actions_depend_on_observations_alone(exported: tuple[Path, float], observations: Tensor) -> None:
    first, _ = run(exported[0], observations, torch.zeros(200, 9), torch.zeros(200, 9))
    second, _ = run(exported[0], observations, torch.ones(200, 9), torch.full((200, 9), 0.5))
    np.testing.assert_array_equal(first, second)


def test_the_runtime_refuses_to_guess_the_joints(exported: tuple[Path, float], observations: Tensor) -> None:
    session = onnxruntime.InferenceSession(str(exported[0]))
    with pytest.raises(ValueError, match="joint_positions"):
        session.run(None, {"observations": observations.numpy()})


def test_one_valid_file_with_float32_and_metadata(exported: tuple[Path, float]) -> None:
    model = onnx.load(str(exported[0]))
    onnx.checker.check_model(model, full_check=True)
    assert ("scene", "kitchen_001") in [(p.key, p.value) for p in model.metadata_props]
    assert {t.data_type for t in model.graph.initializer} <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}
    assert [f.name for f in exported[0].parent.iterdir()] == ["policy.onnx"]


def test_exporting_leaves_the_module_as_it_was(
    policy: DeployablePolicy, observations: Tensor, tmp_path: Path
) -> None:
    policy.train()
    export_onnx(policy, observations[:1], tmp_path / "p.onnx", 1e-4, {})
    assert policy.training
    policy.eval()


def test_without_joints_there_is_one_input(
    policy: DeployablePolicy, observations: Tensor, tmp_path: Path
) -> None:
    path = tmp_path / "p.onnx"
    export_onnx(policy, observations, path, 1e-4, {})
    session = onnxruntime.InferenceSession(str(path))
    assert [i.name for i in session.get_inputs()] == ["observations"]
    assert [o.name for o in session.get_outputs()] == ["actions"]
    with torch.no_grad():
        np.testing.assert_allclose(OnnxPolicy(path)(observations), policy(observations), atol=1e-5)


def test_an_exported_policy_drives_like_the_module(
    exported: tuple[Path, float], policy: DeployablePolicy, observations: Tensor
) -> None:
    drive = OnnxPolicy(exported[0])
    with torch.no_grad():
        torch.testing.assert_close(drive(observations), policy(observations), atol=1e-5, rtol=0)


class LargeSine(nn.Module):
    """A sine of numbers so large that no two implementations agree to 1e-12."""

    def forward(self, observations: Tensor) -> Tensor:
        return torch.sin(observations * 1e7)


class NotANumber(nn.Module):
    def forward(self, observations: Tensor) -> Tensor:
        return observations / (observations - observations)


@pytest.mark.parametrize("module", [LargeSine(), NotANumber()])
def test_a_mismatch_leaves_no_file(module: nn.Module, observations: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "p.onnx"
    with pytest.raises(ExportMismatch, match=r"200 recorded observations.*Nothing was exported"):
        export_onnx(module, observations, path, 1e-12, {})
    assert list(tmp_path.iterdir()) == []


def test_joint_numbers_are_json(joints: JointTargets) -> None:
    assert json.loads(json.dumps(joints.numbers)) == dict(joints.numbers)
    assert len(joints.numbers["lower"]) == len(joints.joints) == 9
