"""What is written down about trials, and which of them is the best."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import ray

from blueprint_tune.config.compose import compose
from blueprint_tune.errors import TrainingDiverged
from blueprint_tune.reporting.sinks.base import TrialRun
from blueprint_tune.reporting.sinks.sinks import Sinks
from blueprint_tune.tuning.callbacks import Recorder
from blueprint_tune.tuning.records import (
    TrialRecord,
    best_report,
    best_trial,
    elapsed_s,
    load_records,
    ranking,
    read_reports,
    reason,
    save_records,
    scores_at,
    smoothed,
    winner,
)

METRIC = "eval/success_rate"
CFG = compose(["+scene=kitchen_001", "preset=smoke"])


def report(recorder: Recorder, iteration: int, value: float, trial_id: str = "t0", **more: Any) -> None:
    result = {
        **more,
        "env_steps": 100 * iteration,
        "updates": iteration,
        METRIC: value,
        "loss/policy": float("nan"),
        "training_iteration": iteration,
        "time_total_s": 1.5 * iteration,
        "config": {"agent.learning_rate": 1},
        "pid": 4,
        "done": False,
    }
    recorder.on_trial_result(0, [], tune_trial(trial_id), result)


def tune_trial(trial_id: str = "t0") -> SimpleNamespace:
    return SimpleNamespace(
        trial_id=trial_id, config={"agent.learning_rate": np.float64(0.1)}, experiment_tag="0_x"
    )


def test_reports_are_on_disk_at_once_and_hold_only_our_metrics(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, tensorboard=False)
    report(recorder, 1, 0.5)
    line = json.loads((tmp_path / "t0/result.json").read_text())
    assert line["env_steps"] == 100 and line[METRIC] == 0.5 and line["time_s"] == 1.5
    assert line["loss/policy"] is None, "what is not finite is null"
    assert not {"config", "pid", "done"} & set(line)


def test_going_back_to_a_checkpoint_replaces_what_is_trained_again(tmp_path: Path) -> None:
    first = Recorder(tmp_path, tensorboard=False)
    for iteration in (1, 2, 3, 4):
        report(first, iteration, 0.1 * iteration)
    with (tmp_path / "t0/result.json").open("a") as file:
        file.write('{"env_steps": 500, "training_it')  # killed while writing
    after_resume = Recorder(tmp_path, tensorboard=False, elapsed_s=60.0)
    report(after_resume, 3, 0.9)
    rows = read_reports(tmp_path / "t0")
    assert [(row["training_iteration"], row[METRIC]) for row in rows] == [(1, 0.1), (2, 0.2), (3, 0.9)]
    assert elapsed_s(tmp_path) >= 60


def test_a_report_told_again_is_written_only_where_it_is_missing(tmp_path: Path) -> None:
    first = Recorder(tmp_path, tensorboard=False)
    for iteration in (1, 2):
        report(first, iteration, 0.1 * iteration)
    file = tmp_path / "t0/result.json"
    written = file.read_bytes()
    report(Recorder(tmp_path, tensorboard=False), 2, 0.2, told_again=True)
    assert file.read_bytes() == written, "the times of the trial are not those of the resume"
    report(Recorder(tmp_path, tensorboard=False), 3, 0.3, told_again=True)
    assert [row["training_iteration"] for row in read_reports(tmp_path / "t0")] == [1, 2, 3]


def test_events_for_tensorboard_are_written_and_closed(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, tensorboard=True)
    report(recorder, 1, 0.5)
    recorder.on_trial_complete(0, [], SimpleNamespace(trial_id="t0"))
    events = list((tmp_path / "t0").glob("events.out.tfevents.*"))
    assert len(events) == 1 and events[0].stat().st_size > 100


class Told(Sinks):
    """Keeps what the recorder tells, in place of trackers."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def report(self, trial: TrialRun, env_steps: int, metrics: Mapping[str, float]) -> None:
        self.calls.append((trial, env_steps, dict(metrics)))

    def end(self, trial: TrialRun) -> None:
        self.calls.append((trial,))


def test_sinks_are_told_every_report_and_the_end_of_a_trial(tmp_path: Path) -> None:
    sinks = Told()
    recorder = Recorder(tmp_path, tensorboard=False, sinks=sinks)
    report(recorder, 1, 0.5)
    recorder.on_trial_error(0, [tune_trial()], tune_trial())
    run = TrialRun("t0", 0, {"agent.learning_rate": 0.1})
    assert sinks.calls == [(run, 100, {METRIC: 0.5}), (run,)], "what is not finite is not told"
    assert pickle.loads(pickle.dumps(recorder))._sinks is None, "Ray pickles callbacks, connections stay here"


def test_an_experiment_that_never_reported_has_taken_no_time(tmp_path: Path) -> None:
    assert elapsed_s(tmp_path) == 0.0
    assert read_reports(tmp_path / "none") == ()


def rows(*values: float | None) -> list[dict[str, Any]]:
    return [{METRIC: v, "training_iteration": i + 1} for i, v in enumerate(values) if v is not None]


