"""Counter-based random numbers: even, independent, and functions of nothing but their counters."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from blueprint_tune.envs.random import normal, stream_id, uniform

COUNT = 20_000


def draws(
    seed: int = 1, first: int = 0, attempt: int = 0, stream: str = "s", columns: int = 3, count: int = COUNT
) -> NDArray[np.float64]:
    slots = first + np.arange(count)
    return uniform(np.full(count, seed), slots, np.full(count, attempt), stream, columns)


def assert_unrelated(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    """Correlation within five standard errors of none, and no number in common."""
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(len(a))
    assert len(np.intersect1d(a, b)) == 0


def test_numbers_are_uniform() -> None:
    values = draws()
    assert values.min() >= 0.0 and values.max() < 1.0
    for column in values.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    bits = (values[:, :1] * 2.0 ** np.arange(1, 21)).astype(np.int64) % 2
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(COUNT), "every bit is even"


def test_normal_numbers_are_normal_and_unrelated() -> None:
    slots = np.arange(COUNT)
    values = normal(np.full(COUNT, 1), slots, np.zeros(COUNT, dtype=np.int64), "s", 2)
    for column in values.T:
        assert stats.kstest(column, "norm").pvalue > 1e-4
    assert_unrelated(values[:, 0], values[:, 1])
    few = normal(np.full(3, 1), slots[7:10], np.zeros(3, dtype=np.int64), "s", 2)
    np.testing.assert_array_equal(few, values[7:10])


def test_two_dimensions_are_filled_evenly() -> None:
    values = (draws(columns=2) * 16).astype(int)
    counts = np.bincount(values[:, 0] * 16 + values[:, 1], minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize(
    "other",
    [
        draws(stream="t"),
        draws(seed=2),
        draws(attempt=1),
        draws(first=COUNT),
        draws(seed=0, first=1),
        draws(columns=4)[:, 1:],
    ],
    ids=["stream", "seed", "attempt", "slot", "seed against slot", "column"],
)
def test_counters_give_independent_numbers(other: NDArray[np.float64]) -> None:
    assert_unrelated(draws()[:, 0], other[:, 0])


def test_columns_are_independent() -> None:
    values = draws()
    assert_unrelated(values[:, 0], values[:, 1])
    assert abs(np.corrcoef(values[:-1, 0], values[1:, 0])[0, 1]) < 5 / np.sqrt(COUNT), (
        "nor neighbouring slots"
    )


def test_seeds_that_differ_by_a_stream_do_not_collide() -> None:
    step = (stream_id("t") - stream_id("s")) * 0x9E3779B97F4A7C15 % 2**64
    seed = np.array([step], dtype=np.uint64).astype(np.int64)[0]
    assert_unrelated(draws(seed=0, stream="t")[:, 0], draws(seed=int(seed) + 1, stream="s")[:, 0])


def test_a_number_depends_on_nothing_else() -> None:
    """Not on the batch, its order, or how many columns are drawn."""
    values = draws(columns=3, count=50)
    order = np.random.default_rng(0).permutation(50)[:7]
    one = np.full(7, 1)
    np.testing.assert_array_equal(uniform(one, order, np.zeros(7, dtype=np.int64), "s", 3), values[order])
    np.testing.assert_array_equal(draws(columns=1, count=50)[:, 0], values[:, 0])
    np.testing.assert_array_equal(draws(columns=8, count=50)[:, :3], values)


def test_the_numbers_are_these() -> None:
    """Starts of published evaluations must not change with a new version."""
    found = uniform(np.array([42, 123]), np.array([0, 19]), np.array([0, 0]), "command/goal", 2)
    np.testing.assert_array_equal(found, EXPECTED)


def test_negative_and_huge_seeds_work() -> None:
    seeds = np.array([-1, 2**62, 0], dtype=np.int64)
    found = uniform(seeds, np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64), "s", 1)
    assert len(np.unique(found)) == 3


EXPECTED = np.array([[0.9078535143911388, 0.47388821061578934], [0.4248147132150464, 0.04303607651615249]])
