"""Completion markers of task packages: where they lie, and what they say.

Two shapes are read: upstream's specification (``scene_id``, ``robot_type``, ``timestamp``) and what the
pipeline really writes (``status``, ``task_name``, ``completed_at``). Both may lack anything; the folder says
which scene it is. What becomes part of a path or an override is held to the rules for ids.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from blueprint_tune.errors import BlueprintTuneError, StorageError, TaskPackageError
from blueprint_tune.storage.path import StoragePath, check_id

MARKER = ".isaac_lab_complete"
MARKER_BYTES = 1 << 20
"""A marker is a few hundred bytes; anything above this is not one."""
_YEAR_HOURS = 365 * 24
_PLACE = re.compile(rf"scenes/(?P<scene>.*)/isaac_lab/{re.escape(MARKER)}", re.DOTALL)
_ELSEWHERE = ("output_dir=", "storage.", "storage=", "logger.", "logger=", "cluster.")
"""Overrides that say where and how a job runs; watchers on different machines may differ in them."""


@dataclass(frozen=True)
class Marker:
    """What a marker asks for; None where it says nothing.

    Attributes:
        scene_id: the scene's folder. digest: of the whole content. written_at: as written, for sorting.
        priority: higher goes first. max_runtime_hours: of the job.
    """

    scene_id: str
    digest: str
    policy_id: str | None
    robot: str | None
    written_at: str | None
    priority: int | None
    max_runtime_hours: float | None


def marker_key(scene_id: str) -> str:
    """Where a scene's marker lies below the storage root."""
    return f"scenes/{check_id('scene id', scene_id)}/isaac_lab/{MARKER}"


def scene_of(key: str) -> str | None:
    """The scene whose marker lies at ``key``, None if that is no marker's place.

    Raises StorageError when it is one, but of a scene whose id cannot name a folder.
    """
    place = _PLACE.fullmatch(key)
    return check_id("scene id", place["scene"]) if place else None


def scenes_below(root: StoragePath) -> tuple[list[str], list[str]]:
    """Scenes that may have a marker, sorted, and sentences about those that have one under an unsafe id.

    Raises StorageError when storage refuses.
    """
    scenes, refused = list[str](), list[str]()
    for name in (root / "scenes").folders():
        try:
            scenes.append(check_id("scene id", name))
        except StorageError as error:
            if (root / "scenes" / name / "isaac_lab" / MARKER).exists():
                refused.append(str(error))
    return scenes, refused


def parse_marker(scene_id: str, content: bytes) -> Marker:
    """The marker in a scene's folder. Raises TaskPackageError for one that cannot be used."""
    where = f"scene '{scene_id}': its marker {MARKER}"
    tree = _object(where, content)
    status = tree.get("status", "complete")
    if status not in ("complete", "completed"):
        raise TaskPackageError(f"{where} says status {_shown(status)}, not 'complete': nothing to train yet.")
    stated = _id(where, tree, "scene_id")
    if stated not in (None, scene_id):
        raise TaskPackageError(
            f"{where} is that of scene '{stated}'. Put it into that scene's folder, or correct its scene_id."
        )
    times = (tree.get(key) for key in ("timestamp", "completed_at"))
    return Marker(
        scene_id=scene_id,
        digest=hashlib.sha256(content).hexdigest(),
        policy_id=_id(where, tree, "policy_id"),
        robot=_id(where, tree, "robot_type"),
        written_at=next((time for time in times if isinstance(time, str)), None),
        priority=_priority(where, tree.get("priority")),
        max_runtime_hours=_hours(where, tree.get("max_runtime_hours")),
    )


def request_of(marker: Marker, asked: Sequence[str]) -> str:
    """12 hex digits of what is asked: this marker, trained with these overrides."""
    question = [marker.digest, *(word for word in asked if not word.lstrip("+~").startswith(_ELSEWHERE))]
    return hashlib.sha256("\0".join(question).encode()).hexdigest()[:12]


def _object(where: str, content: bytes) -> dict[str, Any]:
    if len(content) > MARKER_BYTES:
        raise TaskPackageError(f"{where} has {len(content)} bytes; a marker has a few hundred.")
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, nested without end
        raise TaskPackageError(f"{where} is not JSON: {str(error)[:200]}") from error
    if not isinstance(tree, dict):
        raise TaskPackageError(f"{where} holds {_shown(tree)}; expected an object such as {{}}.")
    return tree


def _id(where: str, tree: dict[str, Any], key: str) -> str | None:
    value = tree.get(key)
    if value is None:
        return None
    try:
        return check_id(key, value if isinstance(value, str) else repr(value))
    except BlueprintTuneError as error:
        raise TaskPackageError(f"{where}: {_shortened(str(error))}") from error


def _priority(where: str, value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise TaskPackageError(f"{where}: priority is {_shown(value)}; expected a whole number.")


def _hours(where: str, value: Any) -> float | None:
    if value is None:
        return None
    known = isinstance(value, int | float) and not isinstance(value, bool)
    hours = float(value) if known and abs(value) < _YEAR_HOURS else math.nan
    if not hours > 0:
        raise TaskPackageError(
            f"{where}: max_runtime_hours is {_shown(value)}; expected hours, above 0 and within a year."
        )
    return hours


def _shown(value: Any) -> str:
    return _shortened(repr(value))


def _shortened(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}…"
