"""What the terminal shows."""

from __future__ import annotations

import io
import re

from rich.console import Console

from blueprint_tune.config.compose import compose
from blueprint_tune.tuning.forecast import Forecast
from blueprint_tune.tuning.progress import Mode, Progress

CFG = compose(["+scene=kitchen_001", "preset=smoke"])


def make(mode: Mode, terminal: bool = False, trials: int = 2) -> tuple[Progress, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120, highlight=False)
    progress = Progress(mode, "new", console=console)
    progress.begin("kitchen", elapsed_s=133.0)
    progress.begin_search(Forecast(CFG, trials, cpus=2))
    return progress, out


def drive(progress: Progress) -> None:
    progress.stage("building the scene")
    progress.started(0, {"agent.learning_rate": 0.001})
    progress.started(1, {"agent.learning_rate": 0.0123456})
    progress.reported(0, 2048, 0.25, seconds=2.0)
    progress.reported(0, 4096, 0.125, seconds=1.0)
    progress.ended(0, "completed")
    progress.ended(1, "failed", "observation 'x' became NaN")


def test_auto_is_a_table_on_a_terminal_and_lines_elsewhere() -> None:
    assert make("auto", terminal=True)[0].mode == "table"
    assert make("auto", terminal=False)[0].mode == "lines"


def test_lines_carry_time_steps_success_speed_and_an_estimate() -> None:
    progress, out = make("lines")
    with progress:
        drive(progress)
    lines = out.getvalue().splitlines()
    assert lines[0] == "[02:13] kitchen goes on"
    assert re.fullmatch(r"\[02:1\d\] building the scene \(about .+ left, a first guess\)", lines[1])
    assert re.fullmatch(
        r"\[02:1\d\] trial 0  2.0k/4.1k steps  success 0.25  1.0k steps/s  about .+ left", lines[2]
    )
    assert lines[4].endswith("trial 0  completed at 4.1k steps")
    assert lines[5].endswith("trial 1  failed: observation 'x' became NaN")
    assert len(lines) == 6, "one line an event"


def test_markup_in_what_others_say_is_not_interpreted() -> None:
    progress, out = make("lines")
    progress.note("[red]no[/red] [/] colour")
    assert "[red]no[/red] [/] colour" in out.getvalue()


def test_off_says_nothing() -> None:
    progress, out = make("off")
    with progress:
        drive(progress)
    assert out.getvalue() == ""


def rendered(progress: Progress) -> str:
    console = Console(file=io.StringIO(), width=120)
    with console.capture() as capture:
        console.print(progress.screen())
    return capture.get()


def test_the_screen_shows_every_trial_with_last_and_best_success() -> None:
    progress, _ = make("table", terminal=True)
    drive(progress)
    text = rendered(progress)
    assert re.search(r"0\s+completed\s+4.1k/4.1k\s+0.12\s+0.25", text)
    assert re.search(r"1\s+failed.*observation 'x' became NaN", text)
    assert "02:1" in text and "left" in text and "building the scene" in text


def test_a_large_sweep_fits_one_screen_and_keeps_running_trials_in_it() -> None:
    progress, _ = make("table", terminal=True, trials=200)
    for index in range(150):
        progress.started(index, {})
        progress.reported(index, 2048, index / 200, seconds=1.0)
        if index < 148:
            progress.ended(index, "stopped")
    text = rendered(progress)
    assert len(text.splitlines()) <= 20
    assert "148 of 200 over, 2 running" in text
    assert re.search(r"^149\s+running", text, re.MULTILINE) and re.search(
        r"^147\s+stopped", text, re.MULTILINE
    )


def test_after_the_search_the_estimate_counts_down_to_the_end() -> None:
    progress, out = make("lines")
    progress.closing(40.0)
    progress.stage("exporting to ONNX")
    assert out.getvalue().endswith("exporting to ONNX (about 40 s left)\n")


def test_the_last_screen_has_no_estimate_and_no_stage() -> None:
    progress, out = make("table", terminal=True)
    with progress:
        drive(progress)
        assert "left" in rendered(progress)
    text = rendered(progress)
    assert "left" not in text and "building" not in text and "kitchen" in out.getvalue()
