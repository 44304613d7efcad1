"""The deployable policy: weights, ONNX graph, what a deployer must know, how it was trained, checksums."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import ConfigError
from blueprint_tune.export.onnx import OPSET, JointTargets, controller, export_onnx, names_and_sizes
from blueprint_tune.learning.networks import DeployablePolicy, mlp

FORMAT_VERSION = 1
CHECKSUMS = "checksums.sha256"


@dataclass(frozen=True)
class PolicyFacts:
    """What a bundle says about its policy beside what the config says.

    Attributes:
        policy_name, job_id: ids usable as folder names.
        observation_names: (name, size) in order. action_names: one name an action, in order.
        control_dt_s: seconds between two actions.
        updates, env_steps, training_time_s: of the trial that was exported.
        success_rate: on the benchmark; None when it was not run.
        input_hash, content_hash: of the experiment.
    """

    policy_name: str
    job_id: str
    observation_names: tuple[tuple[str, int], ...]
    action_names: tuple[str, ...]
    control_dt_s: float
    updates: int
    env_steps: int
    training_time_s: float
    success_rate: float | None
    input_hash: str
    content_hash: str


@dataclass(frozen=True)
class Bundle:
    """A written bundle: its folder, the ONNX graph's largest difference, file name -> sha256."""

    folder: Path
    onnx_difference: float
    checksums: Mapping[str, str]


def write_bundle(
    folder: Path,
    policy: nn.Module,
    observations: Tensor,
    cfg: ExperimentConfig,
    facts: PolicyFacts,
    training_summary: Mapping[str, Any],
    joints: JointTargets | None,
) -> Bundle:
    """Write a bundle to ``folder``, replacing one that is there only when the new one is complete.

    ``observations``, (N, O), are recorded ones that graph and module are compared on; ``joints`` is None
    where actions are not joint position deltas. Raises ExportMismatch, leaving ``folder`` as it was.
    """
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        metadata = _metadata(cfg, facts, joints)
        tolerance = cfg.evaluation.onnx_tolerance
        difference = export_onnx(policy, observations, draft / "policy.onnx", tolerance, metadata, joints)
        config = policy_config(cfg, facts, joints, difference)
        weights = {"format_version": FORMAT_VERSION, "state_dict": policy.state_dict(), "config": config}
        torch.save(weights, draft / "policy.pt")
        _write_json(draft / "policy_config.json", config)
        _write_json(draft / "training_summary.json", training_summary)
        checksums = _write_checksums(draft)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Bundle(folder, difference, checksums)


def policy_config(
    cfg: ExperimentConfig, facts: PolicyFacts, joints: JointTargets | None, onnx_difference: float
) -> dict[str, Any]:
    """The document ``policy_config.json``: upstream's fields, then what a deployer needs beside them."""
    sizes = dict(facts.observation_names)
    return {
        "policy_name": facts.policy_name,
        "scene_id": cfg.scene.id,
        "training_job_id": facts.job_id,
        "architecture": {
            "type": "ActorCritic",
            "actor_hidden_dims": list(cfg.agent.policy_hidden_dims),
            "critic_hidden_dims": list(cfg.agent.value_hidden_dims),
            "activation": cfg.agent.activation,
            "init_noise_std": cfg.agent.initial_std,
        },
        "observation_space": {**sizes, "total_dim": sum(sizes.values())},
        "action_space": {
            "type": "continuous",
            "dim": len(facts.action_names),
            "control_mode": cfg.policy.actions.kind,
            "names": list(facts.action_names),
            "low": -1.0,
            "high": 1.0,
        },
        "training_info": {
            "algorithm": "PPO",
            "total_iterations": facts.updates,
            "total_timesteps": facts.env_steps,
            "final_success_rate": facts.success_rate,
            "training_time_hours": facts.training_time_s / 3600.0,
        },
        "checkpoint_path": f"policies/{facts.policy_name}/policy.pt",
        "compatible_robots": [cfg.robot.name],
        "compatible_isaac_lab_version": None,
        "format_version": FORMAT_VERSION,
        "policy_id": cfg.policy.name,
        "backend": cfg.backend.name,
        "control_hz": 1.0 / facts.control_dt_s,
        "observation_clip": cfg.agent.observation_clip,
        "observation_order": [name for name, _ in facts.observation_names],
        "joint_targets": dict(joints.numbers) if joints else None,
        "controller": controller(cfg.policy.actions, cfg.robot),
        "onnx": {
            "file": "policy.onnx",
            "opset": OPSET,
            "inputs": _inputs(joints),
            "outputs": ["actions", "joint_targets"] if joints else ["actions"],
            "max_abs_difference": onnx_difference,
            "tolerance": cfg.evaluation.onnx_tolerance,
        },
        "input_hash": facts.input_hash,
        "content_hash": facts.content_hash,
    }


