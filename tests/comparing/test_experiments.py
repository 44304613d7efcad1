from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from blueprint_tune import cli
from blueprint_tune.comparing.experiments import compare_experiments
from blueprint_tune.comparing.results_text import as_json, as_text
from blueprint_tune.config.compose import compose
from blueprint_tune.config.searchspace import load_searchspace
from blueprint_tune.tuning.folder import ExperimentFolder, anchored, describe, open_folder
from blueprint_tune.tuning.records import TrialRecord, save_records, write_json

BASE = ["+scene=kitchen_001", "policy=dexterous_pick_place", "preset=smoke", "sweep=random"]


def experiment(root: Path, successes: int, *overrides: str, learning_rate: float = 1e-3) -> ExperimentFolder:
    """A finished experiment as a run leaves it, with 100 episodes of which the first ones succeeded."""
    words = [*BASE, f"output_dir={root}", *overrides]
    cfg = anchored(compose(words))
    space = load_searchspace(cfg.searchspace, cfg)
    folder, _ = open_folder(cfg, describe(cfg, space, "digest", words))
    folder.evaluation.mkdir()
    episodes = [{"seed": k // 20, "slot": k % 20, "success": k < successes} for k in range(100)]
    write_json(folder.evaluation / "eval_results.json", {"episodes": episodes})
    sample = {"agent.learning_rate": learning_rate}
    record = TrialRecord("a_0", 0, "completed", sample, 4096, 0.5, (), 60.0, None)
    save_records(
        folder.records, [record, replace(record, trial_id="a_1", index=1, status="failed", env_steps=0)]
    )
    write_json(folder.result, {"best_trial": "a_0", "duration_s": 90.0})
    return folder


def test_settings_results_and_what_the_difference_is_worth(tmp_path: Path) -> None:
    a = experiment(tmp_path, 60)
    b = experiment(tmp_path, 90, "agent.gae_lambda=0.9", "agent=ppo", learning_rate=2e-3)
    found = compare_experiments(a, b)
    settings = {change.key: (change.before, change.after, *where) for change, *where in found.settings}
    assert settings["agent.gae_lambda"] == (0.95, 0.9, "conf/agent/ppo_cpu.yaml", "command line")
    assert settings["agent.discount_factor"] == (0.97, 0.99, "conf/agent/ppo_cpu.yaml", "conf/agent/ppo.yaml")
    assert not any(key.startswith(("name", "output_dir", "storage")) for key in settings)
    assert [(c.key, c.before, c.after) for c in found.best] == [("agent.learning_rate", 1e-3, 2e-3)]
    assert found.verdict is not None and found.verdict.paired and found.verdict.beyond_noise
    assert found.verdict.difference == pytest.approx(0.3)
    text = as_text(found)
    assert "0.600 (0.502 to 0.691, 100 episodes)" in text and "2, 1 failed" in text
    assert "B succeeds more often than chance explains" in text
    assert json.loads(json.dumps(as_json(found)))["verdict"]["beyond_noise"] is True


def test_other_starts_are_compared_as_independent_samples(tmp_path: Path) -> None:
    a, b = experiment(tmp_path, 60), experiment(tmp_path, 65, "policy.success.distance_m=0.05")
    verdict = compare_experiments(a, b).verdict
    assert verdict is not None and not verdict.paired and not verdict.beyond_noise
    assert verdict.interval == pytest.approx((-0.0832, 0.1807), abs=1e-3)


def test_versions_and_unfinished_experiments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = experiment(tmp_path, 60), experiment(tmp_path, 60, "seed=2")
    tree = a.tree()
    tree["provenance"]["libraries"]["torch"] = "1.0"
    a.document.write_text(yaml.safe_dump(tree))
    for file in (b.result, b.records, b.evaluation / "eval_results.json"):
        file.unlink()
    assert cli.main(["diff", a.name, str(b.path), f"output_dir={tmp_path}"]) == 0
    text = capsys.readouterr().out
    assert "torch" in text and "unfinished" in text and "(none)" in text and "B - A" not in text
    assert cli.main(["diff", a.name, b.name[:-2], f"output_dir={tmp_path}"]) == 2
    assert f"'{b.name[:-2]}' is neither an experiment" in capsys.readouterr().err
