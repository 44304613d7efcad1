from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from blueprint_tune.evaluation.statistics import (
    bootstrap_interval,
    difference_interval,
    paired_difference_interval,
    wilson_interval,
)

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PATIENT
@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_scipys(n: int, share: float, confidence: float) -> None:
    successes = round(share * n)
    expected = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    low, high = wilson_interval(successes, n, confidence)
    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)


@PATIENT
@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_contains_the_rate_and_stays_a_rate(n: int, share: float) -> None:
    successes = round(share * n)
    low, high = wilson_interval(successes, n)
    assert 0.0 <= low <= successes / n <= high <= 1.0
    assert low < high


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_nonsense(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes of"):
        wilson_interval(successes, n)


def test_bootstrap_of_a_normal_sample_is_about_the_textbook_interval() -> None:
    values = np.random.default_rng(1).normal(10.0, 2.0, size=400)
    half = 1.96 * values.std() / np.sqrt(len(values))
    low, high = bootstrap_interval(values)
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)


def test_bootstrap_is_the_same_each_time() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values)


def test_bootstrap_of_one_value_is_that_value() -> None:
    assert bootstrap_interval(np.array([3.0])) == (3.0, 3.0)


def test_bootstrap_needs_values() -> None:
    with pytest.raises(ValueError, match="no values"):
        bootstrap_interval(np.zeros(0))


def test_the_difference_of_two_rates_newcombe() -> None:
    # Newcombe 1998, table II, method 10: 56/70 - 48/80 and 9/10 - 3/10
    assert difference_interval(48, 80, 56, 70) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert difference_interval(3, 10, 9, 10) == pytest.approx((0.1705, 0.8090), abs=5e-5)
    low, high = difference_interval(0, 10, 0, 10)
    assert low == -high and high > 0.2


def test_the_difference_on_the_same_starts() -> None:
    low, high = paired_difference_interval(only_a=5, only_b=15, n=100)
    # d = 10 / 102, variance (21 / 102 - d²) / 102, by hand
    assert (low, high) == pytest.approx((0.098039 - 0.085976, 0.098039 + 0.085976), abs=1e-5)
    swapped = paired_difference_interval(15, 5, 100)
    assert swapped == pytest.approx((-high, -low))
    narrow, wide = paired_difference_interval(0, 0, 100), difference_interval(50, 100, 50, 100)
    assert narrow[1] < wide[1], "pairs tell more"
    with pytest.raises(ValueError, match="of 3"):
        paired_difference_interval(2, 2, 3)
