"""Notices trials that hang, and ends their processes: Tune then restarts them as it does after a crash."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ray import tune

FIRST_REPORT_S = 1800.0
"""What a process gets for its first report at least, because it builds the scene: three times the longest
start of Isaac Sim that users report (607 s, github.com/isaac-sim/IsaacLab/issues/4151)."""
PATIENCE = 5.0
"""A trial that reports regularly hangs after this many times the time that a report should take."""
_DRIVER_LATE_S = 10.0
"""If this process did not look for longer it was itself held up, and reports may lie unread."""


@dataclass
class _Watched:
    """One running trial: when it last gave a sign, what its next report should take (0 before the first)."""

    since: float
    expected_s: float = 0.0


def allowance_s(limit_s: float, expected_s: float) -> float:
    """Seconds a trial may go without a report. ``expected_s``: what one should take; 0 before the first."""
    return max(limit_s, PATIENCE * expected_s if expected_s else FIRST_REPORT_S)


def end_process(trial: Any) -> None:
    """Kill the trial's process, on whatever node it runs; also one that no longer answers."""
    import ray

    actor = trial.temporary_state.ray_actor
    if actor is not None:
        ray.kill(actor)


class Watchdog(tune.Callback):
    """Ends the process of a trial that gives no report for ``limit_s`` seconds and :func:`allowance_s`.

    Tune's loop turns ten times a second, whether or not anything happens, so no thread is needed.
    """

    def __init__(
        self,
        limit_s: float,
        report_env_steps: int,
        end: Callable[[Any], None] = end_process,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``report_env_steps``: trained between two reports."""
        self._limit_s, self._report_env_steps = limit_s, report_env_steps
        self._end, self._clock = end, clock
        self._watched: dict[str, _Watched] = {}
        self._hung: dict[str, str] = {}
        self._looked = clock()

    def __reduce__(self) -> tuple[type[tune.Callback], tuple[()]]:
        """Ray pickles callbacks for a later restore, which brings its own."""
        return tune.Callback, ()

    def verdict(self, trial_id: str) -> str | None:
        """Why the trial's process was ended, once; None if it was not."""
        return self._hung.pop(trial_id, None)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial's process is up, or has taken it over from another trial."""
        self._watched[trial.trial_id] = _Watched(self._clock())

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A sign of life."""
        rate = float(result.get("perf/env_steps_per_s") or 0.0)
        expected_s = self._report_env_steps / rate if rate > 0 else 0.0
        self._watched[trial.trial_id] = _Watched(self._clock(), expected_s)

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look after the trials that run."""
        now, before, self._looked = self._clock(), self._looked, self._clock()
        late = now - before if now - before > _DRIVER_LATE_S else 0.0
        running = {trial.trial_id: trial for trial in trials if trial.status == "RUNNING"}
        self._watched = {name: seen for name, seen in self._watched.items() if name in running}
        for name, seen in self._watched.items():
            seen.since += late
            allowed = allowance_s(self._limit_s, seen.expected_s)
            if now - seen.since > allowed and name not in self._hung:
                self._hung[name] = f"it hung: no report for {allowed:.0f} s"
                self._end(running[name])
