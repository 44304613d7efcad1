"""Against Weights & Biases' own offline files, read record by record as its uploader reads them."""

from __future__ import annotations

import json
import struct
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blueprint_tune.config.schema import WandbConfig
from blueprint_tune.reporting.sinks.base import EXPERIMENT, Ledger, Told
from blueprint_tune.reporting.sinks.sinks import Sinks
from blueprint_tune.reporting.sinks.wandb_sink import WandbSink

from .conftest import FIRST, SECOND

pytest.importorskip("wandb", reason="Weights & Biases is an extra: pip install 'blueprint-tune[wandb]'")

OFFLINE = WandbConfig(project="robots", entity="lab", mode="offline", tags=["mine"])
_BLOCK = 32768


def records(path: Path) -> Iterator[Any]:
    """The records of a ``.wandb`` file: LevelDB's log format after a header of seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        if (left := _BLOCK - at % _BLOCK) < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def closed(path: Path) -> list[Any]:
    """The records of a run once they are all on disk: its own process writes the last ones a moment later."""
    until = time.monotonic() + 30.0
    while True:
        found = list(records(path))
        if any(record.WhichOneof("record_type") == "exit" for record in found):
            return found
        assert time.monotonic() < until, f"{path} is not closed"
        time.sleep(0.05)


def entries(items: Any) -> dict[str, Any]:
    return {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items}


def told_sink(told: Told) -> tuple[Sinks, list[str]]:
    notes: list[str] = []
    return Sinks({"wandb": WandbSink(OFFLINE)}, told, notes.append), notes


@pytest.fixture
def told_twice(told: Told, files: list[Path]) -> tuple[Told, dict[str, list[Any]]]:
    """An experiment that was interrupted and went on; run id -> its records, of both processes."""
    sinks, notes = told_sink(told)
    sinks.report(FIRST, 512, {"eval/success_rate": 0.25, "loss/value": 2.0})
    sinks.report(SECOND, 512, {"eval/success_rate": 0.5})
    sinks.close()
    sinks, more = told_sink(told)
    sinks.report(SECOND, 512, {"eval/success_rate": 0.5})
    sinks.report(SECOND, 1024, {"eval/success_rate": 0.75})
    sinks.end(SECOND)
    sinks.finish({"benchmark/success_rate": 0.875, "best_trial": "a_1"}, files)
    sinks.close()
    assert [*notes, *more] == []
    found: dict[str, list[Any]] = defaultdict(list)
    for path in sorted((told.folder / "wandb").glob("offline-run-*/*.wandb")):
        found[path.stem.removeprefix("run-")] += closed(path)
    return told, found


def test_runs_hold_what_was_told_and_a_resume_goes_on_in_them(
    told_twice: tuple[Told, dict[str, list[Any]]], files: list[Path]
) -> None:
    told, found = told_twice
    runs = Ledger.read(told.folder / "wandb.json").runs
    assert set(found) == set(runs.values()) and set(runs) == {EXPERIMENT, "a_0", "a_1"}
    history = {
        trial: [
            (row.history.step.num, entries(row.history.item))
            for row in found[runs[trial]]
            if row.WhichOneof("record_type") == "history"
        ]
        for trial in ("a_0", "a_1")
    }
    assert [(step, row["eval/success_rate"]) for step, row in history["a_1"]] == [(512, 0.5), (1024, 0.75)]
    assert [(step, row["loss/value"], row["env_steps"]) for step, row in history["a_0"]] == [(512, 2.0, 512)]

    second = next(r.run for r in found[runs["a_1"]] if r.WhichOneof("record_type") == "run")
    assert (second.project, second.entity, second.run_group, second.job_type) == (
        "robots",
        "lab",
        "kitchen-asha",
        "trial",
    )
    assert second.display_name == "kitchen-asha trial 1"
    assert set(second.tags) == {"mine", "kitchen_001", "asha"}
    settings = entries(second.config.update)
    assert settings["agent.learning_rate"] == 0.002 and settings["agent.hidden"] == [64, 64]

    whole = found[runs[EXPERIMENT]]
    summary = [entries(r.summary.update) for r in whole if r.WhichOneof("record_type") == "summary"]
    assert {"benchmark/success_rate": 0.875, "best_trial": "a_1"}.items() <= {
        k: v for part in summary for k, v in part.items()
    }.items()
    (artifact,) = [r.artifact for r in whole if r.WhichOneof("record_type") == "artifact"]
    assert (artifact.name, artifact.type) == ("kitchen-asha", "policy")
    assert {entry.path for entry in artifact.manifest.contents} == {path.name for path in files}
    assert [r.exit.exit_code for r in whole if r.WhichOneof("record_type") == "exit"] == [255, 0]
    kinds = {record.WhichOneof("record_type") for rows in found.values() for record in rows}
    assert kinds <= {
        "header",
        "run",
        "config",
        "telemetry",
        "summary",
        "history",
        "artifact",
        "exit",
        "footer",
    }
