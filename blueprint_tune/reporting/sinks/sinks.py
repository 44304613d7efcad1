"""All trackers of an experiment behind one door that never fails a run and never makes it wait."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from blueprint_tune.reporting.sinks.base import Ledger, MetricSink, Told, TrialRun

_PATIENCE_S = 60.0
"""How long the end of a run waits for a tracker to take what it was told."""


class Sinks:
    """Hands everything on to each tracker, from a thread of its own: a slow server slows no trial.

    The first failure of a tracker is noted, and no more is told to it by this process.
    """

    def __init__(self, sinks: Mapping[str, MetricSink], told: Told, note: Callable[[str], None]) -> None:
        """``sinks``: name -> tracker. ``note`` shows a sentence to the user, in the caller's thread."""
        self._note, self._told = note, told
        self._lines = [_Line(name, sink, told) for name, sink in sinks.items()]

    @property
    def names(self) -> list[str]:
        """Of the trackers that are still told."""
        return [line.name for line in self._lines if line.problem is None]

    def report(self, trial: TrialRun, env_steps: int, metrics: Mapping[str, float]) -> None:
        """See :meth:`MetricSink.report`."""
        copy = dict(metrics)
        self._each(lambda line: line.report(trial, env_steps, copy))

    def end(self, trial: TrialRun) -> None:
        """See :meth:`MetricSink.end`."""
        self._each(lambda line: line.sink.end(trial))

    def finish(self, summary: Mapping[str, float | str], artifacts: Sequence[Path]) -> None:
        """See :meth:`MetricSink.finish`."""
        self._each(lambda line: line.sink.finish(summary, artifacts))

    def close(self) -> None:
        """Let the trackers take what they were told, for a while; a second time does nothing."""
        self._each(lambda line: line.sink.close())
        for line in self._lines:
            if not line.stop(_PATIENCE_S):
                self._note(
                    f"{line.name} did not take everything within {_PATIENCE_S:g} s; the rest is not sent."
                )
        self._tell()
        self._lines = []

    def _each(self, work: Callable[[_Line], None]) -> None:
        for line in self._lines:
            line.add(work)
        self._tell()

    def _tell(self) -> None:
        for line in self._lines:
            if line.problem is not None and not line.told:
                line.told = True
                self._note(f"{line.name}: {line.problem} Its metrics stop here; the run goes on without it.")


class _Line:
    """One tracker and the thread that talks to it.

    Attributes:
        problem: why nothing more is told to it. told: whether the user knows.
    """

    def __init__(self, name: str, sink: MetricSink, told: Told) -> None:
        self.name, self.sink = name, sink
        self.problem: str | None = None
        self.told = False
        self._ledger = Ledger.read(told.folder / f"{name}.json")
        self._work: queue.SimpleQueue[Callable[[_Line], None] | None] = queue.SimpleQueue()
        self.add(lambda line: sink.open(told, self._ledger))
        self._thread = threading.Thread(target=self._run, name=f"{name} metrics", daemon=True)
        self._thread.start()

    def add(self, work: Callable[[_Line], None]) -> None:
        """To be done after what was added before."""
        self._work.put(work)

    def report(self, trial: TrialRun, env_steps: int, metrics: Mapping[str, float]) -> None:
        """A report, unless it repeats what the tracker has."""
        if self._ledger.is_new(trial.trial_id, env_steps):
            self.sink.report(trial, env_steps, metrics)
            self._ledger.has_sent(trial.trial_id, env_steps)

    def stop(self, timeout_s: float) -> bool:
        """Whether all was done in time."""
        self._work.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            if self.problem is None:
                try:
                    work(self)
                except BaseException as error:  # of a library that may even call sys.exit
                    self.problem = _first_line(error)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    return text if text.endswith(".") else f"{text}."
