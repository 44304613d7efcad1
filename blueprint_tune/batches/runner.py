"""Experiments side by side, each in a process of its own, all on one Ray, never more than the CPUs carry."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from blueprint_tune.batches.child import INTERRUPTED
from blueprint_tune.batches.process import Process, start_process
from blueprint_tune.batches.record import BatchFolder, Item
from blueprint_tune.tuning.session import Lent
from blueprint_tune.tuning.signals import interrupts

_POLL_S = 0.5
LendFunction = Callable[[int], Lent]


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
    process: Process


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
        self._interrupted = False

    @property
    def stopped(self) -> bool:
        """Whether the user stopped it."""
        return self._interrupted

    def run(self, changed: Callable[[Item], None], tick: Callable[[bool], None]) -> None:
        """Until nothing waits or runs. ``changed`` is told of every item that started or ended, ``tick``
        every half second, with whether the experiments are being stopped."""
        with interrupts(self._interrupt):
            try:
                while self._running or (self._waiting and not self.stopped):
                    for item in [*self._ended(), *self._started()]:
                        changed(item)
                    tick(self.stopped)
                    time.sleep(_POLL_S)
            finally:
                for driver in self._running:  # only when something above was raised
                    driver.process.popen.kill()
                    driver.process.popen.wait()

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
                if self._interrupted:  # while it was being started
                    driver.process.popen.send_signal(signal.SIGINT)
                yield request.item

    def _start(self, request: Request, cpus: int) -> _Driver:
        item = request.item
        job = {
            "overrides": item.overrides,
            "lent": ["", 0] if request.alone else list(self._lend(cpus)),
        }
        log = self._folder.experiment_log(item.name)
        process = start_process("blueprint_tune.batches.child", job, log)
        item.state, item.reason = "running", None
        return _Driver(item, cpus, process)

    def _ended(self) -> Iterator[Item]:
        """Take in what the processes that ended have left."""
        for driver in list(self._running):
            process, item = driver.process, driver.item
            status = process.ended()
            if status is None:
                continue
            self._running.remove(driver)
            if status == 0:
                item.state = "finished"
            elif not process.reason_file.exists() and (status == INTERRUPTED or self.stopped):
                item.state = "interrupted"
            else:
                item.state = "failed"
                item.reason = process.reason(status)
            process.reason_file.unlink(missing_ok=True)
            yield item

    def _interrupt(self, at_once: bool) -> None:
        """The user wants it to end; in good order the first time."""
        self._interrupted = True
        for driver in self._running:
            if at_once:
                driver.process.popen.kill()
            else:
                driver.process.popen.send_signal(signal.SIGINT)
