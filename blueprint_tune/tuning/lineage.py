"""Who copied whom in a population: written down as it happens, beside the trials.

One line a copy. A trial that goes back to an earlier checkpoint makes its later copies again, so those are
dropped, as its later reports are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from blueprint_tune.tuning.records import replace_text

LINEAGE_FILE = "lineage.jsonl"
ORIGIN_FILE = "origin.json"
"""In every folder of a checkpoint: which trial wrote it, with which sample."""
EXPLOIT = "exploit"
"""In the first report after a copy: what the trial knows of it."""


@dataclass(frozen=True)
class Exploit:
    """A trial went on from another one's checkpoint.

    Attributes:
        trial, donor: ids. env_steps: at which the checkpoint was saved and the trial goes on.
        left_at: env steps of the trial's last report before, whose policy was given up; None before any.
        changed: key -> (the donor's value, the trial's from here on).
        in_force: key -> value of what was changed, read back from the agent and the environment.
    """

    trial: str
    donor: str
    env_steps: int
    left_at: int | None
    changed: dict[str, tuple[Any, Any]]
    in_force: dict[str, float]


class Lineage:
    """The copies of one search, in its file."""

    def __init__(self, folder: Path) -> None:
        """``folder``: of the trials."""
        self._path = folder / LINEAGE_FILE
        self._exploits = list(read_lineage(folder))

    def follow(self, trial: str, env_steps: int, left_at: int | None, told: Mapping[str, Any] | None) -> None:
        """A trial has reported at ``env_steps``; ``told`` is the report's :data:`EXPLOIT`, if it had one."""
        since = env_steps if told is None else int(told["env_steps"])
        kept = [e for e in self._exploits if e.trial != trial or e.env_steps < since]
        if told is not None:
            changed = {key: (donors, now) for key, (donors, now) in told["changed"].items()}
            kept.append(Exploit(trial, told["donor"], since, left_at, changed, dict(told["in_force"])))
        if kept != self._exploits:
            self._exploits = kept
            replace_text(self._path, "".join(json.dumps(asdict(e)) + "\n" for e in kept))


def read_lineage(folder: Path) -> tuple[Exploit, ...]:
    """What was written down for the trials in ``folder``, in order; empty without a population."""
    path = folder / LINEAGE_FILE
    if not path.exists():
        return ()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return tuple(
        Exploit(**{**row, "changed": {key: tuple(pair) for key, pair in row["changed"].items()}})
        for row in rows
    )


def write_origin(checkpoint: Path, trial: str, sample: Mapping[str, Any]) -> None:
    """Say in a checkpoint's folder whose it is."""
    (checkpoint / ORIGIN_FILE).write_text(json.dumps({"trial": trial, "sample": plain(sample)}))


def read_origin(checkpoint: Path) -> tuple[str, dict[str, Any]] | None:
    """(trial, sample) of a checkpoint; None for one that does not say."""
    path = checkpoint / ORIGIN_FILE
    if not path.exists():
        return None
    origin = json.loads(path.read_text())
    return origin["trial"], origin["sample"]


def plain(sample: Mapping[str, Any]) -> dict[str, Any]:
    """The sample without NumPy's numbers, which JSON does not know."""
    return {key: value.item() if hasattr(value, "item") else value for key, value in sample.items()}
