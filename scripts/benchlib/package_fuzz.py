"""``scripts/bench package-fuzz``: thousands of damaged packages, read and judged; what it took."""

from __future__ import annotations

import argparse
import collections
import contextlib
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchlib.damage import damage
from benchlib.packages import REWARDS, write_package
from benchlib.record import Document, number, progress
from blueprint_tune.errors import TaskPackageError
from blueprint_tune.packages.files import UNFORESEEN
from blueprint_tune.packages.reader import read_package
from blueprint_tune.packages.validate import examine

MAX_S, MAX_MB = 2.0, 500.0
_FORBIDDEN = (
    "exec",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "subprocess.Popen",
    "socket.connect",
    "ctypes.dlopen",
)


@dataclass(frozen=True)
class Case:
    """One damaged package: what was done to it, the exit status, seconds of CPU and of the clock."""

    seed: int
    ways: str
    status: str
    cpu_s: float
    wall_s: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sizes; the defaults are what is published."""
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="seed of the first case")


def judge_damaged(root: Path, seed: int) -> Case:
    """Make, damage and judge one package below ``root``.

    Raises AssertionError if its code was run, or the reader was at a loss.
    """
    trap = root / "trap"
    policies, shapes = sorted(REWARDS), ("real", "specified")
    namespace = ("isaaclab", "omni.isaac.lab")[seed % 2]
    folder = write_package(
        root,
        policies[seed % 3],
        namespace=namespace,
        shape=shapes[seed // 2 % 2],
        objects=("mug_0", "rack_1"),
    )
    ways = damage(folder, trap, seed)
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        status = str(examine(read_package(folder)).status)
    except TaskPackageError as error:
        if UNFORESEEN in str(error):
            raise AssertionError(f"case {seed} ({ways}): {error}") from error
        status = "refused"
    case = Case(seed, ways, status, time.process_time() - cpu, time.perf_counter() - wall)
    assert not trap.exists(), f"case {seed} ({ways}): code of the package was run"
    return case


def _watch(found: list[str]) -> None:
    """Write down whatever would run code, from now on."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FORBIDDEN:
            found.append(f"{event} {str(arguments)[:80]}")

    sys.addaudithook(hook)


def _work(seeds: range) -> tuple[list[Case], list[str], float]:
    """Cases, forbidden events, and the process's peak memory in MB so far."""
    found: list[str] = []
    cases = []
    with tempfile.TemporaryDirectory() as base:
        judge_damaged(Path(base) / "warm", 0)  # imports what is imported late
        _watch(found)
        for seed in seeds:
            root = Path(base) / str(seed)
            cases.append(judge_damaged(root, seed))
            shutil.rmtree(root)
    return cases, found, _peak_mb()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _chunks(first: int, count: int, size: int = 100) -> Iterator[range]:
    for start in range(first, first + count, size):
        yield range(start, min(start + size, first + count))


def run(options: argparse.Namespace, command: list[str]) -> None:
    """Measure and write ``packages.md``; Ctrl-C stops early and writes what was measured so far."""
    cases: list[Case] = []
    events: list[str] = []
    peak = 0.0
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.processes, maxtasksperchild=10) as pool, contextlib.suppress(KeyboardInterrupt):
        for done, found, top in pool.imap_unordered(_work, _chunks(options.first, options.cases)):
            cases += done
            events += found
            peak = max(peak, top)
            progress("packages", done=str(len(cases)), slowest_s=number(max(c.cpu_s for c in cases)))
    document = Document("packages", f"Fuzzing the package reader: {len(cases):,} damaged packages", command)
    document.text(
        "Hand-written packages in both namespaces and both shapes of metadata, each damaged in one to three "
        "ways (truncated, binary, deeply nested, huge, dense, many terms, YAML and JSON bombs, constants "
        "that multiply, numbers of thousands of digits, cyclic aliases, pipes and devices instead of files, "
        "planted code), then read and judged as `validate` does. An audit hook "
        f"writes down whatever would run code ({', '.join(_FORBIDDEN)}); planted code would leave a file."
    )
    slow = sorted(cases, key=lambda case: -case.cpu_s)
    statuses = collections.Counter(case.status for case in cases)
    cpu = sorted(case.cpu_s for case in cases)
    document.table(
        ["quantity", "measured", "limit"],
        [
            ["cases with an answer (exit status, or refused in a sentence)", f"{len(cases):,}", "all"],
            ["of them 0, 1, 2, refused", ", ".join(str(statuses[k]) for k in ("0", "1", "2", "refused")), ""],
            ["events that run code", str(len(events)), "0"],
            ["CPU seconds of a case: median, 99th of 100, slowest",
             ", ".join(number(cpu[int(q * (len(cpu) - 1))]) for q in (0.5, 0.99, 1.0)), f"{MAX_S:g}"],
            ["peak memory of a process, MB", number(peak), f"{MAX_MB:g}"],
        ],
    )  # fmt: skip
    document.text("Slowest: " + "; ".join(f"{c.ways} {number(c.cpu_s)} s" for c in slow[:3]) + ".")
    document.write(options.results)
    if events or slow[0].cpu_s > MAX_S or peak > MAX_MB:
        raise SystemExit(f"over a limit: {events[:3]}, {slow[0]}, {peak:.0f} MB")
