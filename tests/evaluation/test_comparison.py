"""How a policy stands beside the one that was promoted last."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from blueprint_tune.evaluation.benchmark import BenchmarkResult, run_benchmark
from blueprint_tune.evaluation.comparison import comparison, last_promoted
from blueprint_tune.evaluation.statistics import difference_interval, paired_difference_interval


@pytest.fixture
def result(line_env: Any) -> BenchmarkResult:
    """Ten episodes on one seed, all of which succeed."""
    return run_benchmark(line_env(4), lambda o: (-10.0 * o[:, :1]).clamp(-1.0, 1.0), [42], 10)


def incumbent(seed: int, *successes: bool) -> dict[str, Any]:
    rows = [{"seed": seed, "slot": slot, "success": s} for slot, s in enumerate(successes)]
    return {"job_id": "old", "episodes": rows}


def test_the_same_starts_are_compared_in_pairs(result: BenchmarkResult) -> None:
    found = last_promoted(result, incumbent(42, *[True] * 6, *[False] * 2))
    assert found["paired_episodes"] == 8
    assert found["success_rate"] == 0.75
    assert found["improvement_points"] == pytest.approx(0.25)
    assert found["difference_95ci"] == pytest.approx(paired_difference_interval(0, 2, 8))
    assert found["policy_name"] == "old"


def test_other_starts_are_compared_as_independent_samples(result: BenchmarkResult) -> None:
    found = last_promoted(result, incumbent(7, True, False))
    assert found["paired_episodes"] == 0
    assert found["improvement_points"] == pytest.approx(0.5)
    assert found["difference_95ci"] == pytest.approx(difference_interval(1, 2, 10, 10))


def test_seeds_that_may_be_other_starts_are_not_paired(result: BenchmarkResult) -> None:
    found = last_promoted(result, incumbent(42, True, False) | {"same_starts": False})
    assert found["paired_episodes"] == 0
    assert found["difference_95ci"] == pytest.approx(difference_interval(1, 2, 10, 10))


def test_a_worse_policy_shows(result: BenchmarkResult) -> None:
    failed = BenchmarkResult(**{**vars(result), "success": np.zeros(10, dtype=bool)})
    found = comparison(failed, {}, incumbent(42, *[True] * 10))["last_promoted"]
    assert found["improvement_points"] == -1.0
    assert found["difference_95ci"][1] < 0
    assert comparison(failed, {}, None)["last_promoted"] is None
