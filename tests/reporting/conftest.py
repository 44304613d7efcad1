"""A small report: three trials of four reports each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from blueprint_tune.reporting.curves import TrialCurves
from blueprint_tune.reporting.population import Copy, Front
from blueprint_tune.reporting.report import ReportData


def rows(*success: float) -> tuple[dict[str, float], ...]:
    return tuple(
        {
            "env_steps": 1000.0 * k,
            "updates": float(k),
            "timestamp": 1.8e9 + k,
            "eval/success_rate": s,
            "train/return": 10.0 * s,
            "reward/reach": 0.5 * s,
            "reward_weighted/reach": 1.0 * s,
            "reward/touch": 0.25,
            "reward_weighted/touch": -0.5,
            "loss/value": 0.1,
            "agent/learning_rate": 1e-3 / k,
        }
        for k, s in enumerate(success, 1)
    )


@pytest.fixture(scope="package")
def trials() -> tuple[TrialCurves, ...]:
    return (
        TrialCurves("a_0", "completed", {}, rows(0.0, 0.2, 0.5, 0.6)),
        TrialCurves(
            "a_1", "stopped", {"agent.learning_rate": 0.00312345, "agent.rollouts": 24}, rows(0.0, 0.1)
        ),
        TrialCurves(
            "a_2",
            "completed",
            {"agent.learning_rate": 0.002, "agent.rollouts": 16},
            rows(0.1, 0.6, 0.95, 0.9),
        ),
        TrialCurves(
            "a_3",
            "failed",
            {"agent.learning_rate": 1.0, "agent.rollouts": 16},
            (),
            failures=("restarted at 0 env steps: out of memory", "gave up at 0 env steps: its process died"),
            not_comparable="not comparable: half the environments",
        ),
    )


@pytest.fixture
def benchmark_document() -> dict[str, Any]:
    return _benchmark()


def _benchmark() -> dict[str, Any]:
    def rate(value: float, low: float, high: float) -> dict[str, Any]:
        return {"success_rate": value, "success_rate_95ci": [low, high], "mean_reward": 1.0}

    indicators = {"action_smoothness": 0.95, "mean_action_jerk": 0.08, "contact_force_variance": None}
    return {
        "evaluation_config": {"num_episodes": 100, "fixed_seeds": [42, 123]},
        "summary": {"successes": 92, "mean_episode_length": 80.0, **rate(0.92, 0.85, 0.959)},
        "results": {
            "success_rate": 0.92,
            "mean_reward": 85.3,
            "mean_episode_length": 161.2,
            "completion_time_mean": None,
        },
        "task_specific_metrics": {},
        "per_seed_results": [
            {
                "seed": seed,
                "episodes": 50,
                "success_rate": 0.92,
                "mean_reward": 85.3,
                "mean_episode_length": 161.2,
                "completion_time_mean": 4.128,
            }
            for seed in (42, 123)
        ],
        "sim2real_indicators": indicators,
        "sim2real_verdict": {
            "action_smoothness": {"target": 0.9, "target_is": "above", "passed": True},
            "mean_action_jerk": {"target": 0.02, "target_is": "below", "passed": False},
            "contact_force_variance": {"target": 10.0, "target_is": "below", "passed": None},
        },
        "comparison_to_baseline": {
            "baselines": {"zero": rate(0.0, 0.0, 0.037), "random": rate(0.01, 0.002, 0.055)}
        },
    }


def evaluated_further(benchmark: dict[str, Any]) -> dict[str, Any]:
    """The document of an evaluation that also measured robustness, selection and forces."""

    def row(perturbation: str, value: float | None, unit: str, rate: float) -> dict[str, Any]:
        where = {"perturbation": perturbation, "value": value, "unit": unit}
        return {
            **where,
            "success_rate": rate,
            "success_rate_95ci": [rate - 0.05, rate + 0.04],
            "episodes": 100,
        }

    forces = {"max_joint_acceleration": 73.2, "contact_force_std_n": 4.2, "contact_force_variance": 17.64}
    verdicts = {
        "max_joint_acceleration": {
            "measure": "max_joint_acceleration",
            "value": 73.2,
            "target": 50.0,
            "target_is": "below",
            "passed": False,
        },
        "contact_force_variance": {
            "measure": "contact_force_std_n",
            "value": 4.2,
            "target": 10.0,
            "target_is": "below",
            "passed": True,
        },
    }
    return {
        **benchmark,
        "robustness": [
            row("none", None, "", 0.92),
            row("friction", 0.5, "×", 0.8),
            row("action_delay", 1, "env steps", 0.4),
        ],
        "selection": {
            "episodes": 256,
            "top": [
                {
                    "trial_id": "a_2",
                    "selection_rate": 0.95,
                    "reevaluated_rate": 0.9,
                    "interval": [0.86, 0.93],
                },
                {"trial_id": "a_0", "selection_rate": 0.6, "reevaluated_rate": None, "interval": None},
            ],
            "winners_curse_gap": 0.05,
            "noise_floor": {"repeats": 5, "std": 0.012, "minimum_detectable_difference": 0.034},
            "ties": ["a_0"],
        },
        "task_specific_metrics": {"dishes_placed": 1.25, "dishes_placed_mean": 1.25, "collision_count": None},
        "sim2real_indicators": {**benchmark["sim2real_indicators"], **forces},
        "sim2real_verdict": {**benchmark["sim2real_verdict"], **verdicts},
        "comparison_to_baseline": {
            **benchmark["comparison_to_baseline"],
            "last_promoted": {
                "policy_name": "reach-champion",
                "success_rate": 0.9,
                "success_rate_95ci": [0.83, 0.94],
                "improvement_points": 0.02,
                "difference_95ci": [-0.03, 0.07],
                "paired_episodes": 100,
            },
        },
    }


GATES = {"min_success_rate": 0.5, "min_smoothness": None, "max_jerk": 0.05}


@pytest.fixture(scope="package")
def full_report(report: ReportData) -> ReportData:
    """Everything a report can show."""
    return replace(
        report,
        benchmark=evaluated_further(_benchmark()),
        video_gif=b"GIF89a not really",
        copies=(Copy(1, 0, 1000.0, {"agent.learning_rate": (0.001, 0.0012)}),),
        front=Front(
            ("eval/success_rate", "eval/action_smoothness"), ("max", "max"), {0: (0.6, 0.9), 2: (0.9, 0.8)}, 2
        ),
        config={**report.config, "evaluation": {**report.config["evaluation"], "gates": GATES}},
        provenance={**report.provenance, "git_dirty": True},
    )


@pytest.fixture(scope="package")
def report(trials: tuple[TrialCurves, ...]) -> ReportData:
    return ReportData(
        experiment="kitchen_001-reach-asha-0123",
        scene_id="kitchen_001",
        policy_id="reach",
        robot="franka",
        backend="mujoco",
        created_at="2026-01-08T14:00:00+00:00",
        benchmark=_benchmark(),
        policy={
            "training_info": {"total_iterations": 3, "total_timesteps": 3000},
            "control_hz": 31.25,
            "onnx": {
                "max_abs_difference": 3.6e-7,
                "file": "policy.onnx",
                "inputs": ["observations", "joint_positions", "previous_targets"],
                "outputs": ["actions", "joint_targets"],
            },
            "observation_order": ["joint_pos", "target_rel"],
            "observation_space": {"joint_pos": 9, "target_rel": 3, "total_dim": 12},
            "action_space": {"names": ["panda_joint1", "gripper"], "control_mode": "joint_position_delta"},
            "joint_targets": {"kind": "joint_position_delta", "scale_rad": 0.1, "gripper": "binary"},
            "controller": None,
            "input_hash": "0123456789ab",
            "content_hash": "ba9876543210",
        },
        trials=trials,
        best_trial="a_2",
        notes=("Object 'bowl' has no mass; 0.35 kg assumed.", "<script>alert('x')</script> & co"),
        config={
            "sweep": {"default_settings_first": False},
            "evaluation": {"onnx_tolerance": 1e-4, "selection": {"episodes": 64}},
            "agent": {"learning_rate": 0.002, "hidden": [256, 128]},
            "name": None,
        },
        changes={"agent.learning_rate": (0.001, 0.002)},
        provenance={"libraries": {"torch": "2.13.0"}, "git_dirty": False},
        command="python -m blueprint_tune +scene=kitchen_001 sweep=asha",
        timings_s={"training": 461.2, "benchmark": 14.2},
        picture_png=b"\x89PNG not really",
    )
