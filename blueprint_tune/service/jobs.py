"""One job of a watcher: its process, its claim, and what is written down when it ends."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from blueprint_tune.batches.process import Process, start_process
from blueprint_tune.errors import ClaimTaken
from blueprint_tune.service import status
from blueprint_tune.service.heart import Held
from blueprint_tune.service.lease import claim_path, take
from blueprint_tune.service.look import Look
from blueprint_tune.service.marker import Marker
from blueprint_tune.service.overrides import command_of
from blueprint_tune.service.settings import Place, WatchSettings

WORK = "watch"
"""In the output folder: the logs of watched jobs."""
End = Literal["completed", "failed", "interrupted", "lost"]


@dataclass
class Job:
    """A job that runs.

    Attributes:
        begun: its first ``job_status.json``, as far as the watcher knows. facts_file: what its process
            found out. limit_s: what it may take. stopped_at: when it was asked to stop, monotonic.
            ended_at: since when its end cannot be written down. because: why, if that is a failure.
    """

    marker: Marker
    held: Held
    process: Process
    begun: dict[str, Any]
    facts_file: Path
    limit_s: float
    stopped_at: float | None = None
    ended_at: float | None = None
    because: str | None = None

    def facts(self) -> dict[str, Any]:
        """What its process has found out so far."""
        if not self.facts_file.exists():
            return {}
        found: dict[str, Any] = json.loads(self.facts_file.read_text())
        return found

    def stop(self, because: str | None) -> None:
        """Ask it to save itself and end; ``because`` makes that a failure."""
        if self.stopped_at is None:
            self.stopped_at, self.because = time.monotonic(), because
            self.process.popen.send_signal(signal.SIGINT)


@dataclass(frozen=True)
class Ended:
    """How a job ended, in words."""

    scene_id: str
    end: End
    text: str


def claim(place: Place, found: Look, settings: WatchSettings) -> Held | None:
    """Take the claim of a scene that waits; None when another watcher was faster."""
    assert found.seen is not None
    path, asked_s = claim_path(place.claims, found.scene_id), time.monotonic()
    try:
        mine = take(path, found.seen, found.request, again=found.todo == "failed")
    except ClaimTaken:
        return None
    return Held(path, mine, settings.lease_s, asked_s)


def hopeless(held: Held, marker: Marker, settings: WatchSettings) -> str | None:
    """Why a claimed job is not even begun; None for one that is."""
    if held.attempts > settings.attempts:
        return (
            f"{settings.attempts} watchers died while they worked on it; their machines may know why (out "
            "of memory?). watch --retry-failed tries again."
        )
    limit_s = _limit_s(marker, settings)
    return _too_long(limit_s) if held.spent_s >= limit_s else None


def give_up(place: Place, held: Held, marker: Marker, reason: str) -> Ended:
    """Write down that a claimed job has failed without having been begun."""
    begun = _begun(marker, held)
    status.settle_others(place.root, marker.scene_id, begun["job_id"])
    status.tell(place.root, begun, "failed", reason)
    held.answer("failed", begun["job_id"], reason)
    return Ended(marker.scene_id, "failed", reason)


def start(place: Place, held: Held, marker: Marker, words: Sequence[str], settings: WatchSettings) -> Job:
    """Start the process of a claimed job. Raises StorageError, ClaimTaken if its claim was lost meanwhile."""
    folder = place.output_dir / WORK
    folder.mkdir(parents=True, exist_ok=True)
    begun, name = _begun(marker, held), f"{marker.scene_id}-{held.request}"
    facts_file = folder / f"{name}.facts"
    facts_file.unlink(missing_ok=True)
    if settings.command is not None:  # nobody else can say what becomes of it
        status.settle_others(place.root, marker.scene_id, begun["job_id"])
        status.tell(place.root, begun, "running")
        held.job_id = begun["job_id"]
    job = {
        "overrides": command_of(marker, place.root, words, settings),
        "command": settings.command,
        "facts_file": str(facts_file),
    }
    if lost := held.lost():
        raise ClaimTaken(lost)
    process = start_process("blueprint_tune.service.child", job, folder / f"{name}.log")
    return Job(marker, held, process, begun, facts_file, _limit_s(marker, settings))


def tend(job: Job, stop_s: float) -> None:
    """What a running job needs: its limit, its claim, and an end to its stopping."""
    job.held.job_id = job.facts().get("job_id", job.held.job_id)
    overdue = job.stopped_at is not None and time.monotonic() - job.stopped_at > stop_s
    if overdue or job.held.lost():
        job.process.kill()
    elif job.held.spent_s > job.limit_s:
        job.stop(_too_long(job.limit_s))


def finish(place: Place, job: Job, exit_status: int, commanded: bool) -> Ended:
    """Write down how a job ended, status first and claim last. Raises StorageError when storage refuses.

    What is published, whole, is completed however its process ended after that.
    """
    scene_id, facts = job.marker.scene_id, job.facts()
    if lost := job.held.lost():
        return Ended(scene_id, "lost", f"{lost}; it was stopped here")
    job_id = facts.get("job_id", job.begun["job_id"])
    begun = {**job.begun, "job_id": job_id}
    published = not commanded and _published(place, scene_id, job_id, exit_status, facts)
    if exit_status == 0 and not commanded and not published:
        job.because = f"it ended without having published; its log is {job.process.log}"
    try:
        if published or (exit_status == 0 and job.because is None):
            status.tell(place.root, begun, "completed")
            earlier = "the same input was trained before" if facts.get("earlier") else None
            job.held.answer("completed", job_id, earlier and f"{earlier}, as {job_id}")
            return Ended(scene_id, "completed", f"{earlier}, as {job_id}" if earlier else f"as {job_id}")
        if job.stopped_at is not None and job.because is None:
            if commanded or facts:  # else it had not found out who it is
                status.tell(place.root, begun, "pending")
            job.held.let_go()
            return Ended(scene_id, "interrupted", "the next watcher goes on with it")
        reason = job.because or job.process.reason(exit_status)
        status.tell(place.root, begun, "failed", reason)
        job.held.answer("failed", job_id, reason)
        return Ended(scene_id, "failed", reason)
    except ClaimTaken:
        return Ended(scene_id, "lost", "another watcher had taken it over when it ended")


def _published(place: Place, scene_id: str, job_id: str, exit_status: int, facts: dict[str, Any]) -> bool:
    """Whether the job is published, whole.

    Of a process that failed the scene's index must say so, which is the last that publishing writes.
    """
    if exit_status == 0:
        return status.is_complete(place.root, scene_id, job_id)
    return status.job_with(place.root, scene_id, facts.get("input_hash", "")) == job_id


def _begun(marker: Marker, held: Held) -> dict[str, Any]:
    """The status of a job of which only the marker is known."""
    job_id = held.job_id or f"{marker.scene_id[:100]}-{held.request}"
    return status.new_status(job_id, marker.scene_id, marker.policy_id or "unknown", None)


def _limit_s(marker: Marker, settings: WatchSettings) -> float:
    return 3600 * (marker.max_runtime_hours or settings.max_runtime_hours)


def _too_long(limit_s: float) -> str:
    return (
        f"it took longer than max_runtime_hours allows ({limit_s / 3600:g}) and was stopped. Set "
        "watch.max_runtime_hours, or max_runtime_hours in its marker, and watch --retry-failed goes on."
    )
