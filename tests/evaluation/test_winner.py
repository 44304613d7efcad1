"""Which trial wins when the best play again, and what that says about the selection."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student_t

from blueprint_tune.evaluation.statistics import paired_difference_interval
from blueprint_tune.evaluation.winner import Candidate, chosen, noise_floor, selection_document, ties


def played(name: str, successes: int, selection_rate: float | None = None, repeat: bool = False) -> Candidate:
    """A trial that succeeded on the first so many of 100 starts."""
    return Candidate(name, selection_rate, repeat, np.arange(100) < successes)


def test_the_best_of_the_second_look_wins_and_of_equals_the_selections_first() -> None:
    trials = [played("a", 80), played("b", 90), played("c", 90)]
    assert chosen(trials, 3) == 1
    assert chosen(trials, 1) == 0, "the others are there to be compared with"
    assert chosen([Candidate("a", 0.9, False, None)], 1) == 0


def test_trials_that_differ_less_than_chance_are_ties() -> None:
    trials = [played("a", 90), played("b", 88), played("c", 60)]
    assert ties(trials, 0, None) == ["b"]
    low, high = paired_difference_interval(0, 2, 100)
    assert low < 0 < high
    assert paired_difference_interval(0, 30, 100)[0] > 0


def test_a_noise_floor_makes_ties_of_what_seeds_alone_can_do() -> None:
    trials = [played("a", 90), played("b", 88), played("c", 60)]
    assert ties(trials, 0, 0.0) == ["b"], "repeats that happen to agree do not make starts certain"
    assert ties(trials, 0, 0.31) == ["b", "c"]


def test_the_noise_floor_by_hand() -> None:
    repeats = [played(str(k), rate, repeat=True) for k, rate in enumerate((70, 80, 90))]
    found = noise_floor([*repeats, played("other", 10)])
    assert found is not None
    assert found["repeats"] == 3
    assert found["std"] == pytest.approx(0.1)
    quantile = student_t.ppf(0.975, 2)
    assert found["minimum_detectable_difference"] == pytest.approx(quantile * 0.1 * math.sqrt(2))
    assert noise_floor(repeats[:2]) is None, "two say nothing about a spread"


def test_the_floor_is_exceeded_by_chance_once_in_twenty() -> None:
    generator, exceeded, tried = np.random.default_rng(0), 0, 2000
    for _ in range(tried):
        rates = generator.normal(0.7, 0.05, 6)
        std = rates[:4].std(ddof=1)
        exceeded += abs(rates[4] - rates[5]) > student_t.ppf(0.975, 3) * std * math.sqrt(2)
    assert exceeded / tried == pytest.approx(0.05, abs=0.02)


def test_the_gap_is_what_the_flattered_figure_loses() -> None:
    trials = [played("a", 80, 0.95), played("b", 90, 0.93)]
    document = selection_document(trials, 1, [7], benchmark_rate=0.88)
    assert document["winners_curse_gap"] == pytest.approx(0.15)
    assert document["seeds"] == [7] and document["episodes"] == 100
    assert [row["reevaluated_rate"] for row in document["top"]] == [0.8, 0.9]
    low, high = document["top"][0]["interval"]
    assert low < 0.8 < high
    assert document["ties"] == []


def test_one_trial_is_held_against_the_benchmark() -> None:
    document = selection_document([Candidate("a", 0.95, True, None)], 0, [7], benchmark_rate=0.9)
    assert document["winners_curse_gap"] == pytest.approx(0.05)
    assert document["top"] == [
        {"trial_id": "a", "selection_rate": 0.95, "reevaluated_rate": None, "interval": None}
    ]
    assert document["seeds"] == [] and document["episodes"] == 0 and document["ties"] == []


def test_a_sweep_by_something_else_than_success_has_no_gap() -> None:
    document = selection_document([Candidate("a", None, True, None)], 0, [], benchmark_rate=0.9)
    assert document["winners_curse_gap"] is None
