"""Watchers over real claims, with a quick program in place of a training."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blueprint_tune.errors import BlueprintTuneError, StorageError
from blueprint_tune.service.command import run
from blueprint_tune.service.lease import claim_path, read_claim, take
from blueprint_tune.service.settings import Place, WatchSettings
from blueprint_tune.service.watch import Mode, Watch, failure, overview
from blueprint_tune.storage.local import LocalStore
from blueprint_tune.storage.path import StoragePath

SETTINGS = WatchSettings(
    poll_s=0.3,
    heartbeat_s=0.2,
    lease_s=3.0,
    stop_s=20.0,
    jobs_at_once=1,
    max_runtime_hours=1.0,
    attempts=3,
    priorities={},
    command=["sh", "-c", "echo $2 >> ran.txt"],  # $2 is scene.id=…, after +scene=package and the package
)
SLOW = ["sh", "-c", "echo begun >> begun.txt; sleep 60"]
every_store = pytest.mark.parametrize("root", ["local", "gcs", "s3"], indirect=True)
Put = Callable[..., None]
Statuses = Callable[[str], dict[str, dict[str, Any]]]
Watcher = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def once(root: StoragePath, tmp_path: Path) -> Callable[..., Watch]:
    """once(*words, retry_failed=…, **settings) -> a watcher that has dealt with what is there."""

    def watch(*words: str, retry_failed: bool = False, **changes: Any) -> Watch:
        place, settings = Place(root, root, tmp_path / "out"), replace(SETTINGS, **changes)
        watch = Watch(place, settings, words, Mode(once=True, retry_failed=retry_failed), lambda *_: None)
        watch.run()
        return watch

    return watch


def ran() -> list[str]:
    file = Path("ran.txt")
    return [line.removeprefix("scene.id=") for line in file.read_text().split()] if file.exists() else []


def ends(watch: Watch) -> list[tuple[str, str]]:
    return [(ended.scene_id, ended.end) for ended in watch.ended]


def until(true: Callable[[], object], timeout_s: float = 60) -> None:
    end_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.05)


@every_store
def test_each_package_is_trained_once(once: Callable[..., Watch], put: Put, statuses: Statuses) -> None:
    put("a", policy_id="drawer_manipulation")
    put("b")
    assert ends(once()) == [("a", "completed"), ("b", "completed")]
    assert ends(once()) == []
    assert ran() == ["a", "b"]
    (status,) = statuses("a").values()
    assert (status["status"], status["policy_id"], status["error"]) == (
        "completed",
        "drawer_manipulation",
        None,
    )
    assert status["created_at"] <= status["started_at"] <= status["finished_at"]


def test_a_changed_marker_and_other_overrides_train_again(once: Callable[..., Watch], put: Put) -> None:
    put("a")
    once()
    put("a", completed_at="later")
    assert ends(once()) == [("a", "completed")]
    assert ends(once("preset=quick")) == [("a", "completed")]
    assert ends(once("preset=quick", "cluster.num_cpus=1")) == []
    assert ends(once()) == []
    assert len(ran()) == 3


def test_priority_goes_before_age_and_age_before_name(once: Callable[..., Watch], put: Put) -> None:
    put("a", completed_at="2026-03-01")
    put("b", completed_at="2026-02-01", policy_id="door_manipulation")
    put("c", priority=2)
    put("d", policy_id="knob_manipulation")
    put("e", completed_at="2026-01-01", priority=-1, policy_id="knob_manipulation")
    once(priorities={"knob_manipulation": 5, "door_manipulation": 0, "a": 1})
    assert ran() == ["d", "c", "a", "b", "e"]


def test_as_many_at_once_as_allowed_share_the_cpus(once: Callable[..., Watch], put: Put) -> None:
    put("a")
    put("b")
    both = 'touch $2; while ! [ -e scene.id=a -a -e scene.id=b ]; do sleep 0.05; done; echo "$@" >> all'
    once(jobs_at_once=2, command=["sh", "-c", both])
    assert Path("all").read_text().count("cluster.num_cpus=") == 2


def test_a_failure_is_said_and_left_alone_until_asked(
    once: Callable[..., Watch], put: Put, statuses: Statuses
) -> None:
    put("a")
    command = ["sh", "-c", "echo why; test -e good || exit 3"]
    watch = once(command=command)
    (status,) = statuses("a").values()
    assert (status["status"], status["error"]) == ("failed", "sh ended with status 3.")
    assert "Not trained, for the reasons above: a." in str(failure(watch))
    assert ends(once(command=command)) == []
    Path("good").touch()
    assert ends(once(command=command, retry_failed=True)) == [("a", "completed")]
    (status,) = statuses("a").values()
    assert (status["status"], status["error"]) == ("completed", None)
    assert failure(once(command=command)) is None


def test_a_program_that_is_not_there_is_a_reason(
    once: Callable[..., Watch], put: Put, statuses: Statuses
) -> None:
    put("a")
    once(command=["/no/such/program"])
    (status,) = statuses("a").values()
    assert "watch.command: /no/such/program cannot be run" in status["error"]


def test_what_takes_too_long_is_stopped_and_has_failed(
    once: Callable[..., Watch], put: Put, statuses: Statuses
) -> None:
    put("a", max_runtime_hours=0.3 / 3600)
    watch = once(command=SLOW)
    assert ends(watch) == [("a", "failed")]
    (status,) = statuses("a").values()
    assert "max_runtime_hours" in status["error"]


def test_bad_markers_are_refused_and_nothing_is_written(
    once: Callable[..., Watch], root: StoragePath
) -> None:
    for scene_id, content in (("a", b"{"), ("b", b'{"scene_id": "../../etc"}'), ("c", b"[]")):
        (root / f"scenes/{scene_id}/isaac_lab/.isaac_lab_complete").write_bytes(content)
    (root / "scenes/-x/isaac_lab/.isaac_lab_complete").write_bytes(b"{}")
    before = root.walk()
    watch = once()
    assert sorted(watch.refused) == ["a", "b", "c"]
    assert root.walk() == before
    assert not Path("out").exists()


def test_a_job_that_watchers_keep_dying_over_has_failed(
    once: Callable[..., Watch], put: Put, root: StoragePath, statuses: Statuses, tmp_path: Path
) -> None:
    put("a")
    (found,) = overview(Place(root, root, tmp_path), SETTINGS, [])
    path = claim_path(root, "a")
    for _ in range(3):
        take(path, read_claim(path), found.request)  # and never heard of again
    watch = once(heartbeat_s=0.1, lease_s=0.6)
    assert ends(watch) == [("a", "failed")]
    assert "watchers died" in watch.ended[0].text
    assert ran() == []
    assert [status["status"] for status in statuses("a").values()] == ["failed"]


@every_store
def test_a_watcher_that_is_killed_loses_and_repeats_nothing(
    watcher: Watcher, once: Callable[..., Watch], put: Put, root: StoragePath, statuses: Statuses
) -> None:
    put("a")
    command = ["sh", "-c", "echo $$ >> begun; test -e go_on || sleep 60; echo a >> ran.txt"]
    killed = watcher(f"watch.command={json.dumps(command)}")
    until(lambda: Path("begun").exists() and Path("begun").read_text())
    killed.kill()
    program = int(Path("begun").read_text())
    until(lambda: not Path(f"/proc/{program}").exists())  # nobody goes on working for a dead watcher
    assert [status["status"] for status in statuses("a").values()] == ["running"]
    Path("go_on").touch()
    began = time.monotonic()
    watch = once(command=command)
    assert ends(watch) == [("a", "completed")]
    assert time.monotonic() - began > SETTINGS.lease_s
    assert ran() == ["a"]
    assert [status["status"] for status in statuses("a").values()] == ["completed"]
    claim = read_claim(claim_path(root, "a")).claim
    assert claim is not None
    assert (claim.attempts, claim.holder) == (2, None)


def test_a_living_watcher_keeps_its_job(watcher: Watcher, once: Callable[..., Watch], put: Put) -> None:
    put("a")
    command = [
        "sh",
        "-c",
        "echo begun >> begun; while ! test -e go_on; do sleep 0.1; done; echo a >> ran.txt",
    ]
    living = watcher("--once", f"watch.command={json.dumps(command)}")
    until(lambda: Path("begun").exists())
    assert ends(once(command=command)) == []
    Path("go_on").touch()
    assert living.wait(60) == 0
    assert ran() == ["a"]
    assert Path("begun").read_text() == "begun\n"


def test_sigterm_stops_in_good_order_and_the_next_watcher_goes_on(
    watcher: Watcher, once: Callable[..., Watch], put: Put, root: StoragePath, statuses: Statuses
) -> None:
    put("a")
    command = ["sh", "-c", "trap 'exit 1' INT; echo >> begun; while ! test -e go_on; do sleep 0.1; done"]
    stopped = watcher(f"watch.command={json.dumps(command)}")
    until(lambda: Path("begun").exists())
    stopped.send_signal(signal.SIGTERM)
    output, _ = stopped.communicate(timeout=60)
    assert stopped.returncode == 0
    assert "a  interrupted" in output
    assert [status["status"] for status in statuses("a").values()] == ["pending"]
    Path("go_on").touch()
    began = time.monotonic()
    assert ends(once(command=command)) == [("a", "completed")]
    assert time.monotonic() - began < SETTINGS.lease_s  # it was let go, so nobody had to wait
    assert [status["status"] for status in statuses("a").values()] == ["completed"]


def test_who_loses_its_claim_stops_its_job(
    once: Callable[..., Watch], put: Put, root: StoragePath, statuses: Statuses
) -> None:
    put("a")
    path = claim_path(root, "a")

    def rob() -> None:
        until(lambda: Path("begun.txt").exists())
        seen = read_claim(path)
        while True:  # it beats meanwhile
            try:
                assert seen.claim is not None
                take(path, seen, seen.claim.request)
                return
            except StorageError:
                seen = read_claim(path)

    robber = threading.Thread(target=rob)
    robber.start()
    watch = once(command=SLOW)
    robber.join()
    assert ends(watch) == [("a", "lost")]
    claim = read_claim(path).claim
    assert claim is not None
    assert claim.holder is not None  # the other's, untouched
    assert [status["status"] for status in statuses("a").values()] == ["running"]


def test_what_was_interrupted_is_closed_when_its_package_is_replaced(
    once: Callable[..., Watch], put: Put, root: StoragePath, statuses: Statuses, watcher: Watcher
) -> None:
    put("a")
    killed = watcher(f"watch.command={json.dumps(SLOW)}")
    until(lambda: Path("begun.txt").exists())
    killed.kill()
    put("a", completed_at="later")
    assert ends(once()) == [("a", "completed")]
    assert sorted(status["status"] for status in statuses("a").values()) == ["completed", "failed"]
    (old,) = (status for status in statuses("a").values() if status["status"] == "failed")
    assert "were replaced" in old["error"]


def test_a_push_is_looked_at_straight_away(watcher: Watcher, put: Put) -> None:
    port = _free_port()
    watching = watcher(
        "watch.poll_s=1000", f"--push-port={port}", f"watch.command={json.dumps(SETTINGS.command)}"
    )
    assert watching.stdout is not None
    until(lambda: "pushes are taken" in watching.stdout.readline())  # type: ignore[union-attr]
    until(lambda: "0 waiting" in watching.stdout.readline())  # type: ignore[union-attr]
    put("a")
    body = json.dumps({"bucket": "any", "name": "scenes/a/isaac_lab/.isaac_lab_complete"}).encode()
    urllib.request.urlopen(f"http://127.0.0.1:{port}/", body, timeout=10).close()
    until(lambda: ran() == ["a"])


def _free_port() -> int:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_a_dry_run_lists_and_writes_nothing(
    put: Put, root: StoragePath, capsys: pytest.CaptureFixture[str], once: Callable[..., Watch]
) -> None:
    put("a", priority=1, policy_id="drawer_manipulation")
    put("b")
    put("done")
    once(command=["echo"])
    put("a", policy_id="door_manipulation")
    before = root.walk()
    run(["storage.root=store", "--dry-run", "watch.command=[echo]", "preset=quick"])
    shown = capsys.readouterr().out
    assert "a: waiting" in shown
    assert "scenes/a/isaac_lab" in shown
    assert "3 of 3 packages" in shown  # with other overrides
    run(["storage.root=store", "--dry-run", "watch.command=[echo]"])
    shown = capsys.readouterr().out
    assert "b: done as b-" in shown
    assert "1 of 3 packages" in shown
    assert root.walk() == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--onec"], "Did you mean '--once'"),
        (["--push-port"], "needs a value"),
        (["--push-port", "x", "--once"], "HOST:PORT"),
        (["watch.pol_s=1"], "Did you mean 'watch.poll_s'"),
        (["watch.poll_s=0"], "the command line: watch.poll_s"),
        (["watch.lease_s=30"], "must outlast three heartbeats"),
        (["watch.jobs_at_once=1.5"], "watch.jobs_at_once"),
        (["+scene=kitchen_001"], "watch takes no scene"),
        (["name=x"], "watch takes no name"),
        (["force=true"], "watch takes no force"),
        (["presett=quick"], "preset"),
        (["preset=quik"], "quick"),
        (["storage.root="], "storage.root"),
        (["storage.root='~nosuchuser/x'"], "no place to store in"),
        (["output_dir='~nosuchuser/x'"], "output_dir=~nosuchuser/x"),
        (["storage.root=s3://bkt", "storage.endpoint=localhost:9000"], "must begin with http"),
        (["--once", "--push-port=²"], "HOST:PORT"),
    ],
)
def test_mistakes_are_said_before_anything_is_watched(words: list[str], sentence: str) -> None:
    with pytest.raises(BlueprintTuneError, match=sentence):
        run(words)
    assert list(Path().iterdir()) == []


def test_claims_are_asked_for_with_less_patience_than_a_lease() -> None:
    from blueprint_tune.service.settings import read_place
    from blueprint_tune.storage.bucket import BucketStore

    place = read_place(["storage.root=s3://bkt/x", "storage.timeout_s=7"], 120.0)
    assert str(place.claims) == str(place.root) == "s3://bkt/x"
    found = [p.store.requests for p in (place.root, place.claims) if isinstance(p.store, BucketStore)]
    assert [(asked.timeout_s, asked.retry_s) for asked in found] == [(7.0, 120.0), (7.0, 20.0)]


def test_a_users_own_watch_file_sets_single_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from blueprint_tune.config import paths
    from blueprint_tune.service.settings import read_settings

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/watch.yaml").write_text("jobs_at_once: 3\n")
    monkeypatch.setenv(paths.CONF_ENV, str(tmp_path / "mine"))
    settings, words = read_settings(["preset=quick", "watch.priorities={kitchen_001: 5}"])
    assert (settings.jobs_at_once, settings.poll_s, settings.priorities) == (3, 30, {"kitchen_001": 5})
    assert words == ["preset=quick"]
    (tmp_path / "mine/watch.yaml").write_text("jobs_at_once: many\n")
    with pytest.raises(BlueprintTuneError, match=r"mine/watch.yaml: watch.jobs_at_once"):
        read_settings([])


def test_an_output_folder_that_cannot_be_written_gives_the_job_back(
    once: Callable[..., Watch], put: Put, root: StoragePath
) -> None:
    put("a")
    Path("out").write_text("in the way")
    with pytest.raises(BlueprintTuneError, match="output_dir="):
        once()
    claim = read_claim(claim_path(root, "a")).claim
    assert claim is not None
    assert (claim.holder, claim.attempts) == (None, 0)
    Path("out").unlink()
    assert ends(once()) == [("a", "completed")]


def test_a_scene_that_cannot_be_read_stops_no_other(
    once: Callable[..., Watch], put: Put, root: StoragePath, tmp_path: Path
) -> None:
    put("b")
    (tmp_path / "store/scenes/a/isaac_lab/.isaac_lab_complete").mkdir(parents=True)  # a folder in its place
    watch = once()
    assert ends(watch) == [("b", "completed")]
    assert "cannot be read" in watch.refused["a"].because
    (tmp_path / "store/scenes/aa/isaac_lab/.isaac_lab_complete").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot be read"):
        once()


class Cut(LocalStore):
    """Storage that can be cut off: nothing is written, and looking for scenes waits."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.off, self.back = threading.Event(), threading.Event()

    def folders(self, prefix: str) -> list[str]:
        if self.off.is_set():
            self.back.wait(60)
        return super().folders(prefix)

    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        if self.off.is_set():
            raise StorageError("cut off")
        super().update(key, change)


