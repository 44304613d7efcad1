"""A package in a bucket, which may be of any size."""

from pathlib import Path

import pytest

from blueprint_tune.errors import TaskPackageError
from blueprint_tune.packages import fetch
from blueprint_tune.storage.path import open_path


@pytest.fixture
def fetched(package, tmp_path, monkeypatch):
    """fetched() -> the copy of a package; its bucket is a folder, which is a store as any other."""
    source = package()
    monkeypatch.setattr(fetch, "open_path", lambda uri, asked: open_path(uri.replace("gs:/", str(tmp_path))))

    def fetch_it():
        fetch._fetched.cache_clear()
        return fetch.local_package("gs://scenes/drawer_manipulation/isaac_lab", tmp_path / "cache")

    fetch_it.source = source
    return fetch_it


def test_a_package_is_copied_whole(fetched):
    copy = fetched()
    names = {file.name for file in fetched.source.iterdir()} - {"README.md"}
    assert {file.name for file in copy.iterdir()} == names
    assert all((copy / name).read_bytes() == (fetched.source / name).read_bytes() for name in names)


def test_what_is_too_large_is_refused_before_it_is_read(fetched, monkeypatch):
    read: list[int] = []
    whole = Path.open

    def watched(path, *given):
        read.append(path.stat().st_size if path.is_file() else 0)
        return whole(path, *given)

    with (fetched.source / "env_cfg.py").open("wb") as file:
        file.truncate(2**40)  # takes no space on the disk, and more memory than there is
    monkeypatch.setattr(Path, "open", watched)
    with pytest.raises(TaskPackageError, match="more than 2000 files or 200 MB"):
        fetched()
    assert read.count(2**40) == 1


def test_too_many_files_are_counted_before_one_is_read(fetched, monkeypatch):
    for number in range(2001):
        (fetched.source / f"a{number}.py").touch()
    monkeypatch.setattr(fetch.StoragePath, "read_bytes", None)
    with pytest.raises(TaskPackageError, match="more than 2000 files"):
        fetched()
