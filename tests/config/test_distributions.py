from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprint_tune.config.distributions import _ARGUMENTS, distribution_problems, representative_values


@pytest.mark.parametrize("name", sorted(_ARGUMENTS))
def test_ray_has_each_distribution_with_these_arguments(name: str) -> None:
    from ray import tune

    required, optional = _ARGUMENTS[name]
    parameters = inspect.signature(getattr(tune, name)).parameters
    assert {*required, *optional} == set(parameters)
    assert required == tuple(
        key for key, value in parameters.items() if value.default is inspect.Parameter.empty
    )


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (3, "needs a distribution"),
        ({"lower": 1}, "needs a distribution"),
        ({"_target_": "os.system"}, "names 'os.system', which is outside ray.tune"),
        ({"_target_": "ray.tune.lguniform", "lower": 1, "upper": 2}, "Did you mean 'loguniform'?"),
        ({"_target_": "ray.tune.sample_from", "func": "x"}, "does not exist"),
        ({"_target_": "ray.tune.uniform", "low": 0, "upper": 1}, "Did you mean 'lower'?"),
        ({"_target_": "ray.tune.uniform"}, "lacks lower and upper"),
        ({"_target_": "ray.tune.uniform", "lower": 2, "upper": 1}, "needs lower below upper, not 2 and 1"),
        ({"_target_": "ray.tune.uniform", "lower": "1", "upper": 2}, "lower=1 is none"),
        ({"_target_": "ray.tune.loguniform", "lower": 0, "upper": 1}, "above 0 on a logarithmic scale"),
        ({"_target_": "ray.tune.quniform", "lower": 0, "upper": 1, "q": 0}, "needs q above 0"),
        ({"_target_": "ray.tune.randint", "lower": 0.5, "upper": 2}, "needs whole numbers"),
        ({"_target_": "ray.tune.choice", "categories": []}, "needs a list of values in categories"),
        ({"_target_": "ray.tune.grid_search", "values": 3}, "needs a list of values in values"),
    ],
)
def test_a_wrong_distribution_gets_a_sentence(entry: Any, sentence: str) -> None:
    assert any(sentence in problem for problem in distribution_problems(entry))


@pytest.mark.parametrize(
    ("entry", "values"),
    [
        ({"_target_": "ray.tune.choice", "categories": [1, [2, 3]]}, [1, [2, 3]]),
        ({"_target_": "ray.tune.grid_search", "values": ["a"]}, ["a"]),
        ({"_target_": "ray.tune.randint", "lower": 3, "upper": 6}, [3, 4, 5]),
        ({"_target_": "ray.tune.qrandint", "lower": 8, "upper": 24, "q": 8}, [8, 16, 24]),
        ({"_target_": "ray.tune.randint", "lower": 0, "upper": 1000}, [0, 999]),
        ({"_target_": "ray.tune.uniform", "lower": 0.0, "upper": 1.0}, [0.0, 1.0, 0.37]),
        ({"_target_": "ray.tune.quniform", "lower": 0, "upper": 10, "q": 2}, [0, 10, 4]),
        ({"_target_": "ray.tune.randn", "mean": 3.0}, [3.0]),
    ],
)
def test_representative_values_are_drawable(entry: dict[str, Any], values: list[Any]) -> None:
    assert list(distribution_problems(entry)) == []
    assert representative_values(entry) == values


_values = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.integers())
)


@given(
    st.sampled_from(sorted(_ARGUMENTS)),
    st.dictionaries(
        st.sampled_from(["lower", "upper", "q", "base", "mean", "sd", "categories", "values", "x"]), _values
    ),
)
def test_entries_are_refused_or_have_values(name: str, arguments: dict[str, Any]) -> None:
    entry = {"_target_": f"ray.tune.{name}", **arguments}
    if not list(distribution_problems(entry)):
        assert len(representative_values(entry)) > 0
