"""Who owns an experiment's folder, and what a name means."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import BlueprintTuneError, ConfigError
from blueprint_tune.tuning.folder import ExperimentFolder, anchored, describe, open_folder

DIGEST = "d" * 64


@pytest.fixture
def cfg(tmp_path: Path) -> ExperimentConfig:
    return anchored(compose(["+scene=kitchen_001", "preset=smoke", f"output_dir={tmp_path / 'out'}"]))


def opened(cfg: ExperimentConfig) -> tuple[ExperimentFolder, str]:
    return open_folder(cfg, describe(cfg, {}, DIGEST, ["preset=smoke"]))


def test_the_question_is_written_first_and_read_back(cfg: ExperimentConfig) -> None:
    folder, state = opened(cfg)
    assert state == "new"
    assert folder.name.startswith("kitchen_001-dish_loading-single-")
    tree = yaml.safe_load(folder.document.read_text())
    assert tree["input_hash"].startswith(folder.name.rsplit("-", 1)[1])
    assert {"content_hash", "scene_digest", "provenance", "created", "searchspace"} <= set(tree)
    assert tree["overrides"] == ["preset=smoke"]
    assert folder.read() == (replace(cfg, name=folder.name), {})


def test_the_same_input_finds_its_folder_again(cfg: ExperimentConfig) -> None:
    folder, _ = opened(cfg)
    again, state = opened(replace(cfg, logger=replace(cfg.logger, tensorboard=False)))
    assert (again, state) == (folder, "unfinished")
    folder.result.write_text("{}")
    assert opened(cfg)[1] == "finished"


def test_another_input_gets_another_folder(cfg: ExperimentConfig) -> None:
    other, state = opened(replace(cfg, seed=cfg.seed + 1))
    assert state == "new" and other != opened(cfg)[0]


def test_a_name_belongs_to_its_first_input(cfg: ExperimentConfig) -> None:
    opened(replace(cfg, name="mine"))
    with pytest.raises(ConfigError, match="name 'mine' is taken.*other settings.*Choose another name"):
        opened(replace(cfg, name="mine", seed=cfg.seed + 1))


def test_a_folder_of_something_else_is_left_alone(cfg: ExperimentConfig) -> None:
    theirs = Path(cfg.output_dir) / "thesis"
    theirs.mkdir(parents=True)
    (theirs / "chapter1.tex").write_text("once")
    with pytest.raises(ConfigError, match="exists and is not an experiment"):
        opened(replace(cfg, name="thesis", force=True))
    assert os.listdir(theirs) == ["chapter1.tex"]


def test_force_sets_the_old_one_aside(cfg: ExperimentConfig) -> None:
    folder, _ = opened(cfg)
    folder.result.write_text("{}")
    again, state = opened(replace(cfg, force=True))
    assert (again, state) == (folder, "new")
    assert len(list(folder.path.parent.glob(f"{folder.name}.replaced-*/result.json"))) == 1


@pytest.mark.parametrize("name", ["../x", "a b", "", "-x", "ü", "a/b", "x" * 200])
def test_hostile_names_are_refused(cfg: ExperimentConfig, name: str) -> None:
    with pytest.raises(ConfigError, match="a name is up to 128"):
        open_folder(cfg, {**describe(cfg, {}, DIGEST), "name": name})


def test_a_folder_that_cannot_be_written_is_a_sentence(cfg: ExperimentConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = replace(cfg, output_dir=str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="cannot be written .*output_dir="):
        opened(blocked)
    with pytest.raises(ConfigError, match="cannot be written"):
        opened(replace(cfg, output_dir="/proc/blueprint"))


def test_two_processes_do_not_work_on_one_experiment(cfg: ExperimentConfig) -> None:
    folder, _ = opened(cfg)
    code = (
        "import sys; from pathlib import Path; from blueprint_tune.tuning.folder import ExperimentFolder\n"
        f"with ExperimentFolder(Path({str(folder.path)!r})).claimed():\n"
        "    print('mine', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout and other.stdout.readline() == "mine\n"
        with pytest.raises(BlueprintTuneError, match=f"worked on by process {other.pid}"), folder.claimed():
            pass
    finally:
        other.kill()
        other.communicate()
    with folder.claimed():  # a killed process lets go by itself
        pass


def test_what_is_no_experiment_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not an experiment"):
        ExperimentFolder(tmp_path).read()
    (tmp_path / "experiment.yaml").write_text("just: this")
    with pytest.raises(ConfigError, match="incomplete"):
        ExperimentFolder(tmp_path).read()
    (tmp_path / "experiment.yaml").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        ExperimentFolder(tmp_path).read()


def test_settings_of_another_version_are_named(cfg: ExperimentConfig) -> None:
    folder, _ = opened(cfg)
    tree = yaml.safe_load(folder.document.read_text())
    tree["config"]["agent"]["warmup"] = 3
    tree["provenance"]["blueprint_tune"] = "9.9.9"
    folder.document.write_text(yaml.safe_dump(tree))
    with pytest.raises(ConfigError, match=r"(?s)written by blueprint-tune 9\.9\.9.*warmup"):
        folder.read()


def test_paths_are_anchored_to_where_the_run_was_started(
    cfg: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    loose = replace(
        cfg,
        output_dir="out",
        storage=replace(cfg.storage, root="~/store"),
        scene=replace(cfg.scene, manifest="m.json"),
    )
    fixed = anchored(loose)
    assert fixed.output_dir == str(tmp_path / "out")
    assert fixed.scene.manifest == str(tmp_path / "m.json")
    assert fixed.storage.root == str(Path.home() / "store")
    assert anchored(fixed) == fixed
