"""A trial's checkpoints on disk: which there are, which of them is the newest that is as it was written.

Beside the training state each folder holds the digests of its files and what Ray would have to know about it.
Ray's own list of checkpoints is as old as its last snapshot, so after a kill -9 the disk knows more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from blueprint_tune.errors import CheckpointDamaged, ObjectNotFound
from blueprint_tune.storage.digests import sealed_json, sha256, unsealed_json
from blueprint_tune.tuning.records import CHECKPOINT_FILE, replace_text

REACHED_FILE = "reached.json"
"""Written last, with the digests of the other files: a folder without it is not whole."""
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
    """Mark a checkpoint as whole, and note what each of its files is."""
    others = sorted(file for file in folder.iterdir() if file.is_file() and file.name != REACHED_FILE)
    files = {file.name: sha256(file.read_bytes()) for file in others}
    replace_text(folder / REACHED_FILE, sealed_json({**asdict(reached), "files": files}))


def read_reached(folder: Path) -> Reached:
    """What :func:`write_reached` wrote.

    Raises CheckpointDamaged naming what is missing or not as it was written, to a single bit.
    """
    try:
        text = (folder / REACHED_FILE).read_bytes().decode()  # read_text would mend line ends
        document = unsealed_json(text)
        if document is None:  # as checkpoints were marked before their files were noted
            return Reached(**json.loads(text))
        for name, digest in document.pop("files").items():
            if not (folder / name).is_file() or sha256((folder / name).read_bytes()) != digest:
                raise CheckpointDamaged(f"Checkpoint {folder} is damaged: {name} is not what was written.")
        return Reached(**document)
    except FileNotFoundError:
        raise CheckpointDamaged(f"Checkpoint {folder} is not whole: it has no {REACHED_FILE}.") from None
    except (OSError, ValueError, TypeError):
        raise CheckpointDamaged(f"Checkpoint {folder} is damaged: {REACHED_FILE} cannot be read.") from None


def whole(trial_dir: Path) -> dict[Path, Reached]:
    """The whole checkpoints of a trial, in the order they were written.

    Not by name: a trial that takes over another's checkpoint also takes over its count.
    """
    paths = [path for path in trial_dir.glob("checkpoint_*") if (path / REACHED_FILE).exists()]
    paths.sort(key=lambda path: ((path / REACHED_FILE).stat().st_mtime_ns, path.name))
    found = {}
    for path in paths:
        with suppress(CheckpointDamaged):
            found[path] = read_reached(path)
    return found


def ending(trial_dir: Path) -> tuple[Path, Reached] | None:
    """The checkpoint at the end of a trial's budget, if it came that far."""
    return next(((path, r) for path, r in reversed(whole(trial_dir).items()) if r.finished), None)


def newest(folder: Path, read: Callable[[Path], T]) -> tuple[Path, Reached, T]:
    """A checkpoint as ``read`` from its file: the one in ``folder``, or the newest undamaged one before it.

    Raises CheckpointDamaged if there is none, and what else ``read`` raises.
    """
    why = ""
    for candidate in _back_from(folder):
        try:
            return candidate, read_reached(candidate), read(candidate / CHECKPOINT_FILE)
        except (CheckpointDamaged, ObjectNotFound) as error:
            why = str(error) if candidate == folder else why
    raise CheckpointDamaged(why)


def _back_from(folder: Path) -> Iterator[Path]:
    """The folder and its elder brothers, newest first."""
    yield folder
    older = (path for path in folder.parent.glob("checkpoint_*") if path.name < folder.name)
    yield from sorted(older, reverse=True)
