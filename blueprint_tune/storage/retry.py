"""Trying a request again while its failure may pass."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

Result = TypeVar("Result")
log = logging.getLogger(__name__)

_FIRST_DELAY_S = 0.25
_LONGEST_DELAY_S = 30.0
_PATIENCE_S = 2.0
"""What takes longer than this is told, once."""


@dataclass(frozen=True)
class Fault:
    """What a failed request means.

    Attributes:
        kind: ``passing``: a reset, a timeout, 429, 5xx, content damaged on the way. ``unreachable``: nobody
            answered, which may pass too. ``absent``: no such object. ``no bucket``. ``conflict``: a condition
            on what is there did not hold. ``denied``: a permission is missing. ``unknown``: there are no
            credentials, or they are not accepted. ``other``: anything else that the server refuses.
        text: the server's or client's own words, one line without secrets.
    """

    kind: Literal["passing", "unreachable", "absent", "no bucket", "conflict", "denied", "unknown", "other"]
    text: str

    @property
    def passes(self) -> bool:
        """Whether the same request may succeed later."""
        return self.kind in ("passing", "unreachable")


class Refused(Exception):
    """A request that failed for good, or for too long."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


def persist(
    request: Callable[[], Result],
    fault_of: Callable[[Exception], Fault | None],
    retry_s: float,
    what: str = "a request",
) -> Result:
    """The result of ``request``, tried again while it fails in a way that passes.

    Waits grow exponentially and are drawn at random, so that many clients do not come back together. Gives
    up ``retry_s`` after the first failure; a failure that ``fault_of`` does not know is raised as it is.

    Raises Refused.
    """
    began, delay, told = None, _FIRST_DELAY_S, False
    while True:
        try:
            return request()
        except Refused:
            raise  # a request within this one was tried for long enough
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                raise
            now = time.monotonic()
            began = began or now
            wait = random.uniform(0.0, delay)
            if not fault.passes or now - began + wait > retry_s:
                raise Refused(fault) from error
            if now - began > _PATIENCE_S and not told:
                log.warning("%s: %s; trying again for %.0f s.", what, fault.text, retry_s)
                told = True
            time.sleep(wait)
            delay = min(2 * delay, _LONGEST_DELAY_S)
