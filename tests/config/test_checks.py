from __future__ import annotations

import re
from typing import Any

import pytest

from blueprint_tune.config.checks import cross_checks
from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.suggest import lookup
from blueprint_tune.config.validate import examine, to_dict
from blueprint_tune.errors import ConfigError


def broken(config: ExperimentConfig, changes: dict[str, Any]) -> list[str]:
    tree = to_dict(config)
    for key, value in changes.items():
        *parents, last = key.split(".")
        lookup(tree, parents)[last] = value
    return examine(tree)[1]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (
            {"agent.mini_batches": 7},
            ["agent.mini_batches=7 does not divide", "16 * 32 = 512", "agent.mini_batches=8"],
        ),
        (
            {"agent.learning_rate": 0.5},
            ["agent.learning_rate=0.5 lies outside", "agent.max_learning_rate=0.01"],
        ),
        (
            {"budget.report_env_steps": 5000},
            ["budget.report_env_steps=5000 is more than budget.env_steps=4096"],
        ),
        (
            {"budget.env_steps": 500, "budget.report_env_steps": 500, "sweep.scheduler": None},
            ["budget.env_steps=500 is less than one update", "512 env steps"],
        ),
        ({"robot.home_rad": [0.0]}, ["robot.home_rad has 1 angles for 7 joints"]),
        (
            {"robot.grippers.parallel.closed_m": 0.05},
            ["robot.grippers.parallel.closed_m=0.05 is not below robot.grippers.parallel.open_m=0.04"],
        ),
        (
            {"physics.randomization.friction_scale_range": [1.2, 0.8]},
            ["physics.randomization.friction_scale_range=[1.2, 0.8]", "the smaller first"],
        ),
        ({"physics.randomization.dt_jitter_range_s": [-0.1, 0.1]}, ["dt_jitter_range_s=[-0.1, 0.1]"]),
        ({"policy.episode_s": 0.01}, ["policy.episode_s=0.01 is shorter than one env step", "0.048 s"]),
        ({"evaluation.seeds": [1, 1]}, ["evaluation.seeds=[1, 1] names a seed twice"]),
        ({"evaluation.selection.seed": 42}, ["evaluation.selection.seed=42 is one of evaluation.seeds"]),
        ({"evaluation.reevaluation.seed": 123}, ["evaluation.reevaluation.seed=123 is also a seed of"]),
        ({"evaluation.reevaluation.seed": 90001}, ["evaluation.reevaluation.seed=90001 is also a seed of"]),
        (
            {
                "evaluation.noise_floor": 3,
                "sweep.scheduler": None,
                "evaluation.reevaluation": "off",
            },
            ["evaluation.noise_floor=3", "leave evaluation.reevaluation on"],
        ),
        (
            {
                "evaluation.noise_floor": 3,
                "sweep.scheduler": None,
                "sweep.default_settings_first": False,
            },
            ["evaluation.noise_floor=3", "sweep.default_settings_first=true"],
        ),
        (
            {"evaluation.noise_floor": 3},
            ["evaluation.noise_floor=3", "sweep=asha stops", "varies less than seeds do", "sweep=random"],
        ),
        (
            {
                "evaluation.noise_floor": 3,
                "sweep.scheduler": None,
                "sweep.metric": "eval/action_smoothness",
            },
            ["is about success", "sweep.metric=eval/success_rate"],
        ),
    ],
)
def test_a_broken_rule_is_told_with_both_values_and_a_way_out(
    config: ExperimentConfig, changes: dict[str, Any], parts: list[str]
) -> None:
    (sentence,) = broken(config, changes)
    for part in parts:
        assert part in sentence


def test_good_settings_break_no_rule(config: ExperimentConfig) -> None:
    assert cross_checks(config) == []


def test_learning_rate_bounds_matter_only_to_the_schedule_that_has_them(config: ExperimentConfig) -> None:
    assert broken(config, {"agent.learning_rate": 0.5, "agent.learning_rate_schedule": "constant"}) == []


def test_one_trial_may_be_a_sample(config: ExperimentConfig) -> None:
    assert broken(config, {"sweep.num_samples": 1, "sweep.default_settings_first": False}) == []


def test_several_broken_rules_come_together(config: ExperimentConfig) -> None:
    assert (
        len(broken(config, {"agent.mini_batches": 7, "evaluation.selection.seed": 42, "robot.home_rad": [0]}))
        == 3
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["storage=gcs", "storage.root=published"],
            "storage.root=published is not what storage.kind=gcs needs",
        ),
        (["storage=s3", "storage.root=gs://b/p"], "needs: s3://bucket/prefix"),
        (["storage.kind=local", "storage.root=s3://b/p"], "needs: a folder"),
        (["storage.root=ftp://host/x"], "Give a folder, gs://bucket/prefix or s3://bucket/prefix"),
        (["storage=gcs"], "storage.root has no value yet"),
        (["storage.endpoint=localhost:9000"], "localhost:9000 must begin with http:// or https://"),
    ],
)
def test_a_root_that_is_not_what_the_storage_file_says(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        compose(["+scene=kitchen_001", *words])


@pytest.mark.parametrize("root", ["published", "gs://bucket/prefix", "s3://bucket"])
def test_a_root_alone_says_where(root: str) -> None:
    assert compose(["+scene=kitchen_001", f"storage.root={root}"]).storage.root == root
