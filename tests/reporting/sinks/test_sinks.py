from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from blueprint_tune.reporting.sinks import sinks as module
from blueprint_tune.reporting.sinks.base import EXPERIMENT, Ledger, Told, TrialRun
from blueprint_tune.reporting.sinks.sinks import Sinks

from .conftest import FIRST, SECOND


@dataclass
class Notebook:
    """A tracker that keeps everything in memory, and breaks or waits where it is told to."""

    breaks_at: str = ""
    gate: threading.Event | None = None
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def _add(self, *call: Any) -> None:
        if self.gate is not None:
            self.gate.wait()
        if call[0] == self.breaks_at:
            raise RuntimeError("the server said no\nand a lot more")
        self.calls.append(call)

    def open(self, told: Told, ledger: Ledger) -> None:
        self._add("open", dict(ledger.runs))
        ledger.remember(EXPERIMENT, "run 1")

    def report(self, trial: TrialRun, env_steps: int, metrics: Mapping[str, float]) -> None:
        self._add("report", trial.number, env_steps, dict(metrics))

    def end(self, trial: TrialRun) -> None:
        self._add("end", trial.number)

    def finish(self, summary: Mapping[str, float | str], artifacts: Sequence[Path]) -> None:
        self._add("finish", dict(summary), list(artifacts))

    def close(self) -> None:
        self._add("close")


def test_everything_arrives_in_order(told: Told) -> None:
    notebook, notes = Notebook(), list[str]()
    sinks = Sinks({"notebook": notebook}, told, notes.append)
    metrics = {"eval/success_rate": 0.5}
    sinks.report(FIRST, 512, metrics)
    metrics["eval/success_rate"] = 0.0  # the caller's own, which goes on using it
    sinks.end(FIRST)
    sinks.finish({"x": 1.0}, [])
    sinks.close()
    assert notebook.calls == [
        ("open", {}),
        ("report", 0, 512, {"eval/success_rate": 0.5}),
        ("end", 0),
        ("finish", {"x": 1.0}, []),
        ("close",),
    ]
    assert notes == []


def test_what_is_trained_again_is_told_once_also_by_a_later_process(told: Told) -> None:
    def told_steps(*steps: int) -> list[tuple[Any, ...]]:
        notebook = Notebook()
        sinks = Sinks({"notebook": notebook}, told, print)
        for env_steps in steps:
            sinks.report(SECOND, env_steps, {})
        sinks.close()
        assert notebook.calls[0] == ("open", {EXPERIMENT: "run 1"} if steps[0] > 512 else {})
        return [call[2] for call in notebook.calls if call[0] == "report"]

    assert told_steps(512, 1024, 1024, 512) == [512, 1024]
    assert told_steps(1024, 1536) == [1536]


@pytest.mark.parametrize("breaks_at", ["open", "report", "end", "finish", "close"])
def test_a_broken_tracker_is_noted_once_and_the_others_go_on(told: Told, breaks_at: str) -> None:
    broken, whole, notes = Notebook(breaks_at), Notebook(), list[str]()
    sinks = Sinks({"broken": broken, "whole": whole}, told, notes.append)
    for env_steps in (512, 1024):
        sinks.report(FIRST, env_steps, {})
    sinks.end(FIRST)
    sinks.finish({}, [])
    assert "whole" in sinks.names
    sinks.close()
    sinks.close()
    assert sinks.names == []
    assert [call[0] for call in whole.calls] == ["open", "report", "report", "end", "finish", "close"]
    assert len(notes) == 1
    assert notes[0].startswith("broken: the server said no. Its metrics stop here")
    assert [call[0] for call in broken.calls] == [c[0] for c in whole.calls][: len(broken.calls)]


def test_a_tracker_that_hangs_stops_nobody(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.05)
    gate, notes = threading.Event(), list[str]()
    hanging, whole = Notebook(gate=gate), Notebook()
    sinks = Sinks({"hanging": hanging, "whole": whole}, told, notes.append)
    sinks.report(FIRST, 512, {})
    sinks.close()
    assert hanging.calls == [] and len(whole.calls) == 3
    assert notes == ["hanging did not take everything within 0.05 s; the rest is not sent."]
    gate.set()


def test_without_trackers_nothing_happens(told: Told) -> None:
    sinks = Sinks({}, told, print)
    sinks.report(FIRST, 512, {})
    sinks.close()
    assert not told.folder.exists()