def test_a_job_is_dead_before_another_watcher_begins_it_though_its_own_waits_for_storage(
    once: Callable[..., Watch], put: Put, tmp_path: Path
) -> None:
    put("a")
    alive = "grep -qs '^State:.[^Z]' /proc/$(cat pid)/status"  # what is dead may wait to be buried
    script = f"if test -e pid; then {alive} && touch both; touch took; else echo $$ > pid; sleep 60; fi"
    store = Cut(tmp_path / "store")
    cut, settings = StoragePath(store, ""), replace(SETTINGS, command=["sh", "-c", script])
    watch = Watch(Place(cut, cut, tmp_path / "cut"), settings, [], Mode(), lambda *_: None)
    stuck = threading.Thread(target=watch.run)
    stuck.start()
    until(lambda: Path("pid").exists() and Path("pid").read_text())
    store.off.set()
    try:
        assert ends(once(command=settings.command)) == [("a", "completed")]
    finally:
        watch._pressed = 1
        store.off.clear()
        store.back.set()
        stuck.join(60)
    assert Path("took").exists()
    assert not Path("both").exists()
    assert ends(watch) == [("a", "lost")]


class Refusing(LocalStore):
    """Refuses the next writes of what ends like ``what``."""

    what, times = "", 0

    def update(self, key: str, change: Callable[[bytes | None], bytes]) -> None:
        if self.times and self.what and key.endswith(self.what):
            self.times -= 1
            raise StorageError(f"{key} is refused")
        super().update(key, change)


