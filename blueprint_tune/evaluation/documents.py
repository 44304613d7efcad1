"""The published JSON documents of one evaluation, field names as upstream has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blueprint_tune.evaluation.sim2real import Indicator, indicators
from blueprint_tune.evaluation.statistics import bootstrap_interval, wilson_interval

if TYPE_CHECKING:  # it needs torch, which whoever handles documents may not want
    from blueprint_tune.evaluation.benchmark import BenchmarkResult

BENCHMARK_VERSION = "1.0.0"


@dataclass(frozen=True)
class EvaluationId:
    """What was evaluated.

    Attributes:
        eval_id, job_id: ids usable as folder names. scene_id, policy_id, robot_type: as in the config.
        policy_checkpoint: file name of the checkpoint. timestamp: ISO 8601 in UTC.
    """

    eval_id: str
    job_id: str
    scene_id: str
    policy_id: str
    robot_type: str
    policy_checkpoint: str
    timestamp: str


def evaluation_documents(
    identity: EvaluationId, result: BenchmarkResult, baselines: Mapping[str, BenchmarkResult]
) -> dict[str, dict[str, Any]]:
    """File name -> document: ``eval_config.json``, ``eval_results.json``, ``benchmark_report.json``."""
    return {
        "eval_config.json": _eval_config(identity, result),
        "eval_results.json": _eval_results(identity, result, baselines),
        "benchmark_report.json": benchmark_report(identity, result, baselines),
    }


def write_documents(folder: Path, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Write each document as indented JSON; NaN is refused (``null`` says that nothing was measured)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")


def benchmark_report(
    identity: EvaluationId, result: BenchmarkResult, baselines: Mapping[str, BenchmarkResult]
) -> dict[str, Any]:
    """Both of upstream's shapes at once: ``results`` (its section 6.3) and ``summary`` (its section 11.3)."""
    rates = [result.success[result.seed == seed].mean() for seed in result.seeds]
    reward = float(result.returns.mean())
    length = float(result.length.mean())
    return {
        "benchmark_version": BENCHMARK_VERSION,
        **_identity(identity),
        "evaluation_config": _evaluation_config(result),
        "results": {
            "success_rate": result.success_rate,
            "success_rate_std": float(np.std(rates)),
            "mean_reward": reward,
            "reward_std": float(result.returns.std()),
            "mean_episode_length": length,
            "episode_length_std": float(result.length.std()),
            "completion_time_mean": _moment(result.completion_time_s, "mean"),
            "completion_time_std": _moment(result.completion_time_s, "std"),
        },
        "summary": {
            "successes": result.successes,
            "success_rate": result.success_rate,
            "success_rate_95ci": list(wilson_interval(result.successes, result.num_episodes)),
            "mean_reward": reward,
            "reward_95ci": list(bootstrap_interval(result.returns)),
            "mean_episode_length": length,
        },
        "per_seed_results": [_per_seed(result, seed) for seed in result.seeds],
        "task_specific_metrics": {},
        "sim2real_indicators": {i.name: i.value for i in _indicators(result)},
        "sim2real_verdict": {i.name: _verdict(i) for i in _indicators(result)},
        "comparison_to_baseline": _comparison(result, baselines),
    }


def _identity(identity: EvaluationId) -> dict[str, Any]:
    return {
        "eval_id": identity.eval_id,
        "job_id": identity.job_id,
        "scene_id": identity.scene_id,
        "policy_id": identity.policy_id,
        "robot_type": identity.robot_type,
        "policy_checkpoint": identity.policy_checkpoint,
        "timestamp": identity.timestamp,
    }


def _evaluation_config(result: BenchmarkResult) -> dict[str, Any]:
    return {
        "num_episodes": result.num_episodes,
        "episodes_per_seed": result.episodes_per_seed,
        "num_envs": result.num_envs,
        "fixed_seeds": list(result.seeds),
        "deterministic": True,
    }


def _eval_config(identity: EvaluationId, result: BenchmarkResult) -> dict[str, Any]:
    return {**_identity(identity), **_evaluation_config(result), "control_dt_s": result.control_dt_s}


def _eval_results(
    identity: EvaluationId, result: BenchmarkResult, baselines: Mapping[str, BenchmarkResult]
) -> dict[str, Any]:
    return {
        **_identity(identity),
        "wall_s": result.wall_s,
        "episodes": _episodes(result),
        "baselines": {name: _episodes(baseline) for name, baseline in baselines.items()},
    }


def _episodes(result: BenchmarkResult) -> list[dict[str, Any]]:
    return [
        {
            "seed": int(result.seed[k]),
            "slot": int(result.slot[k]),
            "success": bool(result.success[k]),
            "reward": float(result.returns[k]),
            "length": int(result.length[k]),
            "completion_time_s": _number(result.completion_time_s[k]),
            "action_change": _number(result.action_change[k]),
            "action_jerk": _number(result.action_jerk[k]),
        }
        for k in range(result.num_episodes)
    ]


def _per_seed(result: BenchmarkResult, seed: int) -> dict[str, Any]:
    rows = result.seed == seed
    return {
        "seed": seed,
        "success_rate": float(result.success[rows].mean()),
        "mean_reward": float(result.returns[rows].mean()),
        "mean_episode_length": float(result.length[rows].mean()),
        "completion_time_mean": _moment(result.completion_time_s[rows], "mean"),
        "episodes": int(rows.sum()),
    }


def _indicators(result: BenchmarkResult) -> tuple[Indicator, ...]:
    return indicators(result.action_change, result.action_jerk)


def _verdict(indicator: Indicator) -> dict[str, Any]:
    return {
        "target": indicator.target,
        "target_is": "above" if indicator.above else "below",
        "passed": indicator.passed,
    }


def _comparison(result: BenchmarkResult, baselines: Mapping[str, BenchmarkResult]) -> dict[str, Any]:
    """Upstream's two fields against the better baseline, the difference of the rates, and every baseline.

    A baseline that never succeeds, as it should, has no relative improvement over it.
    """
    rows = {
        name: {
            "success_rate": baseline.success_rate,
            "success_rate_95ci": list(wilson_interval(baseline.successes, baseline.num_episodes)),
            "mean_reward": float(baseline.returns.mean()),
        }
        for name, baseline in baselines.items()
    }
    best = max((b.success_rate for b in baselines.values()), default=None)
    points = None if best is None else result.success_rate - best
    return {
        "baseline_success_rate": best,
        "improvement": f"{100.0 * points / best:+.1f}%" if points is not None and best else None,
        "improvement_points": points,
        "baselines": rows,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _moment(values: NDArray[np.float64], which: str) -> float | None:
    measured = values[~np.isnan(values)]
    if len(measured) == 0:
        return None
    return float(measured.mean() if which == "mean" else measured.std())
