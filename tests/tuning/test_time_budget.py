from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from blueprint_tune.tuning import time_budget as module
from blueprint_tune.tuning.records import REPORTS_FILE
from blueprint_tune.tuning.time_budget import time_budget, used_s


def write_reports(trial: Path, *elapsed_s: float) -> None:
    trial.mkdir(parents=True)
    rows = [
        {"elapsed_s": at, "training_iteration": i + 1, "env_steps": 128 * i, "updates": i, "time_s": at}
        for i, at in enumerate(elapsed_s)
    ]
    (trial / REPORTS_FILE).write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def test_the_clock_starts_with_the_first_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    budget = time_budget(60.0, tmp_path)
    assert budget is not None
    now[0] = 1000.0
    assert not budget.stop_all(), "building the scene took long"
    assert not budget("a", {})
    now[0] = 1030.0
    assert not budget("b", {})
    assert not budget.stop_all()
    now[0] = 1060.0
    assert budget.stop_all()


def test_a_search_that_goes_on_has_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_reports(tmp_path / "a", 20.0, 40.0)
    write_reports(tmp_path / "b", 15.0, 55.0)
    assert used_s(tmp_path) == 40.0
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    budget = time_budget(60.0, tmp_path)
    assert budget is not None
    budget("a", {})
    now[0] = 19.0
    assert not budget.stop_all()
    now[0] = 20.0
    assert budget.stop_all()


def test_without_a_budget_nothing_stops_and_ray_can_keep_one(tmp_path: Path) -> None:
    assert time_budget(None, tmp_path) is None
    assert used_s(tmp_path) == 0.0
    assert not pickle.loads(pickle.dumps(time_budget(5.0, tmp_path))).stop_all()
