"""What is known of a task without a simulator, and where a package of environments is installed."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import TaskPackageError
from blueprint_tune.packages.env_package import RECORD
from blueprint_tune.tasks.asked import ENV_FOLDER, ask, inexact, with_env_package, with_installed
from blueprint_tune.tuning.folder import anchored, describe

OWN = ("backend=isaaclab_task", "backend.task=Mine-Reach-v0")
SETUP = "from setuptools import setup\nsetup(name='mine', version='1', py_modules=['mine'])\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip's way to say no isolation
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "setup.py").write_text(SETUP)
    (folder / "mine.py").write_text("REACH_M = 1.0\n")
    return folder


def experiment(*words: str) -> ExperimentConfig:
    return compose([*OWN, *words])


def test_a_task_is_what_it_is_made_of_wherever_that_lies(project: Path, tmp_path: Path) -> None:
    bare = ask(experiment()).digest
    cfg = experiment(f"backend.env_package={project}")
    first = ask(cfg).digest
    copy = shutil.copytree(project, tmp_path / "copy")
    moved = experiment(f"backend.env_package={copy}")
    assert ask(moved).digest == first != bare
    assert describe(cfg, {}, first)["input_hash"] == describe(moved, {}, first)["input_hash"]
    (copy / "mine.py").write_text("REACH_M = 2.0\n")
    assert ask(moved).digest != first
    assert ask(experiment("backend.success=return:1")).digest == bare, "that is a setting's to tell apart"


def test_the_code_of_a_trusted_package_is_part_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "scenes/a/isaac_lab"
    folder.mkdir(parents=True)
    (folder / "env_cfg.py").write_text("class AEnvCfg:\n    pass\n")
    words = ["+scene=package", f"scene.package={folder}", "backend.trust_package_code=true", OWN[0]]
    before = ask(compose(words))
    assert any("was run (backend.trust_package_code)" in note for note in before.notes)
    (folder / "helpers.py").write_text("X = 1\n")
    assert ask(compose(words)).digest != before.digest, "a file that no reader of packages looks at"


def test_notes_say_what_counts_as_success_and_what_a_resume_cannot_do() -> None:
    notes = " ".join(ask(experiment("backend.success=return:7")).notes)
    assert "an episode counts as a success when it earns 7 or more" in notes
    assert "its running episodes begin anew" in notes and "policy, robot and physics of this program" in notes
    assert inexact(compose(["+scene=kitchen_001"])) == ()
    assert ask(compose(["+scene=kitchen_001"])).notes, "those of the scene"


def test_it_is_installed_once_and_found_when_its_origin_is_gone(project: Path, tmp_path: Path) -> None:
    cfg, home = experiment(f"backend.env_package={project}"), tmp_path / "experiment"
    assert with_installed(cfg, home) == cfg
    found = with_env_package(cfg, home)
    assert found.backend.env_path == str(home / ENV_FOLDER)
    digest, stamp = ask(cfg).digest, (home / ENV_FOLDER / RECORD).stat().st_mtime_ns
    shutil.rmtree(project)
    assert with_env_package(cfg, home) == found == with_installed(cfg, home)
    assert (home / ENV_FOLDER / RECORD).stat().st_mtime_ns == stamp
    assert ask(found).digest == digest
    with pytest.raises(TaskPackageError, match="expected a folder with pyproject"):
        ask(cfg)
    other = replace(cfg, backend=replace(cfg.backend, env_package="elsewhere.tar.gz"))
    assert with_installed(other, home) == other, "another package is not taken for it"


def test_a_package_that_changed_since_it_was_asked_for_is_not_installed(
    project: Path, tmp_path: Path
) -> None:
    cfg = experiment(f"backend.env_package={project}")
    digest = ask(cfg).digest
    old = (project / "mine.py").read_text()
    (project / "mine.py").write_text("REACH_M = 2.0\n")
    with pytest.raises(TaskPackageError, match="has changed since the experiment in .* was started"):
        with_env_package(cfg, tmp_path / "experiment", digest)
    assert not (tmp_path / "experiment").exists()
    (project / "mine.py").write_text(old)
    assert ask(with_env_package(cfg, tmp_path / "experiment", digest)).digest == digest


def test_another_package_than_the_experiments_is_what_an_evaluation_runs(
    project: Path, tmp_path: Path
) -> None:
    trained = with_env_package(experiment(f"backend.env_package={project}"), tmp_path / "experiment")
    new = shutil.copytree(project, tmp_path / "new")
    (new / "mine.py").write_text("REACH_M = 2.0\n")
    asked = replace(trained, backend=replace(trained.backend, env_package=str(new)))
    assert ask(asked).digest != ask(trained).digest
    found = with_env_package(asked, tmp_path / "evaluation")
    assert found.backend.env_path == str(tmp_path / "evaluation" / ENV_FOLDER)
    assert (tmp_path / "evaluation" / ENV_FOLDER / "mine.py").read_text() == "REACH_M = 2.0\n"
    without = replace(trained, backend=replace(trained.backend, env_package=None))
    assert with_env_package(without, tmp_path / "evaluation").backend.env_path is None


def test_a_package_means_the_same_from_any_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.parent)
    cfg = anchored(experiment(f"backend.env_package={os.path.relpath(project)}"))
    assert cfg.backend.env_package == str(project)
    bucket = experiment('backend.env_package="gs://bucket/mine.tar.gz"')
    assert anchored(bucket).backend.env_package == "gs://bucket/mine.tar.gz"
