"""``sweep.time_budget_s``: a search that ends by the clock."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune

from blueprint_tune.tuning.records import REPORTS_FILE, read_reports


class TimeBudget(tune.Stopper):
    """Stops all trials ``budget_s`` after the search's first report, less ``used_s`` of an earlier process.

    Starting Ray and building scenes does not count, so a slow start never leaves a search with nothing.
    """

    def __init__(self, budget_s: float, used_s: float = 0.0) -> None:
        self._left_s = budget_s - used_s
        self._began: float | None = None

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Start the clock; no trial is stopped by itself."""
        if self._began is None:
            self._began = time.monotonic()
        return False

    def stop_all(self) -> bool:
        """Whether time is up."""
        return self._began is not None and time.monotonic() - self._began >= self._left_s


def time_budget(budget_s: float | None, trials_dir: Path) -> TimeBudget | None:
    """The budget of a search, what its earlier processes have used taken off; None without one."""
    return None if budget_s is None else TimeBudget(budget_s, used_s(trials_dir))


def used_s(trials_dir: Path) -> float:
    """From the first report of any trial to the last, as :attr:`elapsed_s` counts; 0 before there are two."""
    times = [
        float(row["elapsed_s"])
        for path in trials_dir.glob(f"*/{REPORTS_FILE}")
        for row in read_reports(path.parent)
    ]
    return max(times) - min(times) if times else 0.0
