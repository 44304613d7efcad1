"""Packages with environments: what is taken, what is refused before pip sees it, what pip makes of it."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from blueprint_tune.errors import StorageError, TaskPackageError
from blueprint_tune.packages import env_package
from blueprint_tune.packages.env_package import install, installed, read_env_package

PROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "mine"
version = "1.2"
dependencies = ["a-package-that-nobody-has"]

[tool.setuptools]
packages = ["mine"]
"""


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Projects are built with the setuptools that is installed, not with a downloaded one."""
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip's way to say no isolation
    monkeypatch.setenv("PIP_NO_INDEX", "1")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "mine").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "mine/__init__.py").write_text("NAME = 'mine'\n")
    return folder


def archive(path: Path, *members: tarfile.TarInfo | tuple[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for member in members:
            info, content = (
                (member, "")
                if isinstance(member, tarfile.TarInfo)
                else (tarfile.TarInfo(member[0]), member[1])
            )
            info.size = len(content) if not isinstance(member, tarfile.TarInfo) else info.size
            file.addfile(info, io.BytesIO(content.encode()))
    return path


def odd(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


SAFE = (("mine-1.2/pyproject.toml", PROJECT), ("mine-1.2/mine/__init__.py", ""))


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (odd("/etc/cron.d/mine"), "'/etc/cron.d/mine' is an absolute path"),
        (odd("C:/mine.py"), "'C:/mine.py' is an absolute path"),
        (odd("mine-1.2/../../mine.py"), "leads out of the archive"),
        (odd("..\\mine.py"), "leads out of the archive"),
        (odd("mine-1.2/link", tarfile.SYMTYPE, "/etc"), "a link to '/etc'"),
        (odd("mine-1.2/link", tarfile.LNKTYPE, "../../etc/passwd"), r"a link to '\.\./\.\./etc/passwd'"),
        (odd("mine-1.2/null", tarfile.CHRTYPE), "a device or pipe"),
        (odd("mine-1.2/pipe", tarfile.FIFOTYPE), "a device or pipe"),
    ],
)
def test_a_member_that_could_write_elsewhere_is_named(
    tmp_path: Path, member: tarfile.TarInfo, said: str
) -> None:
    place = archive(tmp_path / "mine-1.2.tar.gz", *SAFE, member)
    with pytest.raises(TaskPackageError, match=f"the member .*{said}.*Nothing was installed"):
        install(read_env_package(str(place)), tmp_path / "run/env_package")
    assert list((tmp_path / "run").iterdir()) == [] and sorted(p.name for p in tmp_path.iterdir()) == [
        "mine-1.2.tar.gz",
        "run",
    ]


def test_a_bomb_stops_at_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env_package, "MAX_BYTES", 2**20)
    zeros = tarfile.TarInfo("mine-1.2/zeros")
    zeros.size = 2**21
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as file:
        file.addfile(zeros, io.BytesIO(bytes(2**21)))
    with pytest.raises(TaskPackageError, match="'mine-1.2/zeros' is beyond"):
        install(read_env_package(str(tmp_path / "bomb.tar.gz")), tmp_path / "run/env_package")
    monkeypatch.setattr(env_package, "MAX_FILES", 1)
    with pytest.raises(TaskPackageError, match="'mine-1.2/mine/__init__.py' is beyond 1 files"):
        install(read_env_package(str(archive(tmp_path / "many.tar.gz", *SAFE))), tmp_path / "run/env_package")


def test_headers_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member's name stands in a header of any length, which is read before the member is seen."""
    monkeypatch.setattr(env_package, "MAX_BYTES", 2**20)
    monkeypatch.setattr(env_package, "MAX_FILES", 4)
    long = tarfile.TarInfo("a" * 2**22)
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as file:
        file.addfile(long)
    with pytest.raises(TaskPackageError, match="larger than 1 MB"):
        install(read_env_package(str(tmp_path / "bomb.tar.gz")), tmp_path / "run/env_package")


