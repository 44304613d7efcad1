"""``scripts/test-gpu isaaclab``: the backend ``isaaclab`` on the real thing, and beside MuJoCo.

The conformance suite, then for a policy type of each family a short training on either backend, whose policy
plays the same starts on both. Every step is a process of its own: Isaac Sim starts once in a process, may
hang, and may exit with status 0 after a failure, so files are believed and not exit statuses. What ran is
written down at once; what did not is named.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchlib.readme import benchmark_of
from benchlib.record import RESULTS, ROOT, Document, progress
from blueprint_tune.evaluation.statistics import paired_difference_interval, wilson_interval
from blueprint_tune.tuning.records import write_json

FAMILIES = {
    "place": "dexterous_pick_place",
    "articulate": "drawer_manipulation",
    "insert": "precision_insertion",
}
BACKENDS = ("isaaclab", "mujoco")
SUITE = "tests/conformance/test_simulators.py"
Found = dict[str, Any]
"""``isaaclab``: its version; ``conformance``: counts; ``policies``: type -> trained on -> minutes, played."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is run; all of it by default."""
    parser.add_argument("--policies", nargs="*", default=list(FAMILIES.values()), metavar="NAME")
    parser.add_argument("--trained-on", nargs="+", default=list(BACKENDS), choices=BACKENDS)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--seed", type=int, default=1, help="of the trainings")
    parser.add_argument(
        "--overrides", nargs="*", default=[], help="further settings of trainings on isaaclab"
    )
    parser.add_argument("--minutes", type=float, default=90.0, help="after which a step counts as hanging")
    parser.add_argument("--no-conformance", action="store_true", help="leave the conformance suite out")
    parser.add_argument("--work", type=Path, help="where experiments go (default: outputs/isaaclab/<time>)")


def run(options: argparse.Namespace, command: list[str]) -> None:
    """Run what is asked. Raises SystemExit at its end if a test or a step failed."""
    version, double = installed()
    if not options.no_conformance and importlib.util.find_spec("pytest_timeout") is None:
        raise SystemExit("The suite needs: pip install -c constraints-isaaclab.txt pytest pytest-timeout")
    if double and options.results.resolve() == RESULTS.resolve():
        raise SystemExit(
            "This is the test double of Isaac Lab, not Isaac Lab. Name another --results FOLDER."
        )
    options.work = options.work or ROOT / "outputs" / "isaaclab" / f"{datetime.datetime.now():%Y%m%d-%H%M%S}"
    options.work.mkdir(parents=True, exist_ok=True)
    found: Found = {"isaaclab": f"{version}{', the test double' if double else ''}", "policies": {}}
    failed = []
    if not options.no_conformance:
        found["conformance"] = _conformance(options)
        failed += [] if all_passed(found["conformance"]) else ["the conformance suite"]
    for policy in options.policies:
        for backend in options.trained_on:
            try:
                found["policies"].setdefault(policy, {})[backend] = _measure(options, policy, backend)
            except StepFailed as error:
                progress(str(error))
                failed.append(f"{policy} trained on {backend}")
    if found["policies"] or found.get("conformance"):
        write_json(options.results / "isaaclab.json", found)
        document(found, failed, command).write(options.results)
    if failed:
        raise SystemExit(f"failed: {'; '.join(failed)}. Logs: {options.work}")


def installed() -> tuple[str, bool]:
    """The version of Isaac Lab, and whether it is the test double. Raises SystemExit where there is neither.

    It is not imported: that would start Isaac Sim.
    """
    spec = importlib.util.find_spec("isaaclab")
    if spec is None:
        raise SystemExit("Isaac Lab is not installed here: nothing of it was tested. See docs/isaac-lab.md.")
    where = Path(spec.origin or str(next(iter(spec.submodule_search_locations or ["?"])))).resolve()
    return importlib.metadata.version("isaaclab"), where.is_relative_to(ROOT / "tests")


class StepFailed(Exception):
    """A process failed or hung; says where its output is."""


def _step(options: argparse.Namespace, name: str, words: Sequence[str]) -> float:
    """Runs one process, its output in ``{work}/{name}.log``; returns its minutes. Raises StepFailed."""
    log = options.work / f"{name}.log"
    progress(name)
    started = datetime.datetime.now()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, stdout=output, stderr=output, start_new_session=True
        )
        try:
            status = process.wait(options.minutes * 60)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with what Isaac Sim started
                process.wait()
    if status != 0:
        how = f"hung for {options.minutes:g} minutes" if status is None else f"ended with status {status}"
        raise StepFailed(f"{name} {how}: {log}")
    return (datetime.datetime.now() - started).total_seconds() / 60


