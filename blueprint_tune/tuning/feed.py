"""What Tune tells us while it runs, passed on to the progress display; and what the user tells Tune by Ctrl-C."""

from __future__ import annotations

import contextlib
import pickle
import signal
import threading
from pathlib import Path
from typing import Any

from ray import tune

from blueprint_tune.tuning.progress import Progress
from blueprint_tune.tuning.records import original, reason
from blueprint_tune.tuning.trainable import ExperimentCannotRun


class Feed(tune.Callback):
    """Follows the trials of one search.

    Attributes:
        interrupted: Ctrl-C (or SIGTERM) was received; the search stops at the next report.
        fatal: why no trial of this experiment can run, if that is so.
    """

    def __init__(self, progress: Progress, metric: str, budget: int) -> None:
        self._progress, self._metric, self._budget = progress, metric, budget
        self.interrupted = False
        self.fatal: str | None = None

    def __reduce__(self) -> tuple[type[tune.Callback], tuple[()]]:
        """Ray pickles callbacks for a later restore, which brings its own; a terminal cannot be pickled."""
        return tune.Callback, ()

    def setup(self, *args: Any, **info: Any) -> None:
        """Called by Tune once its own signal handler is in place."""
        if threading.current_thread() is threading.main_thread():
            self._chain_interrupts()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """See :meth:`Progress.started`."""
        self._progress.started(trials.index(trial), dict(trial.config))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """See :meth:`Progress.reported`."""
        self._progress.working("training")
        self._progress.reported(trials.index(trial), int(result["env_steps"]), result.get(self._metric))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """See :meth:`Progress.ended`."""
        done = int(trial.last_result.get("env_steps", 0)) >= self._budget
        self._progress.ended(trials.index(trial), "completed" if done else "stopped")

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial failed and restarts from its last checkpoint."""
        why = self._why(trial)
        self._progress.note(f"trial {trials.index(trial)} failed and restarts from its last checkpoint: {why}")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial failed for good."""
        self._progress.ended(trials.index(trial), "failed", self._why(trial))

    def _why(self, trial: Any) -> str:
        """The reason of the trial's last failure. A mistake that all trials share ends the search here."""
        error: Any = None
        with contextlib.suppress(OSError, pickle.UnpicklingError, AttributeError, ImportError, EOFError):
            error = pickle.loads(Path(trial.pickled_error_file).read_bytes())
        if error is None:
            with contextlib.suppress(OSError, TypeError):
                error = Path(trial.error_file).read_text()
        if isinstance(error, BaseException) and isinstance(original(error), ExperimentCannotRun):
            self.fatal = reason(error)
            raise ExperimentCannotRun(self.fatal)
        return reason(error)

    def _chain_interrupts(self) -> None:
        """First Ctrl-C: Tune's own handler ends the search in good order. Second: KeyboardInterrupt."""
        ends_search = signal.getsignal(signal.SIGINT)

        def handle(number: int, frame: Any) -> None:
            self.interrupted = True
            self._progress.note("Stopping; what the trials have learned up to their last report is kept. "
                                "Ctrl-C again aborts at once.")
            if callable(ends_search):
                ends_search(number, frame)
            signal.signal(signal.SIGINT, signal.default_int_handler)

        signal.signal(signal.SIGINT, handle)
        signal.signal(signal.SIGTERM, handle)
