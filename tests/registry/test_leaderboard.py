"""The leaderboard reads storage as well, and marks champions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from blueprint_tune import cli
from blueprint_tune.batches.board import folder_board
from blueprint_tune.config.evaluation_schema import GatesConfig
from blueprint_tune.registry.promote import promote
from blueprint_tune.registry.published import Published
from blueprint_tune.reporting.leaderboard import render_leaderboard
from blueprint_tune.storage.path import open_path

Publish = Callable[..., Published]
FIRST = "first"


def test_published_policies_are_rows(
    store: Path,
    publish: Publish,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    promote(publish(FIRST, 90), GatesConfig())
    board = folder_board([], [open_path(str(store))])
    (row,) = board["rows"]
    assert row["champion"] and row["state"] == "finished"
    assert (row["scene"], row["policy"], row["sweep"], row["seed"]) == (
        "kitchen_001", "dexterous_pick_place", "single", 1,
    )  # fmt: skip
    assert row["trials"] == {"completed": 1} and row["env_steps"] == 512 and row["duration_s"] > 0
    assert row["episodes"] == 100 and row["ended"] and Path(row["report"]).is_file()
    page = render_leaderboard(board, tmp_path)
    assert ">champion</span>" in page and "eval_first/report.html" in page
    monkeypatch.chdir(tmp_path)
    assert cli.main(["leaderboard", str(store)]) == 0
    assert "champion" in capsys.readouterr().out
    assert (tmp_path / "leaderboard.html").is_file() and not (store / "leaderboard.html").exists()


def test_an_experiment_knows_whether_its_policy_serves(
    published: Path, store: Path, publish: Publish, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(published / "out", tmp_path / "out"))
    result = out / FIRST / "result.json"
    result.write_text(result.read_text().replace(str(published / "store"), str(store)))

    def champion() -> bool | None:
        (row,) = folder_board([out])["rows"]
        return row["champion"]

    assert champion() is False, "nobody is yet"
    promote(publish(FIRST, 70), GatesConfig())
    assert champion() is True
    promote(publish("better", 90), GatesConfig())
    assert champion() is False
    shutil.rmtree(store)
    assert champion() is None, "where it was published nothing is left to ask"
    document = json.loads(result.read_text())
    document["published"]["policy"] = "gs://bucket/scenes/kitchen_001/rl_training/policies/first"
    result.write_text(json.dumps(document))
    assert champion() is None, "a look at a folder needs no network"


def test_a_folder_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["leaderboard", "nowhere"]) == 2
    assert "or a storage" in capsys.readouterr().err
