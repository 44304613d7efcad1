"""What is written down of a job that ended: what is published is completed, however its process ended."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blueprint_tune.batches.process import Process
from blueprint_tune.service import status
from blueprint_tune.service.heart import Held
from blueprint_tune.service.jobs import Job, finish
from blueprint_tune.service.lease import claim_path, read_claim, take
from blueprint_tune.service.marker import parse_marker
from blueprint_tune.service.settings import Place
from blueprint_tune.storage.path import StoragePath

Statuses = Callable[[str], dict[str, dict[str, Any]]]


@pytest.fixture
def ended(root: StoragePath, tmp_path: Path) -> Callable[..., Job]:
    """ended(stopped, because) -> a job of scene s whose process is over, and has found out that it is j."""

    def make(stopped: bool, because: str | None) -> Job:
        path = claim_path(root, "s")
        held = Held(path, take(path, read_claim(path), "r1"), 60.0, time.monotonic())
        facts = tmp_path / "facts"
        facts.write_text(json.dumps({"job_id": "j", "input_hash": "abc", "earlier": False}))
        popen = subprocess.Popen([sys.executable, "-c", ""])
        popen.wait()
        process = Process(popen, tmp_path / "log", tmp_path / "reason")
        begun = status.new_status("s-r1", "s", "p", None)
        at = time.monotonic() if stopped else None
        return Job(
            parse_marker("s", b"{}"), held, process, begun, facts, 60.0, stopped_at=at, because=because
        )

    return make


def publish(root: StoragePath, index: bool) -> str:
    """Publish job j as publishing does, up to the scene's index or with it; when it was finished."""
    training = root / "scenes/s/rl_training"
    document = {**status.new_status("j", "s", "p", 1), "status": "completed"}
    document |= {"started_at": "2026-03-01T12:00:00+00:00", "finished_at": "2026-03-01T13:00:00+00:00"}
    (training / "jobs/j/job_status.json").write_text(json.dumps(document))
    (training / "jobs/j/.complete").write_bytes(b"{}")
    if index:
        entry = {"p": {"input_hash": "abc", "job_id": "j"}}
        (training / ".rl_training_complete").write_text(json.dumps({"policies": entry}))
    return str(document["finished_at"])


WAYS = [(0, False, None), (1, True, None), (1, True, "it took too long"), (-9, False, None)]


@pytest.mark.parametrize(("exit_status", "stopped", "because"), WAYS)
def test_what_is_published_is_completed_however_it_ended(
    ended: Callable[..., Job],
    root: StoragePath,
    statuses: Statuses,
    tmp_path: Path,
    exit_status: int,
    stopped: bool,
    because: str | None,
) -> None:
    finished_at = publish(root, index=True)
    found = finish(Place(root, root, tmp_path), ended(stopped, because), exit_status, False)
    assert (found.end, found.text) == ("completed", "as j")
    document = statuses("s")["j"]
    assert (document["status"], document["finished_at"]) == ("completed", finished_at)
    claim = read_claim(claim_path(root, "s")).claim
    assert claim is not None
    assert claim.answers["r1"].outcome == "completed"


def test_a_published_job_that_was_called_pending_is_completed(
    ended: Callable[..., Job], root: StoragePath, statuses: Statuses, tmp_path: Path
) -> None:
    publish(root, index=True)
    status.tell(root, status.new_status("j", "s", "p", 1), "pending")
    assert finish(Place(root, root, tmp_path), ended(False, None), 0, False).end == "completed"
    document = statuses("s")["j"]
    assert (document["status"], document["finished_at"] is None) == ("completed", False)


@pytest.mark.parametrize(
    ("exit_status", "stopped", "because", "end"),
    [(1, True, None, "interrupted"), (1, True, "it took too long", "failed"), (-9, False, None, "failed")],
)
def test_what_was_stopped_before_the_index_named_it_is_not_published(
    ended: Callable[..., Job],
    root: StoragePath,
    tmp_path: Path,
    exit_status: int,
    stopped: bool,
    because: str | None,
    end: str,
) -> None:
    publish(root, index=False)
    assert finish(Place(root, root, tmp_path), ended(stopped, because), exit_status, False).end == end
