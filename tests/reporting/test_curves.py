from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from blueprint_tune.errors import ObjectNotFound
from blueprint_tune.reporting.curves import (
    TrialCurves,
    final_metrics,
    metrics_csv,
    read_progress,
    read_trial,
    training_curves,
    training_summary,
)
from blueprint_tune.schemas import load_schema


def write(folder: Path, *lines: object) -> Path:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    (folder / "result.json").write_text(text)
    return folder


def test_reports_are_numbers_in_order(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"env_steps": 200, "eval/success_rate": 0.5, "trial_id": "x", "config": {"a": 1}, "done": False},
        {"env_steps": 100, "eval/success_rate": None, "loss/policy": float("nan")},
    )
    assert read_progress(tmp_path) == (
        {"env_steps": 100.0},
        {"env_steps": 200.0, "eval/success_rate": 0.5},
    )


def test_a_report_after_going_back_to_a_checkpoint_replaces_the_earlier_one(tmp_path: Path) -> None:
    write(
        tmp_path, *({"env_steps": s, "v": v} for s, v in ((100, 1), (200, 2), (300, 3), (200, 22), (300, 33)))
    )
    trial = read_trial(tmp_path, "a", "completed", {"k": 1})
    assert trial.series("v")[1].tolist() == [1, 22, 33]
    assert trial.sampled == {"k": 1}


def test_an_unfinished_last_line_is_left_out(tmp_path: Path) -> None:
    assert len(read_progress(write(tmp_path, {"env_steps": 1}, '{"env_steps": 2, "ev'))) == 1


def test_a_trial_without_reports_says_so(tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFound, match=r"no result\.json"):
        read_progress(tmp_path)


def test_series_leave_out_reports_that_lack_the_metric() -> None:
    trial = TrialCurves("a", "completed", {}, ({"env_steps": 1.0, "v": 3.0}, {"env_steps": 2.0}, {"v": 9.0}))
    assert [part.tolist() for part in trial.series("v")] == [[1.0], [3.0]]
    assert trial.last("v") == 3.0
    assert trial.last("w") is None
    assert trial.best() is None


def test_metrics_under_a_prefix(trials: tuple[TrialCurves, ...]) -> None:
    assert trials[0].metrics("reward/") == ("reach", "touch")
    assert trials[0].metrics("reward_weighted/") == ("reach", "touch")
    assert trials[3].metrics("reward/") == ()


def test_training_curves_in_upstreams_names(trials: tuple[TrialCurves, ...]) -> None:
    document = training_curves("job", "kitchen_001", "reach", trials[2])
    Draft202012Validator(load_schema("training_curves")).validate(document)
    last = document["iterations"][-1]
    assert (last["iteration"], last["env_steps"]) == (4, 4000)
    assert last["timestamp"].endswith("+00:00")
    assert last["metrics"]["success_rate"] == 0.9
    assert last["metrics"]["mean_reward"] == pytest.approx(9.0)
    assert last["metrics"]["fps"] is None
    assert document["reward_components"] == {"reach": [0.1, 0.6, 0.95, 0.9], "touch": [-0.5] * 4}


def test_curves_without_timestamps_invent_none() -> None:
    trial = TrialCurves("a", "completed", {}, ({"env_steps": 5.0},))
    document = training_curves("job", "kitchen_001", "reach", trial)
    Draft202012Validator(load_schema("training_curves")).validate(document)
    assert document["iterations"][0]["timestamp"] is None


def test_final_metrics_are_the_last_values(trials: tuple[TrialCurves, ...]) -> None:
    document = final_metrics("job", trials[2])
    Draft202012Validator(load_schema("final_metrics")).validate(document)
    assert document["metrics"]["eval/success_rate"] == 0.9
    assert document["best_success_rate"] == 0.95


def test_the_summary_lists_failed_trials_too(trials: tuple[TrialCurves, ...]) -> None:
    document = training_summary("job", "kitchen_001", "reach", trials[2], trials, 12.0)
    Draft202012Validator(load_schema("training_summary")).validate(document)
    assert document["total_timesteps"] == 4000
    assert document["trials"][3] == {
        "trial_id": "a_3",
        "status": "failed",
        "sampled": {"agent.learning_rate": 1.0, "agent.rollouts": 16},
        "env_steps": None,
        "last_success_rate": None,
        "best_success_rate": None,
        "failures": list(trials[3].failures),
        "not_comparable": trials[3].not_comparable,
    }


numbers = st.floats(allow_nan=False, allow_infinity=False)
reports = st.lists(
    st.dictionaries(st.sampled_from("abc"), numbers).map(lambda d: {"env_steps": 1.0, **d}), max_size=5
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
@given(reports)
def test_csv_holds_every_number(rows: list[dict[str, float]]) -> None:
    read = list(csv.DictReader(io.StringIO(metrics_csv(TrialCurves("a", "completed", {}, tuple(rows))))))
    assert [{k: float(v) for k, v in row.items() if v} for row in read] == rows
