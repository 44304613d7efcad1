"""What an experiment asked, and what answered it: two hashes and the record of versions.

``input_hash`` says whether the question is the same; ``content_hash`` whether the answer must be.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from blueprint_tune.config import paths
from blueprint_tune.config.robot_model import model_digest
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.searchspace import load_searchspace
from blueprint_tune.config.validate import to_dict

_NOT_THE_QUESTION = ("name", "output_dir", "force", "preset", "searchspace", "storage", "logger", "cluster")
_NOT_OF_A_SWEEP = ("watchdog_s", "reuse_processes")
"""How trials are run, not what they are: a warm process trains exactly as a fresh one."""
_LIBRARIES = (
    "mujoco",
    "torch",
    "skrl",
    "ray",
    "numpy",
    "gymnasium",
    "onnx",
    "onnxruntime",
    "hydra-core",
    "pydantic",
)
_PACKAGE = Path(__file__).resolve().parents[1]


def input_hash(config: ExperimentConfig, scene_digest: str) -> str:
    """12 hex digits of the question: resolved settings, search space, scene and robot by content."""
    return _digest(_question(config, scene_digest))


def content_hash(config: ExperimentConfig, scene_digest: str) -> str:
    """12 hex digits of the question, this program's code and the versions of the libraries."""
    return _digest(
        [_question(config, scene_digest), _code_digest(), platform.python_version(), library_versions()]
    )


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that results depend on."""
    return {name: _version(name) for name in _LIBRARIES}


def provenance() -> dict[str, Any]:
    """Versions, machine, and the git commit of the checkout (null for an installed package)."""
    commit = _git("rev-parse", "HEAD")
    return {
        "blueprint_tune": _version("blueprint-tune"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "libraries": library_versions(),
        "code_digest": _code_digest(),
        "git_commit": commit,
        "git_dirty": None if commit is None else bool(_git("status", "--porcelain")),
    }


def _question(config: ExperimentConfig, scene_digest: str) -> dict[str, Any]:
    tree = {key: value for key, value in to_dict(config).items() if key not in _NOT_THE_QUESTION}
    tree["sweep"] = {key: value for key, value in tree["sweep"].items() if key not in _NOT_OF_A_SWEEP}
    tree["scene"] = {**tree["scene"], "manifest": None, "digest": scene_digest}  # by content, not by path
    tree["robot"] = {**tree["robot"], "model": _robot_digest(config.robot.model)}
    if config.robot.hand is not None and config.robot.hand.model is not None:
        tree["robot"]["gripper_model"] = _robot_digest(config.robot.hand.model)
    tree["searchspace"] = load_searchspace(config.searchspace, config)
    return tree


def _robot_digest(model: str) -> str:
    """The model's content; its name where no such file exists, which the simulator then reports."""
    for file in (paths.assets_dir() / "robots" / model, Path(model)):
        if file.is_file():
            return model_digest(file)
    return model


def _code_digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(_PACKAGE.rglob("*.py")):
        digest.update(str(file.relative_to(_PACKAGE)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _git(*arguments: str) -> str | None:
    """Git's answer about our checkout; None without git or for an installed package."""
    if not (_PACKAGE.parent / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(_PACKAGE.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
