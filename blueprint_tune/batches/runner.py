"""Experiments side by side, each in a process of its own, all on one Ray, never more than the CPUs carry."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blueprint_tune.batches.child import INTERRUPTED
from blueprint_tune.batches.record import BatchFolder, Item
from blueprint_tune.tuning.session import Lent

_POLL_S = 0.5
_LAST_LINES = 4096
"""Bytes of a log in which the reason of a crash is looked for."""
LendFunction = Callable[[int], Lent]
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass
class Request:
    """An experiment that waits.

    ``least_cpus``: it does not start with fewer. ``alone``: it needs nothing of Ray, as its result is there.
    """

    item: Item
    least_cpus: int
    alone: bool


@dataclass
class _Driver:
    """The process that drives an experiment."""

    item: Item
    cpus: int
    process: subprocess.Popen[bytes]
    reason_file: Path


def share(free: int, waiting: int, least: int) -> int:
    """CPUs for the next experiment: the free ones divided among all that wait, rounded up; 0 = too few."""
    wanted = max(least, -(-free // max(1, waiting)))
    return wanted if wanted <= free else 0


class Runner:
    """Works through the requests; one that cannot start yet lets others pass.

    After Ctrl-C or SIGTERM running experiments stop at their next report, and none is started.
    """

    def __init__(
        self, requests: Sequence[Request], folder: BatchFolder, cpus: int, at_once: int, lend: LendFunction
    ) -> None:
        self._waiting, self._folder = list(requests), folder
        self._cpus, self._at_once, self._lend = cpus, at_once, lend
        self._running: list[_Driver] = []
        self._pressed = 0

    @property
    def stopped(self) -> bool:
        """Whether the user stopped it."""
        return self._pressed > 0

    def run(self, changed: Callable[[Item], None], tick: Callable[[bool], None]) -> None:
        """Until nothing waits or runs. ``changed`` is told of every item that started or ended, ``tick``
        every half second, with whether the experiments are being stopped."""
        with self._interrupts():
            try:
                while self._running or (self._waiting and not self.stopped):
                    for item in [*self._ended(), *self._started()]:
                        changed(item)
                    tick(self.stopped)
                    time.sleep(_POLL_S)
            finally:
                for driver in self._running:  # only when something above was raised
                    driver.process.kill()
                    driver.process.wait()

    def _started(self) -> Iterator[Item]:
        """Start what fits."""
        for request in list(self._waiting):
            if self.stopped or len(self._running) >= self._at_once:
                return
            room = min(len(self._waiting), self._at_once - len(self._running))
            least = min(request.least_cpus, self._cpus)  # one that wants more says so when it starts
            cpus = share(self._cpus - sum(d.cpus for d in self._running), room, least)
            if cpus:
                self._waiting.remove(request)
                driver = self._start(request, cpus)
                self._running.append(driver)
                if self._pressed:  # while it was being started
                    driver.process.send_signal(signal.SIGINT)
                yield request.item

    def _start(self, request: Request, cpus: int) -> _Driver:
        item, log = request.item, self._folder.experiment_log(request.item.name)
        reason_file = log.with_suffix(".reason")
        reason_file.unlink(missing_ok=True)
        job = {
            "overrides": item.overrides,
            "lent": ["", 0] if request.alone else list(self._lend(cpus)),
            "reason_file": str(reason_file),
            "log": str(log),
        }
        path = [_PACKAGE_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "blueprint_tune.batches.child"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
                start_new_session=True,  # a terminal's Ctrl-C comes to us, and we pass it on
            )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died already; its status says so
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
        item.state, item.reason = "running", None
        return _Driver(item, cpus, process, reason_file)

    def _ended(self) -> Iterator[Item]:
        """Take in what the processes that ended have left."""
        for driver in list(self._running):
            status = driver.process.poll()
            if status is None:
                continue
            self._running.remove(driver)
            assert driver.process.stdin is not None
            driver.process.stdin.close()
            item = driver.item
            if status == 0:
                item.state = "finished"
            elif not driver.reason_file.exists() and (status == INTERRUPTED or self.stopped):
                item.state = "interrupted"
            else:
                item.state = "failed"
                item.reason = _reason(driver, status, self._folder.experiment_log(item.name))
            driver.reason_file.unlink(missing_ok=True)
            yield item

    @contextlib.contextmanager
    def _interrupts(self) -> Iterator[None]:
        """First Ctrl-C or SIGTERM: stop in good order. Second: at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def handle(number: int, frame: Any) -> None:
            self._pressed += 1
            for driver in self._running:
                if self._pressed == 1:
                    driver.process.send_signal(signal.SIGINT)
                else:
                    driver.process.kill()

        for number in before:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _reason(driver: _Driver, status: int, log: Path) -> str:
    """What the process wrote down, or what can be said of a process that could not."""
    if driver.reason_file.exists():
        return driver.reason_file.read_text().strip()
    if status < 0:
        name = signal.Signals(-status).name
        return f"its process was ended by {name} (a crash in native code, out of memory, or from outside)"
    with contextlib.suppress(OSError):
        tail = log.read_bytes()[-_LAST_LINES:].decode(errors="replace")
        if lines := [line.strip() for line in tail.splitlines() if line.strip()]:
            return f"its process ended with status {status}: {lines[-1]}"
    return f"its process ended with status {status}"
