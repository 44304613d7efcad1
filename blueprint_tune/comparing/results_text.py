"""The comparison of two experiments as people read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from blueprint_tune.comparing.experiments import ExperimentsDiff, Result, Verdict
from blueprint_tune.config.flat import ABSENT, Change, shown
from blueprint_tune.tuning.forecast import count, duration

_ROWS: tuple[tuple[str, Callable[[Result], str | None]], ...] = (
    ("success", lambda r: _success(r)),
    (
        "trials",
        lambda r: None if r.trials is None else f"{r.trials}" + (f", {r.failed} failed" if r.failed else ""),
    ),
    ("env steps", lambda r: None if r.env_steps is None else count(r.env_steps)),
    ("training", lambda r: None if r.training_s is None else duration(r.training_s)),
    ("whole run", lambda r: None if r.duration_s is None else duration(r.duration_s)),
)
"""What a table of results has a row for."""


def as_json(found: ExperimentsDiff) -> dict[str, Any]:
    """Plain data; what one side lacks is left out of a change."""
    verdict = found.verdict
    return {
        "experiments": list(found.names),
        "settings": [
            {**_change(change), "from_a": a or None, "from_b": b or None} for change, a, b in found.settings
        ],
        "best_trial": [_change(change) for change in found.best],
        "versions": [{"what": what, "a": a, "b": b} for what, a, b in found.versions],
        "results": [{**asdict(result), "success_rate": result.rate} for result in found.results],
        "verdict": None if verdict is None else {**asdict(verdict), "beyond_noise": verdict.beyond_noise},
    }


def _change(change: Change) -> dict[str, Any]:
    sides = {"a": change.before, "b": change.after}
    return {"key": change.key, **{side: value for side, value in sides.items() if value is not ABSENT}}


def as_text(found: ExperimentsDiff) -> str:
    """Settings, versions, results, and whether the difference is more than chance."""
    a, b = found.names
    lines = [f"A  {a}", f"B  {b}", ""]
    if found.settings:
        rows = [
            (c.key, shown(c.before, 40), shown(c.after, 40), _origin(*where)) for c, *where in found.settings
        ]
        lines += _table([("setting", "A", "B", "from"), *rows])
    else:
        lines.append("They were asked the same: no resolved setting differs.")
    if found.best:
        sampled = [_cells(change) for change in found.best]
        lines += ["", *_table([("sampled by the best trial", "A", "B"), *sampled])]
    if found.versions:
        lines += ["", *_table([("made with", "A", "B"), *found.versions])]
    results = [(name, *(of(r) or "(none)" for r in found.results)) for name, of in _ROWS]
    lines += ["", *_table([("result", "A", "B"), ("state", *(r.state for r in found.results)), *results])]
    if found.verdict is not None:
        lines += ["", verdict_sentence(found.verdict)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def verdict_sentence(verdict: Verdict) -> str:
    """What the difference is worth."""
    low, high = verdict.interval
    how = "on the same starts, episode by episode" if verdict.paired else "of episodes with other starts"
    noise = (
        f"{'B succeeds more' if verdict.difference > 0 else 'A succeeds more'} often than chance explains"
        if verdict.beyond_noise
        else "within the noise of the benchmark"
    )
    return (
        f"B - A: {verdict.difference:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}, {how}: {noise}. "
        "This says nothing about other training seeds: compare several of each."
    )


def _trials(result: Result) -> str | None:
    failed = f", {result.failed} failed" if result.failed else ""
    return None if result.trials is None else f"{result.trials}{failed}"


def _success(result: Result) -> str | None:
    if result.rate is None or result.interval is None:
        return None
    low, high = result.interval
    return f"{result.rate:.3f} ({low:.3f} to {high:.3f}, {result.episodes} episodes)"


def _cells(change: Change) -> tuple[str, str, str]:
    return change.key, shown(change.before, 40), shown(change.after, 40)


def _origin(a: str, b: str) -> str:
    """Where both have a setting from, or either of them."""
    if a == b:
        return a
    return ", ".join(f"{side}: {where}" for side, where in (("A", a), ("B", b)) if where)


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)) for row in rows]
