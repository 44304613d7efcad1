"""What a terminal shows of a batch, read from folders."""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from blueprint_tune.batches.outlook import Outlook
from blueprint_tune.batches.record import BatchFolder, Item
from blueprint_tune.batches.view import View
from blueprint_tune.config.schema import ExperimentConfig


@pytest.fixture
def items(experiment: Callable[..., Path]) -> list[Item]:
    experiment("finished", successes=90)
    experiment("running")
    states = {"finished": "finished", "running": "running", "later": "waiting"}
    return [
        Item(name, [], {}, {}, f"../../out/{name}", "", state)  # type: ignore[arg-type]
        for name, state in states.items()
    ]


def view(
    items: list[Item], cfg: ExperimentConfig, tmp_path: Path, terminal: bool
) -> tuple[View, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120, height=30, color_system=None)
    outlook = Outlook(
        dict.fromkeys((item.name for item in items), cfg), dict.fromkeys((i.name for i in items), 1)
    )
    shown = View(items, BatchFolder(tmp_path / "batches/mine"), outlook, "auto", console)
    with (tmp_path / "out/running/.lock").open("w") as lock:
        lock.write(str(os.getpid()))
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        for item in items:
            shown.changed(item)
    return shown, out


def test_a_terminal_shows_a_row_for_each_experiment(
    items: list[Item], config: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    shown, out = view(items, config("budget.env_steps=20000"), tmp_path, terminal=True)
    shown._console.print(shown._screen())
    rows = {line.split()[0]: line.split() for line in out.getvalue().splitlines() if line.strip()}
    # 1000 env steps took 900 s: 18 000 more take 4.5 h, and then there is the evaluation
    assert rows["running"][1:5] == ["training", "1", "2.0k", "20%"] and rows["running"][5:7] == ["5", "h"]
    assert rows["finished"][1:] == ["finished", "1", "2.0k", "90%"]
    assert rows["later"][1:] == ["waiting"]
    assert "(1 of 3 over, 1 running, about " in out.getvalue()


def test_without_a_terminal_there_are_lines(
    items: list[Item], config: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    shown, out = view(items, config(), tmp_path, terminal=False)
    items[1].state, items[1].reason = "failed", "it fell over"
    shown.changed(items[1])
    shown.tick(stopping=True)
    shown.tick(stopping=True)
    text = out.getvalue()
    assert "finished finished, success 90% (83–94%)" in text and "running failed: it fell over" in text
    assert text.count("Ctrl-C again aborts at once.") == 1
