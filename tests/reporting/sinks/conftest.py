"""An experiment as trackers are told about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from blueprint_tune.reporting.sinks.base import Told, TrialRun

FIRST = TrialRun("a_0", 0, {})
SECOND = TrialRun("a_1", 1, {"agent.learning_rate": 0.002})


@pytest.fixture
def told(tmp_path: Path) -> Told:
    settings = {"agent.learning_rate": 0.001, "agent.hidden": [64, 64], "sweep.searcher": None}
    return Told("kitchen-asha", tmp_path / "loggers", settings, {"scene": "kitchen_001", "sweep": "asha"})


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / "report.html", tmp_path / "policy.onnx"]
    for path in found:
        path.write_text(path.name)
    return found
