"""Intervals for what a benchmark measures."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a success rate, without continuity correction.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22 (1927) 209-212. With z the normal quantile of
    (1 + confidence) / 2 and p = successes / n it is
    ``(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)``: never outside [0, 1] and not of
    zero width at 0 or n successes, where the usual normal interval fails.

    Raises ValueError when ``n`` < 1 or ``successes`` is not in [0, n].
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    z = NormalDist().inv_cdf((1.0 + confidence) / 2.0)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At the ends the formula gives 0 and 1 up to rounding; say so exactly.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def bootstrap_interval(
    values: NDArray[np.float64], confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of ``values``, (E,); the same for the same seed.

    Raises ValueError when there are no values.
    """
    if len(values) == 0:
        raise ValueError("no values")
    generator = np.random.default_rng(seed)
    picks = generator.integers(0, len(values), size=(resamples, len(values)))
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(values[picks].mean(axis=1), [tail, 1.0 - tail])
    return float(low), float(high)


def difference_interval(
    successes_a: int, n_a: int, successes_b: int, n_b: int, confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of rate b minus rate a of two independent samples: Wilson's intervals combined.

    R. G. Newcombe, "Interval estimation for the difference between independent proportions", Statistics in
    Medicine 17 (1998) 873-890, method 10: with Wilson's bounds l and u of each rate p the bounds are
    ``d - sqrt((p_b - l_b)² + (u_a - p_a)²)`` and ``d + sqrt((u_b - p_b)² + (p_a - l_a)²)``.

    Raises ValueError where :func:`wilson_interval` does.
    """
    low_a, high_a = wilson_interval(successes_a, n_a, confidence)
    low_b, high_b = wilson_interval(successes_b, n_b, confidence)
    a, b = successes_a / n_a, successes_b / n_b
    return b - a - math.hypot(b - low_b, high_a - a), b - a + math.hypot(high_b - b, a - low_a)


def paired_difference_interval(
    only_a: int, only_b: int, n: int, confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of rate b minus rate a on the same n starts, of which ``only_a`` succeeded with a alone.

    A. Agresti and Y. Min, "Simple, improved confidence intervals for comparing matched proportions",
    Statistics in Medicine 24 (2005) 729-740: half an observation is added to each of the four cells; then
    with d = (only_b - only_a) / n the bounds are ``d ± z sqrt((only_a + only_b) / n - d²) / sqrt(n)``.

    Raises ValueError when the counts do not fit ``n``.
    """
    if n < 1 or min(only_a, only_b) < 0 or only_a + only_b > n:
        raise ValueError(f"{only_a} and {only_b} of {n}")
    z = NormalDist().inv_cdf((1.0 + confidence) / 2.0)
    total, differing = n + 2.0, only_a + only_b + 1.0
    d = (only_b - only_a) / total
    half = z * math.sqrt((differing / total - d * d) / total)
    return max(-1.0, d - half), min(1.0, d + half)
