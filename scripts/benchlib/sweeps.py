"""``scripts/bench sweeps``: what a trial costs beside its training, and how soon a killed run is back."""

from __future__ import annotations

import argparse
import itertools
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchlib.processes import family
from benchlib.record import Document, Repeats, number, progress, verdict
from benchlib.startup import reports_in, start, stop, wait_for
from blueprint_tune.tuning.records import Report, read_reports
from blueprint_tune.tuning.session import available_cpus

SWITCHES = [
    "+scene=kitchen_001",
    "policy=dexterous_pick_place",
    "sweep=random",
    "preset=quick",
    "backend.num_envs=256",
    "agent.rollouts=16",
    "sweep.concurrent_trials=1",
    "budget.env_steps=4096",
    "budget.report_env_steps=4096",
]
"""A trial is one update of 256 environments."""
MANY = [
    "+scene=kitchen_001",
    "policy=dexterous_pick_place",
    "sweep=random",
    "preset=smoke",
    "backend=pointmass",
    "backend.num_envs=16",
    "agent.rollouts=16",
    "sweep.concurrent_trials=1",
    "budget.env_steps=256",
    "budget.report_env_steps=256",
    "evaluation.selection.episodes=1",
    "logger.tensorboard=false",
]
KILLED = ["+scene=kitchen_001", "policy=dexterous_pick_place", "preset=quick", "budget.report_env_steps=8192"]
FIRST_TRIALS = 20
"""Until then the driver may grow: libraries are loaded, pools are filled."""
_SETTLE_S = 2.0
_QUIET = 0.5
"""Load average of other programs up to which a machine counts as quiet; the sweep itself fills the CPUs."""
_CLOCK = re.compile(r"^\[(\d+):(\d+)\] (.*)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sizes; the defaults are what is published."""
    parser.add_argument("--trials", type=int, default=200, help="of the sweep of one-update trials")
    parser.add_argument("--switches", type=int, default=8, help="trials of the sweeps for the switch")
    parser.add_argument("--repeats", type=int, default=3, help="of the restart after a kill -9")
    parser.add_argument("overrides", nargs="*", help="more overrides for all runs, to try the bench out")


def run(options: argparse.Namespace, command: list[str]) -> None:
    """Measure and write ``sweeps.md``."""
    document = Document("sweeps", "Trial switch, overhead of a trial, restart", command)
    _switch(document, options)
    _overhead(document, options)
    _restart(document, options)
    loads = document.load_before, os.getloadavg()[0]
    if loads[0] > _QUIET or loads[1] > available_cpus() + _QUIET:
        document.text(
            f"**Measured on a busy machine**: load average {loads[0]:.1f} before and {loads[1]:.1f} after, "
            f"on {available_cpus()} CPUs. A quiet one is faster, and its figures are the ones to state."
        )
    document.write(Path(options.results))


def _switch(document: Document, options: argparse.Namespace) -> None:
    """The gap between two trials: in one process, and with a process for each."""
    gaps = {}
    for name, reuse in (("one process, simulator warm", True), ("a process for each trial", False)):
        words = [*SWITCHES, f"budget.trials={options.switches}", f"sweep.reuse_processes={reuse}"]
        gaps[name] = Repeats.of(_gaps(_searched([*words, *options.overrides])[0]))
        progress(name, seconds=" / ".join(gaps[name].cells()))
    warm, cold = gaps.values()
    document.heading("Trial switch")
    times = cold.median / warm.median
    rows = [[name, *values.cells()] for name, values in gaps.items()]
    document.table(["seconds", "min", "median", "max"], rows)
    document.text(
        f"Warm: {verdict(warm.median, 0.3, at_least=False)}. A process for each trial takes "
        f"{number(times)} times as long: {verdict(times, 15, at_least=True)}.",
        "From a trial's last report to the first env step of the next, its checkpoint among it. Random "
        f"search, {options.switches} trials of one update with 256 environments, one at a time.",
    )


def _overhead(document: Document, options: argparse.Namespace) -> None:
    """Many short trials: what each costs beside its training, and whether the driver grows."""
    found, memory = _searched([*MANY, f"budget.trials={options.trials}", *options.overrides])
    gaps = _gaps(found)
    progress("overhead of a trial", seconds=number(sum(gaps) / len(gaps)))
    tenth = max(1, len(gaps) // 10)
    first, last = (Repeats.of(part) for part in (gaps[:tenth], gaps[-tenth:]))
    document.heading(f"{options.trials} trials of one update")
    document.table(
        ["seconds a trial beside its training", "min", "median", "max"],
        [
            ["all", *Repeats.of(gaps).cells()],
            [f"the first {tenth}", *first.cells()],
            [f"the last {tenth}", *last.cells()],
        ],
    )
    mean = sum(gaps) / len(gaps)
    document.text(f"Mean {number(mean)} s: {verdict(mean, 0.25, at_least=False)}.")
    settled = [mib for trials, mib in memory if trials >= FIRST_TRIALS]
    if settled:
        drift = max(abs(mib - settled[0]) for mib in settled)
        document.text(
            f"Driver memory: {number(settled[0])} MiB after {FIRST_TRIALS} trials, {number(settled[-1])} MiB "
            f"at the end, never more than {number(drift)} MiB from the first figure: "
            f"{verdict(drift, 50, at_least=False)}."
        )


def _restart(document: Document, options: argparse.Namespace) -> None:
    """From the command ``resume`` to the first new report."""
    stages: dict[str, list[float]] = {}
    for _ in range(options.repeats):
        for name, seconds in _killed_and_resumed(options.overrides).items():
            stages.setdefault(name, []).append(seconds)
    rows = [[name, *Repeats.of(values).cells()] for name, values in stages.items()]
    document.heading("Restart after kill -9")
    document.table(["seconds", "min", "median", "max"], rows)
    total = Repeats.of(stages[_TOTAL]).median
    progress(_TOTAL, seconds=number(total))
    document.text(
        f"To the first new report: {verdict(total, 20, at_least=False)}. One trial, `{' '.join(KILLED)}`, "
        "its driver killed after the third report; from starting `blueprint-tune resume` on. A report takes "
        "8192 env steps."
    )


_TOTAL = "to the first new report"


def _killed_and_resumed(overrides: Sequence[str]) -> dict[str, float]:
    """Seconds from the command to the first new report, and of what takes most of them."""
    with tempfile.TemporaryDirectory(prefix="bench-") as temp:
        folder, log = Path(temp), Path(temp) / "log"
        child = start([*KILLED, *overrides, *_places(folder), "name=killed"], log)
        wait_for(child, log, lambda: len(reports_in(folder)) >= 3)
        child.kill()
        child.wait()
        time.sleep(_SETTLE_S)  # Ray's processes go with their driver
        began, before = time.time(), {r["timestamp"] for r in reports_in(folder)}
        child = start(["resume", str(folder / "outputs/killed")], log)
        try:
            new = wait_for(
                child, log, lambda: [r for r in reports_in(folder) if r["timestamp"] not in before]
            )
            told = dict(_told(log))
            report_s = min(r["timestamp"] for r in new) - began
            training_s = float(min(new, key=lambda r: r["timestamp"])["perf/first_report_s"])
        finally:
            stop(child)
    return {
        "Ray starts (the terminal's clock, whole seconds)": _between(
            told, "starting Ray", "building the scene"
        ),
        "the trial's process builds the scene and trains to a report": training_s,
        _TOTAL: report_s,
    }


def _between(told: dict[str, float], first: str, then: str) -> float:
    """Seconds between two stages; what is told of them may go on in brackets."""
    at = {name: s for text, s in told.items() for name in (first, then) if text.startswith(name)}
    return at[then] - at[first]


def _told(log: Path) -> list[tuple[str, float]]:
    found = [_CLOCK.match(line) for line in log.read_text().splitlines()]
    return [(m.group(3), 60.0 * int(m.group(1)) + int(m.group(2))) for m in found if m]


def _searched(words: Sequence[str]) -> tuple[list[list[Report]], list[tuple[int, float]]]:
    """The reports of each trial of a search, and (trials with a report, MiB of the driver) on its way."""
    with tempfile.TemporaryDirectory(prefix="bench-") as temp:
        folder, log = Path(temp), Path(temp) / "log"
        child = start([*words, *_places(folder)], log)
        memory = []
        try:
            while not list(folder.glob("outputs/*/search.json")):
                _check_running(child, log)
                memory.append((len(_files(folder)), family(child.pid)[0].memory_mib))
                time.sleep(1.0)
        finally:
            stop(child)
        found = [list(read_reports(path.parent)) for path in _files(folder)]
    return sorted(found, key=lambda rows: rows[0]["timestamp"]), memory


def _check_running(child: subprocess.Popen[bytes], log: Path) -> None:
    if child.poll() is not None:
        raise SystemExit(f"The search ended early:\n{log.read_text()[-2000:]}")


def _files(folder: Path) -> list[Path]:
    return list(folder.glob("outputs/*/trials/*/result.json"))


def _places(folder: Path) -> list[str]:
    return [f"output_dir={folder}/outputs", f"storage.root={folder}/published", "logger.progress=lines"]


def _gaps(trials: Sequence[Sequence[Report]]) -> list[float]:
    """From each trial's last report to the next one's first env step."""
    return [
        after[0]["timestamp"] - after[0]["time_s"] - before[-1]["timestamp"]
        for before, after in itertools.pairwise(trials)
    ]
