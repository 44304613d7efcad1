from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from blueprint_tune.config.evaluation_schema import GatesConfig
from blueprint_tune.evaluation.statistics import paired_difference_interval
from blueprint_tune.registry.evaluations import Evaluation, by_seed, differences, from_seeds
from blueprint_tune.registry.judging import better_baseline, check_gates, compare, judge

GATES = GatesConfig(min_success_rate=0.5, min_smoothness=0.9, max_jerk=0.2)
STARTS = [(seed, slot) for seed in (1, 2, 3, 4, 5) for slot in range(20)]
ROWS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=120)


def played(successes: int, last: bool = False) -> dict[tuple[int, int], bool]:
    won = set(STARTS[::-1][:successes] if last else STARTS[:successes])
    return {start: start in won for start in STARTS}


def evaluation(successes: int = 80, smoothness: float | None = 0.95, jerk: float | None = 0.1) -> Evaluation:
    return Evaluation(
        "e", "j", played(successes), {}, smoothness, jerk, "1.0.0", "0", {"scene.digest": "d"}, "t"
    )


def pair(both: int, candidate: int, other: int, n: int = 100) -> tuple[dict, dict]:
    """Successes of a candidate and another on n starts, of which so many are won by both or by one alone."""
    a = {s: i < both + candidate for i, s in enumerate(STARTS[:n])}
    b = {s: i < both or both + candidate <= i < both + candidate + other for i, s in enumerate(STARTS[:n])}
    return a, b


@pytest.mark.parametrize(
    ("only_candidate", "only_other", "better"),
    [
        (0, 0, False),  # no start that tells them apart: a tie
        (4, 0, False),  # d = 4/102, half = 1.96 sqrt((5/102 - d²) / 102) = 0.0421 > 0.0392
        (5, 0, True),  # d = 5/102 = 0.0490, half = 1.96 sqrt((6/102 - d²) / 102) = 0.0461
        (15, 6, False),  # d = 9/102 = 0.0882, half = 1.96 sqrt((22/102 - d²) / 102) = 0.0885
        (16, 6, True),  # d = 10/102 = 0.0980, half = 1.96 sqrt((23/102 - d²) / 102) = 0.0902
        (0, 100, False),
        (100, 0, True),
    ],
)
def test_better_means_beyond_chance(only_candidate: int, only_other: int, better: bool) -> None:
    both = min(50, 100 - only_candidate - only_other)
    found = compare(*pair(both, only_candidate, only_other), "it")
    assert (found.only_candidate, found.only_other) == (only_candidate, only_other)
    assert found.successes == both + only_candidate and found.other_successes == both + only_other
    assert found.better is better
    if not better and found.enough is not None:
        assert found.enough > only_candidate


def test_what_is_enough() -> None:
    assert compare(*pair(50, 0, 0), "it").enough == 5
    assert compare(*pair(50, 15, 6), "it").enough == 16
    assert compare(*pair(96, 0, 0), "it").enough is None, "only 4 starts are left to win"
    assert compare(*pair(0, 0, 100), "it").enough is None


@given(ROWS)
def test_a_comparison_is_fair(rows: list[tuple[bool, bool]]) -> None:
    a = {(1, k): one for k, (one, _) in enumerate(rows)}
    b = {(1, k): other for k, (_, other) in enumerate(rows)}
    forth, back = compare(a, b, "b"), compare(b, a, "a")
    assert forth.difference == -back.difference
    assert forth.interval == pytest.approx((-back.interval[1], -back.interval[0]))
    assert not (forth.better and back.better)
    assert forth.difference == pytest.approx((sum(a.values()) - sum(b.values())) / len(rows))
    assert not compare(a, a, "itself").better
    if forth.better:
        assert forth.enough is not None and forth.enough <= forth.only_candidate


