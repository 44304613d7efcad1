"""The heartbeats of the claims a watcher holds, and the guard that ends a job whose claim may be another's.

Both are threads, because the watcher itself may wait for storage. Each claim has a heartbeat of its own, so
that one that storage keeps waiting starves no other; the guard asks nobody anything, so nothing detains it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from blueprint_tune.errors import ClaimTaken, StorageError
from blueprint_tune.service.lease import Claim, Outcome, answer, beat, let_go, written_now
from blueprint_tune.storage.path import StoragePath

log = logging.getLogger(__name__)

_FENCE = 2 / 3
"""Share of a lease after which a holder that cannot reach storage gives up, before others take over."""
_GUARD_S = 0.25


class Held:
    """A claim that is this watcher's, until it is found to be another's.

    ``asked_s``: on the monotonic clock, just before storage was asked for it; others may count from there.
    """

    def __init__(self, path: StoragePath, claim: Claim, lease_s: float, asked_s: float) -> None:
        self.request, self.attempts = claim.request, claim.attempts
        self.job_id = claim.job_id
        self._path, self._claim, self._lease_s = path, claim, lease_s
        self._before_s, self._began = claim.spent_s, asked_s
        self._told, self._taken = asked_s, False
        self._ended_at: str | None = None
        self._lock = threading.Lock()

    @property
    def spent_s(self) -> float:
        """What the request has taken so far, over all its holders."""
        return self._before_s + time.monotonic() - self._began

    def lost(self) -> str | None:
        """Why the claim is not this watcher's any more, or may not be; None while it is."""
        if self._taken:
            return "another watcher has taken it over"
        silent = time.monotonic() - self._told
        if silent > _FENCE * self._lease_s:
            return f"storage could not be told for {silent:.0f} s that it is alive"
        return None

    def beat(self) -> None:
        """Tell storage that the holder is alive."""
        with self._lock:
            if self._taken or self._ended_at:  # the last word is said, or is being said
                return
            asked = time.monotonic()  # others may count from here
            try:
                self._claim = beat(self._path, self._claim, self.job_id, self.spent_s)
            except ClaimTaken:
                self._taken = True
            except StorageError:  # the next one may be luckier; until then `lost` counts
                # The beat may be there all the same, and others count from it: the next one is a new one.
                self._claim = replace(self._claim, beat=self._claim.beat + 1)
            else:
                self._told = asked

    def let_go(self) -> None:
        """Leave the request to whoever comes next; said again when storage failed."""
        with self._lock:
            self._ended_at = self._ended_at or written_now()
            let_go(self._path, self._claim, self._ended_at)

    def answer(self, outcome: Outcome, job_id: str | None, reason: str | None) -> None:
        """Say how the request ended; said again, in the same words, when storage failed."""
        with self._lock:
            self._ended_at = self._ended_at or written_now()
            answer(self._path, self._claim, outcome, job_id, reason, self._ended_at)


class Heart:
    """Beats for all claims that are given to it, and guards their jobs, while its context lasts."""

    def __init__(self, heartbeat_s: float) -> None:
        self._every_s, self._over = heartbeat_s, threading.Event()
        self._held: dict[Held, Callable[[], None] | None] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Heart:
        """Start."""
        threading.Thread(target=self._guard, name="guard", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._over.set()

    def hold(self, held: Held) -> None:
        """Beat for it from now on."""
        with self._lock:
            self._held[held] = None
        threading.Thread(target=self._beat, args=[held], name="heartbeat", daemon=True).start()

    def guard(self, held: Held, kill: Callable[[], None]) -> None:
        """End its job by ``kill`` as soon as the claim is lost, whatever else the watcher is at."""
        with self._lock:
            self._held[held] = kill

    def drop(self, held: Held) -> None:
        """No longer."""
        with self._lock:
            self._held.pop(held, None)

    def _beat(self, held: Held) -> None:
        while not self._over.wait(self._every_s) and held in self._held:
            try:
                held.beat()
            except Exception as error:  # no storage may end a heartbeat; until the next one `lost` counts
                log.warning("a heartbeat failed and is tried again: %s: %s", type(error).__name__, error)

    def _guard(self) -> None:
        while not self._over.wait(_GUARD_S):
            with self._lock:
                for held, kill in list(self._held.items()):
                    if kill is not None and held.lost():
                        self._held[held] = None  # once: its number may be another process's later
                        kill()
