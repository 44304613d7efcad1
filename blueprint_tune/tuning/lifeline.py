"""Notices that the Ray this program started has died under it, and says how to go on.

Without it a dead raylet ends the program with a dump of Ray's internal state, and a dead GCS leaves it
waiting for a minute before Ray ends it (measured with Ray 2.60). Nothing can be saved by then: what the
trials have learned is in their checkpoints.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from blueprint_tune.errors import BlueprintTuneError

_POLL_S = 0.5
_VITAL = ("raylet", "gcs_server")
_EXIT_STATUS = 2


class Lifeline:
    """Watches the processes of the Ray that this process has just started, until :meth:`cut`."""

    def __init__(self, go_on: str) -> None:
        """``go_on``: what the user is told to do next."""
        self._go_on, self._over = go_on, threading.Event()
        self._processes = _vital_processes()
        self._thread = threading.Thread(target=self._watch, name="lifeline", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Stop watching: Ray is about to be shut down."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_POLL_S):
            dead = [name for name, process in self._processes if process.poll() is not None]
            if dead:
                self._give_up(dead)

    def _give_up(self, dead: list[str]) -> None:
        error = BlueprintTuneError(
            f"Ray died: its {' and '.join(dead)} ended (a crash, too little memory, or killed from outside). "
            f"What the trials have learned up to their last checkpoint is kept. {self._go_on}"
        )
        show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
        print(f"{show_cursor}\n{error}", file=sys.stderr, flush=True)
        os._exit(_EXIT_STATUS)  # the main thread waits inside Ray, whose own end would come next


def _vital_processes() -> list[tuple[str, Any]]:
    """Name and handle of the processes without which Ray is lost."""
    from ray._private import worker

    started = getattr(worker._global_node, "all_processes", {})
    return [(name, info.process) for name in _VITAL for info in started.get(name, ())]
