from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from blueprint_tune.config import paths
from blueprint_tune.config.paths import CONF_ENV

KEPT = {
    "scene": ("kitchen_001", "office_001"),
    "policy": ("_place", "_handle", "_articulate", "dexterous_pick_place", "drawer_manipulation"),
    "robot": ("franka", "ur10"),
    "physics": ("_solver_noise", "manipulation_standard"),
    "preset": ("full", "smoke"),
    "sweep": ("_base", "single", "random"),
}
"""Of the groups that have many files: enough to see every kind of change."""


@pytest.fixture
def git() -> Callable[..., str]:
    """git(*words) -> what git says in the working directory."""

    def ask(*words: str) -> str:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, input="").stdout.strip()

    return ask


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git: Callable[..., str]) -> Path:
    """A git repository with some of our configuration files; the working directory."""
    monkeypatch.delenv(CONF_ENV, raising=False)
    root = tmp_path / "repository"
    shutil.copytree(paths.conf_dir(), root / "conf")
    shutil.copytree(paths.searchspaces_dir(), root / "searchspaces")
    for group, names in KEPT.items():
        for file in (root / "conf" / group).iterdir():
            if file.stem not in names:
                file.unlink()
    for file in (root / "searchspaces").iterdir():
        if file.stem != "ppo_core":
            file.unlink()
    git("init", "-q", "-b", "main", str(root))
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def commit(repository: Path, git: Callable[..., str]) -> Callable[[dict[str, str | None]], str]:
    """commit({file: text, or None to remove it}) -> the commit's hash."""

    def make(files: dict[str, str | None]) -> str:
        for name, text in files.items():
            file = repository / name
            if text is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", "x")
        return git("rev-parse", "HEAD")

    return make
