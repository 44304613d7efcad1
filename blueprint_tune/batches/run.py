"""A batch from its command to its leaderboard: one experiment for each combination, on one Ray."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from blueprint_tune.batches.board import batch_board, write_board
from blueprint_tune.batches.check import Checked, Entry, check
from blueprint_tune.batches.outlook import Outlook
from blueprint_tune.batches.record import BATCHES, BatchFolder, BatchRecord, Item, open_batch
from blueprint_tune.batches.runner import Request, Runner
from blueprint_tune.batches.table import show_board, show_refused, wide_console
from blueprint_tune.batches.view import View
from blueprint_tune.config.axes import Combination, combinations
from blueprint_tune.config.suggest import join_problems
from blueprint_tune.dossier import now
from blueprint_tune.errors import ConfigError
from blueprint_tune.tuning.folder import ExperimentFolder, check_name
from blueprint_tune.tuning.resources import least_cpus, min_cpus
from blueprint_tune.tuning.session import Lent, RaySession

MEMORY_PER_EXPERIMENT = 1.2e9
"""Bytes: a driver took 0.4 GB and a trial's process 0.7 GB (policy types in MuJoCo, 128 environments)."""


@dataclass(frozen=True)
class BatchResult:
    """A batch that has ended.

    Attributes:
        name: its own. path: its folder. good: whether everything that was asked for has finished.
        rows: one mapping an experiment, best first, as ``leaderboard.json`` has them.
        refused: combinations that could not run. page: the leaderboard to look at.
    """

    name: str
    path: Path
    good: bool
    rows: tuple[dict[str, Any], ...]
    refused: tuple[dict[str, Any], ...]
    page: Path


class BatchInterrupted(KeyboardInterrupt):
    """Ctrl-C; the same command continues."""


def run_batch(overrides: Sequence[str], at_once: int | None = None) -> BatchResult:
    """Run one experiment for each combination of ``overrides``; ``at_once`` at most.

    The same command again continues what was interrupted and offers what is finished. Raises ConfigError when
    there is nothing to run, BatchInterrupted after Ctrl-C; an experiment's failure is a row of the result.
    """
    console = wide_console()
    name, words = batch_name(overrides)
    checked = _checked(words, console)
    output_dir = Path(checked.entries[0].cfg.output_dir)
    folder, record = open_batch(output_dir, name, _record(checked, overrides, output_dir))
    show_refused([dataclasses.asdict(refused) for refused in record.refused], console)
    with ExperimentFolder(folder.path).claimed():
        folder.write(record)
        _run(checked.entries, folder, record, at_once, console)
        board = batch_board(folder, record)
        page = write_board(board, folder.path)
    show_board(board, console)
    console.print(f"\nleaderboard  {page}", markup=False, soft_wrap=True)
    if record.ended is None:
        console.print(f"Continue with:  {_again(overrides)}", markup=False, soft_wrap=True)
        raise BatchInterrupted(str(folder.path))
    return BatchResult(
        record.name, folder.path, record.good, tuple(board["rows"]), tuple(board["refused"]), page
    )


def list_batch(overrides: Sequence[str]) -> None:
    """Print what a batch would run, and run nothing."""
    console = wide_console()
    _, words = batch_name(overrides)
    checked = _checked(words, console)
    verbs = {"new": "run", "unfinished": "continue", "finished": "offer the finished result"}
    for entry in checked.entries:
        again = entry.cfg.force and entry.folder.state() != "new"
        what = "run again" if again else verbs[entry.folder.state()]
        many = f"{entry.trials} trials" if entry.trials > 1 else "1 trial"
        line = f"{entry.folder.name}: {what}, {many} of {entry.cfg.budget.env_steps} env steps"
        console.print(line, markup=False, soft_wrap=True)
    for double in checked.doubles:
        console.print(f"{double.label}: as another one above", style="dim", markup=False, soft_wrap=True)
    show_refused([dataclasses.asdict(refused) for refused in checked.refused], console)
    count = len(checked.entries)
    console.print(
        f"{count} experiment{'s' * (count != 1)}, {len(checked.refused)} combinations refused or left out"
    )


def batch_name(overrides: Sequence[str]) -> tuple[str | None, list[str]]:
    """What ``name=…`` says, which names the batch, and the other overrides."""
    names = [word.partition("=")[2] for word in overrides if word.startswith("name=")]
    return (check_name(names[-1]) if names else None), [w for w in overrides if not w.startswith("name=")]


def _checked(words: Sequence[str], console: Console) -> Checked:
    """Every combination, composed and bound. Raises ConfigError when none can run."""
    found = combinations(words, everything=True)
    label = f"checking {len(found)} combination{'s' * (len(found) != 1)}"
    if console.is_terminal:
        with console.status(label) as status:
            done: list[Combination] = []

            def told(combination: Combination) -> None:
                done.append(combination)
                status.update(f"{label}: {len(done)}, {combination.label}")

            checked = check(found, told)
    else:
        console.print(label)
        checked = check(found)
    if not checked.entries:
        raise ConfigError(join_problems([refused.reason for refused in checked.refused]))
    return checked


def _record(checked: Checked, overrides: Sequence[str], output_dir: Path) -> BatchRecord:
    batch = output_dir / BATCHES / "any"  # experiments are told relative to it, and all lie equally deep
    items = [entry.item(batch) for entry in checked.entries]
    return BatchRecord("", ["blueprint-tune", "batch", *overrides], items, checked.refused)


def _run(
    entries: Sequence[Entry], folder: BatchFolder, record: BatchRecord, at_once: int | None, console: Console
) -> None:
    """Work through the items of ``record`` and write down after each how it stands."""
    outlook = Outlook({e.folder.name: e.cfg for e in entries}, {e.folder.name: e.trials for e in entries})
    requests = [
        Request(item, least_cpus(entry.cfg, entry.folder), item.offered)
        for entry, item in zip(entries, record.experiments, strict=True)
    ]
    cluster, mode = entries[0].cfg.cluster, entries[0].cfg.logger.progress
    least = max(min_cpus(entry.folder) for entry in entries)
    with (
        View(record.experiments, folder, outlook, mode, console) as view,
        RaySession(cluster, folder.log, least) as session,
    ):
        lone = all(request.alone for request in requests)
        if not lone:
            view.note("starting Ray")
        cpus = 1 if lone else session.start().cpus
        limit = at_once or min(cpus, _fitting())

        def changed(item: Item) -> None:
            view.changed(item)
            folder.write(record)
            if item.state != "running":
                write_board(batch_board(folder, record), folder.path)

        def lend(share: int) -> Lent:
            return session.lend(share)

        runner = Runner(requests, folder, cpus, limit, lend)
        runner.run(changed, view.tick)
    if not runner.stopped:
        record.ended = now()
    folder.write(record)


def _fitting() -> int:
    """Experiments for which there is memory now; at least one."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return os.cpu_count() or 1
    return max(1, int(free / MEMORY_PER_EXPERIMENT))


def _again(overrides: Sequence[str]) -> str:
    """The command that continues; one that forced a rerun must not force it again."""
    return shlex.join(["blueprint-tune", "batch", *(word for word in overrides if word != "force=true")])
