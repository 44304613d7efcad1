"""What Tune tells us while it runs: shown as progress, written down as reports; and Ctrl-C, told to Tune."""

from __future__ import annotations

import functools
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray import tune

from blueprint_tune.reporting.sinks.base import TrialRun
from blueprint_tune.reporting.sinks.sinks import Sinks
from blueprint_tune.tuning.lineage import EXPLOIT, Lineage, plain
from blueprint_tune.tuning.progress import Progress
from blueprint_tune.tuning.records import (
    REPORTS_FILE,
    TOLD_AGAIN,
    read_reports,
    replace_text,
    trained_steps,
    trial_number,
)


class Feed(tune.Callback):
    """Follows the trials of one search.

    Attributes:
        interrupted: Ctrl-C (or SIGTERM) was received; the search stops at the next report.
    """

    def __init__(self, progress: Progress, metric: str, budget: int) -> None:
        self._progress, self._metric, self._budget = progress, metric, budget
        self.interrupted = False
        self._end_search: Callable[[], Any] | None = None

    def __reduce__(self) -> tuple[type[tune.Callback], tuple[()]]:
        """Ray pickles callbacks for a later restore, which brings its own; a terminal cannot be pickled."""
        return tune.Callback, ()

    def setup(self, *args: Any, **info: Any) -> None:
        """Called by Tune once its own signal handler is in place."""
        if threading.current_thread() is threading.main_thread():
            self._chain_interrupts()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """See :meth:`Progress.started`."""
        self._progress.started(trial_number(trial, trials), dict(trial.config), trained_steps(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """See :meth:`Progress.reported`."""
        self._progress.working("training")
        steps, seconds = int(result["env_steps"]), float(result["time_this_iter_s"])
        if result["training_iteration"] == 1:
            # one update and an evaluation: only the former says how fast it will go on
            seconds = steps / float(result["perf/env_steps_per_s"])
        self._progress.reported(trial_number(trial, trials), steps, result.get(self._metric), seconds)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """See :meth:`Progress.ended`."""
        done = trained_steps(trial) >= self._budget
        self._progress.ended(trial_number(trial, trials), "completed" if done else "stopped")

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """End an interrupted search once no checkpoint is being written."""
        if self.interrupted and self._end_search and not any(trial.is_saving for trial in trials):
            self._end_search()
            self._end_search = None

    def _chain_interrupts(self) -> None:
        """First Ctrl-C: Tune's own handler ends the search in good order. Second: KeyboardInterrupt."""
        tunes = signal.getsignal(signal.SIGINT)

        def handle(number: int, frame: Any) -> None:
            self.interrupted = True
            self._end_search = functools.partial(tunes, number, frame) if callable(tunes) else None
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._progress.note(
                "Stopping; what the trials have learned up to their last checkpoint is kept. "
                "Ctrl-C again aborts at once."
            )

        signal.signal(signal.SIGINT, handle)
        signal.signal(signal.SIGTERM, handle)


class Recorder(tune.Callback):
    """Appends every report to the trial's file of reports and to its TensorBoard events, and tells the sinks.

    Ray keeps its own logs in a temporary folder and copies them over from time to time; a report here
    is in the experiment's folder the moment it exists, so a killed run loses none.
    """

    def __init__(
        self, trials_dir: Path, tensorboard: bool, elapsed_s: float = 0.0, sinks: Sinks | None = None
    ) -> None:
        """``elapsed_s``: time the experiment had taken before this process."""
        self._dir, self._tensorboard, self._sinks = trials_dir, tensorboard, sinks
        self._zero = time.monotonic() - elapsed_s
        self._writers: dict[str, Any] = {}
        self._last: dict[str, int] = {}
        self._lineage = Lineage(trials_dir)

    def __getstate__(self) -> dict[str, Any]:
        """Ray pickles callbacks; open event files and connections cannot be."""
        return {**self.__dict__, "_writers": {}, "_last": {}, "_sinks": None}

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Write one report. The last callback to see it whole: Ray keeps less of it."""
        report = _report(result, time.monotonic() - self._zero)
        folder = self._dir / trial.trial_id
        folder.mkdir(parents=True, exist_ok=True)
        if result.get(TOLD_AGAIN) and _stands(folder, report):
            return
        last = self._last.get(trial.trial_id)
        self._follow(folder, trial.trial_id, report["env_steps"], result.pop(EXPLOIT, None))
        if last is None or report["training_iteration"] <= last:
            _forget_from(folder / REPORTS_FILE, report["training_iteration"])
        self._last[trial.trial_id] = report["training_iteration"]
        with (folder / REPORTS_FILE).open("a") as file:
            file.write(json.dumps(report, allow_nan=False) + "\n")
        if self._tensorboard:
            self._events(folder, trial.trial_id, report)
        if self._sinks is not None:
            self._sinks.report(_run_of(trial, trials), report["env_steps"], _metrics(report))
        _lighten(result)

    def _follow(self, folder: Path, trial_id: str, env_steps: int, exploit: dict[str, Any] | None) -> None:
        """Tell the lineage, with where the trial stood before it copied another one."""
        before = read_reports(folder) if exploit is not None else ()
        left_at = int(before[-1]["env_steps"]) if before else None
        self._lineage.follow(trial_id, env_steps, left_at, exploit)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Close the trial's event file."""
        self._close(trial.trial_id)
        if self._sinks is not None:
            self._sinks.end(_run_of(trial, trials))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Close the trial's event file."""
        self.on_trial_complete(iteration, trials, trial, **info)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Close what is still open."""
        for trial_id in list(self._writers):
            self._close(trial_id)

    def _events(self, folder: Path, trial_id: str, report: dict[str, Any]) -> None:
        if trial_id not in self._writers:
            from tensorboardX import SummaryWriter

            # After a resume the events of reports that are trained again are hidden.
            self._writers[trial_id] = SummaryWriter(str(folder), purge_step=report["env_steps"])
        for key, value in _metrics(report).items():
            self._writers[trial_id].add_scalar(key, value, report["env_steps"])

    def _close(self, trial_id: str) -> None:
        writer = self._writers.pop(trial_id, None)
        if writer is not None:
            writer.close()


def _report(result: Mapping[str, Any], elapsed_s: float) -> dict[str, Any]:
    """The trainer's own metrics out of what Ray has added to; what is not finite becomes null."""
    own = {k: v for k, v in result.items() if "/" in k or k in ("env_steps", "updates")}
    report = {k: _number(v) for k, v in own.items() if isinstance(v, int | float)}
    return {
        **report,
        "training_iteration": int(result["training_iteration"]),
        "time_s": round(float(result["time_total_s"]), 3),
        "elapsed_s": round(elapsed_s, 3),
        "timestamp": round(time.time(), 3),
    }


def _metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """What curves are drawn of."""
    return {k: v for k, v in report.items() if isinstance(v, int | float) and "/" in k}


def _run_of(trial: Any, trials: list[Any]) -> TrialRun:
    return TrialRun(trial.trial_id, trial_number(trial, trials), plain(trial.config))


def _stands(folder: Path, report: Mapping[str, Any]) -> bool:
    """Whether a report is the last that was written down."""
    written = read_reports(folder)
    return bool(written) and written[-1]["training_iteration"] == report["training_iteration"]


def _lighten(result: dict[str, Any]) -> None:
    """Drop what nobody asks Ray for again.

    Ray keeps running statistics of every number it is given and writes those of all trials down every
    second: 43 KB a trial with all metrics of a report, 11 KB without.
    """
    for key in [key for key in result if "/" in key and not key.startswith("eval/")]:
        del result[key]


def _number(value: float) -> float | int | None:
    return value if isinstance(value, int) or math.isfinite(value) else None


def _forget_from(path: Path, iteration: int) -> None:
    """Drop the reports from ``iteration`` on: the trial went back to a checkpoint and trains them again.

    So does a last line that a crash cut short.
    """
    if path.exists():
        kept = [row for row in read_reports(path.parent) if row["training_iteration"] < iteration]
        replace_text(path, "".join(json.dumps(row) + "\n" for row in kept))
