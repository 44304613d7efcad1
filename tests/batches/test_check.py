from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from blueprint_tune.batches.check import check
from blueprint_tune.config.axes import combinations
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.records import write_json
from blueprint_tune.tuning.resources import least_cpus


def test_what_cannot_be_bound_is_told_and_what_is_the_same_is_run_once() -> None:
    words = ["+scene=kitchen_001", "policy=drawer_manipulation,laundry_sorting", "seed=1,1", "preset=smoke"]
    checked = check(combinations(words, everything=True))
    assert [entry.cfg.policy.name for entry in checked.entries] == ["drawer_manipulation"]
    assert [double.axes["policy"] for double in checked.doubles] == ["drawer_manipulation"]
    assert [refused.axes["policy"] for refused in checked.refused] == ["laundry_sorting"] * 2
    assert all(refused.named and "needs a role" in refused.reason for refused in checked.refused)
    item = checked.entries[0].item(Path(checked.entries[0].cfg.output_dir) / "batches/mine")
    assert item.path == f"../../{item.name}" and item.place["policy"] == "drawer_manipulation"


def test_an_interrupted_experiment_waits_for_the_cpus_it_had(
    config: Callable[..., ExperimentConfig], tmp_path: Path
) -> None:
    cfg, folder = config(), ExperimentFolder(tmp_path)
    assert least_cpus(cfg, folder) == 1
    assert least_cpus(config("sweep.resources.cpus=2.5"), folder) == 3
    assert least_cpus(config("sweep.resources={ranks: 2, cpus: 2}"), folder) == 4
    write_json(tmp_path / "resources.json", {"cpus_per_trial": 2.0, "concurrent": 2, "threads": 2})
    folder.trials.mkdir()
    (folder.trials / "tuner.pkl").touch()
    (folder.trials / "experiment_state-1.json").touch()
    assert least_cpus(cfg, folder) == 4
    write_json(folder.records, [])
    assert least_cpus(cfg, folder) == 1, "its search is over"
