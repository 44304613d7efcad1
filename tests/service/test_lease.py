from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from blueprint_tune.errors import ClaimTaken, StorageError
from blueprint_tune.service.heart import Heart, Held
from blueprint_tune.service.lease import (
    Claim,
    Observer,
    Seen,
    answer,
    beat,
    claim_path,
    let_go,
    read_claim,
    take,
)
from blueprint_tune.storage.local import LocalStore
from blueprint_tune.storage.path import StoragePath

LEASE_S = 10.0
AT = "2026-03-01T12:00:00+00:00"
STORES = ("local", "gcs", "s3")
every_store = pytest.mark.parametrize("root", STORES, indirect=True)


def taken(root: StoragePath, request: str = "r1") -> tuple[StoragePath, Claim]:
    path = claim_path(root, "s")
    return path, take(path, read_claim(path), request)


def test_a_claim_is_read_as_it_was_taken(root: StoragePath) -> None:
    path, mine = taken(root)
    assert read_claim(path).claim == mine
    assert (mine.attempts, mine.beat, mine.request) == (1, 0, "r1")


@every_store
def test_a_claim_that_moved_since_it_was_judged_cannot_be_taken(root: StoragePath) -> None:
    path, mine = taken(root)
    judged = read_claim(path)
    beat(path, mine, None, 1.0)
    with pytest.raises(ClaimTaken):
        take(path, judged, "r1")
    with pytest.raises(ClaimTaken):
        take(path, Seen(None, None), "r1")


@every_store
def test_who_was_taken_over_notices_whatever_it_does_next(root: StoragePath) -> None:
    path, mine = taken(root)
    other = take(path, read_claim(path), "r1")
    for action in (
        lambda: beat(path, mine, None, 1.0),
        lambda: let_go(path, mine, AT),
        lambda: answer(path, mine, "completed", "j", None, AT),
    ):
        with pytest.raises(ClaimTaken):
            action()
    assert read_claim(path).claim == other


def test_a_holder_that_finds_another_in_its_place_has_lost(root: StoragePath) -> None:
    path, mine = taken(root)
    held = Held(path, mine, LEASE_S, time.monotonic())
    held.beat()
    assert held.lost() is None
    take(path, read_claim(path), "r1")
    held.beat()
    assert held.lost() == "another watcher has taken it over"


def test_a_holder_that_cannot_tell_storage_gives_up_before_its_lease_ends(root: StoragePath) -> None:
    path, mine = taken(root)
    held = Held(path, mine, LEASE_S, time.monotonic())
    held._told -= 0.6 * LEASE_S
    assert held.lost() is None
    held._told -= 0.1 * LEASE_S
    assert "storage could not be told" in str(held.lost())


@every_store
def test_a_beat_whose_answer_was_lost_is_the_holders_own(root: StoragePath) -> None:
    path, mine = taken(root)
    beat(path, mine, None, 1.0)  # written, and nobody told the holder
    assert beat(path, mine, "job", 2.0).beat == 1
    answer(path, mine, "completed", "job", None, AT)
    answer(path, mine, "completed", "job", None, AT)  # so was this
    with pytest.raises(ClaimTaken):
        let_go(path, mine, AT)


class Lossy(LocalStore):
    """Writes, and then says that it could not."""

    lossy = True

    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        super().update(key, change)
        if self.lossy:
            raise StorageError("the connection broke")


def test_a_holder_gets_over_lost_answers(tmp_path: Path) -> None:
    store = Lossy(tmp_path)
    path, mine = taken(StoragePath(store, "x"))
    held = Held(path, mine, LEASE_S, time.monotonic())
    observer = Observer(LEASE_S)
    for number in range(1, 4):
        held.beat()
        claim = read_claim(path).claim
        assert claim is not None
        assert claim.beat == number  # others see each as a new one
        assert observer.judge("s", claim, "r1", number * 0.9 * LEASE_S) == "held"
    assert held.lost() is None
    with pytest.raises(StorageError, match="broke"):
        held.answer("completed", "job", None)
    held.beat()  # says nothing any more
    store.lossy = False
    held.answer("completed", "job", None)
    assert held.lost() is None
    assert observer.judge("s", read_claim(path).claim, "r1", 0) == "completed"


def test_a_lease_counts_from_before_it_was_asked_for(root: StoragePath) -> None:
    path, mine = taken(root)
    assert Held(path, mine, LEASE_S, time.monotonic() - 0.7 * LEASE_S).lost() is not None


def test_no_error_and_no_stuck_beat_keeps_other_hearts_from_beating(
    root: StoragePath, tmp_path: Path
) -> None:
    class Odd(LocalStore):
        def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
            go.wait(30)
            raise RuntimeError("a client's own error")

    go = threading.Event()
    _, mine = taken(root)
    stuck = Held(StoragePath(Odd(tmp_path), "claim"), mine, LEASE_S, time.monotonic())
    path = claim_path(root, "s")
    beating = Held(path, mine, LEASE_S, time.monotonic())
    with Heart(0.02) as heart:
        heart.hold(stuck)
        heart.hold(beating)
        before = threading.active_count()
        _beats(path, 3)
        go.set()
        _beats(path, 6)
        assert threading.active_count() == before  # the odd one goes on trying
        heart.drop(stuck)
        heart.drop(beating)


