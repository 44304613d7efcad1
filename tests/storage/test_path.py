"""One suite for every store. ``storage`` is parametrised: a new store is one more line."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blueprint_tune.config.schema import StorageConfig
from blueprint_tune.errors import ClaimTaken, ObjectNotFound, ObjectTooLarge, StorageError
from blueprint_tune.storage import local
from blueprint_tune.storage.path import StoragePath, check_id, open_path, open_root

STORES = ("local", "gcs", "s3")


def local_root(folder: Path) -> StoragePath:
    return open_root(StorageConfig(kind="local", root=str(folder / "store")))


@pytest.fixture(params=STORES)
def storage(request: pytest.FixtureRequest, tmp_path: Path, started: Callable[[str], Any]) -> StoragePath:
    if request.param == "local":
        return local_root(tmp_path)
    root: StoragePath = started(request.param).root(uuid.uuid4().hex)
    return root


def test_nothing_is_created_by_opening(tmp_path: Path) -> None:
    open_root(StorageConfig(kind="local", root=str(tmp_path / "store")))
    assert list(tmp_path.iterdir()) == []


def test_bytes_and_text_come_back(storage: StoragePath) -> None:
    (storage / "a/b.bin").write_bytes(b"\0\xff")
    (storage / "a/c.txt").write_text("grün")
    assert (storage / "a/b.bin").read_bytes() == b"\0\xff"
    assert (storage / "a" / "c.txt").read_text() == "grün"
    assert (storage / "a/b.bin").exists()
    assert not (storage / "a").exists()
    assert not (storage / "a/x").exists()


def test_an_object_larger_than_asked_for_is_not_read(storage: StoragePath) -> None:
    (storage / "a/b").write_bytes(b"12345")
    assert (storage / "a/b").read_bytes(at_most=5) == b"12345"
    (storage / "a/none").write_bytes(b"")
    assert (storage / "a/none").read_bytes(at_most=0) == b""
    with pytest.raises(ObjectTooLarge, match=r"'.*a/b' is not read: it has 5 bytes, more than 4\."):
        (storage / "a/b").read_bytes(at_most=4)
    with pytest.raises(ObjectNotFound):
        (storage / "a/x").read_bytes(at_most=4)


def test_folders_are_listed_without_what_they_hold(storage: StoragePath) -> None:
    for key in ("a/b/c/d", "a/b/e", "a/f/g", "a/h", "i/j"):
        (storage / key).write_bytes(b"")
    assert (storage / "a").folders() == ["b", "f"]
    assert storage.folders() == ["a", "i"]
    assert (storage / "a/f").folders() == []
    assert (storage / "nothing").folders() == []


def test_what_no_path_can_name_is_not_listed(storage: StoragePath) -> None:
    (storage / "a/b").write_bytes(b"")
    odd = ("a\\b/c", "a/x\\y")
    if isinstance(storage.store, local.LocalStore):  # no store takes such a key; somebody else made it
        for name in odd:
            (storage.store.root / name).parent.mkdir(exist_ok=True)
            (storage.store.root / name).write_bytes(b"")
    else:
        storage.store.put_all([(f"{storage.key}/{name}", b"") for name in odd])
    assert storage.folders() == ["a"]
    assert storage.walk() == ["a/b"]
    assert (storage / "a").walk() == ["b"]


def test_a_lock_that_is_refused_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(local.fcntl, "flock", refuse)  # as a network's file system may
    with pytest.raises(StorageError, match="'a/b' cannot be updated: No locks available"):
        (local_root(tmp_path) / "a/b").update(lambda _: b"")


def test_of_many_that_create_one_object_one_succeeds(storage: StoragePath) -> None:
    won: list[int] = []
    start = threading.Barrier(8)

    def claim(number: int) -> None:
        start.wait()
        with contextlib.suppress(ClaimTaken):
            (storage / "claims/job").create(str(number).encode())
            won.append(number)

    threads = [threading.Thread(target=claim, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert (storage / "claims/job").read_text() == str(won[0])
    with pytest.raises(ClaimTaken, match="claims/job"):
        (storage / "claims/job").create(b"late")
    assert storage.walk() == ["claims/job"]


def test_uploads_a_file(storage: StoragePath, tmp_path: Path) -> None:
    file = tmp_path / "big"
    file.write_bytes(os.urandom(3_000_000))
    (storage / "jobs/big").upload(file)
    assert (storage / "jobs/big").read_bytes() == file.read_bytes()
    assert file.exists()


def test_a_folder_comes_down_whole(storage: StoragePath, tmp_path: Path) -> None:
    storage.put_all([("p/a", b"1"), ("p/deep/b", b"2"), ("q", b"3")])
    files = (storage / "p").download_folder(tmp_path / "down")
    assert files == [tmp_path / "down/a", tmp_path / "down/deep/b"]
    assert [file.read_bytes() for file in files] == [b"1", b"2"]
    assert sorted(p.name for p in (tmp_path / "down").rglob("*")) == ["a", "b", "deep"]
    with pytest.raises(ObjectNotFound, match="nothing"):
        (storage / "r").download_folder(tmp_path / "down")


def test_walk_is_sorted_and_relative(storage: StoragePath) -> None:
    storage.put_all([("s/b/2", b""), ("s/a", b""), ("t", b"")])
    assert (storage / "s").walk() == ["a", "b/2"]
    assert storage.walk() == ["s/a", "s/b/2", "t"]
    assert (storage / "nothing").walk() == []


def test_missing_objects_say_so(storage: StoragePath) -> None:
    with pytest.raises(ObjectNotFound, match="nothing/here"):
        (storage / "nothing/here").read_bytes()
    with pytest.raises(ObjectNotFound, match="nothing/here"):
        (storage / "nothing/here").delete()


def test_delete_leaves_no_empty_folders(storage: StoragePath) -> None:
    storage.put_all([("s/a/b/1", b"x"), ("s/2", b"y")])
    (storage / "s/a/b/1").delete()
    assert storage.walk() == ["s/2"]


def test_a_replaced_object_is_the_new_one(storage: StoragePath) -> None:
    (storage / "m").write_text("old and longer")
    (storage / "m").write_text("new")
    assert (storage / "m").read_text() == "new"


def test_put_all_withdraws_markers_and_tolerates_absent_ones(storage: StoragePath) -> None:
    (storage / "job/.complete").write_text("old")
    storage.put_all([("job/a", b"1")], withdraw=["job/.complete", "job/.other"])
    assert storage.walk() == ["job/a"]


def test_update_sees_what_is_there(storage: StoragePath) -> None:
    seen: list[bytes | None] = []

    def change(before: bytes | None) -> bytes:
        seen.append(before)
        return (before or b"") + b"+"

    (storage / "x/marker").update(change)
    (storage / "x/marker").update(change)
    assert seen == [None, b"+"]
    assert (storage / "x/marker").read_bytes() == b"++"


def test_concurrent_updates_lose_none(storage: StoragePath) -> None:
    def add() -> None:
        for _ in range(10):
            (storage / "counter").update(lambda before: str(int(before or b"0") + 1).encode())

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (storage / "counter").read_text() == "40"


def test_a_failing_change_leaves_the_object(storage: StoragePath) -> None:
    (storage / "marker").write_text("kept")

    def change(before: bytes | None) -> bytes:
        raise StorageError("no")

    with pytest.raises(StorageError, match="no"):
        (storage / "marker").update(change)
    assert (storage / "marker").read_text() == "kept"


@pytest.mark.parametrize("part", ["..", "../x", "/etc/passwd", "a/../b", "a//b", "", "a\0b", "a\\b", "."])
def test_paths_never_go_up(storage: StoragePath, part: str) -> None:
    with pytest.raises(StorageError, match="plain names"):
        storage / part


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text())
def test_an_accepted_id_is_one_plain_name(value: str) -> None:
    try:
        check_id("job id", value)
    except StorageError:
        return
    assert Path(value).name == value
    assert value.isascii()
    assert not value.startswith(".")


@pytest.mark.parametrize(
    "uri", ["", "\0", "ftp://host/x", "gs://", "gs:///x", "s3://UPPER/x", "gs://user:secret@host/x"]
)
def test_what_is_no_place_to_store_in(uri: str) -> None:
    with pytest.raises(StorageError, match=r"Give .*bucket/prefix") as caught:
        open_path(uri)
    assert "secret" not in str(caught.value)


def test_somebody_who_is_not_there_has_no_home_folder() -> None:
    with pytest.raises(StorageError, match="~nosuchuser/x is no place to store in"):
        open_path("~nosuchuser/x")


@pytest.mark.parametrize("root", ["", "  ", "a\0b"])
def test_a_root_must_be_a_path(root: str) -> None:
    with pytest.raises(StorageError, match=r"storage\.root"):
        open_root(StorageConfig(kind="local", root=root))


class _Full:
    """Makes the disk full at the n-th write."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.left = at
        monkeypatch.setattr(local.os, "fsync", self._fsync)

    def _fsync(self, descriptor: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_full_disk_leaves_nothing_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    root = local_root(tmp_path)
    (root / "job/.complete").write_text("earlier")
    _Full(monkeypatch, at)
    with pytest.raises(StorageError, match="disk is full") as caught:
        root.put_all([("job/a", b"1"), ("b/b", b"2"), ("job/.complete", b"3")], withdraw=["job/.complete"])
    assert "publish again" in str(caught.value)
    assert root.walk() == ["job/.complete"]
    assert (root / "job/.complete").read_text() == "earlier"
    assert sorted(p.name for p in (tmp_path / "store").iterdir()) == ["job"]


@pytest.mark.parametrize("at", range(4))
def test_the_marker_is_gone_when_moving_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    root = local_root(tmp_path)
    names = ["job/a", "job/b", "job/c", "job/.complete"]
    root.put_all([(name, b"old") for name in names])
    moved: list[str] = []
    replace = os.replace

    def fail(source: Path, target: Path) -> None:
        if len(moved) == at:
            raise OSError(errno.EIO, "Input/output error")
        moved.append(str(target))
        replace(source, target)

    monkeypatch.setattr(local.os, "replace", fail)
    with pytest.raises(StorageError, match="incomplete"):
        root.put_all([(name, b"new") for name in names], withdraw=["job/.complete"])
    assert not (root / "job/.complete").exists()


_ON_A_SMALL_DISK = """
import sys
from blueprint_tune.config.schema import StorageConfig
from blueprint_tune.errors import StorageError
from blueprint_tune.storage.path import open_root
root = open_root(StorageConfig(kind="local", root=sys.argv[1] + "/store"))
try:
    root.put_all([("a", b"x" * 20_000), ("b", b"x" * 200_000), ("marker", b"done")])
except StorageError as error:
    assert "disk is full" in str(error), error
    assert root.walk() == [], root.walk()
    root.put_all([("a", b"x" * 20_000)])
    assert root.walk() == ["a"]
    sys.exit(7)
"""


def test_on_a_disk_that_is_really_full(tmp_path: Path) -> None:
    mount = ["unshare", "-r", "-m", "sh", "-c"]
    script = 'mount -t tmpfs -o size=100k none "$1" && exec "$2" -c "$3" "$1"'
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    probe = [*mount, script, "sh", str(tmp_path), "true", ""]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs unprivileged user namespaces")
    command = [*mount, script, "sh", str(tmp_path), sys.executable, _ON_A_SMALL_DISK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr


def test_where_results_can_go_is_asked_before(storage: StoragePath) -> None:
    storage.check()
    assert storage.walk() == []


def test_a_root_below_a_file_is_refused_before(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("I am a file")
    with pytest.raises(StorageError, match=r"a file stands where a folder is needed.*Set storage\.root"):
        (local_root(tmp_path / "store")).check()


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("I am a file")
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        (local_root(tmp_path) / "a/b").write_text("x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_root_that_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="permission denied"):
        (local_root(tmp_path) / "a/b").write_text("x")


def test_permission_denied_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))

    monkeypatch.setattr(local.tempfile, "mkdtemp", refuse)
    with pytest.raises(StorageError, match=r"permission denied.*Set storage\.root"):
        (local_root(tmp_path) / "a").write_text("x")


def test_a_missing_source_file_is_named(tmp_path: Path) -> None:
    root = local_root(tmp_path)
    with pytest.raises(ObjectNotFound, match=r"gone\.pt"):
        root.put_all([("a", b"1"), ("b", tmp_path / "gone.pt")])
    assert root.walk() == []


KILLED_WHILE_PUBLISHING = """
import os, signal, sys
from pathlib import Path
from blueprint_tune.config.schema import StorageConfig
from blueprint_tune.storage import local
from blueprint_tune.storage.path import open_root

local._make_parents = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
open_root(StorageConfig(kind="local", root=sys.argv[1])).put_all([("a", b"1")])
"""


def test_what_a_killed_process_left_is_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, folder = local_root(tmp_path), tmp_path / "store"
    command = [sys.executable, "-c", KILLED_WHILE_PUBLISHING, str(folder)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -9
    (left,) = folder.iterdir()
    at_work = folder / f"{local._STAGING}at-work"
    at_work.mkdir()
    held = local._locked(at_work)
    (store / "b").write_text("2")
    assert left.exists(), "too young to be called abandoned"
    monkeypatch.setattr(local, "_SETTLED_S", -1.0)
    (store / "c").write_text("3")
    os.close(held)
    assert {path.name for path in folder.iterdir()} == {"b", "c", at_work.name}
