"""Failure is a result: why trials failed is written down, and what can be done about it is done."""

from __future__ import annotations

import contextlib
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ray import tune

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import OutOfMemory
from blueprint_tune.tuning.environment import ExperimentCannotRun
from blueprint_tune.tuning.memory import NUM_ENVS, halved
from blueprint_tune.tuning.progress import Progress
from blueprint_tune.tuning.records import original, reason, trained_steps, trial_number

FAILURES_FILE = "failures.jsonl"
"""In a trial's folder, one JSON object a line."""


@dataclass(frozen=True)
class Failure:
    """One failure of a trial: how far it had come, why, and whether it was tried again."""

    env_steps: int
    reason: str
    retried: bool

    def __str__(self) -> str:
        """As the summary tells it."""
        return f"{'restarted' if self.retried else 'gave up'} at {self.env_steps} env steps: {self.reason}"


def read_failures(trial_dir: Path) -> tuple[Failure, ...]:
    """A trial's failures in order; a line that a crash cut short is left out."""
    found = []
    with contextlib.suppress(OSError):
        for line in (trial_dir / FAILURES_FILE).read_text().splitlines():
            with contextlib.suppress(ValueError, TypeError):
                found.append(Failure(**json.loads(line)))
    return tuple(found)


class FailureLog(tune.Callback):
    """Writes down why trials fail, and halves the environments of one that ran out of memory.

    Attributes:
        fatal: why no trial of this experiment can run, if that is so.
    """

    def __init__(
        self,
        cfg: ExperimentConfig,
        trials_dir: Path,
        progress: Progress,
        ended_for: Callable[[str], str | None],
        ranks: int = 1,
    ) -> None:
        """``ended_for``: why this program ended the process of a trial (its id); ``ranks``: of a trial."""
        self._ranks = ranks
        self._cfg, self._dir, self._progress, self._ended_for = cfg, trials_dir, progress, ended_for
        self.fatal: str | None = None

    def __reduce__(self) -> tuple[type[tune.Callback], tuple[()]]:
        """Ray pickles callbacks for a later restore, which brings its own; a terminal cannot be pickled."""
        return tune.Callback, ()

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """What the trial itself found amiss on its way here."""
        if note := result.get("note"):
            self._write(trial, Failure(int(result["env_steps"]), str(note), True))
            self._progress.note(f"trial {trial_number(trial, trials)}: {note}")

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial failed and restarts from its last checkpoint."""
        error, why = self._why(trial)
        self._write(trial, Failure(trained_steps(trial), why, True))
        name = f"trial {trial_number(trial, trials)}"
        smaller = halved(self._cfg, trial.config, self._ranks) if isinstance(error, OutOfMemory) else None
        if smaller is None:
            self._progress.note(f"{name} failed and restarts from its last checkpoint: {why}")
            return
        trial.set_config(smaller)
        self._progress.note(
            f"{name}: {why}. It restarts with {smaller[NUM_ENVS]} environments and twice the rollout, and is "
            f"not comparable: the scheduler goes on ranking it by {self._cfg.sweep.metrics[0]}, but it is "
            "the best trial only if no other has a checkpoint"
        )

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial failed for good."""
        why = self._why(trial)[1]
        self._write(trial, Failure(trained_steps(trial), why, False))
        self._progress.ended(trial_number(trial, trials), "failed", why)

    def _why(self, trial: Any) -> tuple[BaseException | None, str]:
        """The trial's last error and its reason. A mistake that all trials share ends the search here."""
        error: Any = None
        with contextlib.suppress(
            OSError, pickle.UnpicklingError, AttributeError, ImportError, EOFError, TypeError
        ):
            error = original(pickle.loads(Path(trial.pickled_error_file).read_bytes()))
        if isinstance(error, ExperimentCannotRun):
            self.fatal = reason(error)
            raise ExperimentCannotRun(self.fatal)
        if (ended := self._ended_for(trial.trial_id)) is not None:
            return None, ended
        if error is None:
            with contextlib.suppress(OSError, TypeError):
                return None, reason(Path(trial.error_file).read_text())
        return error, reason(error)

    def _write(self, trial: Any, failure: Failure) -> None:
        folder = self._dir / trial.trial_id
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / FAILURES_FILE).open("a") as file:
            file.write(json.dumps(asdict(failure)) + "\n")
