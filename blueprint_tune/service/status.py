"""``jobs/{job_id}/job_status.json``, written whenever something about a job changes.

Publishing writes it as well, once a job is completed. Everything here is called by the holder of the scene's
claim, so a job of the scene that says ``running`` and is not the holder's own is one that nobody runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from blueprint_tune.dossier import now
from blueprint_tune.errors import ObjectNotFound
from blueprint_tune.publish import JOB_MARKER, MARKER, training_root
from blueprint_tune.storage.path import StoragePath

STATUS = "job_status.json"
_OPEN = ("pending", "running")
_SUPERSEDED = "It was interrupted, and before it went on its task package or its settings were replaced."


def new_status(job_id: str, scene_id: str, policy_id: str, num_trials: int | None) -> dict[str, Any]:
    """The document of a job that has not begun. ``num_trials`` None: nobody knows."""
    return {
        "job_id": job_id,
        "scene_id": scene_id,
        "policy_id": policy_id,
        "status": "pending",
        "created_at": now(),
        "started_at": None,
        "finished_at": None,
        "best_trial": None,
        "num_trials": num_trials,
        "num_failed": None if num_trials is None else 0,
        "error": None,
    }


def tell(root: StoragePath, begun: Mapping[str, Any], status: str, error: str | None = None) -> None:
    """Write how the job of ``begun`` (:func:`new_status`) stands now; times that were written stay."""
    path = _jobs(root, begun["scene_id"]) / begun["job_id"] / STATUS
    path.update(lambda content: _told(begun, content, status, error))


def settle_others(root: StoragePath, scene_id: str, job_id: str | None) -> None:
    """Close the scene's jobs, but for ``job_id``, that a holder which is gone left pending or running."""
    jobs = _jobs(root, scene_id)
    for name in jobs.walk():
        other, _, file = name.partition("/")
        if file == STATUS and other != job_id and _read(jobs / name).get("status") in _OPEN:
            (jobs / name).update(lambda content: _told({}, content, "failed", _SUPERSEDED))


def job_with(root: StoragePath, scene_id: str, input_hash: str) -> str | None:
    """The scene's published job that answers the same input, whole; None if there is none."""
    policies = _read(training_root(root, scene_id) / MARKER).get("policies")
    for entry in policies.values() if isinstance(policies, dict) else ():
        if isinstance(entry, dict) and entry.get("input_hash") == input_hash:
            job_id = str(entry.get("job_id"))
            if (_jobs(root, scene_id) / job_id / JOB_MARKER).exists():
                return job_id
    return None


def is_complete(root: StoragePath, scene_id: str, job_id: str) -> bool:
    """Whether a job is published, whole."""
    return (_jobs(root, scene_id) / job_id / JOB_MARKER).exists()


def _jobs(root: StoragePath, scene_id: str) -> StoragePath:
    return training_root(root, scene_id) / "jobs"


def _told(begun: Mapping[str, Any], content: bytes | None, status: str, error: str | None) -> bytes:
    document = {**begun, **_tree(content), "status": status, "error": error}
    if status == "running":
        document["started_at"] = document["started_at"] or now()
    document["finished_at"] = None if status in _OPEN else document.get("finished_at") or now()
    return f"{json.dumps(document, indent=2, allow_nan=False)}\n".encode()


def _read(path: StoragePath) -> dict[str, Any]:
    try:
        return _tree(path.read_bytes())
    except ObjectNotFound:
        return {}


def _tree(content: bytes | None) -> dict[str, Any]:
    """What a document holds; a damaged one counts as none and is written anew."""
    try:
        tree = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}