def _beats(path: StoragePath, number: int) -> None:
    end_s = time.monotonic() + 30
    while True:
        claim = read_claim(path).claim
        assert claim is not None
        if claim.beat >= number:
            return
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_time_and_attempts_add_up_over_holders(root: StoragePath) -> None:
    path, mine = taken(root)
    beat(path, mine, "job", 100.0)
    second = take(path, read_claim(path), "r1")  # the first one died
    assert (second.attempts, second.spent_s, second.job_id) == (2, 100.0, "job")
    let_go(path, beat(path, second, "job", 150.0), AT)  # the second one stopped in good order
    third = take(path, read_claim(path), "r1")
    assert (third.attempts, third.spent_s) == (2, 150.0)
    other = take(path, read_claim(path), "r2")
    assert (other.attempts, other.spent_s, other.job_id) == (1, 0.0, None)


def test_answers_stay_when_the_next_request_comes(root: StoragePath) -> None:
    path, mine = taken(root)
    answer(path, mine, "failed", "j1", "why", AT)
    second = take(path, read_claim(path), "r2")
    answer(path, second, "completed", "j2", None, AT)
    observer, claim = Observer(LEASE_S), read_claim(path).claim
    assert observer.judge("s", claim, "r1", 0) == "failed"
    assert observer.judge("s", claim, "r2", 0) == "completed"
    assert observer.judge("s", claim, "r3", 0) == "free"


def test_answers_of_long_ago_are_forgotten(root: StoragePath) -> None:
    path = claim_path(root, "s")
    for number in range(60):
        answer(path, take(path, read_claim(path), f"r{number}"), "completed", "j", None, AT)
    claim = read_claim(path).claim
    assert claim is not None
    assert list(claim.answers) == [f"r{number}" for number in range(10, 60)]


def test_a_failed_request_asked_again_is_open_while_it_runs(root: StoragePath) -> None:
    path, mine = taken(root)
    answer(path, mine, "failed", "j", "why", AT)
    again = take(path, read_claim(path), "r1", again=True)
    assert again.answers == {}
    assert again.attempts == 1


def test_a_claim_is_dead_for_who_has_seen_it_unmoved_for_a_lease(root: StoragePath) -> None:
    path, mine = taken(root)
    observer, start_s = Observer(LEASE_S), 1000.0
    assert observer.judge("s", mine, "r1", start_s) == "held"
    assert observer.judge("s", mine, "r1", start_s + 9.9) == "held"
    assert not observer.moved("s")
    moved = beat(path, mine, None, 1.0)
    assert observer.judge("s", moved, "r1", start_s + 15) == "held"
    assert observer.moved("s")
    assert observer.judge("s", moved, "r1", start_s + 24.9) == "held"
    assert observer.judge("s", moved, "r1", start_s + 25) == "dead"
    assert (
        Observer(LEASE_S).judge("s", moved, "r1", start_s + 99) == "held"
    )  # a newcomer has seen nothing yet


def test_a_damaged_claim_is_said_and_not_overwritten(root: StoragePath) -> None:
    path = claim_path(root, "s")
    path.write_bytes(b'{"request": 1}')
    with pytest.raises(StorageError, match="is damaged"):
        read_claim(path)


def _race(
    root: StoragePath, scenes: list[str], environment: dict[str, str], go: Event, won: Queue[str]
) -> None:
    os.environ.update(environment)
    go.wait()
    for scene in scenes:
        path = claim_path(root, scene)
        try:
            take(path, Seen(None, None), "r1")
        except ClaimTaken:
            continue
        won.put(scene)


@pytest.mark.parametrize(
    ("root", "watchers", "markers"), [("local", 20, 200), ("gcs", 6, 30), ("s3", 6, 30)], indirect=["root"]
)
def test_of_racing_processes_one_gets_each_claim(root: StoragePath, watchers: int, markers: int) -> None:
    processes = multiprocessing.get_context("forkserver")  # forks what is imported already, and no threads
    processes.set_forkserver_preload(["pytest", "blueprint_tune.service.heart"])
    go, won = processes.Event(), processes.Queue()
    scenes = [f"s{n}" for n in range(markers)]
    racers = [
        processes.Process(target=_race, args=(root, scenes, dict(os.environ), go, won))
        for _ in range(watchers)
    ]
    for racer in racers:
        racer.start()
    go.set()
    names = [won.get(timeout=60) for _ in scenes]
    for racer in racers:
        racer.join()
    assert sorted(names) == sorted(scenes)
    assert won.empty()
