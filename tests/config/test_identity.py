from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from blueprint_tune.config import identity, paths
from blueprint_tune.config.identity import (
    changed_since,
    content_hash,
    input_hash,
    provenance,
    task_digest,
)
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.validate import apply_overrides, to_dict

DIGEST = "0" * 64


def variant(config: ExperimentConfig, **changes: Any) -> str:
    return input_hash(
        apply_overrides(config, {key.replace("__", "."): value for key, value in changes.items()}), DIGEST
    )


def test_a_hash_is_twelve_hex_digits_and_repeats(config: ExperimentConfig) -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", input_hash(config, DIGEST))
    assert input_hash(config, DIGEST) == variant(config)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "mine"},
        {"output_dir": "elsewhere"},
        {"force": True},
        {"storage__root": "/data"},
        {"logger__progress": "off"},
        {"cluster__address": "10.0.0.1:6379"},
        {"scene__manifest": "/a/copy/of/the/manifest.json"},
        {"evaluation__gates__min_success_rate": 0.9},
        {"evaluation__promote": True},
    ],
)
def test_where_and_how_a_run_happens_is_not_the_question(
    config: ExperimentConfig, changes: dict[str, Any]
) -> None:
    assert variant(config, **changes) == input_hash(config, DIGEST)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2},
        {"agent__learning_rate": 1e-3},
        {"policy__episode_s": 3.0},
        {"searchspace": "network"},
        {"evaluation__episodes_per_seed": 3},
        {"sweep__num_samples": 3},
        {"robot__home_rad": [0.1, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785]},
        {"policy__action_repeat": 2},
        {"scene__up_axis": "y"},
    ],
)
def test_what_a_run_computes_is_the_question(config: ExperimentConfig, changes: dict[str, Any]) -> None:
    assert variant(config, **changes) != input_hash(config, DIGEST)


def test_scene_robot_and_search_space_count_by_content(config: ExperimentConfig, tmp_path: Path) -> None:
    assert input_hash(config, "1" * 64) != input_hash(config, DIGEST)
    copy = tmp_path / "copy.xml"
    shutil.copy(paths.assets_dir() / "robots" / config.robot.model, copy)
    assert variant(config, robot__model=str(copy)) == input_hash(config, DIGEST)
    copy.write_text(copy.read_text() + "<!-- changed -->")
    assert variant(config, robot__model=str(copy)) != input_hash(config, DIGEST)
    space = tmp_path / "space.yaml"
    shutil.copy(paths.searchspaces_dir() / "ppo_core.yaml", space)
    assert variant(config, searchspace=str(space)) == input_hash(config, DIGEST)


def test_search_spaces_of_one_name_differ_by_what_they_say(config: ExperimentConfig, tmp_path: Path) -> None:
    asked = set()
    for number, upper in enumerate(("1.0e-3", "2.0e-3", "1.0e-3")):
        folder = tmp_path / str(number)
        folder.mkdir()
        text = f"agent.learning_rate: {{_target_: ray.tune.uniform, lower: 1.0e-4, upper: {upper}}}\n"
        (folder / "space.yaml").write_text(text)
        asked.add(variant(config, searchspace=str(folder / "space.yaml")))
    assert len(asked) == 2, "the path is not the question, the bounds are"


def test_a_robot_counts_with_every_file_it_is_made_of(config: ExperimentConfig, tmp_path: Path) -> None:
    parts = {
        "arm.xml": "<mujoco><include file='parts/links.xml'/></mujoco>",
        "parts/links.xml": '<mujoco><compiler meshdir="shapes"/><mesh file="link.stl"/></mujoco>',
        "shapes/link.stl": "solid",
    }
    for name, text in parts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    before = variant(config, robot__model=str(tmp_path / "arm.xml"))
    for name in parts:
        (tmp_path / name).write_text(parts[name] + "\n")
        after = variant(config, robot__model=str(tmp_path / "arm.xml"))
        assert after != before, name
        before = after
    moved = shutil.copytree(tmp_path, tmp_path.with_name("moved"))
    assert variant(config, robot__model=str(moved / "arm.xml")) == before


