"""From a marker to a published policy: the whole way, with a real training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blueprint_tune.config.paths import assets_dir
from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.service.command import run
from blueprint_tune.storage.path import StoragePath

WORDS = [
    "storage.root=store",
    "preset=smoke",
    "backend=pointmass",
    "agent.policy_hidden_dims=[16]",
    "agent.value_hidden_dims=[16]",
    "evaluation.baselines=false",
    "--once",
]


@pytest.mark.timeout(900)  # a busy machine is no failure
def test_a_package_becomes_a_published_policy_once(
    root: StoragePath,
    package: Callable[..., Path],
    statuses: Callable[[str], dict[str, dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    scene = tmp_path / "store/scenes/my_kitchen"
    shutil.copytree(package("dexterous_pick_place"), scene / "isaac_lab")
    (scene / "assets").mkdir()
    shutil.copy(assets_dir() / "scenes/kitchen_001/scene_manifest.json", scene / "assets")
    completed = scene / "isaac_lab/.isaac_lab_complete"

    run(WORDS)
    ((job_id, status),) = statuses("my_kitchen").items()
    assert (status["status"], status["num_trials"], status["policy_id"]) == (
        "completed",
        1,
        "dexterous_pick_place",
    )
    training = root / "scenes/my_kitchen/rl_training"
    marker = json.loads((training / ".rl_training_complete").read_bytes())
    assert (marker["scene_id"], marker["job_id"]) == ("my_kitchen", job_id)
    assert (training / marker["policy_path"]).exists()
    assert f"my_kitchen  completed: as {job_id}" in capsys.readouterr().out

    completed.write_text(completed.read_text().replace("2026-02-03", "2026-02-04"))
    run(WORDS)
    assert "the same input was trained before" in capsys.readouterr().out
    assert list(statuses("my_kitchen")) == [job_id]

    (scene / "isaac_lab/env_cfg.py").unlink()
    completed.write_text(completed.read_text().replace("2026-02-04", "2026-02-05"))
    with pytest.raises(BlueprintTuneError, match="Not trained"):
        run(WORDS)
    (refused,) = (status for job, status in statuses("my_kitchen").items() if job != job_id)
    assert refused["status"] == "failed"
    assert "env_cfg.py is missing" in refused["error"]
