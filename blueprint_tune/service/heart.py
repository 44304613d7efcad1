"""The heartbeat of the claims a watcher holds: a thread, because the watcher itself may be busy."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from blueprint_tune.errors import ClaimTaken, StorageError
from blueprint_tune.service.lease import Claim, Outcome, answer, beat, let_go
from blueprint_tune.storage.path import StoragePath

_FENCE = 2 / 3
"""Share of a lease after which a holder that cannot reach storage gives up, before others take over."""


class Held:
    """A claim that is this watcher's, until it is found to be another's."""

    def __init__(self, path: StoragePath, claim: Claim, lease_s: float) -> None:
        self.request, self.attempts = claim.request, claim.attempts
        self.job_id = claim.job_id
        self._path, self._claim, self._lease_s = path, claim, lease_s
        self._before_s, self._began = claim.spent_s, time.monotonic()
        self._told, self._taken = self._began, False
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
            if self._taken:
                return
            asked = time.monotonic()  # others may count from here
            try:
                self._claim = beat(self._path, self._claim, self.job_id, self.spent_s)
            except ClaimTaken:
                self._taken = True
            except StorageError:
                pass  # the next one may be luckier; until then `lost` counts
            else:
                self._told = asked

    def let_go(self) -> None:
        """Leave the request to whoever comes next."""
        with self._lock:
            let_go(self._path, self._claim)

    def answer(self, outcome: Outcome, job_id: str | None, reason: str | None) -> None:
        """Say how the request ended."""
        with self._lock:
            answer(self._path, self._claim, outcome, job_id, reason)


class Heart:
    """Beats for all claims that are given to it, while its context lasts."""

    def __init__(self, heartbeat_s: float) -> None:
        self._every_s, self._over = heartbeat_s, threading.Event()
        self._held: list[Held] = []
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heart:
        """Start."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._over.set()

    def hold(self, held: Held) -> None:
        """Beat for it from now on."""
        self._held = [*self._held, held]

    def drop(self, held: Held) -> None:
        """No longer."""
        self._held = [other for other in self._held if other is not held]

    def _beat(self) -> None:
        while not self._over.wait(self._every_s):
            for held in self._held:
                held.beat()
