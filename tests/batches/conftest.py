"""Experiments as folders, without having run any."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from blueprint_tune.config.compose import to_dict
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.evaluation.statistics import wilson_interval
from blueprint_tune.tuning.records import TrialRecord, save_records, write_json

Make = Callable[..., Path]


@pytest.fixture
def experiment(tmp_path: Path, config: Callable[..., ExperimentConfig]) -> Make:
    """experiment(name, successes=None, …) -> the folder of an experiment under tmp_path / "out"."""

    def make(
        name: str,
        *overrides: str,
        successes: int | None = None,
        episodes: int = 100,
        input_hash: str = "aaaaaaaaaaaa",
        trials: tuple[str, ...] = ("completed",),
    ) -> Path:
        path = tmp_path / "out" / name
        path.mkdir(parents=True)
        document = {
            "name": name,
            "created": "2030-01-01T00:00:00+00:00",
            "input_hash": input_hash,
            "content_hash": "cccccccccccc",
            "config": to_dict(config(*overrides)),
        }
        (path / "experiment.yaml").write_text(yaml.safe_dump(document))
        write_json(path / "resources.json", {"cpus_per_trial": 2.0, "concurrent": 1, "threads": 2})
        records = [_trial(path, index, status) for index, status in enumerate(trials)]
        if successes is not None:
            save_records(path / "search.json", records)
            (path / "evaluation").mkdir()
            timings: dict[str, Any] = {"timings_s": {"benchmark": 1800.0}, "cpus": 1}
            write_json(
                path / "evaluation/outcome.json", {**timings, "episodes": episodes, "successes": successes}
            )
            result = {
                "best_trial": records[0].trial_id,
                "success_rate": successes / episodes,
                "success_interval": list(wilson_interval(successes, episodes)),
                "duration_s": 60.0,
            }
            write_json(path / "result.json", result)
        return path

    return make


def _trial(path: Path, index: int, status: str) -> TrialRecord:
    name = f"trial_{index}"
    folder = path / "trials" / name
    folder.mkdir(parents=True)
    rows = [
        {"training_iteration": i, "env_steps": 1000 * i, "time_s": 900.0 * i, "elapsed_s": 900.0 * i}
        | {"eval/success_rate": score, "timestamp": time.time()}
        for i, score in ((1, 0.2), (2, 0.1))
    ]
    (folder / "result.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return TrialRecord(
        trial_id=name,
        index=index,
        status=status,  # type: ignore[arg-type]
        sample={"agent.learning_rate": 1e-3 * (index + 1)},
        env_steps=2000,
        score=0.15,
        checkpoints=(),
        duration_s=1800.0,
        error="TrainingDiverged: NaN" if status == "failed" else None,
    )
