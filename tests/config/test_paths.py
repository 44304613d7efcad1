from __future__ import annotations

import os
from pathlib import Path

import pytest

from blueprint_tune.config import paths


def test_shipped_folders_hold_what_the_program_needs() -> None:
    assert (paths.conf_dir() / "config.yaml").is_file()
    assert (paths.searchspaces_dir() / "ppo_core.yaml").is_file()
    assert (paths.assets_dir() / "robots" / "franka.xml").is_file()


def test_an_installed_package_has_its_files_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "blueprint_tune"
    (package / "conf").mkdir(parents=True)
    monkeypatch.setattr(paths, "_PACKAGE", package)
    assert paths.conf_dir() == package / "conf"
    assert paths.searchspaces_dir() == package.parent / "searchspaces"  # a checkout's, when none is inside


def test_every_group_is_a_folder_with_files() -> None:
    folders = {path.name for path in paths.conf_dir().iterdir() if path.is_dir()}
    assert folders == set(paths.GROUPS)
    for group in paths.GROUPS:
        assert paths.group_options(group)
    assert "_base" not in paths.group_options("sweep")


def test_user_folders_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.CONF_ENV, f"{tmp_path}{os.pathsep}{os.pathsep}relative")
    assert paths.user_conf_dirs() == [tmp_path, Path("relative").resolve()]
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "mine.yaml").touch()
    assert "mine" in paths.group_options("policy")
    assert "mine" not in paths.group_options("policy", [])


def test_adding_a_folder_puts_it_first_and_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.CONF_ENV, str(tmp_path / "a"))
    paths.add_user_conf_dir(str(tmp_path / "b"))
    paths.add_user_conf_dir(str(tmp_path / "a"))
    assert paths.user_conf_dirs() == [tmp_path / "a", tmp_path / "b"]


def test_search_spaces_of_users_are_looked_up_first(tmp_path: Path) -> None:
    (tmp_path / "searchspaces").mkdir()
    assert paths.searchspace_dirs([tmp_path / "conf"]) == [
        tmp_path / "searchspaces",
        paths.searchspaces_dir(),
    ]
    assert paths.searchspace_dirs([]) == [paths.searchspaces_dir()]
