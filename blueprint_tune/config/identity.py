"""What an experiment asked, and what answered it: two hashes and the record of versions.

``input_hash`` says whether the question is the same; ``content_hash`` whether the answer must be.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from blueprint_tune.config import paths
from blueprint_tune.config.flat import flat
from blueprint_tune.config.own_task import OWN_TASK_BACKENDS
from blueprint_tune.config.robot_model import model_digest
from blueprint_tune.config.schema import BackendConfig, ExperimentConfig
from blueprint_tune.config.searchspace import load_searchspace
from blueprint_tune.config.validate import to_dict

NOT_THE_QUESTION = (
    "name",
    "output_dir",
    "force",
    "preset",
    "searchspace",
    "storage",
    "logger",
    "cluster",
    "export",
)
"""Settings that say where and how a run happens, or that are resolved into others."""
SAME_STARTS = (
    "scene", "robot", "physics", "backend.name", "backend.task", "backend.success", "backend.action_scale",
    "evaluation.seeds", "evaluation.episodes_per_seed",
    "policy.roles", "policy.start", "policy.events", "policy.commands", "policy.sequence", "policy.success",
    "policy.terminations", "policy.episode_s", "policy.action_repeat",
)  # fmt: skip
"""Settings that two experiments share whose benchmarks play the same episodes, to the same end."""
_NOT_OF_A_SWEEP = ("watchdog_s", "reuse_processes")
"""How trials are run, not what they are: a warm process trains exactly as a fresh one."""
_NOT_OF_A_BACKEND = (
    "gpus",
    "drops_events",
    "device",
    "env_spacing_m",
    "cameras",
    "start_timeout_s",
    "close_timeout_s",
)
"""Where and how it runs; the events that it drops are gone from the policy."""
_NOT_OF_AN_EVALUATION = ("gates", "promote")
"""What is asked of the result afterwards."""
_LIBRARIES = (
    "mujoco",
    "isaaclab",
    "torch",
    "skrl",
    "ray",
    "optuna",
    "numpy",
    "gymnasium",
    "onnx",
    "onnxruntime",
    "hydra-core",
    "optuna",
    "pydantic",
    "scipy",
)
_BACKEND_OFF = {
    name: field.get_default(call_default_factory=True)
    for name, field in vars(BackendConfig)["__pydantic_fields__"].items()
    if not field.is_required()
}
_PACKAGE = Path(__file__).resolve().parents[1]


def input_hash(config: ExperimentConfig, scene_digest: str) -> str:
    """12 hex digits of the question: resolved settings, search space, scene and robot by content."""
    return _digest(_question(config, scene_digest))


def content_hash(config: ExperimentConfig, scene_digest: str) -> str:
    """12 hex digits of the question, this program's code, libraries' versions and kind of processor."""
    answering = [_code_digest(), platform.python_version(), platform.machine(), library_versions()]
    return _digest([_question(config, scene_digest), *answering])


def task_settings(config: Mapping[str, Any], scene_digest: str | None) -> dict[str, Any]:
    """Dotted key -> value of what decides how a benchmark's episodes start, go on and count as success.

    ``config`` is plain. Which starts are played is not among it: the rows of an evaluation say that.
    """
    settings = {
        key: value
        for key, value in flat({**config, "backend": _given(config["backend"])}).items()
        if key.startswith(SAME_STARTS) and not key.startswith(("evaluation.", "scene.manifest"))
    }
    if config["backend"]["name"] in OWN_TASK_BACKENDS:  # their starts depend on it
        settings["backend.num_envs"] = config["backend"]["num_envs"]
    if settings["backend.name"] != "isaaclab":
        settings = {key: value for key, value in settings.items() if not key.startswith("robot.isaaclab.")}
    return {**settings, "robot.model": _robot_digest(settings["robot.model"]), "scene.digest": scene_digest}


def task_digest(config: Mapping[str, Any], scene_digest: str | None) -> str:
    """12 hex digits of :func:`task_settings`."""
    return _digest(task_settings(config, scene_digest))


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
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "libraries": library_versions(),
        "code_digest": _code_digest(),
        "git_commit": commit,
        "git_dirty": None if commit is None else bool(_git("status", "--porcelain")),
    }


def changed_since(recorded: Mapping[str, Any]) -> list[str]:
    """What of the code and the libraries is no longer as in a record of :func:`provenance`, in words."""
    return [f"{what} ({then} then, {now} now)" for what, then, now in differing(recorded, provenance())]


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What of the code and the libraries two records do not share, as (what, of one, of the other)."""
    found = []
    if one.get("code_digest") != other.get("code_digest"):
        found.append(("the program's code", _code_name(one), _code_name(other)))
    before, after = _versions(one), _versions(other)
    return found + [
        (name, before[name], version)
        for name, version in after.items()
        if before.get(name) not in (None, version) and version is not None
    ]


def _versions(record: Mapping[str, Any]) -> dict[str, Any]:
    languages = {"Python": record.get("python"), "processor": record.get("machine")}
    return {**languages, **record.get("libraries", {})}


def _code_name(record: Mapping[str, Any]) -> str:
    """The commit of a record if it has one; its own digest tells two states of a dirty checkout apart."""
    commit, digest = record.get("git_commit"), record.get("code_digest")
    if commit is None:
        return f"code {digest}"
    return f"commit {commit[:8]}" + (f" with changes, code {digest}" if record.get("git_dirty") else "")


def _question(config: ExperimentConfig, scene_digest: str) -> dict[str, Any]:
    """Resolved settings with files by their content instead of their path."""
    tree = {key: value for key, value in to_dict(config).items() if key not in NOT_THE_QUESTION}
    tree["sweep"] = {key: value for key, value in tree["sweep"].items() if key not in _NOT_OF_A_SWEEP}
    evaluation = tree["evaluation"]
    tree["evaluation"] = {k: v for k, v in evaluation.items() if k not in _NOT_OF_AN_EVALUATION}
    told: dict[str, Any] = {"manifest": None, "package": None, "adaptations": []}  # the digest is of them
    tree["scene"] = {**tree["scene"], **told, "digest": scene_digest}
    tree["backend"] = _given({**tree["backend"], "env_package": None, "env_path": None})  # told by digest too
    robot = tree["robot"]
    robot["model"] = _robot_digest(config.robot.model)
    if config.backend.name != "isaaclab":
        del robot["isaaclab"]
    for gripper in filter(None, robot["grippers"].values()):
        if gripper["model"] is not None:
            gripper["model"] = _robot_digest(gripper["model"])
    tree["searchspace"] = load_searchspace(config.searchspace, config)
    return tree


def _given(backend: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a backend that are not off: one that knows none of them keeps its identity."""
    counted = {key: value for key, value in backend.items() if key not in _NOT_OF_A_BACKEND}
    return {k: v for k, v in counted.items() if k not in _BACKEND_OFF or v != _BACKEND_OFF[k]}


def _robot_digest(model: str) -> str:
    """The model's content; its name where no such file exists, which the simulator then reports."""
    file = paths.robot_file(model)
    return model_digest(file) if file.is_file() else model


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
