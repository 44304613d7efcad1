"""``scripts/bench startup``: how long one waits, and how much memory it takes."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchlib.processes import Process, family
from benchlib.record import ROOT, Document, Repeats, progress, verdict
from blueprint_tune.tuning.records import Report, read_reports

PROGRAM = [sys.executable, "-m", "blueprint_tune"]
MAIN = ["+scene=kitchen_001", "sweep=asha", "preset=quick", "policy=dexterous_pick_place"]
SWITCHES = [
    "+scene=kitchen_001",
    "sweep=random",
    "preset=quick",
    "policy=dexterous_pick_place",
    "sweep.concurrent_trials=1",
    "budget.trials=5",
    "budget.env_steps=16384",
    "budget.report_env_steps=16384",
    "evaluation.episodes_per_seed=1",
    "evaluation.baselines=false",
]
PATIENCE_S = 600.0
_POLL_S = 0.05
_ACTOR = re.compile(r"ray::\w*(Trial|Trainable)\b")
"""What Ray calls a process that holds a trial."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sizes; the defaults are what is published."""
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("overrides", nargs="*", help="more overrides for the runs, to try the bench out")


def run(options: argparse.Namespace, command: list[str]) -> None:
    """Measure and write ``startup.md``."""
    document = Document("startup", "Start-up, trial switch, memory", command)
    rows = [
        _row("`--help`", _seconds(["--help"], options.repeats), 1.0),
        _row("`--cfg job`", _seconds(["+scene=kitchen_001", "--cfg", "job"], options.repeats), 1.0),
    ]
    starts = [_first_report(options.overrides) for _ in range(options.repeats)]
    rows.append(_row("command to first env step of training", Repeats.of([s for s, _, _ in starts]), None))
    rows.append(_row("command to first report", Repeats.of([s for _, s, _ in starts]), 15.0))
    switches = _trial_switches(options.overrides)
    rows.append(_row("trial switch, simulator warm", switches, 0.5))
    document.table(["seconds", "min", "median", "max", "target"], rows)
    document.text(
        f"First env step and report: `{' '.join(['python -m blueprint_tune', *MAIN])}`, stopped after its "
        f"first report. Trial switch: from the last report of one trial to the first env step of the next in "
        f"the same process, {len(switches.values)} switches of a random search with {_value('num_envs')} "
        "environments."
    )
    _memory(document, [processes for _, _, processes in starts])
    document.write(Path(options.results))


def _value(key: str) -> int:
    from blueprint_tune.config.compose import compose

    return int(getattr(compose(MAIN).backend, key))


def _row(name: str, seconds: Repeats, target: float | None) -> list[str]:
    progress(name, seconds=" / ".join(seconds.cells()))
    return [name, *seconds.cells(), "" if target is None else verdict(seconds.median, target, at_least=False)]


def _seconds(arguments: Sequence[str], repeats: int) -> Repeats:
    values = []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run([*PROGRAM, *arguments], check=True, stdout=subprocess.DEVNULL, env=_environment())
        values.append(time.perf_counter() - began)
    return Repeats.of(values)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _first_report(overrides: Sequence[str]) -> tuple[float, float, list[Process]]:
    """Seconds to the first env step and to the first report, and the processes there are then."""
    with tempfile.TemporaryDirectory(prefix="bench-") as temp:
        folders = [f"output_dir={temp}/outputs", f"storage.root={temp}/published", "logger.progress=lines"]
        began, wall = time.perf_counter(), time.time()
        child = start([*MAIN, *overrides, *folders], Path(temp) / "log")
        try:
            reports = wait_for(child, Path(temp) / "log", lambda: reports_in(Path(temp)))
            report_s = time.perf_counter() - began
            processes = family(child.pid)
        finally:
            stop(child)
    report = min(reports, key=lambda r: r["timestamp"])
    trained_s = report["perf/first_report_s"] - report["perf/trial_switch_s"]
    return report["timestamp"] - trained_s - wall, report_s, processes


def _trial_switches(overrides: Sequence[str]) -> Repeats:
    """Of every trial that was given a simulator as the trial before left it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as temp:
        folders = [f"output_dir={temp}/outputs", f"storage.root={temp}/published", "logger.progress=lines"]
        child = start([*SWITCHES, *overrides, *folders], Path(temp) / "log")
        try:
            child.wait(PATIENCE_S)
        finally:
            stop(child)
        reports = [
            r for r in reports_in(Path(temp)) if r["training_iteration"] == 1 and r["perf/warm_simulator"]
        ]
        if not reports:
            raise SystemExit(f"No trial switched:\n{(Path(temp) / 'log').read_text()[-2000:]}")
    return Repeats.of([r["perf/trial_switch_s"] for r in reports])


def start(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """The program in a process group of its own, what it says in ``log``."""
    with log.open("w") as file:
        return subprocess.Popen(
            [*PROGRAM, *arguments], stdout=file, stderr=file, start_new_session=True, env=_environment()
        )


def wait_for(child: subprocess.Popen[bytes], log: Path, found: Callable[[], Any]) -> Any:
    """Poll until ``found()`` is true. Gives up when the program ends before, or after :data:`PATIENCE_S`."""
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := found()):
        if child.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"The run came to no report:\n{log.read_text()[-2000:]}")
        time.sleep(_POLL_S)
    return answer


def reports_in(temp: Path) -> list[Report]:
    """What all trials of the experiments in ``temp / "outputs"`` have reported."""
    return [r for path in temp.glob("outputs/*/trials/*/result.json") for r in read_reports(path.parent)]


def stop(child: subprocess.Popen[bytes]) -> None:
    """Ctrl-C twice ends a run at once; what does not end is killed, and Ray's processes go with it."""
    for _ in range(2):
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(3)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(30)
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _memory(document: Document, runs: Sequence[Sequence[Process]]) -> None:
    """Of the driver and its largest trial; Ray's own processes apart."""
    drivers, trials, rest, counts = [], [], [], []
    for processes in runs:
        driver, *others = processes
        actors = [p for p in others if _ACTOR.match(p.command)]
        drivers.append(driver.memory_mib)
        trials.append(max((p.memory_mib for p in actors), default=float("nan")))
        rest.append(sum(p.memory_mib for p in others if p not in actors))
        counts.append(len(actors))
    both = Repeats.of([a + b for a, b in zip(drivers, trials)])
    rows = [
        ["driver", *Repeats.of(drivers).cells()],
        ["one trial (the larger)", *Repeats.of(trials).cells()],
        ["driver and one trial", *both.cells()],
        ["all of Ray's own processes", *Repeats.of(rest).cells()],
    ]
    document.heading("Memory")
    document.text(
        "Resident memory at the first report without shared memory, which is where Ray keeps its object "
        f"store; libraries that processes share are counted in each. Trials at once: {max(counts)}."
    )
    document.table(["MiB", "min", "median", "max"], rows)
    document.text(verdict(both.median / 1024, 1.5, at_least=False) + " (GiB, driver and one trial)")
