"""``scripts/bench readme``: the measured table in README.md."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml

from benchlib.record import ROOT
from benchlib.table import put_between_markers, read_cells, table
from blueprint_tune.config.paths import conf_dir

SEEDS = (1, 2, 3)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which file."""
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")


def run(options: argparse.Namespace, command: list[str]) -> None:
    """Replace the table between the markers."""
    lines = table(policy_types(), read_cells(options.results / "learning.json"), SEEDS)
    text = options.readme.read_text()
    options.readme.write_text(put_between_markers(text, lines))
    print("\n".join(lines))


def benchmark_of(policy: str) -> dict[str, Any]:
    """``scene`` and ``overrides`` with which a policy type is measured, from its file."""
    path = conf_dir() / "policy" / f"{policy}.yaml"
    return dict(yaml.safe_load(path.read_text())["benchmark"])


def policy_types() -> list[str]:
    """Names of the policy files; those that begin with an underscore are parts of others."""
    return sorted(p.stem for p in (conf_dir() / "policy").glob("*.yaml") if not p.stem.startswith("_"))
