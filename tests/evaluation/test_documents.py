from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jsonschema import Draft202012Validator
from scipy.stats import binomtest

from blueprint_tune.evaluation.benchmark import BenchmarkResult, run_baselines, run_benchmark
from blueprint_tune.evaluation.documents import Beside, EvaluationId, evaluation_documents, write_documents
from blueprint_tune.evaluation.robustness import Perturbed
from blueprint_tune.evaluation.sim2real import Strain
from blueprint_tune.evaluation.winner import Candidate, selection_document
from blueprint_tune.schemas import SCHEMAS, load_schema

SEEDS = [42, 123]
IDENTITY = EvaluationId(
    eval_id="eval_a",
    job_id="a",
    scene_id="kitchen_001",
    policy_id="reach",
    robot_type="franka",
    policy_checkpoint="checkpoint_final.pt",
    timestamp="2026-01-08T14:00:00+00:00",
)


@pytest.fixture(scope="module")
def result() -> BenchmarkResult:
    """Six episodes, two of which failed, and one too short to measure jerk."""
    nan = math.nan
    return BenchmarkResult(
        seeds=(42, 123),
        episodes_per_seed=3,
        num_envs=4,
        control_dt_s=0.05,
        seed=np.array([42, 42, 42, 123, 123, 123]),
        slot=np.array([0, 1, 2, 0, 1, 2]),
        success=np.array([True, True, False, True, True, False]),
        returns=np.array([3.0, 5.0, 1.0, 3.0, 4.0, 2.0]),
        length=np.array([10, 20, 40, 10, 2, 40]),
        completion_time_s=np.array([0.4, 0.8, nan, 0.4, 0.1, nan]),
        action_change=np.array([0.01, 0.01, 0.03, 0.01, 0.01, 0.03]),
        action_jerk=np.array([0.02, 0.02, 0.06, 0.02, nan, 0.06]),
        observations=np.zeros((1, 2), dtype=np.float32),
        observation_std=np.zeros(2),
        metrics={"cups_placed": np.array([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])},
        strain=Strain(
            max_acceleration=np.array([10.0, 20.0, 90.0, 10.0, 10.0, 10.0]),
            acceleration_p99=np.array([9.0, 9.0, 60.0, 9.0, 9.0, 9.0]),
            all_acceleration_p99=40.0,
            grip_variance=np.array([4.0, 16.0, nan, 4.0, nan, nan]),
            grip_consistency=np.array([0.9, 0.6, nan, 0.9, nan, nan]),
        ),
        wall_s=1.5,
    )


def report(result: BenchmarkResult, **baselines: BenchmarkResult) -> dict[str, Any]:
    return evaluation_documents(IDENTITY, result, Beside(baselines))["benchmark_report.json"]


def test_results_and_summary_say_the_same(result: BenchmarkResult) -> None:
    document = report(result)
    results, summary = document["results"], document["summary"]
    assert results["success_rate"] == summary["success_rate"] == pytest.approx(4 / 6)
    assert results["mean_reward"] == summary["mean_reward"] == 3.0
    assert results["completion_time_mean"] == pytest.approx(1.7 / 4)
    assert results["success_rate_std"] == 0.0
    expected = binomtest(4, 6).proportion_ci(method="wilson")
    assert summary["success_rate_95ci"] == pytest.approx([expected.low, expected.high])
    low, high = summary["reward_95ci"]
    assert 1.0 < low < 3.0 < high < 5.0


def test_per_seed_rows(result: BenchmarkResult) -> None:
    first, second = report(result)["per_seed_results"]
    assert first["seed"] == 42
    assert first["success_rate"] == pytest.approx(2 / 3)
    assert first["mean_reward"] == 3.0
    assert second["completion_time_mean"] == pytest.approx(0.25)
    assert second["episodes"] == 3


def test_a_seed_without_success_has_no_time(result: BenchmarkResult) -> None:
    failed = BenchmarkResult(
        **{**vars(result), "success": np.zeros(6, dtype=bool), "completion_time_s": np.full(6, np.nan)}
    )
    document = report(failed)
    assert document["per_seed_results"][0]["completion_time_mean"] is None
    assert document["results"]["completion_time_mean"] is None
    assert document["results"]["completion_time_std"] is None


def test_indicators_leave_out_what_was_not_measured(result: BenchmarkResult) -> None:
    document = report(result)
    indicators = document["sim2real_indicators"]
    assert indicators["mean_action_jerk"] == pytest.approx(0.1 / 6)
    assert indicators["action_smoothness"] == pytest.approx(1 - 0.18 / 5)
    assert document["sim2real_verdict"]["mean_action_jerk"]["passed"] is True


def test_forces_are_judged_by_what_upstreams_target_means(result: BenchmarkResult) -> None:
    document = report(result)
    indicators, verdict = document["sim2real_indicators"], document["sim2real_verdict"]
    assert indicators["max_joint_acceleration"] == 90.0
    assert verdict["max_joint_acceleration"] == {
        "measure": "joint_acceleration_p99",
        "value": 40.0,
        "target": 50.0,
        "target_is": "below",
        "passed": True,
    }
    assert indicators["contact_force_variance"] == 8.0
    assert indicators["contact_force_std_n"] == verdict["contact_force_variance"]["value"] == math.sqrt(8.0)
    assert indicators["gripper_force_consistency"] == pytest.approx(0.8)
    assert verdict["gripper_force_consistency"]["passed"] is None


