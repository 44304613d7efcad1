"""The seam to experiment trackers, and what all of them need: which runs there are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

EXPERIMENT = "experiment"
"""What the run of the experiment itself is called in :class:`Ledger`, beside those of the trials."""


@dataclass(frozen=True)
class Told:
    """What a tracker is told about the experiment.

    Attributes:
        name: the experiment's. folder: where a tracker may keep files of its own.
        settings: dotted key -> value of the resolved config, without secrets. tags: short facts to search by.
    """

    name: str
    folder: Path
    settings: Mapping[str, Any]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class TrialRun:
    """A trial, as a tracker shows it: Ray's id, its number and the values it sampled."""

    trial_id: str
    number: int
    sampled: Mapping[str, Any]


class MetricSink(Protocol):
    """One tracker. It may raise whatever it likes: then it is given up, not the experiment."""

    def open(self, told: Told, ledger: Ledger) -> None:
        """Begin the experiment, or go on with it: ``ledger`` knows the runs of an earlier process."""

    def report(self, trial: TrialRun, env_steps: int, metrics: Mapping[str, float]) -> None:
        """One report of a trial; its run begins with its first one."""

    def end(self, trial: TrialRun) -> None:
        """A trial reports no more."""

    def finish(self, summary: Mapping[str, float | str], artifacts: Sequence[Path]) -> None:
        """The experiment is finished: its figures, and the files to keep."""

    def close(self) -> None:
        """The process ends, whether the experiment is finished or not."""


@dataclass
class Ledger:
    """Which runs a tracker has for an experiment, kept in its folder so that a resume goes on in them.

    Attributes:
        runs: trial id (or :data:`EXPERIMENT`) -> the tracker's id of its run.
        sent: trial id -> env steps of the newest report that was handed over.
    """

    path: Path
    runs: dict[str, str] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """What an earlier process left; empty if there was none, or if it is damaged."""
        try:
            known = json.loads(path.read_text())
            return cls(path, dict(known["runs"]), dict(known["sent"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(path)

    def remember(self, key: str, run_id: str) -> None:
        """Keep the id of a run."""
        self.runs[key] = run_id
        self._write()

    def is_new(self, trial_id: str, env_steps: int) -> bool:
        """Whether a report goes beyond what was sent: what a trial trains again is told once."""
        return env_steps > self.sent.get(trial_id, -1)

    def has_sent(self, trial_id: str, env_steps: int) -> None:
        """Keep how far a trial's reports were sent."""
        self.sent[trial_id] = env_steps
        self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        known = {key: value for key, value in asdict(self).items() if key != "path"}
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(known, indent=2) + "\n")
        partial.replace(self.path)