def test_smoothing_averages_neighbours() -> None:
    assert smoothed([0.0, 0.3, 0.6]) == pytest.approx([0.15, 0.3, 0.45])
    assert smoothed([0.7]) == [0.7] and smoothed([]) == []


def test_one_lucky_report_does_not_win() -> None:
    lucky_then_good = rows(0.1, 1.0, 0.1, 0.8, 0.8, 0.8)
    assert best_report(lucky_then_good, METRIC, "max", range(1, 7)) == (6, pytest.approx(0.8))


def test_among_equals_the_last_counts_and_only_reports_with_a_checkpoint() -> None:
    assert best_report(rows(1.0, 1.0, 1.0), METRIC, "max", [1, 2]) == (2, 1.0)
    assert best_report(rows(0.2, 0.4), METRIC, "min", [1, 2]) == (2, pytest.approx(0.3))
    assert best_report(rows(1.0), METRIC, "max", []) is None
    assert best_report([], METRIC, "max", [1]) is None


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    record = TrialRecord("a_0", 0, "completed", {"k": [1, 2]}, 10, 0.5, ((3, "trials/a_0/c1"),), 1.0, None)
    failed = TrialRecord("a_1", 1, "failed", {}, 0, None, (), 0.0, "why")
    save_records(tmp_path / "r.json", [record, failed])
    assert load_records(tmp_path / "r.json") == (record, failed)
    assert record.checkpoint == "trials/a_0/c1" and record.updates == 3
    assert failed.checkpoint is None
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_a_reason_is_the_sentence_that_was_raised_in_the_worker() -> None:
    inner = TrainingDiverged("observation 'x' became NaN")
    wrapped = ray.exceptions.RayTaskError("step", "Traceback (most recent call last): …", inner)
    assert reason(wrapped.as_instanceof_cause()) == "observation 'x' became NaN"
    assert reason(ZeroDivisionError("division by zero")) == "ZeroDivisionError: division by zero"
    assert "process died" in reason(ray.exceptions.ActorDiedError())
    no_import = (
        "The actor died because of an error raised in its creation task, x\n  trace\nImportError: no\n"
    )
    assert reason(RuntimeError(no_import)) == "ImportError: no"
    assert reason("Failure # 1\nTraceback\nValueError: no\n") == "ValueError: no"
    assert reason(None) == reason("") == "no reason was recorded"


def scored(index: int, success: float, smoothness: float) -> TrialRecord:
    scores = {METRIC: success, "eval/action_smoothness": smoothness}
    kept = ((1, "trials/x/checkpoint_0"),)
    return TrialRecord(f"t{index}", index, "completed", {}, 100, success, kept, 1.0, None, scores)


@pytest.mark.parametrize(("tie_within", "best"), [(0.0, 1), (0.03, 2), (0.5, 0)])
def test_of_several_metrics_the_next_decides_among_equals(tie_within: float, best: int) -> None:
    records = [scored(0, 0.5, 0.99), scored(1, 0.92, 0.7), scored(2, 0.9, 0.8), scored(3, 0.91, 0.75)]
    metrics = (METRIC, "eval/action_smoothness")
    assert best_trial(records, ("max", "max"), metrics, tie_within).index == best
    assert best_trial(records, "max").index == 1
    assert best_trial(records, ("min", "max"), metrics).index == 0


def test_scores_are_those_of_the_report_smoothed() -> None:
    reports = [{"training_iteration": k, METRIC: float(k), "b": None if k == 2 else 1.0} for k in (1, 2, 3)]
    assert scores_at(reports, (METRIC, "b"), 2) == {METRIC: 2.0}
    assert scores_at(reports, (METRIC, "b"), 3) == {METRIC: 2.5, "b": 1.0}


def trial(index: int, score: float | None, **changes: Any) -> TrialRecord:
    checkpoints = () if score is None else ((1, "c"),)
    record = TrialRecord(f"t{index}", index, "completed", {}, 10, score, checkpoints, 1.0, None)
    return replace(record, scores={} if score is None else {METRIC: score}, **changes)


def test_trials_are_ranked_by_the_metric_and_then_by_number() -> None:
    trials = [trial(0, 0.5), trial(1, None), trial(2, 0.9), trial(3, 0.9), trial(4, 0.95, not_comparable="x")]
    assert [r.index for r in ranking(CFG, trials)] == [2, 3, 0]


def test_who_was_best_when_the_best_played_again_wins(tmp_path: Path) -> None:
    trials = [trial(0, 0.7), trial(1, 0.9, reevaluated=0.6), trial(2, 0.8, reevaluated=0.75)]
    assert winner(CFG, trials).index == 2
    assert winner(CFG, [replace(r, reevaluated=None) for r in trials]).index == 1
    assert winner(CFG, [replace(r, reevaluated=r.reevaluated and 0.0) for r in trials]).index == 1
    save_records(tmp_path / "search.json", trials)
    assert load_records(tmp_path / "search.json") == tuple(trials)
