"""Break uploads on purpose, again and again, while a reader looks whether it ever sees half a result.

Jobs are published as ``publish.py`` does it: objects, the job's marker last, then the index. Each is
published twice, the second time with other content over the first. A proxy breaks requests at random,
from a seed, and kills the publishing process with SIGKILL; what was killed or gave up is started again.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path

from benchlib.buckets import CREDENTIALS, SMALL_REQUESTS, Bucket
from benchlib.proxy import FAULTS
from benchlib.record import progress
from blueprint_tune.errors import ObjectNotFound, StorageError
from blueprint_tune.storage.base import Content, Requests
from blueprint_tune.storage.path import StoragePath, open_path

SMALL_BYTES = (0, 90, 1_500, 40_000, 260_000)
BIG_BYTES = 6 * 2**20  # more than one part
MARKER, INDEX = ".complete", ".index"
KILLS = ("kill before", "kill after")
SHARE_BROKEN = 0.4  # of requests


@dataclass
class Outcome:
    """What happened to one store.

    Attributes:
        faults: how many of each kind were injected. requests: that were made in all. published: jobs,
            each version counted. runs: publishing processes. gave_up: those that ended with an error
            by themselves.
        looks, complete: of the reader: at a job, and how often it found the marker and everything with it.
        half: results that a reader saw half, as text. refused: looks that ended with an error. lost: publications that were not whole when reported.
        seconds: wall clock.
    """

    faults: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    published: int = 0
    runs: int = 0
    gave_up: int = 0
    looks: int = 0
    complete: int = 0
    half: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __add__(self, other: Outcome) -> Outcome:
        """Of two at once: their counts, and the longer time."""
        both = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return Outcome(**{**both, "seconds": max(self.seconds, other.seconds)})


@lru_cache(maxsize=8)
def contents(job: int, version: int) -> dict[str, bytes]:
    """Name -> what a job's objects hold; the first does not change from version to version."""
    sizes = [*SMALL_BYTES, BIG_BYTES]
    seeds = [(job, number, version if number else 0) for number in range(len(sizes))]
    names = [f"files/{number}.bin" for number in range(len(sizes))]
    return {
        name: random.Random(repr(seed)).randbytes(size)
        for name, seed, size in zip(names, seeds, sizes, strict=True)
    }


def publish(root: StoragePath, job: int, version: int, folder: Path) -> None:
    """As ``publish.publish``: everything, the job's marker, the index."""
    objects: list[tuple[str, Content]] = []
    sums = {}
    for name, content in contents(job, version).items():
        sums[name] = hashlib.sha256(content).hexdigest()
        if len(content) < BIG_BYTES:
            objects.append((name, content))
        else:
            (folder / "big").write_bytes(content)
            objects.append((name, folder / "big"))
    marker = json.dumps({"version": version, "sha256": sums}).encode()
    (root / f"jobs/{job}").put_all([*objects, (MARKER, marker)], withdraw=[MARKER])
    (root / INDEX).update(
        lambda before: json.dumps({**json.loads(before or b"{}"), str(job): version}).encode()
    )


def publisher(uri: str, requests: Requests, job: int, version: int, said: Connection) -> None:
    """A process of its own; it says how it ended, which its exit status does not to a parent with threads."""
    os.environ.update(CREDENTIALS)
    with tempfile.TemporaryDirectory() as folder:
        try:
            publish(open_path(uri, requests), job, version, Path(folder))
        except StorageError as error:
            said.send(str(error))
        else:
            said.send("")


class Saboteur:
    """The proxy's plan: breaks a share of all requests until there were enough faults."""

    def __init__(self, outcome: Outcome, wanted: int, seed: int) -> None:
        self.outcome, self.wanted = outcome, wanted
        self.random = random.Random(seed)
        self.bag: list[str] = []
        self.pid: int | None = None

    def __call__(self, method: str, path: str, size: int) -> str | None:
        """A fault for this request, or None."""
        self.outcome.requests += 1
        if (
            self.pid is None
            or self.outcome.faults.total() >= self.wanted
            or self.random.random() > SHARE_BROKEN
        ):
            return None
        if not self.bag:
            self.bag = [*FAULTS, *KILLS]
            self.random.shuffle(self.bag)
        fault = next(f for f in reversed(self.bag) if size or f != "damaged" or len(self.bag) == 1)
        self.bag.remove(fault)
        if fault == "damaged" and not size:
            self.bag.append(fault)  # it needs a body
            return None
        self.outcome.faults[fault] += 1
        if fault in KILLS:
            os.kill(self.pid, signal.SIGKILL)
            self.pid = None
            return {"kill before": "reset before", "kill after": "reset after"}[fault]
        return fault