def test_metrics_have_both_of_upstreams_names(result: BenchmarkResult) -> None:
    assert report(result)["task_specific_metrics"] == {
        "cups_placed": pytest.approx(4 / 6),
        "cups_placed_mean": pytest.approx(4 / 6),
    }


def test_perturbations_are_listed_with_their_intervals(result: BenchmarkResult) -> None:
    beside = Beside(robustness=(Perturbed("none", None, "", 9, 10), Perturbed("friction", 0.7, "×", 5, 10)))
    rows = evaluation_documents(IDENTITY, result, beside)["benchmark_report.json"]["robustness"]
    expected = binomtest(5, 10).proportion_ci(method="wilson")
    assert rows[1] == {
        "perturbation": "friction",
        "value": 0.7,
        "unit": "×",
        "success_rate": 0.5,
        "success_rate_95ci": pytest.approx([expected.low, expected.high]),
        "episodes": 10,
    }


def test_what_was_not_measured_is_null(result: BenchmarkResult) -> None:
    plain = replace(result, strain=None, metrics={})
    documents = evaluation_documents(IDENTITY, plain, Beside())
    report = documents["benchmark_report.json"]
    assert report["sim2real_indicators"]["max_joint_acceleration"] is None
    assert report["sim2real_verdict"]["max_joint_acceleration"]["passed"] is None
    assert report["robustness"] == []
    assert report["selection"] is None
    assert documents["eval_results.json"]["episodes"][0]["max_joint_acceleration"] is None
    Draft202012Validator(load_schema("benchmark_report")).validate(report)


def test_the_better_baseline_is_compared_with(result: BenchmarkResult) -> None:
    worse = BenchmarkResult(**{**vars(result), "success": np.array([True] + [False] * 5)})
    comparison = report(
        result, zero=BenchmarkResult(**{**vars(result), "success": np.zeros(6, bool)}), random=worse
    )["comparison_to_baseline"]
    assert comparison["baseline_success_rate"] == pytest.approx(1 / 6)
    assert comparison["improvement"] == "+300.0%"
    assert comparison["improvement_points"] == pytest.approx(0.5)
    assert list(comparison["baselines"]) == ["zero", "random"]


def test_nothing_is_claimed_without_baselines(result: BenchmarkResult) -> None:
    comparison = report(result)["comparison_to_baseline"]
    assert comparison == {
        "baseline_success_rate": None,
        "improvement": None,
        "improvement_points": None,
        "baselines": {},
        "last_promoted": None,
    }


def test_baselines_that_always_fail_have_no_relative_improvement(result: BenchmarkResult) -> None:
    comparison = report(result, zero=BenchmarkResult(**{**vars(result), "success": np.zeros(6, bool)}))
    assert comparison["comparison_to_baseline"]["improvement"] is None
    assert comparison["comparison_to_baseline"]["improvement_points"] == pytest.approx(4 / 6)


def test_episodes_are_listed(result: BenchmarkResult) -> None:
    episodes = evaluation_documents(IDENTITY, result, Beside())["eval_results.json"]["episodes"]
    assert [e["slot"] for e in episodes] == [0, 1, 2, 0, 1, 2]
    assert episodes[2]["completion_time_s"] is None
    assert episodes[4]["action_jerk"] is None
    assert episodes[0] == {
        "seed": 42,
        "slot": 0,
        "success": True,
        "reward": 3.0,
        "length": 10,
        "completion_time_s": 0.4,
        "action_change": 0.01,
        "action_jerk": 0.02,
        "max_joint_acceleration": 10.0,
        "joint_acceleration_p99": 9.0,
        "contact_force_variance": 4.0,
        "gripper_force_consistency": 0.9,
        "metrics": {"cups_placed": 1.0},
    }


def test_written_files_fit_their_schemas(tmp_path: Path, line_env: Callable[[int], Any]) -> None:
    env = line_env(8)
    result = run_benchmark(env, lambda o: -torch.sign(o[:, :1]), SEEDS, 5)
    played = Candidate("a", 0.9, True, result.success)
    incumbent = evaluation_documents(IDENTITY, result, Beside())["eval_results.json"]
    beside = Beside(
        run_baselines(env, SEEDS, 5),
        (Perturbed("none", None, "", 9, 10), Perturbed("action_delay", 1.0, "env steps", 5, 10)),
        selection_document(
            [played, replace(played, trial_id="b"), replace(played, trial_id="c")], 0, [7], 0.8
        ),
        incumbent,
    )
    documents = evaluation_documents(IDENTITY, result, beside)
    write_documents(tmp_path / "evaluation", documents)
    written = sorted((tmp_path / "evaluation").iterdir())
    assert [file.name for file in written] == [
        "benchmark_report.json",
        "eval_config.json",
        "eval_results.json",
    ]
    for file in written:
        Draft202012Validator(load_schema(SCHEMAS[file.name])).validate(json.loads(file.read_text()))


def test_nan_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_documents(tmp_path, {"x.json": {"value": math.nan}})
