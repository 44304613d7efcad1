from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from blueprint_tune.config.commandline import Groups, Verdict, judge_groups, judge_values, parse

GROUPS = Groups(
    {"scene": ["kitchen_001", "manifest"], "policy": ["dish_loading", "table_clearing"], "agent": ["ppo"]},
    always=frozenset({"policy", "agent"}),
)
BASE = OmegaConf.create(
    {
        "seed": 1,
        "agent": {"learning_rate": 1e-3, "dims": [64, 64]},
        "policy": {"rewards": {"reach": {"weight": 1.0}}},
    }
)


def judge(*overrides: str) -> Verdict:
    verdict = Verdict()
    judge_values(judge_groups(parse(overrides, verdict), GROUPS, verdict), BASE, GROUPS, verdict)
    return verdict


@pytest.mark.parametrize(
    "override",
    [
        "+scene=kitchen_001",
        "policy=table_clearing",
        "agent.learning_rate=2e-3",
        "+policy.rewards.lift={weight:2}",
        "++agent.learning_rate=3",
        "~policy.rewards.reach",
        "agent.dims=[32]",
        "hydra.run.dir=/tmp",
        "agent={learning_rate:0.1}",
    ],
)
def test_good_overrides_are_kept(override: str) -> None:
    verdict = judge("+scene=manifest" if not override.startswith("+scene") else "seed=2", override)
    assert verdict.problems == []
    assert override in verdict.usable


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("policy=dish_loadin", "there is no policy 'dish_loadin'. Did you mean 'dish_loading'?"),
        ("scene=kitchen_001", "write +scene=kitchen_001"),
        ("+policy=dish_loading", "write policy=dish_loading"),
        ("~policy", "an experiment needs a file of the group 'policy'"),
        ("policy=dish_loading,table_clearing", "one experiment takes one value"),
        ("agent.learning_rte=1", "Did you mean 'agent.learning_rate'?"),
        ("agent.lr=1", "Did you mean 'agent.learning_rate'?"),
        ("learning_rate=1", "Did you mean 'agent.learning_rate'?"),
        ("polcy=dish_loading", "Did you mean 'policy'?"),
        ("policy.rewards.reach.wait=2", "Did you mean 'policy.rewards.reach.weight'?"),
        ("agent.learning_rate.x=2", "'agent.learning_rate' is a single value and has no 'x'"),
        ("+agent.learning_rate=2", "'agent.learning_rate' exists already; write agent.learning_rate=…"),
        ("~agent.gamma", "there is no such setting"),
        ("seed=1,2", "one experiment takes one value"),
        ("seed=range(1,4)", "one experiment takes one value"),
        ("seed", "cannot be read"),
        ("x[=1", "cannot be read"),
    ],
)
def test_bad_overrides_are_left_out_with_a_sentence(override: str, sentence: str) -> None:
    verdict = judge(override)
    assert verdict.usable == []
    (problem,) = verdict.problems
    assert override in problem
    assert sentence in problem


def test_every_problem_of_a_command_is_reported_in_order() -> None:
    verdict = judge("seed=2", "polcy=x", "agent=pp", "agent.dim=[1]")
    assert verdict.usable == ["seed=2"]
    assert [text.split(":")[0] for text in verdict.problems] == ["agent=pp", "polcy=x", "agent.dim=[1]"]


def test_an_override_may_use_what_an_earlier_one_added() -> None:
    added = ["+policy.rewards.lift={weight:2}", "policy.rewards.lift.weight=3", "+a.b.c=1", "a.b.c=2"]
    verdict = judge(*added)
    assert (verdict.usable, verdict.problems) == (added, [])
    gone = judge("~policy.rewards.reach", "policy.rewards.reach.weight=3")
    assert len(gone.problems) == 1


def test_values_of_a_scene_that_is_unknown_are_not_judged() -> None:
    assert judge("+scene=kitchn_001", "scene.anything=1").problems == [
        "+scene=kitchn_001: there is no scene 'kitchn_001'. Did you mean 'kitchen_001'?"
    ]


@given(st.lists(st.text(max_size=30), max_size=4))
def test_no_word_breaks_the_parser(words: list[str]) -> None:
    verdict = Verdict()
    parsed = parse(words, verdict)
    assert len(parsed) + len(verdict.problems) == len(words)
    judge_values(judge_groups(parsed, GROUPS, verdict), BASE, GROUPS, verdict)
    assert len(verdict.usable) + len(verdict.problems) <= len(words)


@given(st.sampled_from(["seed", "agent.learning_rate", "policy.rewards.reach.weight"]), st.data())
def test_a_slip_of_one_letter_is_always_traced_back(key: str, data: st.DataObject) -> None:
    start = key.rfind(".") + 1
    at = data.draw(st.integers(start, len(key) - 1))
    slipped = key[:at] + key[at + 1 :]
    (problem,) = judge(f"{slipped}=1").problems
    assert f"Did you mean '{key}'?" in problem
