from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import pytest
from benchlib import isaaclab
from benchlib.record import RESULTS

REPORT = """<testsuites><testsuite tests="{}" failures="{}" errors="{}" skipped="{}"/></testsuites>"""


def options(work: Path, **more: Any) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    isaaclab.add_arguments(parser)
    return argparse.Namespace(**{**vars(parser.parse_args([])), "work": work, "results": work, **more})


@pytest.mark.parametrize(
    ("numbers", "passed"),
    [
        ((20, 0, 0, 0), True),
        ((20, 0, 0, 3), True),
        ((20, 1, 0, 0), False),
        ((20, 0, 2, 0), False),
        ((20, 0, 0, 20), False),
    ],
)
def test_a_suite_has_passed_if_it_ran_and_nothing_failed(numbers: tuple[int, ...], passed: bool) -> None:
    assert isaaclab.all_passed(isaaclab.counts(REPORT.format(*numbers))) is passed


def test_a_suite_without_a_report_has_not_passed() -> None:
    assert not isaaclab.all_passed({})


def test_the_difference_is_isaac_lab_minus_mujoco_on_the_same_starts() -> None:
    rows = [
        {"seed": seed, "slot": slot, "success": success}
        for seed, slot, success in ((2, 0, False), (1, 1, True), (1, 0, True), (2, 1, False))
    ]
    assert isaaclab.successes({"episodes": rows}) == "1100"
    cell = {"minutes": 4.2, "played": {"isaaclab": "1100", "mujoco": "1000"}}
    found = {"isaaclab": "2.3.2", "policies": {"drawer_manipulation": {"mujoco": cell}}}
    (row,) = [line for line in isaaclab.document(found, [], ["x"]).lines if line.startswith("| drawer")]
    assert [text.split(" (")[0] for text in row.strip("| ").split(" | ")] == [
        "drawer_manipulation",
        "mujoco",
        "4.2",
        "0.50",
        "0.25",
        "+0.25",
    ]


def test_without_isaac_lab_nothing_is_tested(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="Isaac Lab is not installed here"):
        isaaclab.run(options(tmp_path), ["x"])
    assert not list(tmp_path.iterdir())


def test_figures_of_the_double_are_not_put_among_the_measured_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(isaaclab, "installed", lambda: ("2.3.2", True))
    with pytest.raises(SystemExit, match="test double"):
        isaaclab.run(options(tmp_path, results=RESULTS), ["x"])


def test_a_step_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    code = "import os, time; print(os.fork() or os.getpid(), flush=True); time.sleep(60)"
    with pytest.raises(isaaclab.StepFailed, match="hung for"):
        isaaclab._step(options(tmp_path, minutes=0.15), "hanging", ["-c", code])
    started = set((tmp_path / "hanging.log").read_text().split())
    assert started, "the step had no time to start"
    deadline = time.monotonic() + 20  # the killed may take a moment to go; left alone they sleep for 60 s
    while any(_runs(pid) for pid in started):
        assert time.monotonic() < deadline, "it runs on"
        time.sleep(0.1)


def _runs(pid: str) -> bool:
    try:
        return bool((Path("/proc") / pid / "cmdline").read_bytes())  # a dead one that waits has none
    except OSError:
        return False


def test_a_step_that_fails_names_its_log(tmp_path: Path) -> None:
    with pytest.raises(isaaclab.StepFailed, match=r"ended with status 3: .*broken\.log"):
        isaaclab._step(options(tmp_path), "broken", ["-c", "raise SystemExit(3)"])
