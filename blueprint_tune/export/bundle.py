"""Writing the deployable policy: ONNX graph, weights, what a deployer must know, checksums."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.export.checksums import CHECKSUMS, checksums_text
from blueprint_tune.export.contract import PolicyFacts, contract, metadata, policy_config
from blueprint_tune.export.loading import FORMAT_VERSION, Bundle, load_bundle
from blueprint_tune.export.onnx import JointTargets, export_onnx, joint_targets
from blueprint_tune.export.torch_files import export_torch

__all__ = ["Bundle", "PolicyFacts", "load_bundle", "write_bundle"]
_RECORDED = 128
"""Observations in ``recorded.npz``: enough to see whether a robot's computer gives the same actions."""


def write_bundle(
    folder: Path,
    policy: nn.Module,
    observations: Tensor,
    cfg: ExperimentConfig,
    facts: PolicyFacts,
    training_summary: Mapping[str, Any],
    formats: Sequence[str] = (),
) -> Bundle:
    """Write a bundle to ``folder``, replacing one that is there only when the new one is complete.

    ``observations``, (N, O), are recorded ones that every exported file and the module are compared on;
    ``formats`` are those of ``export.formats``. Returns the bundle as read back.
    Raises ExportMismatch, leaving ``folder`` as it was.
    """
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    limits = np.array([(joint.lower, joint.upper) for joint in facts.joints])
    joints = joint_targets(cfg.policy.actions, cfg.robot, limits)
    try:
        differences = _export(draft, policy, observations, cfg, facts, joints, formats)
        config = policy_config(cfg, facts, joints, differences)
        weights = {"format_version": FORMAT_VERSION, "state_dict": policy.state_dict(), "config": config}
        torch.save(weights, draft / "policy.pt")
        _write_json(draft / "policy_config.json", config)
        _write_json(draft / "training_summary.json", training_summary)
        (draft / "recorded.npz").write_bytes(_recorded(policy, observations))
        files = {file.name: file.read_bytes() for file in draft.iterdir()}
        (draft / CHECKSUMS).write_text(checksums_text(files))
        load_bundle(draft)
        replace_folder(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return load_bundle(folder)


def replace_folder(new: Path, old: Path) -> None:
    """Put the folder ``new`` in the place of ``old``, if that is there.

    A kill leaves the one or the other; between the two renames it leaves both, under other names.
    """
    aside = old.with_name(f".{old.name}.old")
    if old.exists():
        shutil.rmtree(aside, ignore_errors=True)
        old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside, ignore_errors=True)


def _export(
    folder: Path,
    policy: nn.Module,
    observations: Tensor,
    cfg: ExperimentConfig,
    facts: PolicyFacts,
    joints: JointTargets | None,
    formats: Sequence[str],
) -> dict[str, float]:
    """Write the graph, and torch's own files where asked for; file -> largest difference from the module."""
    tolerance, said = cfg.evaluation.onnx_tolerance, metadata(contract(cfg, facts, joints))
    graph = folder / "policy.onnx"
    differences = {graph.name: export_onnx(policy, observations, graph, tolerance, said, joints)}
    for form in formats:
        name, difference = export_torch(form, policy, observations, folder, tolerance, said, joints)
        differences[name] = difference
    return differences


def _recorded(policy: nn.Module, observations: Tensor) -> bytes:
    """``recorded.npz``: some of the observations, raw, and the actions that the module gives for them."""
    rows = np.unique(np.linspace(0, len(observations) - 1, min(_RECORDED, len(observations))).astype(int))
    chosen = observations[torch.from_numpy(rows)].float().cpu()
    with torch.no_grad():
        actions = policy(chosen)
    buffer = io.BytesIO()
    np.savez(buffer, observations=chosen.numpy(), actions=actions.numpy())
    return buffer.getvalue()


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")
