from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from blueprint_tune.evaluation.gates import Limit, limits

ASKED = {"min_success_rate": 0.5, "min_smoothness": 0.9, "max_jerk": 0.2}
UNIT = st.floats(0, 1, allow_subnormal=False)


def test_a_limit_itself_is_enough_and_what_was_not_measured_is_undecided() -> None:
    assert [limit.holds for limit in limits(ASKED, 0.5, 0.9, 0.2)] == [True] * 3
    assert [limit.holds for limit in limits(ASKED, 0.4999, 0.8999, 0.2001)] == [False] * 3
    unmeasured = limits(ASKED, 0.5, None, None)[1:]
    assert [(limit.holds, limit.measured(3)) for limit in unmeasured] == [(None, None)] * 2


def test_what_is_null_asks_nothing() -> None:
    assert limits(dict.fromkeys(ASKED), 0.0, None, None) == limits({}, 0.0, None, None) == []
    (jerk,) = limits({**dict.fromkeys(ASKED), "max_jerk": 0.2}, 0.0, None, 0.3)
    assert jerk == Limit("max_jerk", "mean action jerk", 0.2, 0.3, False)
    assert (jerk.asked(), jerk.measured(3)) == ("at most 0.2", "0.300")


@given(
    st.integers(0, 1000).map(lambda n: n / 1000), UNIT, st.booleans(), st.sampled_from([(0, 100.0), (3, 1.0)])
)
@example(0.5, 149 / 300, True, (0, 100.0))
@example(0.29, 0.29, True, (0, 100.0))
@example(0.5, 0.5 - 2**-54, True, (3, 1.0))
@example(0.2, 0.2000001, False, (3, 1.0))
def test_the_text_says_what_the_verdict_says(
    limit: float, found: float, above: bool, form: tuple[int, float]
) -> None:
    judged = Limit("key", "name", limit, found, above)
    measured, asked = float(str(judged.measured(*form))), float(judged.asked(form[1]).rpartition(" ")[2])
    assert (measured >= asked if above else measured <= asked) is judged.holds
