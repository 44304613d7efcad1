"""The leaderboard in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from blueprint_tune.reporting.leaderboard import (
    cost,
    cost_columns,
    place_cell,
    place_columns,
    result,
    shared_place,
    state,
)
from blueprint_tune.reporting.views import MISSING, duration, number

Row = Mapping[str, Any]
STYLE = {
    "champion": "bold green",
    "finished": "green",
    "failed": "red",
    "running": "bold",
    "interrupted": "yellow",
    "waiting": "dim",
}
_FILE_WIDTH = 240
_CHANGE_STYLE = {"better": "green", "worse": "red"}


def wide_console() -> Console:
    """One that cuts nothing short where the output is no terminal, whose width is nobody's."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_FILE_WIDTH)


def show_board(board: Mapping[str, Any], console: Console) -> None:
    """A line for each experiment, then why some failed or were left out."""
    rows: Sequence[Row] = board["rows"]
    console.print(f"\n{board['title']}", style="bold", markup=False, soft_wrap=True)
    if shared := shared_place(rows):
        console.print(shared, style="dim", markup=False, soft_wrap=True)
    console.print(_table(rows))
    for row in rows:
        for reason in [row["reason"]] if row["reason"] else row["failures"]:
            console.print(f"{row['name']}: {reason}", style="red", markup=False, soft_wrap=True)
    show_refused(board["refused"], console)


def show_refused(refused: Sequence[Row], console: Console) -> None:
    """Combinations that did not become experiments, and why."""
    for entry in refused:
        what = " ".join(f"{k}={v}" for k, v in entry["axes"].items()) or " ".join(entry["overrides"])
        word = "refused" if entry["named"] else "left out"
        style = "red" if entry["named"] else "dim"
        console.print(f"{word}: {what}: {entry['reason']}", style=style, markup=False, soft_wrap=True)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    places, costs = place_columns(rows), cost_columns(rows)
    compared = any(row["change"] for row in rows)
    for name in [*places, "success", "state", *(["since the last batch"] if compared else [])]:
        table.add_column(name, overflow="fold", no_wrap=name in ("success", "state"))
    for name in ("time", *(heading for _, heading in costs), "env steps"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            *(place_cell(row, column) for column in places),
            result(row),
            Text(state(row), style=STYLE[state(row)]),
            *([_change(row)] if compared else []),
            duration(row["duration_s"]) if row["duration_s"] else MISSING,
            *(cost(row[key]) for key, _ in costs),
            number(row["env_steps"]),
        )
    return table


def _change(row: Row) -> Text:
    change = row["change"]
    if change is None:
        return Text(MISSING)
    text = change["kind"] if change["kind"] in ("new", "offered") else f"{change['kind']}: {change['text']}"
    return Text(text, style=_CHANGE_STYLE.get(change["kind"], ""))
