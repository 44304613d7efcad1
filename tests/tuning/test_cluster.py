"""An experiment on a cluster of two nodes with a card each: spread over both, and one of them dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ClusterConfig
from blueprint_tune.errors import ConfigError
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.records import load_records, read_reports
from blueprint_tune.tuning.shared import clear_trials, place_trials

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("two_nodes.py")
SAME = {"agent.discount_factor": {"_target_": "ray.tune.grid_search", "values": [0.97] * 4}}
OVERRIDES = [
    "+scene=kitchen_001",
    "preset=smoke",
    "backend=pointmass",
    "backend.num_envs=16",
    "agent.rollouts=16",
    "agent.device=cpu",  # the cards are only numbers
    "budget.env_steps=8192",
    "budget.report_env_steps=512",
    "evaluation.selection.episodes=2",
    "evaluation.episodes_per_seed=1",
    "evaluation.baselines=false",
    "sweep=random",
    "sweep.num_samples=1",
    "sweep.default_settings_first=false",
    "sweep.resources={gpus: 0.5, cpus: 0.5}",
    "searchspace=same.yaml",
    "output_dir=outputs",
]


def curve(folder: Path) -> list[dict[str, Any]]:
    """A trial's reports without what depends on the clock."""
    rows = read_reports(folder)
    return [{k: v for k, v in row.items() if not k.startswith(("perf/", "time", "elapsed"))} for row in rows]


@pytest.mark.timeout(600)  # six processes train, and more are started, on whatever cores there are
def test_trials_share_cards_on_two_nodes_and_a_dead_node_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "same.yaml").write_text(yaml.safe_dump(SAME))
    words = [
        *OVERRIDES,
        f"cluster.storage_path={tmp_path / 'shared'}",
        f"storage.root={tmp_path / 'published'}",
    ]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["code"] == 0, found["said"]
    assert found["spread"] == [2, 2], "four trials at once, two on each node's card"
    (folder,) = (tmp_path / "outputs").glob("kitchen_001-*")
    records = load_records(folder / "search.json")
    assert [r.status for r in records] == ["completed"] * 4
    curves = [curve(folder / "trials" / r.trial_id) for r in records]
    assert len(curves[0]) == 17 and curves.count(curves[0]) == 4, "two went on exactly where they were"
    assert found["said"].count("failed and restarts from its last checkpoint") == 2
    assert min(found["at_death"].values()) >= 1
    (shared,) = (tmp_path / "shared").iterdir()
    for record in records:
        assert (folder / str(record.checkpoint) / "checkpoint.pt").exists()
        assert (shared / record.trial_id).is_dir(), (
            "reports and checkpoints lie in the folder that all nodes see"
        )
    assert (folder / "bundle" / "policy.onnx").exists() and (folder / "report.html").exists()


def test_a_shared_folder_that_cannot_be_one_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="storage_path=gs://bucket/runs is not a folder. Mount"):
        compose(["+scene=kitchen_001", "cluster.storage_path=gs://bucket/runs"])
    with pytest.raises(ConfigError, match="grows=true is about a cluster"):
        compose(["+scene=kitchen_001", "cluster.grows=true"])
    (tmp_path / "file").touch()
    folder = ExperimentFolder(tmp_path / "exp")
    folder.path.mkdir()
    folder.document.write_text(
        "{config: {}, searchspace: {}, input_hash: x, created: '2026-01-01T00:00:00+00:00'}"
    )
    with pytest.raises(ConfigError, match=r"cluster\.storage_path=.*/file cannot be written .*every node"):
        place_trials(ClusterConfig("auto", None, storage_path=f"{tmp_path}/file"), folder)


def test_trials_elsewhere_are_found_where_they_always_are(tmp_path: Path) -> None:
    folder = ExperimentFolder(tmp_path / "exp")
    folder.path.mkdir()
    folder.document.write_text(
        "{config: {}, searchspace: {}, input_hash: x, created: '2026-01-01T00:00:00+00:00'}"
    )
    cluster = ClusterConfig("auto", None, storage_path=f"{tmp_path}/shared")
    real = place_trials(cluster, folder)
    assert real == tmp_path / "shared" / "exp-20260101000000" == place_trials(cluster, folder)
    (folder.trials / "tuner.pkl").touch()
    assert (real / "tuner.pkl").exists()
    clear_trials(folder)
    assert list(real.iterdir()) == [] and folder.trials.resolve() == real
    own = ExperimentFolder(tmp_path / "other")
    assert place_trials(ClusterConfig(None, None), own) == own.trials, "without a cluster nothing is linked"
