from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprint_tune.config.suggest import exists, join_problems, leaves, lookup, missing_key

TREE = {
    "seed": 1,
    "agent": {"learning_rate": 1e-3, "min_learning_rate": 1e-5, "rollouts": 16},
    "policy": {"rewards": {"reach": {"weight": 1.0}}, "seeds": [1, 2]},
    "empty": {},
}


def test_leaves_are_the_dotted_keys_of_values() -> None:
    assert list(leaves(TREE)) == [
        "seed",
        "agent.learning_rate",
        "agent.min_learning_rate",
        "agent.rollouts",
        "policy.rewards.reach.weight",
        "policy.seeds",
        "empty",
    ]


def test_lookup_goes_into_mappings_and_lists() -> None:
    assert lookup(TREE, ["policy", "seeds", "1"]) == 2
    for path in (["policy", "seeds", "2"], ["seed", "x"], ["nothing"]):
        assert not exists(TREE, path)
        with pytest.raises(KeyError):
            lookup(TREE, path)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("agent.learning_rte", "agent.learning_rate"),
        ("agent.mlr", "agent.min_learning_rate"),
        ("agnt.rollouts", "agent"),
        ("rollouts", "agent.rollouts"),
        ("rewards.reach.weight", "policy.rewards.reach.weight"),
        ("agent.weight", "policy.rewards.reach.weight"),
    ],
)
def test_the_nearest_key_is_a_neighbour_or_the_same_name_elsewhere(key: str, meant: str) -> None:
    assert missing_key(TREE, key) == f"there is no such setting. Did you mean '{meant}'?"


def test_without_a_near_one_the_neighbours_are_listed() -> None:
    assert missing_key(TREE, "agent.zzz") == (
        "there is no such setting. Available: learning_rate, min_learning_rate, rollouts."
    )
    assert "Did you mean 'robot'?" in missing_key(TREE, "robt", more=["robot"])
    assert missing_key(TREE, "seed.x.y") == "'seed' is a single value and has no 'x'."


@given(
    st.lists(
        st.sampled_from([*"abc", "agent", "seed", "policy", "seeds", "0", "7", ""]), min_size=1, max_size=4
    )
)
def test_every_absent_key_gets_a_sentence(parts: list[str]) -> None:
    if not exists(TREE, parts):
        assert missing_key(TREE, ".".join(parts)).endswith((".", "?"))


def test_one_problem_is_a_sentence_and_several_a_list() -> None:
    assert join_problems(["a.", "a."]) == "a."
    assert join_problems(["a.", "b.", "a."]) == "2 problems in the configuration:\n  - a.\n  - b."