def _conformance(options: argparse.Namespace) -> dict[str, int]:
    """Counts of the suite's tests of this backend; empty if it left no report."""
    report = options.work / "conformance.xml"
    try:
        _step(options, "conformance", ["-m", "pytest", SUITE, "-k", "isaaclab", f"--junitxml={report}"])
    except StepFailed as error:
        progress(str(error))
    return counts(report.read_text()) if report.exists() else {}


def counts(report: str) -> dict[str, int]:
    """Tests, failures, errors and skipped of a JUnit report."""
    suites = list(ElementTree.fromstring(report).iter("testsuite"))
    names = ("tests", "failures", "errors", "skipped")
    return {name: sum(int(suite.get(name, 0)) for suite in suites) for name in names}


def all_passed(conformance: Mapping[str, int]) -> bool:
    """Whether tests ran and none failed; without a report, nothing ran."""
    if not conformance:
        return False
    ran = conformance["tests"] - conformance["skipped"]
    return ran > 0 and conformance["failures"] + conformance["errors"] == 0


def _measure(options: argparse.Namespace, policy: str, trained_on: str) -> Found:
    """One training, and its policy's episodes on both backends. Raises StepFailed."""
    where = benchmark_of(policy)
    name = f"{policy}-on-{trained_on}"
    minutes = _step(
        options,
        name,
        [
            *("-m", "blueprint_tune", f"+scene={where['scene']}", f"policy={policy}", *where["overrides"]),
            *(f"backend={trained_on}", "sweep=single", f"preset={options.preset}", f"seed={options.seed}"),
            *(f"name={name}", f"output_dir={options.work}", f"storage.root={options.work / 'published'}"),
            *("evaluation.robustness=off", *_further(options, trained_on)),
        ],
    )
    played = {}
    for backend in BACKENDS:
        out = options.work / f"{name}-plays-{backend}"
        _step(
            options,
            out.name,
            [
                *("-m", "blueprint_tune", "evaluate", str(options.work / name), f"backend={backend}"),
                *("evaluation.robustness=off", "evaluation.baselines=false", *_further(options, backend)),
                *("--out", str(out)),
            ],
        )
        played[backend] = successes(json.loads((out / "eval_results.json").read_text()))
    return {"minutes": round(minutes, 1), "played": played}


def _further(options: argparse.Namespace, backend: str) -> Sequence[str]:
    return options.overrides if backend == "isaaclab" else ()


def successes(results: Mapping[str, Any]) -> str:
    """1 or 0 for each episode, in the order of seeds and slots."""
    rows = sorted(results["episodes"], key=lambda row: (row["seed"], row["slot"]))
    return "".join(str(int(row["success"])) for row in rows)


def document(found: Found, failed: Sequence[str], command: Sequence[str]) -> Document:
    """The figures for a reader."""
    page = Document("isaaclab", "The backend isaaclab, and beside MuJoCo", command)
    page.text(f"Isaac Lab {found['isaaclab']}.")
    if conformance := found.get("conformance"):
        said = ", ".join(f"{conformance[name]} {name}" for name in ("tests", "failures", "errors", "skipped"))
        page.text(f"Conformance suite of simulators (`{SUITE}`): {said}.")
    if found["policies"]:
        page.text("The same policy from the same starts on either backend; success with its 95 % interval.")
        header = ("policy type", "trained on", "min", *(f"on {name}" for name in BACKENDS), "difference")
        page.table(
            header, [_row(p, b, cell) for p, on in found["policies"].items() for b, cell in on.items()]
        )
    page.text(*(f"Failed: {name}." for name in failed))
    return page


def _row(policy: str, trained_on: str, cell: Mapping[str, Any]) -> list[str]:
    isaac, mujoco = (cell["played"][name] for name in BACKENDS)
    rates = [_rate(text) for text in (isaac, mujoco)]
    pairs = list(zip(isaac, mujoco, strict=True))
    better, worse = pairs.count(("1", "0")), pairs.count(("0", "1"))
    low, high = paired_difference_interval(worse, better, len(pairs))
    between = f"{(better - worse) / len(pairs):+.2f} ({low:+.2f} to {high:+.2f})"
    return [policy, trained_on, f"{cell['minutes']:g}", *rates, between]


def _rate(episodes: str) -> str:
    won, n = episodes.count("1"), len(episodes)
    low, high = wilson_interval(won, n)
    return f"{won / n:.2f} ({low:.2f} to {high:.2f})"
