"""The numbers behind every curve: what the trials reported, as arrays and as published documents."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blueprint_tune.errors import ObjectNotFound

Floats = NDArray[np.float64]
SUCCESS = "eval/success_rate"
"""The metric trials are compared by."""


@dataclass(frozen=True)
class TrialCurves:
    """What one trial reported.

    Attributes:
        trial_id: id usable as a folder name. status: ``completed``, ``stopped`` (by the scheduler), ``failed``
            or ``interrupted``.
        sampled: dotted config key -> value; empty for the default settings.
        rows: reports in order of ``env_steps``, each metric -> number (finite numbers only).
    """

    trial_id: str
    status: str
    sampled: Mapping[str, Any]
    rows: tuple[Mapping[str, float], ...]

    def series(self, metric: str, against: str = "env_steps") -> tuple[Floats, Floats]:
        """(x, y) of the reports that have both numbers."""
        pairs = [(row[against], row[metric]) for row in self.rows if against in row and metric in row]
        points = np.asarray(pairs, dtype=np.float64).reshape(-1, 2)
        return points[:, 0], points[:, 1]

    def last(self, metric: str) -> float | None:
        """The last reported value."""
        values = self.series(metric)[1]
        return float(values[-1]) if len(values) else None

    def best(self, metric: str = SUCCESS) -> float | None:
        """The largest reported value."""
        values = self.series(metric)[1]
        return float(values.max()) if len(values) else None

    def metrics(self, prefix: str) -> tuple[str, ...]:
        """Names of the metrics under ``prefix``, without it, in order of first appearance."""
        names = dict.fromkeys(name for row in self.rows for name in row if name.startswith(prefix))
        return tuple(name.removeprefix(prefix) for name in names)


def read_trial(folder: Path, trial_id: str, status: str, sampled: Mapping[str, Any]) -> TrialCurves:
    """Read the reports Ray left in a trial's folder (``result.json``, one JSON object a line)."""
    return TrialCurves(trial_id, status, dict(sampled), read_progress(folder))
