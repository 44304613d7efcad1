"""What ``validate`` prints."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from blueprint_tune.errors import printable
from blueprint_tune.packages.check_files import policy_of, robot_of
from blueprint_tune.packages.findings import Finding
from blueprint_tune.packages.validate import Report

VERDICTS = {0: "usable", 1: "usable with adaptations", 2: "not usable"}
_STYLE = {"fatal": "bold red", "adapted": "yellow", "unchecked": "cyan", "note": "dim"}
_WORTH = {"live": "live", "zero": "constant zero", "raises": "raises", "shape": "wrong shape", "unknown": "?"}


def print_report(report: Report, place: str, console: Console) -> None:
    """The verdict on the package at ``place``, the reward components, the findings."""
    package, found = report.package, report.findings
    counts = ", ".join(
        f"{sum(f.level == level for f in found)} {level}"
        for level in _STYLE
        if any(f.level == level for f in found)
    )
    console.print(Text(place, style="bold"))
    console.print(
        f"{package.policy or '?'} with {package.robot or '?'}, imports {package.namespace or 'no Isaac Lab'},"
        f" metadata as {package.shape or 'none'}: {VERDICTS[report.status]} ({counts or 'no findings'})",
        markup=False,
        highlight=False,
    )
    if report.rewards:
        console.print(_rewards(report))
    if found:
        console.print(_findings(found))


def _rewards(report: Report) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("reward", "weight", "on Isaac Lab", "because"):
        table.add_column(name, justify="right" if name == "weight" else "left")
    for reward in report.rewards:
        verdict = reward.verdict
        kind = "not defined" if verdict is None else _WORTH[verdict.kind]
        sign = "double negative" if reward.doubly_negative else ""
        why = "; ".join(filter(None, [verdict.why if verdict else "", sign]))
        weight = "?" if reward.weight is None else f"{reward.weight:g}"
        table.add_row(*map(Text, (reward.name, weight, kind, printable(why))))
    return table


def _findings(found: tuple[Finding, ...]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("where", "finding", "at run time", "here"):
        table.add_column(name, overflow="fold", no_wrap=name == "where")
    for finding in found:
        place = Text(str(finding.place), style=_STYLE[finding.level])
        table.add_row(place, *map(Text, (finding.what, finding.runs, finding.here)))
    return table


def as_json(report: Report, place: str) -> dict[str, Any]:
    """The same for machines."""
    package = report.package
    return {
        "path": place,
        "status": report.status,
        "verdict": VERDICTS[report.status],
        "digest": package.digest,
        "namespace": package.namespace,
        "metadata": package.shape,
        "policy": {"stated": package.policy, "used": policy_of(package)},
        "robot": {"stated": package.robot, "used": robot_of(package)},
        "rewards": [
            {
                "name": reward.name,
                "weight": reward.weight,
                "verdict": None if reward.verdict is None else reward.verdict.kind,
                "why": "" if reward.verdict is None else reward.verdict.why,
                "double_negative": reward.doubly_negative,
            }
            for reward in report.rewards
        ],
        "findings": [
            {
                "code": finding.code,
                "level": finding.level,
                "file": finding.place.file,
                "line": finding.place.line or None,
                "what": finding.what,
                "at_run_time": finding.runs,
                "here": finding.here,
            }
            for finding in report.findings
        ],
    }