def test_a_gripper_counts_by_content(config: ExperimentConfig, tmp_path: Path) -> None:
    ours = paths.assets_dir() / "robots" / "parallel_gripper.xml"
    here, there = tmp_path / "here.xml", tmp_path / "there.xml"
    for copy in (here, there):
        shutil.copy(ours, copy)
    gripper = "robot__grippers__parallel__model"
    assert variant(config, **{gripper: str(here)}) == variant(config, **{gripper: str(there)})
    there.write_text(there.read_text() + "<!-- changed -->")
    assert variant(config, **{gripper: str(here)}) != variant(config, **{gripper: str(there)})


def test_what_changed_since_a_result_is_named() -> None:
    now = provenance()
    assert changed_since(now) == []
    old = {**now, "code_digest": "0" * 12, "git_commit": "a" * 40, "git_dirty": True, "python": "3.10.0"}
    old["libraries"] = {**now["libraries"], "torch": "1.0"}
    code, python, torch = changed_since(old)
    assert "commit aaaaaaaa with changes, code 000000000000 then" in code
    assert python.startswith("Python (3.10.0 then") and torch.startswith("torch (1.0 then")


def test_content_adds_code_and_versions(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content_hash(config, DIGEST)
    assert before != input_hash(config, DIGEST)
    monkeypatch.setattr(identity, "_LIBRARIES", ("mujoco",))
    assert content_hash(config, DIGEST) != before
    assert content_hash(apply_overrides(config, {"name": "mine"}), DIGEST) == content_hash(config, DIGEST)


def test_provenance_names_versions_and_is_json() -> None:
    record = json.loads(json.dumps(provenance()))
    assert record["libraries"]["mujoco"][0].isdigit()
    assert record["python"].startswith("3.")
    assert record["cpus"] > 0


def test_provenance_of_a_checkout_and_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "blueprint_tune"
    package.mkdir()
    (package / "cli.py").write_text("x = 1\n")
    monkeypatch.setattr(identity, "_PACKAGE", package)
    assert (provenance()["git_commit"], provenance()["git_dirty"]) == (None, None)
    author = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    clean = provenance()
    assert re.fullmatch(r"[0-9a-f]{40}", clean["git_commit"])
    assert clean["git_dirty"] is False
    (package / "cli.py").write_text("x = 2\n")
    assert provenance()["git_dirty"] is True
    assert provenance()["code_digest"] != clean["code_digest"]


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"agent.learning_rate": 1e-3}, True),
        ({"policy.rewards.success.weight": 3.0}, True),
        ({"evaluation.seeds": "[7]"}, True),
        ({"scene.manifest": "/a/copy/of/the/manifest.json"}, True),
        ({"robot.isaaclab.usd_path": "/an/asset/of/another/backend.usd"}, True),
        ({"policy.success.hold_s": 0.1}, False),
        ({"policy.episode_s": 3.0}, False),
        ({"physics.substeps": 4}, False),
        ({"backend.name": "pointmass"}, False),
    ],
)
def test_what_decides_how_episodes_start_and_end_has_a_digest(
    config: ExperimentConfig, changes: dict[str, Any], same: bool
) -> None:
    changed = to_dict(apply_overrides(config, changes))
    assert (task_digest(changed, DIGEST) == task_digest(to_dict(config), DIGEST)) is same
    assert task_digest(changed, "1" * 64) != task_digest(changed, DIGEST)


def test_what_the_robot_is_in_isaac_lab_counts_there(config: ExperimentConfig) -> None:
    there = {"backend.name": "isaaclab"}
    asset = {"robot.isaaclab.usd_path": "/an/asset.usd"}
    digests = [
        task_digest(to_dict(apply_overrides(config, changes)), DIGEST) for changes in (there, there | asset)
    ]
    assert digests[0] != digests[1]


def test_how_isaac_sim_is_started_is_no_part_of_the_question(config: ExperimentConfig) -> None:
    changed = apply_overrides(config, {"backend.start_timeout_s": 5.0, "backend.cameras": True})
    assert input_hash(changed, DIGEST) == input_hash(config, DIGEST)
    elsewhere = apply_overrides(config, {"robot.isaaclab.asset": None})
    assert input_hash(elsewhere, DIGEST) == input_hash(config, DIGEST)
