"""What counts as hanging: told by a clock that the tests turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from blueprint_tune.tuning.watchdog import FIRST_REPORT_S, PATIENCE, Watchdog, allowance_s


@dataclass
class Trial:
    trial_id: str
    status: str = "RUNNING"


class World:
    """Two trials, a clock, and the processes that were ended."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ended: list[str] = []
        self.trials = [Trial("a"), Trial("b")]
        self.dog = Watchdog(
            60.0, 1000, end=lambda trial: self.ended.append(trial.trial_id), clock=lambda: self.now
        )
        for trial in self.trials:
            self.dog.on_trial_start(0, self.trials, trial)

    def report(self, index: int, steps_per_s: float = 100.0) -> None:
        result: dict[str, Any] = {"perf/env_steps_per_s": steps_per_s}
        self.dog.on_trial_result(0, self.trials, self.trials[index], result)

    def wait(self, seconds: float) -> None:
        """As Tune's loop turns: often."""
        for _ in range(int(seconds)):
            self.now += 1.0
            self.dog.on_step_begin(0, self.trials)


@pytest.mark.parametrize(
    ("limit_s", "expected_s", "allowed_s"),
    [
        (60.0, 0.0, FIRST_REPORT_S),
        (9000.0, 0.0, 9000.0),
        (60.0, 2.0, 60.0),
        (60.0, 100.0, 100.0 * PATIENCE),
    ],
)
def test_what_a_trial_is_allowed(limit_s: float, expected_s: float, allowed_s: float) -> None:
    assert allowance_s(limit_s, expected_s) == allowed_s


def test_who_stops_reporting_is_ended_once_and_with_a_reason() -> None:
    world = World()
    world.report(0)
    world.report(1)
    for _ in range(3):
        world.wait(40)
        world.report(1)
    assert world.ended == ["a"]
    assert world.dog.verdict("a") == "it hung: no report for 60 s"
    assert world.dog.verdict("a") is None and world.dog.verdict("b") is None


def test_a_long_build_a_slow_trial_and_a_paused_one_do_not_hang() -> None:
    world = World()
    world.wait(600)  # building
    world.report(0, steps_per_s=5.0)  # 200 s a report
    world.trials[1].status = "PAUSED"
    world.wait(700)
    world.trials[1].status = "RUNNING"
    world.dog.on_trial_start(0, world.trials, world.trials[1])
    world.wait(200)
    assert world.ended == []


def test_while_this_process_was_held_up_nobody_hung() -> None:
    world = World()
    world.report(0)
    world.now += 10_000.0  # stopped with Ctrl-Z
    world.wait(30)
    assert world.ended == []
