from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from blueprint_tune.service.status import is_complete, job_with, new_status, settle_others, tell
from blueprint_tune.storage.path import StoragePath

Statuses = Callable[[str], dict[str, dict[str, Any]]]


def test_a_status_keeps_its_times_and_takes_the_new_state(root: StoragePath, statuses: Statuses) -> None:
    begun = new_status("j", "s", "p", 3)
    tell(root, begun, "pending")
    assert statuses("s")["j"] == begun
    tell(root, {**begun, "created_at": "later"}, "running")
    running = statuses("s")["j"]
    assert (running["created_at"], running["finished_at"]) == (begun["created_at"], None)
    tell(root, begun, "failed", "why")
    failed = statuses("s")["j"]
    assert (failed["started_at"], failed["error"]) == (running["started_at"], "why")
    assert failed["finished_at"] is not None
    tell(root, begun, "running")
    assert (statuses("s")["j"]["error"], statuses("s")["j"]["finished_at"]) == (None, None)


def test_a_damaged_status_is_written_anew(root: StoragePath, statuses: Statuses) -> None:
    (root / "scenes/s/rl_training/jobs/j/job_status.json").write_bytes(b"{")
    tell(root, new_status("j", "s", "p", None), "running")
    assert statuses("s")["j"]["status"] == "running"


def test_what_nobody_runs_any_more_is_closed(root: StoragePath, statuses: Statuses) -> None:
    for job_id, status in (
        ("mine", "running"),
        ("gone", "running"),
        ("waits", "pending"),
        ("ok", "completed"),
    ):
        tell(root, new_status(job_id, "s", "p", 1), status)
    tell(root, new_status("mine", "other", "p", 1), "running")
    settle_others(root, "s", "mine")
    found = {job_id: status["status"] for job_id, status in statuses("s").items()}
    assert found == {"mine": "running", "gone": "failed", "waits": "failed", "ok": "completed"}
    assert statuses("other")["mine"]["status"] == "running"


def test_an_input_is_done_when_its_job_is_whole(root: StoragePath) -> None:
    training = root / "scenes/s/rl_training"
    assert job_with(root, "s", "abc") is None
    entries = {"p": {"input_hash": "abc", "job_id": "j"}, "odd": 3}
    (training / ".rl_training_complete").write_text(json.dumps({"policies": entries}))
    assert job_with(root, "s", "abc") is None  # withdrawn, or half deleted
    (training / "jobs/j/.complete").write_bytes(b"{}")
    assert job_with(root, "s", "abc") == "j"
    assert job_with(root, "s", "other") is None
    assert is_complete(root, "s", "j")


def test_a_training_marker_of_somebody_else_is_no_obstacle(root: StoragePath) -> None:
    for content in (b"{", b"[]", b'{"policies": []}'):
        (root / "scenes/s/rl_training/.rl_training_complete").write_bytes(content)
        assert job_with(root, "s", "abc") is None
