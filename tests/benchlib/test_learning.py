"""``scripts/bench learning``: what its document tells."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchlib.learning import add_arguments, document
from benchlib.readme import policy_types
from benchlib.table import Cell

TYPE = policy_types()[0]


def measured(seed: int, successes: int) -> Cell:
    return Cell(seed, successes, 100, 0.0, 0.0, 700_416, 144.0, "hash", "0123456789ab", cpus=2, machine="CPU")


def test_seeds_that_were_not_asked_for_stay_in_the_table(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    cells = {TYPE: {1: measured(1, 91), 2: measured(2, 84), 3: measured(3, 77)}}
    options = parser.parse_args(["--policies", TYPE, "--seeds", "2", "--work", str(tmp_path / "work")])
    options.results = tmp_path
    document(cells, options, ["scripts/bench", "learning"])
    assert "0.91 0.84 0.77" in (tmp_path / "learning.md").read_text()
