"""The evaluation that another one is compared with, out of its documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blueprint_tune.errors import ConfigError
from blueprint_tune.evaluation.documents import EvaluationId

RESULTS_FILE, CONFIG_FILE = "eval_results.json", "eval_config.json"
_IDS = ("scene_id", "policy_id", "robot_type")
_OF_A_ROW = {"seed", "slot", "success"}


@dataclass(frozen=True)
class Against:
    """Another evaluation.

    Attributes:
        file: its ``eval_results.json``. results: that document. task_digest: of what decided its starts and
            success; None where it came without its ``eval_config.json``.
    """

    file: Path
    results: Mapping[str, Any]
    task_digest: str | None


def read_against(name: str) -> Against:
    """What ``--against`` names. Raises ConfigError if it is no evaluation."""
    path = Path(name).expanduser()
    candidates = [path, path / RESULTS_FILE, path / "evaluation" / RESULTS_FILE]
    file = next((c for c in candidates if c.is_file()), None)
    if file is None:
        raise ConfigError(
            f"--against {name}: there is no {RESULTS_FILE}. Name an experiment, the folder of an evaluation, "
            "or the file."
        )
    results = _json(file)
    rows = results.get("episodes")
    whole = isinstance(rows, list) and all(isinstance(r, dict) and set(r) >= _OF_A_ROW for r in rows)
    if not rows or not whole or not {"job_id", *_IDS} <= results.keys():
        raise ConfigError(f"--against {file}: this is not the {RESULTS_FILE} of an evaluation.")
    asked = _json(file.with_name(CONFIG_FILE))
    same = asked.get("eval_id") == results.get("eval_id")  # else it only lies beside
    return Against(file, results, asked.get("task_digest") if same else None)


def incumbent(against: Against, ours: EvaluationId) -> dict[str, Any]:
    """What the new evaluation is compared with, see ``comparison.last_promoted``.

    Without a digest nobody knows that the same seeds were the same starts, so they are not paired.
    Raises ConfigError, with what differs, if the other policy was asked something else.
    """
    differing = [
        f"its {key} is '{against.results[key]}', here it is '{value}'"
        for key in _IDS
        if against.results[key] != (value := getattr(ours, key))
    ]
    known = against.task_digest is not None
    if known and not differing and against.task_digest != ours.task_digest:
        differing = [
            f"its task_digest is {against.task_digest}, here it is {ours.task_digest}: the scene's content, "
            "physics, backend, or the policy file's start, events, success or episode are others"
        ]
    if differing:
        raise ConfigError(
            f"--against {against.file}: that policy played another task, so its success cannot be compared: "
            f"{'; '.join(differing)}. Evaluate both with the same settings."
        )
    rows = against.results["episodes"]
    return {"job_id": str(against.results["job_id"]), "episodes": rows, "same_starts": known}


def _json(file: Path) -> dict[str, Any]:
    """A document; an empty one for what is none."""
    try:
        document = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
