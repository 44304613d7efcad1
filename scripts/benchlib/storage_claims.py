"""Many processes claim the same keys at once: each key must have exactly one winner."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from benchlib.buckets import CREDENTIALS
from blueprint_tune.errors import ClaimTaken
from blueprint_tune.storage.base import Requests
from blueprint_tune.storage.path import open_path


@dataclass(frozen=True)
class Race:
    """How a race ended.

    Attributes:
        winners: how many believe to have won, of each key that anybody won. wrong: keys whose object does
            not name the process that believes to have won. claims_per_s: attempts, all processes together.
    """

    winners: Counter[str]
    wrong: list[str]
    claims_per_s: float


def race(uri: str, requests: Requests, processes: int, keys: int) -> Race:
    """Let ``processes`` claim ``keys`` keys below ``uri``, each in an order of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["blueprint_tune.storage.gcs", "blueprint_tune.storage.s3"])
    start, won = context.Barrier(processes + 1), context.Queue()
    claimants = [
        context.Process(target=_claim_all, args=(uri, requests, number, keys, start, won))
        for number in range(processes)
    ]
    for process in claimants:
        process.start()
    start.wait()
    began = time.monotonic()
    claims = [(name, number) for number, names in (won.get() for _ in claimants) for name in names]
    seconds = time.monotonic() - began
    for process in claimants:
        process.join()
    root = open_path(uri, requests)
    wrong = [name for name, number in claims if (root / name).read_text() != str(number)]
    return Race(Counter(name for name, _ in claims), wrong, processes * keys / seconds)


def _claim_all(uri: str, requests: Requests, number: int, keys: int, start: Any, won: Any) -> None:
    os.environ.update(CREDENTIALS)
    root, mine = open_path(uri, requests), []
    names = [f"claims/{key}" for key in range(keys)]
    random.Random(number).shuffle(names)
    start.wait()
    for name in names:
        try:
            (root / name).create(str(number).encode())
        except ClaimTaken:
            continue
        mine.append(name)
    won.put((number, mine))