def test_what_cannot_be_begun_is_given_back_and_counts_for_nobody(put: Put, tmp_path: Path) -> None:
    put("a")
    store = Refusing(tmp_path / "store")
    root, store.what, store.times = StoragePath(store, ""), "job_status.json", 1
    for _ in range(2):
        watch = Watch(Place(root, root, tmp_path / "out"), SETTINGS, [], Mode(once=True), lambda *_: None)
        if store.times:
            with pytest.raises(StorageError, match="is refused"):
                watch.run()
            claim = read_claim(claim_path(root, "a")).claim
            assert claim is not None
            assert (claim.holder, claim.attempts) == (None, 0)
        else:
            watch.run()
    assert ends(watch) == [("a", "completed")]


def test_an_end_that_cannot_be_written_down_is_written_down_later(
    put: Put, tmp_path: Path, statuses: Statuses
) -> None:
    put("a")
    store = Refusing(tmp_path / "store")
    root, store.what = StoragePath(store, ""), "job_status.json"

    def say(scene: str, text: str) -> None:
        if text.startswith("training"):
            store.times = 2

    watch = Watch(Place(root, root, tmp_path / "out"), SETTINGS, [], Mode(once=True), say)
    watch.run()
    assert ends(watch) == [("a", "completed")]
    assert store.times == 0
    assert ran() == ["a"]
    assert [status["status"] for status in statuses("a").values()] == ["completed"]
