"""What the terminal shows while a batch runs: a table of experiments, or plain lines without a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from blueprint_tune.batches.outlook import Outlook
from blueprint_tune.batches.record import BatchFolder, Item
from blueprint_tune.batches.table import STYLE
from blueprint_tune.reporting.views import percent
from blueprint_tune.tuning.forecast import count, duration
from blueprint_tune.tuning.progress import Mode, clock

_LOOK_S = 2.0
"""Between two looks into the folders of running experiments."""
_LINE_S = 60.0
"""Between two lines about a batch to which nothing happens."""


class View:
    """Follows the items of a batch; everything it shows it reads from their folders."""

    def __init__(
        self, items: Sequence[Item], folder: BatchFolder, outlook: Outlook, mode: Mode, console: Console
    ) -> None:
        self._items, self._folder, self._outlook = items, folder, outlook
        self._console = console
        self.mode: Mode = ("table" if console.is_terminal else "lines") if mode == "auto" else mode
        self._zero = self._looked = self._said = time.monotonic()
        self._live: Live | None = None
        self._stopping = False

    def __enter__(self) -> View:
        """Begin to show."""
        if self.mode == "table":
            self._live = Live(
                get_renderable=self._screen, console=self._console, refresh_per_second=2, transient=True
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The leaderboard takes the screen's place."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def changed(self, item: Item) -> None:
        """An experiment started or ended."""
        self._outlook.look(self._folder.experiment(item), item)
        if item.state == "running":
            text = f"{item.name} {'is there already' if item.offered else 'started'}"
        else:
            success = self._outlook.success(item)
            text = f"{item.name} {item.state}{'' if success is None else f', success {success}'}"
            text += f": {item.reason}" if item.reason else ""
        self._line(f"{text}  {self._summary()}")

    def tick(self, stopping: bool) -> None:
        """Look again, if it is time."""
        now = time.monotonic()
        if stopping and not self._stopping:
            self._stopping = True
            self.note(
                "Stopping; what the experiments have learned up to their last checkpoint is kept. "
                "Ctrl-C again aborts at once."
            )
        if now - self._looked >= _LOOK_S:
            self._looked = now
            for item in self._items:
                if item.state == "running":
                    self._outlook.look(self._folder.experiment(item), item)
        if now - self._said >= _LINE_S:
            self._line(self._summary())

    def note(self, text: str) -> None:
        """Say something worth keeping on the screen."""
        if self.mode == "lines":
            self._line(text)
        elif self.mode == "table":
            self._console.print(text, markup=False)

    def _line(self, text: str) -> None:
        if self.mode == "lines":
            self._said = time.monotonic()
            self._console.print(f"[{self._clock()}] {text}", markup=False, soft_wrap=True)
            self._console.file.flush()

    def _clock(self) -> str:
        return clock(time.monotonic() - self._zero)

    def _summary(self) -> str:
        """ "(2 of 5 over, 2 running, about 12 min left)"."""
        states = [item.state for item in self._items]
        over = sum(state not in ("waiting", "running") for state in states)
        left = self._outlook.remaining_s(self._items)
        about = f", about {duration(left)} left" if left else ""
        return f"({over} of {len(states)} over, {states.count('running')} running{about})"

    def _screen(self) -> RenderableType:
        head = Text.assemble(
            (self._folder.path.name, "bold"), f"   {self._clock()} elapsed   {self._summary()}"
        )
        return Group(head, self._table())

    def _table(self) -> Table:
        """All experiments, or as many as the terminal has lines for, those that run first."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in ("experiment", "state", "trials", "env steps", "best success", "left"):
            left = name in ("experiment", "state")
            table.add_column(name, justify="left" if left else "right", no_wrap=True)
        room = max(4, self._console.size.height - 5)
        rank = {"running": 0, "failed": 1, "interrupted": 1, "waiting": 2, "finished": 3}
        shown = sorted(self._items, key=lambda item: rank[item.state])[:room]
        for item in self._items:
            if item in shown:
                table.add_row(*self._cells(item), style=STYLE[item.state])
        if len(shown) < len(self._items):
            table.add_row(f"… and {len(self._items) - len(shown)} more", style="dim")
        return table

    def _cells(self, item: Item) -> tuple[str, ...]:
        standing, left = self._outlook.standing(item), self._outlook.left_s(item)
        state: str = item.state
        if standing is None:
            return item.name, "starting" if state == "running" else state
        if item.offered and state == "running":
            state = "offering"
        elif state == "running":
            state = {"training": "training", "proving": "evaluating"}.get(standing.stage, "starting")
        rate = standing.best if standing.success_rate is None else standing.success_rate
        return (
            item.name,
            state,
            str(sum(standing.trials.values())),
            count(standing.env_steps),
            percent(rate),
            duration(left) if left is not None and item.state == "running" else "",
        )