@pytest.mark.parametrize(
    "headers", [{"path": "mine-1.2/a\0b"}, {"GNU.sparse.size": "much"}, {"mtime": "1e300"}], ids=str
)
def test_odd_headers_are_no_traceback(tmp_path: Path, headers: dict[str, str]) -> None:
    member = tarfile.TarInfo("mine-1.2/odd")
    member.pax_headers = headers
    with tarfile.open(tmp_path / "mine.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as file:
        file.addfile(member)
    with pytest.raises(TaskPackageError, match="cannot be unpacked|neither pyproject"):
        install(read_env_package(str(tmp_path / "mine.tar.gz")), tmp_path / "run/env_package")


@pytest.mark.parametrize("kind", ["link", "link to a folder", "pipe"])
def test_a_folder_may_hold_no_more_than_an_archive(project: Path, tmp_path: Path, kind: str) -> None:
    member = project / "mine/odd"
    if kind == "pipe":
        os.mkfifo(member)
    else:
        (tmp_path / "outside").mkdir()
        member.symlink_to("/etc/hostname" if kind == "link" else tmp_path / "outside")
    said = "a device or pipe" if kind == "pipe" else "a link to '/"
    with pytest.raises(TaskPackageError, match=f"the member 'mine/odd' is {said}.*Nothing was installed"):
        read_env_package(str(project))
    member.unlink()
    package = read_env_package(str(project))
    (project / ".venv").mkdir()
    (project / ".venv/python").symlink_to(sys.executable)
    assert read_env_package(str(project)) == package, "an environment that lies there is no part of it"


def test_a_folder_that_changes_is_not_taken_for_what_was_read(project: Path, tmp_path: Path) -> None:
    package = read_env_package(str(project))
    (project / "mine/__init__.py").write_text("NAME = 'yours'\n")
    with pytest.raises(TaskPackageError, match="changed while it was copied"):
        install(package, tmp_path / "run/env_package")
    shutil.rmtree(project)
    with pytest.raises(TaskPackageError, match="changed while it was copied|No such file"):
        install(package, tmp_path / "run/env_package")
    assert list((tmp_path / "run").iterdir()) == []


def test_folders_that_are_named_like_leftovers_are_left_out_at_the_top_only(project: Path) -> None:
    before = read_env_package(str(project)).digest
    (project / "build").mkdir()
    (project / "build/x.py").write_text("")
    assert read_env_package(str(project)).digest == before
    (project / "mine/build").mkdir()
    (project / "mine/build/__init__.py").write_text("")
    assert read_env_package(str(project)).digest != before


def test_pip_ends_with_what_it_has_started(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that hangs, in a process of its own; and one that speaks no UTF-8."""
    (project / "pyproject.toml").unlink()
    (project / "setup.py").write_text(
        "import os, sys, time\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    monkeypatch.setattr(env_package, "_PIP_S", 8.0)
    with pytest.raises(TaskPackageError, match="no end after 8 s"):
        install(read_env_package(str(project)), tmp_path / "run/env_package")
    state = Path("/proc", (tmp_path / "pid").read_text(), "stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z", "it has ended"
    said, status = env_package._run([sys.executable, "-c", r"import os; os.write(1, b'\xff')"], tmp_path)
    assert (said, status) == ("\ufffd", 0)


@pytest.mark.parametrize("cut", [10, 60])
def test_a_damaged_archive_is_no_traceback(tmp_path: Path, cut: int) -> None:
    place = archive(tmp_path / "mine.tar.gz", *SAFE)
    place.write_bytes(place.read_bytes()[:cut])
    with pytest.raises(TaskPackageError, match="cannot be unpacked"):
        install(read_env_package(str(place)), tmp_path / "run/env_package")
    (tmp_path / "text.tar.gz").write_bytes(gzip.compress(b"no archive at all"))
    with pytest.raises(TaskPackageError, match="cannot be unpacked"):
        install(read_env_package(str(tmp_path / "text.tar.gz")), tmp_path / "run/env_package")


def test_a_wheels_members_are_checked_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mine-1.2-py3-none-any.whl", "w") as file:
        file.writestr("../mine.py", "")
    with pytest.raises(TaskPackageError, match=r"'\.\./mine\.py' is a path that leads out"):
        install(read_env_package(str(tmp_path / "mine-1.2-py3-none-any.whl")), tmp_path / "env_package")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing.tar.gz", "No such file"),
        ("notes.txt", "expected a folder with pyproject.toml or setup.py, an sdist"),
        ("gs://bucket/notes.txt", "expected a folder"),
        ("~nobody-of-this-name/tasks", "Could not determine home"),
        ("empty", "neither pyproject.toml nor setup.py"),
    ],
)
def test_what_is_no_package_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises((TaskPackageError, StorageError), match=said):
        read_env_package(name if "://" in name or name.startswith("~") else str(tmp_path / name))


def test_an_archive_without_a_project_is_refused(tmp_path: Path) -> None:
    place = archive(tmp_path / "mine.tar.gz", ("mine/__init__.py", ""))
    with pytest.raises(TaskPackageError, match="neither pyproject.toml nor setup.py is at its top"):
        install(read_env_package(str(place)), tmp_path / "env_package")


@pytest.mark.parametrize("form", ["folder", "sdist", "tar.gz of setup.py", "wheel"])
def test_each_form_is_installed_without_what_it_depends_on(project: Path, tmp_path: Path, form: str) -> None:
    place = made(project, form)
    before = sorted(p.name for p in project.rglob("*"))
    package, target = read_env_package(str(place)), tmp_path / "run/env_package"
    install(package, target)
    assert (target / "mine/__init__.py").read_text() == "NAME = 'mine'\n"
    assert installed(target) == (str(place), package.digest)
    assert "Successfully installed mine" in (tmp_path / "run/env_package.pip.log").read_text()
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["env_package", "env_package.pip.log"]
    assert sorted(p.name for p in project.rglob("*")) == before, "nothing is built in the user's folder"


def made(project: Path, form: str) -> Path:
    """The project as a folder, as what ``build`` makes of it, or as someone's tar of a setup.py."""
    if form == "folder":
        return project
    if form == "tar.gz of setup.py":
        (project / "pyproject.toml").unlink()
        (project / "setup.py").write_text(
            "from setuptools import setup\nsetup(name='mine', packages=['mine'])\n"
        )
        with tarfile.open(project.with_name("mine.tar.gz"), "w:gz") as file:
            for path in ("setup.py", "mine"):
                file.add(project / path, path)  # without a folder around it
        return project.with_name("mine.tar.gz")
    kind, out = {"sdist": "--sdist", "wheel": "--wheel"}[form], project.with_name("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", kind, "--outdir", str(out), str(project)]
    subprocess.run(command, check=True, capture_output=True)
    for leftover in (*project.glob("*.egg-info"), project / "build"):
        shutil.rmtree(leftover, ignore_errors=True)
    (built,) = out.iterdir()
    return built


def test_a_failing_installation_tells_pips_last_lines(project: Path, tmp_path: Path) -> None:
    (project / "pyproject.toml").write_text(PROJECT.replace('packages = ["mine"]', 'packages = ["yours"]'))
    with pytest.raises(TaskPackageError, match="pip could not install it") as caught:
        install(read_env_package(str(project)), tmp_path / "run/env_package")
    assert "package directory 'yours' does not exist" in str(caught.value)
    assert str(tmp_path / "run/env_package.pip.log") in str(caught.value)
    assert not (tmp_path / "run/env_package").exists()


def test_a_folders_digest_is_of_its_sources(project: Path) -> None:
    before = read_env_package(str(project)).digest
    (project / "mine/__pycache__").mkdir()
    (project / "mine/__pycache__/x.pyc").write_text("")
    (project / "mine.egg-info").mkdir()
    (project / "mine.egg-info/PKG-INFO").write_text("")
    assert read_env_package(str(project)).digest == before
    (project / "mine/data.json").write_text(json.dumps({}))
    assert read_env_package(str(project)).digest != before
