"""Who trains a scene's package: one object a scene that says it, ``scenes/{id}/rl_training/.claim``.

Of any number of watchers that take a claim, storage lets one succeed: it is created under the condition that
there is none, or replaced under the condition that it is still the one that was judged. A claim that is held
is a lease: its holder counts up ``beat``. Nobody compares clocks: a claim is dead for a watcher that has
itself seen it unmoved for the length of a lease.

One claim a scene also means that a scene's packages are trained one after the other, so that the same input,
written twice, is trained once.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from blueprint_tune.config.fields import STRICT
from blueprint_tune.errors import ClaimTaken, ObjectNotFound, StorageError
from blueprint_tune.publish import training_root
from blueprint_tune.storage.path import StoragePath

CLAIM = ".claim"
_KEPT = 50
"""Answered requests that a claim remembers; an older one is answered anew, from what is published."""
Outcome = Literal["completed", "failed"]
Standing = Literal["free", "held", "dead", "completed", "failed"]


@checked(config=STRICT)
class Answer:
    """How a request ended: with a job's result, maybe of an earlier job, or for a reason without one."""

    outcome: Outcome
    job_id: str | None
    reason: str | None
    at: str


@checked(config=STRICT)
class Claim:
    """What the object holds.

    Attributes:
        request: what is trained. holder: who does, null = nobody now. beat: counts up while it is held.
        attempts: watchers that began and did not say how it ended, the present one among them.
        spent_s: what the request has taken, over all its holders. at: when it was last written, for people.
        answers: how requests ended.
    """

    request: str
    holder: str | None
    beat: int
    attempts: int
    spent_s: float
    job_id: str | None
    at: str
    answers: dict[str, Answer] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """A claim as it was read; ``content`` is None when there is none."""

    claim: Claim | None
    content: bytes | None


def claim_path(root: StoragePath, scene_id: str) -> StoragePath:
    """Where a scene's claim lies."""
    return training_root(root, scene_id) / CLAIM


def read_claim(path: StoragePath) -> Seen:
    """The claim as it stands. Raises StorageError when it is damaged or storage refuses."""
    try:
        content = path.read_bytes()
    except ObjectNotFound:
        return Seen(None, None)
    try:
        return Seen(TypeAdapter(Claim).validate_json(content), content)
    except ValidationError as error:
        raise StorageError(
            f"{path} is damaged or of another version, so nobody can tell whether its scene is being "
            "trained. Look at it and, if no watcher is at work on the scene, delete it."
        ) from error


def new_holder() -> str:
    """A name for one taking of a claim, which tells people where to look."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def take(path: StoragePath, seen: Seen, request: str, again: bool = False) -> Claim:
    """Take a claim that was judged free or dead. Raises ClaimTaken when another was faster.

    ``again``: the request was answered, and is asked anew.
    """
    before, holder = seen.claim, new_holder()
    answers = dict(before.answers) if before else {}
    if again:
        answers.pop(request, None)
    mine = Claim(request, holder, 0, 1, 0.0, None, written_now(), answers)
    if before is not None and before.request == request and request not in before.answers:
        mine = replace(mine, attempts=before.attempts + 1, spent_s=before.spent_s, job_id=before.job_id)
    try:
        if seen.content is None:
            path.create(_bytes(mine))
        else:
            path.update(lambda content: _swap(path, content, seen.content, mine))
    except ClaimTaken:
        now = read_claim(path).claim  # a request that was sent twice may have met its own first success
        if now is None or now.holder != holder:
            raise
    return mine


def beat(path: StoragePath, mine: Claim, job_id: str | None, spent_s: float) -> Claim:
    """Say that the holder is alive. Raises ClaimTaken when the claim is another's by now."""
    new = replace(mine, beat=mine.beat + 1, job_id=job_id, spent_s=round(spent_s, 1), at=written_now())
    _replace_own(path, mine, new)
    return new


def let_go(path: StoragePath, mine: Claim, at: str) -> None:
    """Leave the request to whoever takes it next. Raises ClaimTaken when the claim is another's by now.

    Written again with the same ``at`` (of :func:`written_now`) after a lost answer, it changes nothing.
    """
    attempts = max(0, mine.attempts - 1)  # this one ended in good order
    _replace_own(path, mine, replace(mine, holder=None, attempts=attempts, at=at))


def answer(
    path: StoragePath, mine: Claim, outcome: Outcome, job_id: str | None, reason: str | None, at: str
) -> None:
    """Say how the request ended. Raises ClaimTaken when the claim is another's by now; ``at``: as above."""
    answers = {**mine.answers, mine.request: Answer(outcome, job_id, reason, at)}
    kept = dict(list(answers.items())[-_KEPT:])
    _replace_own(path, mine, replace(mine, holder=None, job_id=job_id, at=at, answers=kept))


class Observer:
    """Judges claims by what this process has seen of them, on its own monotonic clock."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._seen: dict[str, tuple[tuple[str, int], float, bool]] = {}

    def judge(self, scene_id: str, claim: Claim | None, request: str, now_s: float) -> Standing:
        """How a scene's claim stands towards ``request`` at ``now_s`` on the monotonic clock."""
        if claim is None:
            return "free"
        if claim.holder is None:
            self._seen.pop(scene_id, None)
            known = claim.answers.get(request)
            return known.outcome if known else "free"
        state = (claim.holder, claim.beat)
        before = self._seen.get(scene_id)
        if before is None or before[0] != state:
            self._seen[scene_id] = (state, now_s, before is not None and before[0][0] == claim.holder)
            return "held"
        return "dead" if now_s - before[1] >= self._lease_s else "held"

    def moved(self, scene_id: str) -> bool:
        """Whether the claim's present holder was seen to be alive."""
        return self._seen.get(scene_id, (None, 0.0, False))[2]


def _replace_own(path: StoragePath, mine: Claim, new: Claim) -> None:
    path.update(lambda content: _own(path, content, mine, new))


def _own(path: StoragePath, content: bytes | None, mine: Claim, new: Claim) -> bytes:
    """``new``'s bytes when the object is its holder's: he alone writes it, so any beat in it is his own."""
    if content != _bytes(new) and _holder(content) != mine.holder:
        raise ClaimTaken(f"{path}: another watcher has taken it.")
    return _bytes(new)


def _holder(content: bytes | None) -> str | None:
    try:
        return TypeAdapter(Claim).validate_json(content or b"").holder
    except ValidationError:
        return None


def _swap(path: StoragePath, content: bytes | None, expected: bytes | None, new: Claim) -> bytes:
    """``new``'s bytes when the object is what was expected; a retried request may meet its own success."""
    if content not in (expected, _bytes(new)):
        raise ClaimTaken(f"{path}: another watcher has taken it.")
    return _bytes(new)


def _bytes(claim: Claim) -> bytes:
    return f"{json.dumps(asdict(claim), indent=2)}\n".encode()


def written_now() -> str:
    """The time, as a claim has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
