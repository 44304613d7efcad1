"""The leaderboard: a row for every experiment, put together from the folders alone, at any time."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from blueprint_tune.batches.changes import changed
from blueprint_tune.batches.published import mark_champions, published_rows
from blueprint_tune.batches.record import (
    BATCHES,
    BOARD_FILE,
    PAGE_FILE,
    RECORD_FILE,
    BatchFolder,
    BatchRecord,
    batches,
)
from blueprint_tune.batches.rows import batch_row, experiment_row
from blueprint_tune.batches.standing import read_standing
from blueprint_tune.dossier import now
from blueprint_tune.errors import ConfigError
from blueprint_tune.storage.path import StoragePath
from blueprint_tune.tuning.records import replace_text, write_json

Board = dict[str, Any]
"""The document ``leaderboard.json``: title, generated, batch, rows, refused."""
_DEPTH = 3
"""Folders below the given one in which experiments are looked for."""
_ORDER = ("finished", "running", "interrupted", "failed", "waiting")


def batch_board(folder: BatchFolder, record: BatchRecord) -> Board:
    """Of one batch, against those before it."""
    earlier = _earlier(folder.path.parents[1], record)
    rows = [batch_row(folder, item) for item in record.experiments]
    for row in rows:
        row["change"] = dataclasses.asdict(changed(row, earlier))
    mark_champions(rows)
    refused = [dataclasses.asdict(refused) for refused in record.refused]
    return _board(f"Batch {record.name}", rows, refused, record.name)


def folder_board(folders: Sequence[Path], storage: Sequence[StoragePath] = ()) -> Board:
    """Of all experiments in ``folders``: output folders, batches or experiments; and of what ``storage`` has.

    What belongs to the last batch, or came after it, is compared with the batches before. Raises ConfigError
    for a folder without experiments, StorageError for a storage that cannot be read.
    """
    if len(folders) == 1 and not storage and (folders[0] / RECORD_FILE).exists():
        folder = BatchFolder(folders[0].absolute())
        return batch_board(folder, folder.read())
    rows: dict[Path, dict[str, Any]] = {}
    for given in folders:
        found = _rows(given.absolute())
        if not found:
            raise ConfigError(f"{given}: there is no experiment here, nor in the {_DEPTH - 1} levels below.")
        rows |= found
    mark_champions(rows.values())
    published = [row for root in storage for row in published_rows(root)]
    title = "Experiments in " + ", ".join(str(place) for place in (*folders, *storage))
    return _board(title, [*rows.values(), *published], [], None)


def write_board(board: Board, folder: Path) -> Path:
    """Write page and document into ``folder``; returns the page's path. Raises ConfigError if it cannot."""
    from blueprint_tune.reporting.leaderboard import render_leaderboard

    page = folder / PAGE_FILE
    try:
        write_json(folder / BOARD_FILE, board)
        replace_text(page, render_leaderboard(board, folder.absolute()))
    except OSError as error:
        raise ConfigError(
            f"{page} cannot be written ({error.strerror or error}). Use --json, which writes nothing."
        ) from error
    return page


def _board(title: str, rows: list[dict[str, Any]], refused: list[Any], batch: str | None) -> Board:
    ranked = sorted(
        rows,
        key=lambda r: (
            _ORDER.index(r["state"]),
            -(r["success_interval"] or (-1.0,))[0],
            -(r["success_rate"] or 0.0),
            -(r["best"] or 0.0),
            r["name"],
        ),
    )
    return {"title": title, "generated": now(), "batch": batch, "rows": ranked, "refused": refused}


def _rows(folder: Path) -> dict[Path, dict[str, Any]]:
    """By their folders; with what the batches of an output folder know of its experiments."""
    known = [
        (batch, record, {batch.experiment(item): item for item in record.experiments})
        for batch, record in batches(folder)
    ]
    rows = {}
    for path in _experiments(folder):
        standing = read_standing(path)
        if standing is None:
            continue
        item = next((items[path] for _, _, items in reversed(known) if path in items), None)
        row = rows[path] = experiment_row(standing, item)
        row["change"] = None
        if known:
            _, last, items = known[-1]
            if path in items:
                row["change"] = dataclasses.asdict(changed(row, _earlier(folder, last)))
            elif (row["ended"] or row["created"]) > last.created:
                row["change"] = dataclasses.asdict(changed(row, _earlier(folder, None)))
    return rows


def _experiments(folder: Path) -> Iterable[Path]:
    """Folders that hold an ``experiment.yaml``; what a forced rerun has set aside is not among them."""
    if (folder / RECORD_FILE).exists():
        batch = BatchFolder(folder)
        return [batch.experiment(item) for item in batch.read().experiments]
    found = [
        file.parent
        for depth in range(_DEPTH)
        for file in sorted(folder.glob("*/" * depth + "experiment.yaml"))
    ]
    return [path for path in found if ".replaced-" not in path.name and BATCHES not in path.parts]


def _earlier(output_dir: Path, record: BatchRecord | None) -> list[tuple[str, list[dict[str, Any]]]]:
    """Names and rows of the ended batches that were created before ``record`` (None: of all)."""
    found = []
    for folder, other in batches(output_dir):
        if record is not None and (other.name == record.name or other.created >= record.created):
            continue
        with contextlib.suppress(OSError, ValueError, KeyError):
            if other.ended is not None:
                found.append((other.name, json.loads(folder.board.read_text())["rows"]))
    return found