def load_bundled_policy(path: Path) -> DeployablePolicy:
    """The policy of a ``policy.pt``, without the experiment it came from.

    Raises ConfigError for a file of another format.
    """
    saved = _read(path)
    config, weights = saved["config"], saved["state_dict"]
    architecture = config["architecture"]
    sizes = [
        config["observation_space"]["total_dim"],
        *architecture["actor_hidden_dims"],
        config["action_space"]["dim"],
    ]
    net = mlp(sizes, architecture["activation"], 1.0)
    policy = DeployablePolicy(net, torch.zeros(sizes[0]), torch.ones(sizes[0]), config["observation_clip"])
    policy.load_state_dict(weights)
    return policy.eval()


def read_bundled_config(path: Path) -> dict[str, Any]:
    """What a ``policy.pt`` says of itself: the document ``policy_config.json``.

    Raises ConfigError for a file of another format.
    """
    config: dict[str, Any] = _read(path)["config"]
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises many kinds for a file that is damaged or not its own
        raise ConfigError(f"{path} is no policy, or is damaged: {str(error).splitlines()[0]}") from error
    version = saved.get("format_version") if isinstance(saved, dict) else None
    if version != FORMAT_VERSION:
        raise ConfigError(
            f"{path}: format {version} of a policy is not known here, {FORMAT_VERSION} is. "
            "Use the version of blueprint-tune that wrote it."
        )
    return dict(saved)


def verify_checksums(folder: Path) -> list[str]:
    """Names of the files of a bundle that are missing or are not what was written; empty when it is whole."""
    wrong = []
    for line in (folder / CHECKSUMS).read_text().splitlines():
        digest, name = line.split("  ", 1)
        file = folder / name
        if not file.is_file() or _sha256(file) != digest:
            wrong.append(name)
    return wrong


def _inputs(joints: JointTargets | None) -> list[str]:
    return ["observations", "joint_positions", "previous_targets"] if joints else ["observations"]


def _metadata(cfg: ExperimentConfig, facts: PolicyFacts, joints: JointTargets | None) -> dict[str, str]:
    """What the graph itself says, as strings (lists and numbers in JSON)."""
    metadata = {
        "format_version": str(FORMAT_VERSION),
        "policy_name": facts.policy_name,
        "policy_id": cfg.policy.name,
        "scene": cfg.scene.id,
        "robot": cfg.robot.name,
        "job_id": facts.job_id,
        "observations": names_and_sizes(facts.observation_names),
        "actions": json.dumps(list(facts.action_names)),
        "action_limits": "[-1.0, 1.0]",
        "control_hz": repr(1.0 / facts.control_dt_s),
        "input_hash": facts.input_hash,
        "content_hash": facts.content_hash,
    }
    if joints:
        metadata["joint_targets"] = json.dumps(joints.numbers)
    else:
        metadata["controller"] = json.dumps(controller(cfg.policy.actions, cfg.robot))
    return metadata


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")


def _write_checksums(folder: Path) -> dict[str, str]:
    """``checksums.sha256`` in the format of ``sha256sum -c``."""
    sums = {file.name: _sha256(file) for file in sorted(folder.iterdir())}
    (folder / CHECKSUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
    return sums


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
