"""Uploads that are broken on purpose and claims that race, written to ``storage.md``."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from importlib.metadata import version

from benchlib.buckets import CREDENTIALS, KINDS, bucket
from benchlib.proxy import FAULTS
from benchlib.record import Document, number, progress
from benchlib.storage_claims import Race, race
from benchlib.storage_faults import KILLS, Outcome, break_uploads
from blueprint_tune.storage.base import Requests

PEERS = ("google-cloud-storage", "boto3", "gcp-storage-emulator", "moto")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of ``scripts/bench storage``."""
    parser.add_argument("--faults", type=int, default=1000, help="in all, half of them for each store")
    parser.add_argument("--claimants", type=int, default=20, help="processes that claim the same keys")
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=2, help="servers of each kind, each with a publisher")
    parser.add_argument("--seed", type=int, default=1)


def run(options: argparse.Namespace, command: Sequence[str]) -> None:
    """Broken uploads, then claims; the file is written again whenever there is something new."""
    os.environ.update(CREDENTIALS)
    outcomes = {kind: [Outcome() for _ in range(options.at_once)] for kind in KINDS}
    races: dict[str, Race] = {}
    wanted = -(-options.faults // len(KINDS) // options.at_once)

    def write() -> None:
        document = Document("storage", "Uploads that are broken on purpose, claims that race", command)
        _tell_faults(document, {kind: sum(parts, Outcome()) for kind, parts in outcomes.items()})
        if races:
            _tell_claims(document, races, options)
        document.write(options.results, {name: version(name) for name in PEERS})

    with ThreadPoolExecutor(len(KINDS) * options.at_once) as pool:  # they mostly wait
        begun = [
            pool.submit(_break, kind, wanted, options.seed + number, outcome)
            for kind, parts in outcomes.items()
            for number, outcome in enumerate(parts)
        ]
        while wait(begun, timeout=60.0).not_done:
            write()
        for future in begun:
            future.result()
    for kind in ("local", *KINDS):
        races[kind] = _race(kind, options)
        write()


def _break(kind: str, wanted: int, seed: int, outcome: Outcome) -> None:
    with bucket(kind) as server:
        break_uploads(server, wanted, seed, outcome)


def _race(kind: str, options: argparse.Namespace) -> Race:
    progress(f"{kind}: claims")
    if kind == "local":
        with tempfile.TemporaryDirectory() as folder:
            return race(folder, Requests(), options.claimants, options.keys)
    with bucket(kind) as server:
        patient = server.requests(timeout_s=60.0)
        return race(str(server.root("race")), patient, options.claimants, options.keys)


def _tell_faults(document: Document, outcomes: Mapping[str, Outcome]) -> None:
    document.heading("Broken uploads")
    document.text(
        "Every job is 6 objects of 0 bytes to 6 MiB (two parts), its marker and the index, published twice "
        "by a process of its own, against gcp-storage-emulator (`gs://`) and moto (`s3://`) on loopback, "
        "behind a proxy that enforces generations and checksums and breaks 40 % of the requests. What was "
        "killed is started again. Meanwhile a reader looks at the job: every object must be whole, and what "
        "a marker stands for must be there.",
    )
    faults = [_row(fault, outcomes, lambda o, fault=fault: o.faults[fault]) for fault in (*FAULTS, *KILLS)]
    document.table(
        ["injected", "gs://", "s3://"], [*faults, _row("all", outcomes, lambda o: o.faults.total())]
    )
    document.table(
        ["", "gs://", "s3://"],
        [
            _row("requests", outcomes, lambda o: o.requests),
            _row("publications", outcomes, lambda o: o.published),
            _row("processes that published", outcomes, lambda o: o.runs),
            _row("of them gave up with a message (target 0)", outcomes, lambda o: o.gave_up),
            _row("publications that ended incomplete (target 0)", outcomes, lambda o: len(o.lost)),
            _row("looks of the reader", outcomes, lambda o: o.looks),
            _row("of them at a complete result", outcomes, lambda o: o.complete),
            _row("half results seen (target 0)", outcomes, lambda o: len(o.half)),
            _row("looks that storage refused with an error", outcomes, lambda o: len(o.refused)),
            _row("seconds", outcomes, lambda o: round(o.seconds)),
        ],
    )
    for outcome in outcomes.values():
        document.lines += [f"- {problem}" for problem in [*outcome.half, *outcome.refused, *outcome.lost]]


def _tell_claims(document: Document, races: Mapping[str, Race], options: argparse.Namespace) -> None:
    document.heading("Claims")
    document.text(
        f"{options.claimants} processes claim the same {options.keys} keys at once, each in its own order."
    )
    rows = [
        [
            {"local": "a folder", "gcs": "gs://", "s3": "s3://"}[kind],
            str(len(ended.winners)),
            str(ended.winners.total()),
            str(len(ended.wrong)),
            number(ended.claims_per_s),
        ]
        for kind, ended in races.items()
    ]
    header = ["", "keys claimed", "winners", "winners whose claim is another's", "claims/s, all processes"]
    document.table(header, rows)


def _row(name: str, outcomes: Mapping[str, Outcome], of: Callable[[Outcome], int]) -> list[str]:
    return [name, *(f"{of(outcomes[kind]):,}" for kind in KINDS)]
