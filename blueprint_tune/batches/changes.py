"""What an experiment's result says beside the last batch's: new, better, worse, or nothing beyond chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from blueprint_tune.batches.standing import read_config
from blueprint_tune.config.identity import NOT_THE_QUESTION
from blueprint_tune.config.suggest import exists, leaves, lookup
from blueprint_tune.evaluation.statistics import difference_interval

Kind = Literal["new", "offered", "same", "better", "worse", "open"]
Row = Mapping[str, Any]
"""One experiment of a leaderboard, as ``leaderboard.json`` has it."""


@dataclass(frozen=True)
class Change:
    """Against an earlier batch.

    Attributes:
        kind: ``new``: no earlier batch had it. ``offered``: the same input, so the same result.
            ``better``, ``worse``: beyond the 95 % interval of the difference, or finished where it had
            failed, or the other way round. ``same``: no difference beyond chance. ``open``: no result yet.
        text: a sentence. batch: the earlier one. settings: dotted key -> (before, now) where they differ.
    """

    kind: Kind
    text: str
    batch: str | None = None
    settings: Mapping[str, tuple[Any, Any]] | None = None


def key(row: Row) -> tuple[Any, ...]:
    """What makes two experiments of different batches comparable: their place in the table."""
    place = ("scene", "policy", "robot", "sweep", "seed")
    axes = sorted((k, v) for k, v in row["axes"].items() if k not in place)
    return (*(row[name] for name in place), *axes)


def changed(row: Row, earlier: Sequence[tuple[str, Sequence[Row]]]) -> Change:
    """``row`` against the newest batch in ``earlier`` (name and rows, oldest first) that has its like."""
    for batch, rows in reversed(earlier):
        before = next((other for other in rows if key(other) == key(row)), None)
        if before is not None:
            return _against(row, before, batch)
    return Change("new", "no earlier batch has it")


def _against(row: Row, before: Row, batch: str) -> Change:
    if (row["name"], row["ended"]) == (before["name"], before["ended"]) and row["ended"]:
        return Change("offered", "same input, so the same result", batch)
    settings = dict(_settings(row, before)) if row["input_hash"] != before["input_hash"] else {}
    kind, text = _judged(row, before)
    if settings:
        text += f"; {len(settings)} setting{'s' * (len(settings) > 1)} changed"
    elif row["input_hash"] != before["input_hash"]:
        text += "; settings or scene changed"
    elif row["content_hash"] != before["content_hash"]:
        text += "; same settings, other code or libraries"
    return Change(kind, text, batch, settings)


def _judged(row: Row, before: Row) -> tuple[Kind, str]:
    now, then = row["state"], before["state"]
    if now != "finished":
        if now == "failed" and then == "finished":
            return "worse", "failed; it had finished"
        return "open", f"{now}; it had {'finished' if then == 'finished' else 'not finished'}"
    if then != "finished":
        return "better", f"finished; it was {then}"
    low, high = difference_interval(
        before["successes"], before["episodes"], row["successes"], row["episodes"]
    )
    move = f"{before['success_rate']:.0%} → {row['success_rate']:.0%}"
    if low > 0:
        return "better", move
    if high < 0:
        return "worse", move
    return "same", f"{move}, no difference beyond chance"


def _settings(row: Row, before: Row) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Settings of the question that differ, where both experiments are still there."""
    trees = [read_config(Path(str(r["path"]))) for r in (before, row)]
    old, new = ({k: v for k, v in tree.items() if k not in NOT_THE_QUESTION} for tree in trees)
    if not old or not new:
        return
    for name in sorted({*leaves(old), *leaves(new)}):
        path = name.split(".")
        pair = tuple(lookup(tree, path) if exists(tree, path) else None for tree in (old, new))
        if pair[0] != pair[1]:
            yield name, (pair[0], pair[1])
