"""The published JSON documents of one evaluation, field names as upstream has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from blueprint_tune.evaluation.comparison import comparison
from blueprint_tune.evaluation.sim2real import Indicator, indicators
from blueprint_tune.evaluation.statistics import bootstrap_interval, wilson_interval

if TYPE_CHECKING:  # it needs torch, which whoever handles documents may not want
    from blueprint_tune.evaluation.benchmark import BenchmarkResult
    from blueprint_tune.evaluation.robustness import Perturbed

BENCHMARK_VERSION = "1.0.0"
_STRAIN = {
    "max_joint_acceleration": "max_acceleration",
    "joint_acceleration_p99": "acceleration_p99",
    "contact_force_variance": "grip_variance",
    "gripper_force_consistency": "grip_consistency",
}
"""Of an episode: what documents call it -> the field of ``sim2real.Strain``."""


@dataclass(frozen=True)
class EvaluationId:
    """What was evaluated.

    Attributes:
        eval_id, job_id: ids usable as folder names. scene_id, policy_id, robot_type: as in the config.
        policy_checkpoint: file name of the checkpoint. timestamp: ISO 8601 in UTC.
        task_digest: of what decides starts and success, ``identity.task_digest``.
    """

    eval_id: str
    job_id: str
    scene_id: str
    policy_id: str
    robot_type: str
    policy_checkpoint: str
    timestamp: str
    task_digest: str | None = None


@dataclass(frozen=True)
class Beside:
    """What stands beside the benchmark itself, where it was measured.

    Attributes:
        baselines: name -> what it did from the same starts. robustness: rows of perturbations.
        selection: how the policy was chosen, as the document has it. incumbent: ``eval_results.json`` of the
            policy that was promoted last.
    """

    baselines: Mapping[str, BenchmarkResult] = field(default_factory=dict)
    robustness: Sequence[Perturbed] = ()
    selection: Mapping[str, Any] | None = None
    incumbent: Mapping[str, Any] | None = None


def evaluation_documents(
    identity: EvaluationId, result: BenchmarkResult, beside: Beside
) -> dict[str, dict[str, Any]]:
    """File name -> document: ``eval_config.json``, ``eval_results.json``, ``benchmark_report.json``."""
    return {
        "eval_config.json": _eval_config(identity, result),
        "eval_results.json": _eval_results(identity, result, beside.baselines),
        "benchmark_report.json": benchmark_report(identity, result, beside),
    }


def write_documents(folder: Path, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Write each document as indented JSON; NaN is refused (``null`` says that nothing was measured)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")


def benchmark_report(identity: EvaluationId, result: BenchmarkResult, beside: Beside) -> dict[str, Any]:
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
        "task_specific_metrics": _task_metrics(result),
        "sim2real_indicators": {i.name: i.value for i in _indicators(result)},
        "sim2real_verdict": {i.name: _verdict(i) for i in _indicators(result)},
        "robustness": [_perturbed(row) for row in beside.robustness],
        "selection": None if beside.selection is None else dict(beside.selection),
        "comparison_to_baseline": comparison(result, beside.baselines, beside.incumbent),
    }


def _task_metrics(result: BenchmarkResult) -> dict[str, float]:
    """Means over episodes under upstream's two spellings: its section 6.3 says ``x``, 11.3 ``x_mean``."""
    means = {name: float(values.mean()) for name, values in result.metrics.items()}
    return means | {f"{name}_mean": value for name, value in means.items()}


def _perturbed(row: Perturbed) -> dict[str, Any]:
    return {
        "perturbation": row.perturbation,
        "value": row.value,
        "unit": row.unit,
        "success_rate": row.successes / row.episodes,
        "success_rate_95ci": list(wilson_interval(row.successes, row.episodes)),
        "episodes": row.episodes,
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
    return {
        **_identity(identity),
        **_evaluation_config(result),
        "control_dt_s": result.control_dt_s,
        "task_digest": identity.task_digest,
    }


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
            **_strain_of(result, k),
            "metrics": {name: float(values[k]) for name, values in result.metrics.items()},
        }
        for k in range(result.num_episodes)
    ]


def _strain_of(result: BenchmarkResult, k: int) -> dict[str, float | None]:
    found = result.strain
    return {
        name: None if found is None else _number(getattr(found, field)[k]) for name, field in _STRAIN.items()
    }


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
    return indicators(result.action_change, result.action_jerk, result.strain)


def _verdict(indicator: Indicator) -> dict[str, Any]:
    return {
        "measure": indicator.measure,
        "value": indicator.measured,
        "target": indicator.target,
        "target_is": "above" if indicator.above else "below",
        "passed": indicator.passed,
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _moment(values: NDArray[np.float64], which: str) -> float | None:
    measured = values[~np.isnan(values)]
    if len(measured) == 0:
        return None
    return float(measured.mean() if which == "mean" else measured.std())
