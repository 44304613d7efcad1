from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.suggest import leaves, lookup
from blueprint_tune.config.validate import apply_overrides, examine, to_config, to_dict
from blueprint_tune.errors import ConfigError


def changed(config: ExperimentConfig, key: str, value: Any) -> dict[str, Any]:
    tree = to_dict(config)
    *parents, last = key.split(".")
    lookup(tree, parents)[last] = value
    return tree


def problem(tree: dict[str, Any]) -> str:
    _, (only,) = examine(tree)
    return only


def test_plain_and_typed_are_the_same(config: ExperimentConfig) -> None:
    tree = to_dict(config)
    assert to_config(json.loads(json.dumps(tree))) == config
    assert to_dict(to_config(tree)) == tree


def test_to_dict_shares_nothing_with_the_configuration(config: ExperimentConfig) -> None:
    to_dict(config)["evaluation"]["seeds"].append(7)
    assert 7 not in config.evaluation.seeds


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("agent.learning_rate", -1, "agent.learning_rate=-1 should be greater than 0."),
        ("agent.learning_rate", float("nan"), "agent.learning_rate=nan should be a finite number."),
        ("policy.episode_s", float("inf"), "policy.episode_s=inf should be a finite number."),
        ("physics.dt_s", 3, "physics.dt_s=3 should be less than or equal to 0.05."),
        (
            "agent.rollouts",
            16.5,
            "agent.rollouts=16.5 should be a valid integer, got a number with a fractional part.",
        ),
        ("backend.num_threads", "many", "backend.num_threads=many should be a valid integer or 'auto'."),
        ("scene.up_axis", "x", "scene.up_axis=x should be 'auto', 'y' or 'z'."),
        ("force", None, "force=null should be a valid boolean."),
        (
            "robot.grippers.parallel.open_m",
            "wide",
            "robot.grippers.parallel.open_m=wide should be a valid number.",
        ),
    ],
)
def test_a_wrong_value_is_told_with_its_rule(
    config: ExperimentConfig, key: str, value: Any, sentence: str
) -> None:
    assert problem(changed(config, key, value)) == sentence


def test_unknown_keys_name_their_neighbour_at_any_depth(config: ExperimentConfig) -> None:
    for key, meant in [
        ("storge", "storage"),
        ("agent.rollout", "rollouts"),
        ("robot.grippers.parallel.finger", "fingers"),
        ("policy.roles.target.knd", "kind"),
        ("physics.randomization.friction_scale", "friction_scale_range"),
    ]:
        assert problem(changed(config, key, 1)) == f"{key}: there is no such setting. Did you mean '{meant}'?"


def test_missing_keys_are_all_named(config: ExperimentConfig) -> None:
    tree = to_dict(config)
    del tree["agent"]["gae_lambda"], tree["budget"], tree["policy"]["roles"]["target"]["kind"]
    assert examine(tree)[1] == [
        "policy.roles.target.kind is missing; give it a value.",
        "agent.gae_lambda is missing; give it a value.",
        "budget is missing; give it a value.",
    ]


def test_nothing_is_said_below_ignored_keys(config: ExperimentConfig) -> None:
    tree = changed(config, "scene.up_axis", "x")
    assert examine(tree, ignore=["scene"]) == (None, [])


def test_problems_begin_with_their_origin(config: ExperimentConfig) -> None:
    _, problems = examine(changed(config, "seed", "x"), origin=lambda path: f"conf/{path[0]}.yaml: ")
    assert problems == ["conf/seed.yaml: seed=x should be a valid integer."]


def test_apply_overrides_changes_only_what_is_named(config: ExperimentConfig) -> None:
    new = apply_overrides(config, {"agent.learning_rate": 2e-3, "agent.policy_hidden_dims": [32], "seed": 9})
    assert (new.agent.learning_rate, new.agent.policy_hidden_dims, new.seed) == (2e-3, [32], 9)
    assert config.seed == 1
    assert (
        apply_overrides(
            new, {key: lookup(to_dict(config), key.split(".")) for key in leaves(to_dict(config))}
        )
        == config
    )


def test_apply_overrides_reaches_into_terms_and_lists(config: ExperimentConfig) -> None:
    name = next(iter(config.policy.rewards))
    new = apply_overrides(config, {f"policy.rewards.{name}.weight": 7.0, "evaluation.seeds.0": 5})
    assert new.policy.rewards[name]["weight"] == 7.0
    assert new.evaluation.seeds[0] == 5


def test_apply_overrides_takes_what_samplers_return(config: ExperimentConfig) -> None:
    new = apply_overrides(
        config, {"agent.learning_rate": np.float64(1e-3), "agent.mini_batches": np.int64(8)}
    )
    assert type(new.agent.learning_rate) is float
    assert type(new.agent.mini_batches) is int


def test_apply_overrides_refuses_unknown_keys_and_bad_values(config: ExperimentConfig) -> None:
    with pytest.raises(ConfigError, match=r"agent\.learning_rat: .*Did you mean 'agent\.learning_rate'"):
        apply_overrides(config, {"agent.learning_rat": 1})
    with pytest.raises(ConfigError, match=r"agent\.mini_batches=7 does not divide"):
        apply_overrides(config, {"agent.mini_batches": 7})


@given(
    key=st.sampled_from(
        ["agent", "backend.num_envs", "policy.roles", "evaluation.seeds", "robot.grippers", "sweep.scheduler"]
    ),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
)
def test_whatever_stands_in_a_file_is_typed_or_told(config: ExperimentConfig, key: str, value: Any) -> None:
    typed, problems = examine(changed(config, key, value))
    assert (typed is None) == bool(problems)
    assert all(isinstance(text, str) and text.endswith((".", "?")) for text in problems)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("seed", "x", "evaluation.reevaluation.seed=x should be a valid integer."),
        ("trials", 0, "evaluation.reevaluation.trials=0 should be greater than"),
        ("trails", 2, "evaluation.reevaluation.trails: there is no such setting. Did you mean 'trials'"),
    ],
)
def test_a_mistake_within_a_group_that_could_be_off_is_told_by_its_name(
    config: ExperimentConfig, key: str, value: Any, says: str
) -> None:
    tree = to_dict(config)
    tree["evaluation"]["reevaluation"][key] = value
    with pytest.raises(ConfigError) as caught:
        to_config(tree)
    assert str(caught.value).startswith(says) and "off" not in str(caught.value)


@pytest.mark.parametrize("weight", [float("inf"), float("-inf"), float("nan")])
def test_a_weight_is_finite(config, weight):
    name = next(iter(config.policy.rewards))
    key = f"policy.rewards.{name}.weight"
    _, problems = examine(changed(config, key, weight))
    assert problems == [f"{key}={weight} should be a finite number."]
