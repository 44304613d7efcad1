"""A trial's checkpoints on disk: which there are, which of them is the newest that can be read.

Beside the training state each folder holds what Ray would have to know about it. Ray's own list of
checkpoints is as old as its last snapshot, so after a kill -9 the disk knows more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from blueprint_tune.errors import CheckpointDamaged, ObjectNotFound
from blueprint_tune.tuning.records import CHECKPOINT_FILE, write_json

REACHED_FILE = "reached.json"
"""Written after the training state: a folder without it is not whole."""
T = TypeVar("T")


@dataclass(frozen=True)
class Reached:
    """How far a trial was at a checkpoint.

    Attributes:
        iteration: reports so far. updates: learner updates so far. time_s: training time so far.
        finished: whether the budget was used up. report: the last one, as the trial gave it.
    """

    iteration: int
    updates: int
    time_s: float
    finished: bool
    report: Mapping[str, Any]


def write_reached(folder: Path, reached: Reached) -> None:
    """Mark a checkpoint as whole."""
    write_json(folder / REACHED_FILE, asdict(reached))


def read_reached(folder: Path) -> Reached | None:
    """What :func:`write_reached` wrote; None where a checkpoint is not whole."""
    try:
        return Reached(**json.loads((folder / REACHED_FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def whole(trial_dir: Path) -> dict[Path, Reached]:
    """The whole checkpoints of a trial, in the order they were written.

    Not by name: a trial that takes over another's checkpoint also takes over its count.
    """
    paths = [path for path in trial_dir.glob("checkpoint_*") if (path / REACHED_FILE).exists()]
    paths.sort(key=lambda path: ((path / REACHED_FILE).stat().st_mtime_ns, path.name))
    found = {path: read_reached(path) for path in paths}
    return {path: reached for path, reached in found.items() if reached is not None}


def ending(trial_dir: Path) -> tuple[Path, Reached] | None:
    """The checkpoint at the end of a trial's budget, if it came that far."""
    return next(((path, r) for path, r in reversed(whole(trial_dir).items()) if r.finished), None)


def newest(folder: Path, read: Callable[[Path], T]) -> tuple[Path, Reached, T]:
    """A checkpoint as ``read`` from its file: the one in ``folder``, or the newest undamaged one before it.

    Raises CheckpointDamaged if there is none, and what else ``read`` raises.
    """
    why = f"Checkpoint {folder} is not whole."
    for candidate in _back_from(folder):
        reached = read_reached(candidate)
        try:
            if reached is not None:
                return candidate, reached, read(candidate / CHECKPOINT_FILE)
        except (CheckpointDamaged, ObjectNotFound) as error:
            why = str(error) if candidate == folder else why
    raise CheckpointDamaged(why)


def _back_from(folder: Path) -> Iterator[Path]:
    """The folder and its elder brothers, newest first."""
    yield folder
    older = (path for path in folder.parent.glob("checkpoint_*") if path.name < folder.name)
    yield from sorted(older, reverse=True)