class Reader(threading.Thread):
    """Looks at one job over and over, past the faults, until it is told to stop."""

    def __init__(self, root: StoragePath, outcome: Outcome) -> None:
        super().__init__(daemon=True)
        self.root, self.outcome = root, outcome
        self.job: int | None = None
        self.stop = threading.Event()

    def run(self) -> None:
        """Until ``stop``."""
        while not self.stop.wait(0.1):
            if (job := self.job) is not None:
                self.look(job)

    def look(self, job: int) -> None:
        """Every object that is there is one of a version, whole; behind a marker is all of its version."""
        where = self.root / f"jobs/{job}"
        try:
            self._look(job, where)
        except StorageError as error:
            self.outcome.refused.append(str(error))

    def _look(self, job: int, where: StoragePath) -> None:
        before = _read(where / MARKER)
        versions = [contents(job, version) for version in (1, 2)]
        found = {name: _read(where / name) for name in versions[0]}
        after = _read(where / MARKER)
        self.outcome.looks += 1
        for name, content in found.items():
            if content is not None and content not in [version[name] for version in versions]:
                self.outcome.half.append(f"job {job}: {name} is half")
        if before is not None and before == after:
            if found != versions[json.loads(before)["version"] - 1]:
                self.outcome.half.append(f"job {job}: the marker stands for what is not there")
            self.outcome.complete += 1


def _read(path: StoragePath) -> bytes | None:
    try:
        return path.read_bytes()
    except ObjectNotFound:
        return None


def break_uploads(
    server: Bucket, wanted: int, seed: int, outcome: Outcome, prefix: str = "faults"
) -> Outcome:
    """Publish jobs until ``wanted`` faults were injected, and finish the last; ``outcome`` grows with it."""
    began = time.monotonic()
    saboteur = Saboteur(outcome, wanted, seed)
    proxied = server.root(prefix)
    scheme = {"gcs": "gs", "s3": "s3"}[server.kind]
    direct = Requests(endpoint=f"http://127.0.0.1:{server.proxy.upstream}", **SMALL_REQUESTS)  # type: ignore[arg-type]
    root = open_path(str(proxied), direct)
    reader = Reader(root, outcome)
    reader.start()
    server.proxy.plan, server.proxy.stall_s = saboteur, 2.2
    impatient = server.requests(timeout_s=2.0)
    try:
        while outcome.faults.total() < wanted:
            job, version = divmod(outcome.published, 2)
            reader.job = job
            _until_published(str(proxied), impatient, saboteur, job, version + 1)
            outcome.lost += _missing(root, job, version + 1)
            outcome.published += 1
            outcome.seconds = time.monotonic() - began
            progress(
                f"{scheme}://: job {job}, version {version + 1}",
                faults=outcome.faults.total(),
                looks=outcome.looks,
            )
    finally:
        reader.stop.set()
        reader.join()
        server.proxy.plan = lambda *request: None
    return outcome


def _until_published(uri: str, requests: Requests, saboteur: Saboteur, job: int, version: int) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["blueprint_tune.storage.gcs", "blueprint_tune.storage.s3"])
    while True:
        heard, said = context.Pipe(duplex=False)
        process = context.Process(target=publisher, args=(uri, requests, job, version, said))
        process.start()
        saboteur.pid = process.pid
        saboteur.outcome.runs += 1
        process.join()
        saboteur.pid = None
        said.close()
        with heard, suppress(EOFError):  # a process that was killed says nothing
            if not heard.recv():
                return
            saboteur.outcome.gave_up += 1


def _missing(root: StoragePath, job: int, version: int) -> list[str]:
    """What is wrong with a job that its publisher calls published."""
    where, problems = root / f"jobs/{job}", []
    for name, content in contents(job, version).items():
        if _read(where / name) != content:
            problems.append(f"job {job}, version {version}: {name} is not what was published")
    marker, index = json.loads(_read(where / MARKER) or b"{}"), json.loads(_read(root / INDEX) or b"{}")
    if marker.get("version") != version or index.get(str(job)) != version or len(index) != job + 1:
        problems.append(f"job {job}, version {version}: marker or index do not say so")
    return problems
