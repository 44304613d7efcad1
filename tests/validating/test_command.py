import json

import pytest

from blueprint_tune.cli import main
from blueprint_tune.config.paths import assets_dir


@pytest.fixture
def folder(tmp_path):
    """The smallest thing that is a package: what is wrong with real ones is tested where they are judged."""
    package = tmp_path / "scenes/desk/isaac_lab"
    package.mkdir(parents=True)
    (package / "env_cfg.py").write_text("class DeskEnvCfg(ManagerBasedRLEnvCfg):\n    decimation = 2\n")
    (package / "train_cfg.yaml").write_text("rewards: {collision_penalty: -1.0}\n")
    document = {"policy_id": "dish_loading", "robot_type": "franka"}
    (package / "generation_metadata.json").write_text(json.dumps(document))
    return package


def _run(*words):
    with pytest.raises(SystemExit) as left:
        main(["validate", *map(str, words)])
    return left.value.code


def test_prints_a_table_and_leaves_with_1(folder, capsys):
    assert _run(folder) == 1
    out = capsys.readouterr().out
    assert "usable with adaptations" in out and "train_cfg.yaml:1" in out and "double negative" in out


def test_json_is_the_same_for_machines(folder, capsys):
    assert _run("--json", folder) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == 1 and found["policy"] == {"stated": "dish_loading", "used": "dish_loading"}
    assert found["rewards"][0]["double_negative"] is True
    assert {"code", "level", "file", "line", "what", "at_run_time", "here"} == set(found["findings"][0])


def test_what_cannot_be_used_leaves_with_2(folder, capsys):
    (folder / "env_cfg.py").write_text("class (")
    assert _run(folder) == 2
    assert "not usable" in capsys.readouterr().out


def test_a_broken_manifest_beside_it_is_fatal(folder, capsys):
    assets = folder.parent / "assets"
    assets.mkdir()
    (assets / "scene_manifest.json").write_text("{")
    assert _run(folder) == 2
    assert "is not JSON" in capsys.readouterr().out


def test_a_scene_manifest_is_judged_too(capsys):
    kitchen = assets_dir() / "scenes/kitchen_001/scene_manifest.json"
    assert _run(kitchen) == 1
    assert "kitchen_001" in capsys.readouterr().out
    assert _run(kitchen, "--json") == 1
    assert json.loads(capsys.readouterr().out)["scene"] == "kitchen_001"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "takes one package"),
        (["a", "b"], "takes one package"),
        (["--jsn", "a"], "no option --jsn"),
        (["/no/such/package"], "no such folder"),
        (["/no/such/scene_manifest.json"], "no such file"),
    ],
)
def test_mistakes_get_a_sentence_and_exit_2(words, said, capsys):
    assert main(["validate", *words]) == 2
    assert said in capsys.readouterr().err
