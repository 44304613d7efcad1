"""scripts/docker-replay on small Dockerfiles, and what the project's own are made of."""

from __future__ import annotations

import importlib.machinery
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "docker-replay"
loader = importlib.machinery.SourceFileLoader("docker_replay", str(SCRIPT))  # it has no suffix
script = types.ModuleType(loader.name)
sys.modules[loader.name] = script  # where its dataclass looks its annotations up
loader.exec_module(script)
IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"


def replay(folder: Path, dockerfile: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "Dockerfile").write_text(dockerfile)
    command = [sys.executable, SCRIPT, "--folder", folder, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "say.py").write_text(
        "import os, sys\nprint(os.environ['GREETING'], sys.argv[1:], os.getcwd())\n"
    )
    (tmp_path / "program" / "secret.txt").write_text("not for the image")
    (tmp_path / ".dockerignore").write_text("# only the program\n*\n!program\n**/secret.txt\n")
    return tmp_path


def test_steps_are_replayed_and_the_entry_point_is_run(folder: Path) -> None:
    result = replay(
        folder,
        f"""FROM {IMAGE} AS cpu
ARG WHO=world
WORKDIR /opt/app
COPY program code
# A comment inside a step:
RUN test "$WHO" = world && test -f code/say.py \\
    # is no part of it
    && test ! -e code/secret.txt && pip --version >../pip.txt
ENV GREETING="good day"
USER 1000
WORKDIR /work
ENTRYPOINT ["python", "../opt/app/code/say.py"]
CMD ["--help"]
""",
        "--verbose",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    last = result.stdout.splitlines()[-1]
    assert last.startswith("good day ['--verbose']")
    assert last.endswith("/work")


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("RUN exit 3", "This step failed."),
        ("COPY absent .", "COPY absent: the build context has no such file"),
        ("COPY program/secret.txt .", "COPY program/secret.txt: the build context has no such file"),
        ("HEALTHCHECK NONE", "The replay does not know HEALTHCHECK"),
        ("FROM ubuntu:24.04", "only images of Python can be replayed"),
        ("FROM python:3.99-slim", "there is no python3.99 here to stand for the image's"),
    ],
)
def test_what_fails_in_a_build_fails_here(folder: Path, tmp_path: Path, step: str, reason: str) -> None:
    keyword, _, words = step.partition(" ")
    with pytest.raises(SystemExit, match=re.escape(reason)):
        script.Replay(folder, tmp_path).play(keyword, words)


def test_a_missing_target_is_named(folder: Path) -> None:
    missing = replay(folder, f"FROM {IMAGE} AS cpu\n", "--target", "gpu")
    assert "The Dockerfile has no target gpu, but cpu." in missing.stderr


@pytest.mark.skipif(shutil.which("apt-cache") is None, reason="there is no apt here")
def test_packages_of_apt_are_looked_up(capsys: pytest.CaptureFixture[str]) -> None:
    script.check_packages("apt-get update && apt-get install --yes no-such-package-at-all")
    assert "not checked" in capsys.readouterr().out
    if "dpkg" in subprocess.run(["apt-cache", "policy", "dpkg"], capture_output=True, text=True).stdout:
        with pytest.raises(SystemExit, match="apt has no no-such-package-at-all"):
            script.check_packages("apt-get install --yes dpkg no-such-package-at-all && true")


@pytest.mark.parametrize(
    "name", ["blueprint_tune", "conf", "searchspaces", "constraints.txt", "constraints-isaaclab.txt"]
)
def test_what_the_dockerfile_copies_is_there(name: str) -> None:
    copies = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")]
    assert any(name in line.split() for line in copies)
    assert f"!{name}" in (ROOT / ".dockerignore").read_text().splitlines()
    assert (ROOT / name).exists()
