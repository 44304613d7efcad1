from __future__ import annotations

from pathlib import Path

import pytest

from blueprint_tune.reporting.sinks.base import EXPERIMENT, Ledger


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    ledger = Ledger.read(tmp_path / "loggers/wandb.json")
    ledger.remember(EXPERIMENT, "x1")
    ledger.remember("a_0", "x2")
    ledger.has_sent("a_0", 512)
    again = Ledger.read(ledger.path)
    assert again == ledger
    assert not again.is_new("a_0", 512) and again.is_new("a_0", 513) and again.is_new("a_1", 0)
    assert [path.name for path in ledger.path.parent.iterdir()] == ["wandb.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"runs": 3}', '{"runs": {}, "sent": 3}'])
def test_a_damaged_ledger_begins_anew(tmp_path: Path, text: str) -> None:
    path = tmp_path / "wandb.json"
    path.write_text(text)
    assert Ledger.read(path) == Ledger(path)
