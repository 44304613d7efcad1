"""What the terminal shows while an experiment runs: a live screen, or plain lines without a terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from blueprint_tune.tuning.forecast import Forecast, TrialProgress, count, duration

if TYPE_CHECKING:
    from rich.console import RenderableType

Mode = Literal["auto", "table", "lines", "off"]
_ROWS = 12
_STATE_STYLE = {"running": "bold", "completed": "green", "stopped": "dim", "failed": "red", "waiting": "dim"}


class Progress:
    """The state of a run, told as it changes. One thread writes it; the live screen's only reads."""

    def __init__(self, mode: Mode, title: str, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.mode = ("table" if self.console.is_terminal else "lines") if mode == "auto" else mode
        self.title = title
        self.trials: dict[int, TrialProgress] = {}
        self.forecast: Forecast | None = None
        self._closing: tuple[float, float] | None = None
        self._over = False
        self._stage = ""
        self._zero = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        """Begin to show."""
        if self.mode == "table":
            self._live = Live(
                get_renderable=self.screen, console=self.console, refresh_per_second=2, redirect_stderr=False
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last screen standing, without an estimate."""
        self._over = True
        self._stage = self._stage if error is not None else ""
        if self._live is not None:
            self._live.stop()
            self._live = None

    @property
    def elapsed_s(self) -> float:
        """Time the experiment has taken, over all its processes."""
        return time.monotonic() - self._zero

    def begin(self, title: str, elapsed_s: float) -> None:
        """The experiment has its name; ``elapsed_s`` is the time it had taken before this process."""
        self.title = title
        self._zero -= elapsed_s
        self._line(title if elapsed_s == 0 else f"{title} goes on")

    def stage(self, text: str) -> None:
        """Say what is being done now."""
        self._stage = text
        self._line(f"{text}{self._left(' (', ')')}")

    def working(self, text: str) -> None:
        """What the live screen says is being done, without a line of its own."""
        self._stage = text

    def note(self, text: str) -> None:
        """Say something worth keeping on the screen."""
        self._line(text)
        if self.mode == "table":
            self.console.print(text)

    def begin_search(self, forecast: Forecast) -> None:
        """From here on the remaining time can be estimated."""
        self.forecast = forecast

    def closing(self, remaining_s: float) -> None:
        """The search is over; ``remaining_s`` is what the stages after it are expected to take."""
        self._closing = (time.monotonic(), remaining_s)

    def started(self, index: int, sample: dict[str, Any], env_steps: int = 0) -> None:
        """A trial was given to a process, to go on from ``env_steps``."""
        trial = self.trials.setdefault(index, TrialProgress(index))
        trial.sample, trial.state, trial.env_steps = sample, "running", env_steps
        trial.since = time.monotonic()

    def reported(self, index: int, env_steps: int, success: float | None, seconds: float) -> None:
        """A trial reported after ``seconds`` of training; ``success`` is the tuned metric."""
        trial = self.trials[index]
        if env_steps > trial.env_steps and seconds > 0:
            trial.steps_per_s = (env_steps - trial.env_steps) / seconds
        trial.env_steps, trial.success, trial.since = env_steps, success, time.monotonic()
        if success is not None:
            trial.best = success if trial.best is None else max(trial.best, success)
        self._line(self._trial_line(trial))

    def ended(self, index: int, state: str, note: str = "") -> None:
        """A trial completed, was stopped early or failed."""
        trial = self.trials.setdefault(index, TrialProgress(index))
        trial.state, trial.note = state, note
        if state != "completed" or len(self.trials) > 1:
            at = f" at {count(trial.env_steps)} steps" if trial.env_steps else ""
            self._line(f"trial {index}  {state}{at}{': ' + note if note else ''}")

    def remaining_s(self) -> tuple[float, bool] | None:
        """(seconds to the end, whether measured); None before anything is known and when all is over."""
        if self._over:
            return None
        if self._closing is not None:
            since, seconds = self._closing
            return max(1.0, seconds - (time.monotonic() - since)), True
        return self.forecast.remaining_s(self._all()) if self.forecast else None

    def screen(self) -> RenderableType:
        """The live screen."""
        head = Text.assemble((self.title, "bold"), f"   {clock(self.elapsed_s)} elapsed{self._left(', ')}")
        parts: list[RenderableType] = [head]
        if self.trials:
            parts.append(self._table())
        if self._stage:
            parts.append(Text(self._stage, style="cyan"))
        return Group(*parts)

    def _all(self) -> list[TrialProgress]:
        return [self.trials[k] for k in sorted(self.trials)]

    def _left(self, before: str, after: str = "") -> str:
        left = self.remaining_s()
        if left is None:
            return ""
        seconds, measured = left
        return f"{before}about {duration(seconds)} left{'' if measured else ', a first guess'}{after}"

    def _line(self, text: str) -> None:
        if self.mode == "lines":
            self.console.print(f"[{clock(self.elapsed_s)}] {text}", markup=False, soft_wrap=True)
            sys.stdout.flush()

    def _trial_line(self, trial: TrialProgress) -> str:
        budget = self.forecast.budget if self.forecast else trial.env_steps
        parts = [f"trial {trial.index}", f"{count(trial.env_steps)}/{count(budget)} steps"]
        if trial.success is not None:
            parts.append(f"success {trial.success:.2f}")
        if trial.steps_per_s:
            parts.append(f"{count(trial.steps_per_s)} steps/s")
        return "  ".join(parts) + self._left("  ")

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("trial", "state", "env steps", "success", "best", "steps/s", "settings"):
            left = name in ("trial", "state", "settings")
            table.add_column(name, justify="left" if left else "right", no_wrap=True)
        shown = self._shown()
        for trial in shown:
            table.add_row(*self._cells(trial), style=_STATE_STYLE.get(trial.state, ""))
        total = self.forecast.num_trials if self.forecast else len(self.trials)
        if total > len(shown):
            running = sum(t.state == "running" for t in self.trials.values())
            over = sum(t.state not in ("running", "waiting") for t in self.trials.values())
            table.add_row("…", f"{over} of {total} over, {running} running", style="dim")
        return table

    def _shown(self) -> list[TrialProgress]:
        """Running trials and the best of the others, in order."""
        ranked = sorted(
            self._all(),
            key=lambda t: (t.state != "running", -(t.best if t.best is not None else -1.0), t.index),
        )
        return sorted(ranked[:_ROWS], key=lambda t: t.index)

    def _cells(self, trial: TrialProgress) -> tuple[str, ...]:
        budget = f"/{count(self.forecast.budget)}" if self.forecast else ""
        settings = ", ".join(f"{k.split('.')[-1]} {_short(v)}" for k, v in trial.sample.items())
        return (
            str(trial.index),
            trial.state,
            f"{count(trial.env_steps)}{budget}",
            "" if trial.success is None else f"{trial.success:.2f}",
            "" if trial.best is None else f"{trial.best:.2f}",
            count(trial.steps_per_s) if trial.steps_per_s else "",
            trial.note or settings or "defaults",
        )


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def clock(seconds: float) -> str:
    """ "04:05", "1:04:05"."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
