"""Whole batches on the point-mass backend, their experiments in processes of their own on one Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

import blueprint_tune
from blueprint_tune import cli
from blueprint_tune.batches.record import BatchFolder
from blueprint_tune.errors import ConfigError

ENV = {**os.environ, "PYTHONPATH": str(Path(blueprint_tune.__file__).parents[1]), "PYTHONUNBUFFERED": "1"}
SCENE = "+scene=laundry_001"


def overrides(folder: Path, policies: str, *more: str) -> list[str]:
    sizes = ["backend=pointmass", "backend.num_envs=16", "agent.rollouts=16", "budget.report_env_steps=256"]
    evaluation = ["evaluation.selection.episodes=2", "evaluation.baselines=false"]
    places = [f"output_dir={folder / 'out'}", f"storage.root={folder / 'store'}"]
    return [
        SCENE,
        f"policy={policies}",
        "preset=smoke",
        "budget.env_steps=512",
        *sizes,
        *evaluation,
        *places,
        *more,
    ]


def test_one_that_fails_and_one_that_cannot_be_stop_no_other(
    local_ray: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    diverges = ("agent.value_loss_scale=1.0,1e38", "sweep.max_failures=0")
    result = blueprint_tune.batch(overrides(tmp_path, "door_manipulation,dish_loading", *diverges))
    rows = {row["axes"]["agent.value_loss_scale"]: row for row in result.rows}
    assert {scale: row["state"] for scale, row in rows.items()} == {"1.0": "finished", "1e+38": "failed"}
    assert "became inf" in rows["1e+38"]["reason"]
    assert [entry["axes"]["policy"] for entry in result.refused] == ["dish_loading"] * 2
    assert all("needs a role" in entry["reason"] for entry in result.refused)
    assert not result.good
    said = capsys.readouterr().out
    assert "became inf" in said and "needs a role" in said and str(result.page) in said

    record = BatchFolder(result.path).read()
    assert [item.state for item in record.experiments] == ["finished", "failed"]
    assert record.ended is not None and result.page.is_file()
    assert json.loads((result.path / "leaderboard.json").read_text())["rows"] == list(result.rows)
    assert (result.path / "logs").is_dir() and not list((result.path / "logs").glob("*.reason"))

    # each experiment is what run would have made: on no batch's Ray, and finished for whoever asks again
    door = rows["1.0"]
    tree = yaml.safe_load((Path(door["path"]) / "experiment.yaml").read_text())
    assert tree["config"]["cluster"]["address"] is None and "policy=door_manipulation" in tree["overrides"]
    assert json.loads((Path(door["path"]) / "resources.json").read_text())["cpus_per_trial"] == 1
    assert blueprint_tune.resume(door["path"]).success_rate == door["success_rate"]
    assert 0 < door["cpu_hours"] < 1 and door["env_steps"] == 512

    again = blueprint_tune.batch(overrides(tmp_path, "door_manipulation", "sweep.max_failures=0"))
    assert again.good and again.path != result.path
    (item,) = BatchFolder(again.path).read().experiments
    assert item.offered and [row["ended"] for row in again.rows] == [door["ended"]]


def test_one_that_wants_more_cpus_than_there_are_is_a_failure_and_holds_nobody_up(
    local_ray: None, tmp_path: Path
) -> None:
    (row,) = blueprint_tune.batch(overrides(tmp_path, "door_manipulation", "sweep.resources.cpus=512")).rows
    assert row["state"] == "failed" and "sweep.resources.cpus=512; Ray has 2 CPUs" in row["reason"]


def test_ctrl_c_stops_all_and_says_how_to_go_on(tmp_path: Path) -> None:
    words = overrides(tmp_path, "dexterous_pick_place,door_manipulation", "budget.env_steps=1000000")
    process = subprocess.Popen(
        [sys.executable, "-m", "blueprint_tune", "batch", *words, "cluster.num_cpus=2", "name=mine"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENV,
        start_new_session=True,
    )
    assert process.stdout is not None
    logs = tmp_path / "out/batches/mine/logs"
    try:
        for line in process.stdout:
            if "2 running" in line:
                break
        _wait_until_training(logs, process)
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, rest
    assert "Continue with:  blueprint-tune batch +scene=laundry_001" in rest and "Traceback" not in rest
    record = BatchFolder(logs.parent).read()
    assert [item.state for item in record.experiments] == ["interrupted"] * 2 and record.ended is None
    for log in logs.iterdir():
        assert "blueprint-tune resume" in log.read_text() and "Traceback" not in log.read_text()


def _wait_until_training(logs: Path, process: subprocess.Popen[str]) -> None:
    while not all("trial 0" in log.read_text() for log in logs.iterdir()):
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)


def test_an_experiment_ends_with_its_batch_however_that_ends(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "blueprint_tune.batches.child"], stdin=subprocess.PIPE, env=ENV
    )
    assert child.stdin is not None
    job = {"overrides": overrides(tmp_path, "door_manipulation"), "lent": ["127.0.0.1:1", 1], "log": "-"}
    child.stdin.write(json.dumps({**job, "reason_file": str(tmp_path / "reason")}).encode() + b"\n")
    child.stdin.close()
    assert child.wait(timeout=60) == -signal.SIGKILL


BAD: list[tuple[Sequence[str], str]] = [
    (
        ["batch", SCENE, "policy=laundry_sorting", "agent.learning_rte=1"],
        "Did you mean 'agent.learning_rate'?",
    ),
    (["batch", SCENE, "policy=glob(zz*)"], "no policy is called like that"),
    (["batch", SCENE, "--dry"], "Did you mean '--dry-run'?"),
    (["batch", SCENE, "--at-once", "none"], "give a whole number"),
    (["leaderboard", "nowhere"], "there is no such folder"),
    (["leaderboard", "."], "there is no experiment here"),
]


@pytest.mark.parametrize(("words", "sentence"), BAD)
def test_mistakes_are_sentences(
    words: Sequence[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert sentence in err and "Traceback" not in out + err
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_lists_what_would_run_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["+scene=lab_001,office_001", "policy=glob(p*)", "preset=smoke", "sweep=asha"]
    assert cli.main(["batch", "--dry-run", *words]) == 0
    text = capsys.readouterr().out
    assert "office_001-panel_interaction-asha" in text and "2 trials of 4096 env steps" in text
    assert "left out: scene=lab_001 policy=pallet_handling: robot 'franka' stands still" in text
    assert list(tmp_path.iterdir()) == []


def test_a_batch_of_nothing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a role"):
        blueprint_tune.batch(overrides(tmp_path, "dish_loading"))
    assert list(tmp_path.iterdir()) == []
