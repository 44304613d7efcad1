from __future__ import annotations

import os
import signal
import threading

from blueprint_tune.tuning.signals import interrupts, signals_restored


def test_the_first_press_is_told_from_the_second_and_handlers_come_back() -> None:
    told: list[bool] = []
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with interrupts(told.append):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
    assert told == [False, True, True]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_another_thread_leaves_signals_alone() -> None:
    found: list[object] = []

    def work() -> None:
        before = signal.getsignal(signal.SIGINT)
        with interrupts(lambda at_once: None), signals_restored() as ours:
            found.extend([ours, signal.getsignal(signal.SIGINT) is before])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False, True]
