"""Counter-based random numbers: a pure function of (seed, slot, attempt, stream, column).

An episode's start must not depend on how many environments there are or what ran before, so nothing
here keeps state. The mixing function is the finaliser of SplitMix64 (Steele, Lea, Flood: Fast
Splittable Pseudorandom Number Generators, OOPSLA 2014), applied once for every counter.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_Words = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def stream_id(name: str) -> int:
    """The stream of a named quantity; adding a quantity does not change the draws of the others."""
    return zlib.crc32(name.encode())


def uniform(seeds: Ints, slots: Ints, attempts: Ints, stream: str, columns: int) -> Floats:
    """Uniform numbers in [0, 1), (k, columns), for k (seed, slot, attempt) triples."""
    with np.errstate(over="ignore"):
        words = _mix(seeds.astype(np.uint64) + np.uint64(stream_id(stream)) * _GOLDEN)
        words = _mix(words ^ _mix(slots.astype(np.uint64) + _GOLDEN))
        words = _mix(words ^ (attempts.astype(np.uint64) * _GOLDEN))
        offsets = (np.arange(columns, dtype=np.uint64) + np.uint64(1)) * _GOLDEN
        bits = _mix(words[:, None] + offsets[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(words: _Words) -> _Words:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def normal(seeds: Ints, slots: Ints, attempts: Ints, stream: str, columns: int) -> Floats:
    """Normal numbers of mean 0 and standard deviation 1, (k, columns), as :func:`uniform` draws.

    Source: G. E. P. Box, M. E. Muller, A Note on the Generation of Random Normal Deviates, 1958.
    """
    first = uniform(seeds, slots, attempts, stream, columns)
    second = uniform(seeds, slots, attempts, f"{stream}/turn", columns)
    numbers: Floats = np.sqrt(-2.0 * np.log1p(-first)) * np.cos(2.0 * np.pi * second)
    return numbers