def test_an_equal_policy_is_promoted_by_chance_less_than_three_times_in_a_hundred() -> None:
    """Exactly, over all shares of starts that tell two equally good policies apart, for 100 starts."""
    n = 100
    chance = [
        sum(
            binom.pmf(k, differing, 0.5)
            for k in range(differing + 1)
            if paired_difference_interval(differing - k, k, n)[0] > 0
        )
        for differing in range(n + 1)
    ]
    worst = max(float(binom.pmf(np.arange(n + 1), n, share) @ chance) for share in np.linspace(0, 1, 51))
    assert 0.02 < worst < 0.03


def test_other_starts_are_no_comparison() -> None:
    with pytest.raises(ValueError, match="starts"):
        compare(played(3), {(9, 0): True}, "it")


def test_gates_hold_at_their_limits_and_nothing_unmeasured_passes() -> None:
    at_limits = check_gates(GATES, evaluation(50, smoothness=0.9, jerk=0.2))
    assert [(g.name, g.passed) for g in at_limits] == [
        ("min_success_rate", True),
        ("min_smoothness", True),
        ("max_jerk", True),
    ]
    assert [g.passed for g in check_gates(GATES, evaluation(49, 0.8999, 0.2001))] == [False] * 3
    unmeasured = check_gates(GATES, evaluation(smoothness=None, jerk=None))
    assert [(g.found, g.passed) for g in unmeasured[1:]] == [(None, False)] * 2
    assert check_gates(GatesConfig(), evaluation(0)) == ()


def test_a_verdict_says_why() -> None:
    good = compare(played(80), played(60), "old")
    verdict = judge(evaluation(), GATES, good)
    assert verdict.promoted
    assert verdict.reasons == (
        "better than old: +0.20 (+0.12 to +0.28) on the same 100 starts",
        "all gates hold",
    )
    shaky = judge(evaluation(smoothness=0.5), GATES, good)
    assert not shaky.promoted and shaky.reasons[1:] == ("min_smoothness is 0.5, at least 0.9 is wanted",)
    tie = judge(evaluation(), GATES, compare(played(80), played(79), "old"))
    assert not tie.promoted and tie.reasons[0].startswith("no better than old beyond chance")
    worse = judge(evaluation(), GATES, compare(played(60), played(80), "old"))
    assert not worse.promoted and worse.reasons[0].startswith("worse than old")


def test_a_reason_overrules_and_is_kept() -> None:
    tie = compare(played(80), played(79), "old")
    forced = judge(evaluation(smoothness=0.5), GATES, tie, force="the old one hits the door")
    assert forced.promoted and forced.reasons[0] == "forced: the old one hits the door"
    blind = judge(evaluation(), GATES, None, ["scene.digest: a and b"], force="new scene")
    assert blind.promoted and "scene.digest: a and b" in blind.reasons[1]
    assert not judge(evaluation(), GATES, None).promoted


def test_the_better_baseline_is_the_one_to_beat() -> None:
    assert better_baseline({}) is None
    found = better_baseline({"zero": played(3), "random": played(7)})
    assert found is not None and found[0] == "random actions" and sum(found[1].values()) == 7


def test_what_two_evaluations_were_asked() -> None:
    a = evaluation()
    assert differences(a, evaluation(20)) == []
    moved = Evaluation(
        "e", "j", {(7, 0): True, (7, 1): False}, {}, None, None, "2.0.0", "1",
        {"scene.digest": "e", "policy.success.distance_m": 0.02}, "t",
    )  # fmt: skip
    assert differences(a, moved) == [
        "benchmark_version: 1.0.0 and 2.0.0",
        "scene.digest: d and e",
        "policy.success.distance_m: (none) and 0.02",
        "starts: 20 of each of the seeds 1, 2, 3, 4, 5 and 2 of each of the seeds 7",
    ]


@given(st.dictionaries(st.integers(-5, 5), st.lists(st.booleans(), min_size=1, max_size=9), min_size=1))
def test_what_was_compared_is_kept_whole(rows: dict[int, list[bool]]) -> None:
    success = {(seed, slot): won for seed, slots in rows.items() for slot, won in enumerate(slots)}
    assert from_seeds(by_seed(success)) == success
