"""Ctrl-C and SIGTERM, taken for a while and given back."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def signals_restored() -> Iterator[bool]:
    """Give signals' handlers back after; tells whether they may be set here: in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield False
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield True
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def interrupts(pressed: Callable[[bool], None]) -> Iterator[None]:
    """Have ``pressed`` called at Ctrl-C or SIGTERM: the first asks for an end in good order.

    From the second on it is told True: at once.
    """
    times = 0

    def handle(number: int, frame: Any) -> None:
        nonlocal times
        times += 1
        pressed(times > 1)

    with signals_restored() as ours:
        for number in (signal.SIGINT, signal.SIGTERM) if ours else ():
            signal.signal(number, handle)
        yield
