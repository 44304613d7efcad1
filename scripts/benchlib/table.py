"""The measured table: read from ``learning.json``, a row a policy type, empty where nothing was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from blueprint_tune.evaluation.statistics import wilson_interval

HEADER = (
    "policy type",
    "success (95 % interval)",
    "each seed",
    "zero actions",
    "random actions",
    "env steps",
    "training, min",
)
BEGIN, END = "<!-- measured: scripts/bench learning -->", "<!-- end of measured -->"


@dataclass(frozen=True)
class Cell:
    """One training of one policy type.

    Attributes:
        seed: of the training. successes, episodes: of the benchmark. zero, random: success rates of the
            baselines on the same starts. env_steps, training_s: of the training. input_hash: of the
            question asked. commit: measured at. cpus: that the training had.
        curve: (env steps, success) of every selection evaluation.
        machine: whose CPUs they were; empty in cells that are older than this field.
    """

    seed: int
    successes: int
    episodes: int
    zero: float
    random: float
    env_steps: int
    training_s: float
    input_hash: str
    commit: str
    cpus: int = 2
    curve: tuple[tuple[float, float], ...] = ()
    machine: str = ""


_POINT = re.compile(r"\[\s+([\d.]+),\s+([\d.]+)\s+\]")
"""Of a curve: on one line, not on four."""

Cells = dict[str, dict[int, Cell]]
"""Policy type -> seed -> cell."""


def read_cells(path: Path) -> Cells:
    """What has been measured so far."""
    if not path.exists():
        return {}
    saved = json.loads(path.read_text())
    return {policy: {c["seed"]: _cell(c) for c in cells} for policy, cells in saved.items()}


def _cell(saved: dict[str, Any]) -> Cell:
    curve = tuple((steps, rate) for steps, rate in saved.pop("curve", []))
    return Cell(**saved, curve=curve)


def write_cells(path: Path, cells: Mapping[str, Mapping[int, Cell]]) -> None:
    """Write all cells, completely or not at all."""
    document = {
        policy: [asdict(row[seed]) for seed in sorted(row)] for policy, row in sorted(cells.items()) if row
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    text = json.dumps(document, indent=1)
    partial.write_text(_POINT.sub(r"[\1, \2]", text) + "\n")
    partial.replace(path)


def pooled(cells: Sequence[Cell]) -> tuple[float, float, float]:
    """Success rate over all episodes of all seeds, and its Wilson interval."""
    successes, episodes = sum(c.successes for c in cells), sum(c.episodes for c in cells)
    return (successes / episodes, *wilson_interval(successes, episodes))


def table(policies: Sequence[str], cells: Cells, seeds: Sequence[int]) -> list[str]:
    """Markdown lines, one row a policy type."""
    lines = [f"| {' | '.join(HEADER)} |", "|---|" + "---:|" * (len(HEADER) - 1)]
    for policy in policies:
        row = cells.get(policy, {})
        found = [row[seed] for seed in seeds if seed in row]
        lines.append(f"| {' | '.join([f'`{policy}`', *_figures(found, len(seeds))])} |")
    return lines


def _figures(cells: Sequence[Cell], wanted: int) -> list[str]:
    if not cells:
        return [""] * (len(HEADER) - 1)
    rate, low, high = pooled(cells)
    partly = f" {len(cells)} of {wanted} seeds" if len(cells) < wanted else ""
    return [
        f"{rate:.2f} ({low:.2f} to {high:.2f}){partly}",
        " ".join(f"{c.successes / c.episodes:.2f}" for c in cells),
        f"{cells[0].zero:.2f}",
        f"{cells[0].random:.2f}",
        f"{max(c.env_steps for c in cells) / 1e6:.1f} M",
        " ".join(f"{c.training_s / 60:.1f}" for c in cells),
    ]


def put_between_markers(text: str, lines: Sequence[str]) -> str:
    """``text`` with what stands between the two markers replaced. Raises ValueError without markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is no '{BEGIN}' … '{END}'")
    return "\n".join([before + begin, *lines, end + after])
