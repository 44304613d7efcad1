"""The leaderboard's page: the document ``leaderboard.json`` as one HTML file, readable without a network."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from blueprint_tune.reporting.html import templates
from blueprint_tune.reporting.views import MISSING, number, percent, setting

_SORT = (Path(__file__).parent / "templates" / "sort.js").read_text()
_PLACE = ("scene", "policy", "robot", "sweep", "seed")


def render_leaderboard(board: Mapping[str, Any], folder: Path | None = None) -> str:
    """The page as text; ``folder`` is where it will lie, to which its links are relative."""
    rows: Sequence[Mapping[str, Any]] = board["rows"]
    columns = place_columns(rows)
    digest = base64.b64encode(hashlib.sha256(_SORT.encode()).digest()).decode()
    return (
        templates()
        .get_template("leaderboard.html.j2")
        .render(
            board=board,
            columns=columns,
            places={row["path"]: [place_cell(row, column) for column in columns] for row in rows},
            settings={
                row["path"]: [f"{k} = {setting(v, 3)}" for k, v in row["settings"].items()] for row in rows
            },
            links={row["path"]: _link(row["report"], folder) for row in rows if row["report"]},
            counts=counts(rows),
            shared=shared_place(rows),
            costs=cost_columns(rows),
            result=result,
            state=state,
            trials=trials,
            cost=cost,
            compared=any(row["change"] for row in rows),
            sort=Markup(_SORT),
            sort_digest=digest,
        )
    )


def place_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The policy, what else differs between the rows, and the axes of their batches.

    Where these do not tell all rows apart, also their names.
    """
    differing = [name for name in _PLACE if name == "policy" or len({row[name] for row in rows}) > 1]
    axes = dict.fromkeys(key for row in rows for key in row["axes"])
    columns = [*differing, *(key for key in axes if key not in _PLACE)]
    told_apart = {tuple(place_cell(row, column) for column in columns) for row in rows}
    return columns if len(told_apart) == len(rows) else [*columns, "name"]


def shared_place(rows: Sequence[Mapping[str, Any]]) -> str:
    """What all rows have in common: "scene kitchen_001, robot franka, …"."""
    columns = place_columns(rows)
    return ", ".join(f"{name} {rows[0][name]}" for name in _PLACE if rows and name not in columns)


def place_cell(row: Mapping[str, Any], column: str) -> str:
    """What stands in one of :func:`place_columns`."""
    return str(row[column] if column in (*_PLACE, "name") else row["axes"].get(column, MISSING))


def cost_columns(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(key, heading) of what was written down about costs."""
    headings = {"cpu_hours": "CPU-hours", "gpu_hours": "GPU-hours", "price": "cost"}
    return [(key, text) for key, text in headings.items() if any(row[key] is not None for row in rows)]


def cost(value: float | None) -> str:
    """Hours or a price in few characters."""
    return MISSING if value is None else "< 0.01" if 0 < value < 0.01 else f"{value:.2f}"


def result(row: Mapping[str, Any]) -> str:
    """ "92% (85–96%)", or what is known before the benchmark."""
    if row["success_rate"] is not None:
        low, high = row["success_interval"]
        return f"{percent(row['success_rate'])} ({100 * low:.0f}–{100 * high:.0f}%)"
    return MISSING if row["best"] is None else f"{percent(row['best'])} so far"


def state(row: Mapping[str, Any]) -> str:
    """The experiment's state; of a finished one that serves, that it is the champion."""
    return "champion" if row.get("champion") else str(row["state"])


def trials(row: Mapping[str, Any]) -> str:
    """ "3 completed, 5 stopped"."""
    return ", ".join(f"{n} {status}" for status, n in row["trials"].items() if n)


def counts(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(name, value) of what the whole board amounts to."""
    states = {
        state: sum(row["state"] == state for row in rows) for state in dict.fromkeys(r["state"] for r in rows)
    }
    found = [*((state, str(n)) for state, n in states.items())]
    found.append(("env steps", number(sum(row["env_steps"] for row in rows))))
    for key, heading in cost_columns(rows):
        found.append((heading, cost(sum(row[key] or 0.0 for row in rows))))
    return found


def _link(report: str, folder: Path | None) -> str:
    if "://" in report:
        return report
    return Path(report).as_uri() if folder is None else Path(os.path.relpath(report, folder)).as_posix()
