"""What there is to do: a scene's marker and its claim, read and judged."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from blueprint_tune.errors import BlueprintTuneError, ObjectNotFound, TaskPackageError
from blueprint_tune.service.lease import Observer, Seen, claim_path, read_claim
from blueprint_tune.service.marker import Marker, marker_key, parse_marker, request_of
from blueprint_tune.service.settings import WatchSettings
from blueprint_tune.storage.path import StoragePath

Todo = Literal["waiting", "elsewhere", "done", "failed", "refused"]


@dataclass(frozen=True)
class Look:
    """A scene as it was found.

    Attributes:
        todo: ``waiting`` to be trained, trained ``elsewhere``, ``done``, ``failed`` before, or ``refused``.
        marker, request, seen: None when refused. because: why it is so, in words; "" where that is plain.
    """

    scene_id: str
    todo: Todo
    marker: Marker | None
    request: str
    seen: Seen | None
    because: str


def look(
    root: StoragePath, scene_id: str, asked: Sequence[str], observer: Observer, cursor: Mapping[str, str]
) -> Look | None:
    """The scene's marker judged; None when there is none, or when ``cursor`` knows its request as answered.

    ``asked``: of :func:`asked_by`. ``cursor``: scene -> request. Raises StorageError when storage refuses.
    """
    try:
        content = (root / marker_key(scene_id)).read_bytes()
    except ObjectNotFound:
        return None
    try:
        marker = parse_marker(scene_id, content)
    except TaskPackageError as error:
        return Look(scene_id, "refused", None, "", None, str(error))
    request = request_of(marker, asked)
    if cursor.get(scene_id) == request:
        return None
    try:
        seen = read_claim(claim_path(root, scene_id))
    except BlueprintTuneError as error:
        return Look(scene_id, "refused", marker, request, None, str(error))
    todo, because = _judged(scene_id, seen, request, observer)
    return Look(scene_id, todo, marker, request, seen, because)


def _judged(scene_id: str, seen: Seen, request: str, observer: Observer) -> tuple[Todo, str]:
    claim = seen.claim
    standing = observer.judge(scene_id, claim, request, time.monotonic())
    if standing == "free":
        gone_on = claim is not None and claim.request == request
        return "waiting", "begun before" if gone_on else ""
    assert claim is not None
    if standing == "dead":
        return "waiting", f"its watcher {claim.holder} died"
    if standing == "held":
        return "elsewhere", f"by {claim.holder}" + (f" as {claim.job_id}" if claim.job_id else "")
    answer = claim.answers[request]
    if standing == "failed":
        return "failed", answer.reason or ""
    return "done", answer.reason or f"as {answer.job_id}"


def asked_by(words: Sequence[str], settings: WatchSettings) -> list[str]:
    """What beside a marker makes a request: the overrides, and the program that is run with them."""
    return [*words, *(settings.command or ())]


def rank(found: Look, settings: WatchSettings) -> tuple[int, str, str]:
    """What sorts scenes that wait: higher priority first, then the older marker."""
    assert found.marker is not None
    return -priority(found.marker, settings), found.marker.written_at or "~", found.scene_id


def priority(marker: Marker, settings: WatchSettings) -> int:
    """The marker's own, else its scene's, else its policy type's."""
    if marker.priority is not None:
        return marker.priority
    known = settings.priorities
    return known.get(marker.scene_id, known.get(marker.policy_id or "", 0))
