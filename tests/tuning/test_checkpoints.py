"""Checkpoints on disk: what is whole, and what stands in for one that is not."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from blueprint_tune.errors import CheckpointDamaged
from blueprint_tune.tuning.checkpoints import (
    REACHED_FILE,
    Reached,
    ending,
    newest,
    read_reached,
    whole,
    write_reached,
)
from blueprint_tune.tuning.lineage import write_origin
from blueprint_tune.tuning.records import CHECKPOINT_FILE

REPORT = {"eval/success_rate": 0.5, "loss/value": float("nan"), "note": "", "changed": {"a": [0.1, 2]}}


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """Three checkpoints, the last at the end of the budget."""
    for number in range(3):
        folder = tmp_path / f"checkpoint_{number:06d}"
        folder.mkdir()
        (folder / CHECKPOINT_FILE).write_bytes(os.urandom(60))
        write_origin(folder, "t0", {"agent.learning_rate": 1e-3})
        write_reached(folder, Reached(number + 1, 10 * number, 1.5, number == 2, REPORT))
        os.utime(folder / REACHED_FILE, ns=(number, number))
    return tmp_path


def read(file: Path) -> int:
    return len(file.read_bytes())


def test_whole_checkpoints_are_found_in_order(trial: Path) -> None:
    assert [r.iteration for r in whole(trial).values()] == [1, 2, 3]
    found = ending(trial)
    assert found is not None and found[0].name == "checkpoint_000002"
    reached = read_reached(found[0])
    assert reached.report["changed"] == REPORT["changed"] and reached.time_s == 1.5


def test_any_byte_that_is_not_as_it_was_is_noticed(trial: Path) -> None:
    last = trial / "checkpoint_000002"
    for file in sorted(last.iterdir()):
        content, times = file.read_bytes(), (2, 2)
        for position in range(len(content)):
            damaged = bytearray(content)
            damaged[position] ^= 1 << position % 8
            _put(file, bytes(damaged), times)
            with pytest.raises(CheckpointDamaged, match="checkpoint_000002 is damaged"):
                read_reached(last)
        for line_end in (b"\r\n", b"\r"):
            _put(file, content.replace(b"\n", line_end), times)
            if b"\n" in content:
                with pytest.raises(CheckpointDamaged):
                    read_reached(last)
        _put(file, content[:-1], times)
        assert [path.name[-1] for path in whole(trial)] == ["0", "1"] and ending(trial) is None
        _put(file, content, times)
        assert ending(trial) is not None


def _put(file: Path, content: bytes, times: tuple[int, int]) -> None:
    file.write_bytes(content)
    os.utime(file, ns=times)


@pytest.mark.parametrize("name", [CHECKPOINT_FILE, "origin.json", REACHED_FILE])
def test_the_one_before_stands_in_for_a_damaged_one(trial: Path, name: str) -> None:
    last = trial / "checkpoint_000002"
    assert newest(last, read)[0] == last
    (last / name).unlink()
    found, reached, content = newest(last, read)
    assert (found.name, reached.iteration, content) == ("checkpoint_000001", 2, 60)
    shutil.rmtree(trial / "checkpoint_000001")
    (trial / "checkpoint_000000" / name).write_text("{}")
    with pytest.raises(CheckpointDamaged, match="checkpoint_000002 is "):
        newest(last, read)


def test_a_checkpoint_marked_by_an_older_program_counts(trial: Path) -> None:
    last = trial / "checkpoint_000002" / REACHED_FILE
    document = json.loads(last.read_text())
    del document["files"], document["sha256"]
    last.write_text(json.dumps(document))
    assert read_reached(last.parent).iteration == 3
