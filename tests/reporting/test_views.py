from __future__ import annotations

from typing import Any

import pytest

from blueprint_tune.reporting import views
from blueprint_tune.reporting.curves import TrialCurves


def test_the_verdict_counts_and_compares(benchmark_document: dict[str, Any]) -> None:
    verdict = views.verdict(benchmark_document)
    assert verdict.rate == "92%"
    assert "92 of 100 episodes" in verdict.sentence
    assert "85% to 96%" in verdict.sentence
    assert verdict.good is True
    assert "zero actions 0% and random actions 1%" in verdict.comparison


def test_a_policy_within_reach_of_a_baseline_is_not_praised(benchmark_document: dict[str, Any]) -> None:
    benchmark_document["comparison_to_baseline"]["baselines"]["random"]["success_rate_95ci"] = [0.8, 0.86]
    verdict = views.verdict(benchmark_document)
    assert verdict.good is False
    assert "Not clearly better" in verdict.comparison


def test_without_baselines_there_is_no_judgement(benchmark_document: dict[str, Any]) -> None:
    benchmark_document["comparison_to_baseline"]["baselines"] = {}
    assert views.verdict(benchmark_document).good is None


def test_trials_are_ranked_and_keep_their_numbers(trials: tuple[TrialCurves, ...]) -> None:
    table = views.trial_table(trials, "a_2", 100)
    assert table.columns == ("agent.learning_rate", "agent.rollouts")
    assert [(row.number, row.best, row.last) for row in table.rows] == [
        (2, True, "90%"),
        (0, False, "60%"),
        (1, False, "10%"),
        (3, False, "–"),
    ]
    assert table.rows[0].settings == ("0.002", "16")
    assert table.rows[1].settings == ("default", "default")
    assert table.rows[2].settings == ("0.00312", "24")
    assert table.rows[0].highest == "95%"
    assert table.rows[3].share == 0.0 and table.rows[3].interval is None
    assert table.rows[0].interval == pytest.approx((0.8256, 0.9448), abs=1e-4)  # Wilson's of 90 in 100


@pytest.mark.parametrize(
    ("value", "shown"),
    [(True, "true"), (None, "null"), (0.1, "0.1"), (3, "3"), ("elu", "elu"), ([1, 2], "[1, 2]"), ({}, "{}")],
)
def test_settings_read_as_they_are_typed(value: Any, shown: str) -> None:
    assert views.setting(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.123, "0.1 s"), (45, "45 s"), (59.9, "1 min"), (440, "7 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert views.duration(seconds) == shown


def test_actions_say_what_they_do_in_every_kind_of_control() -> None:
    space = {"names": ["panda_joint1", "gripper"], "control_mode": "joint_velocity"}
    joints = {"kind": "joint_position_delta", "scale_rad": 0.1, "gripper": "binary"}
    assert views.action_rows({"joint_targets": joints, "controller": None, "action_space": space}) == [
        ("panda_joint1", "shifts the joint's target by up to 0.1 rad"),
        ("gripper", "opens above 0, closes otherwise"),
    ]
    pose = {"kind": "ee_delta", "scale_m": 0.04, "scale_rad": 0.15, "gripper": "continuous"}
    reach = {"names": ["x", "yaw", "gripper"], "control_mode": "ee_delta"}
    assert [
        row[1]
        for row in views.action_rows({"joint_targets": None, "controller": pose, "action_space": reach})
    ] == [
        "shifts the end effector's target by up to 0.04 m along x",
        "turns the end effector's target by up to 0.15 rad about z",
        "closed at -1, open at 1",
    ]
    other = views.action_rows({"joint_targets": None, "controller": None, "action_space": space})
    assert [row[1] for row in other] == ["joint_velocity", "joint_velocity"]


def test_provenance_is_laid_open() -> None:
    rows = views.provenance_rows(
        {"libraries": {"torch": "2.13.0", "hydra-core": "1.3.2"}, "git_dirty": False}
    )
    assert rows == [("torch", "2.13.0"), ("hydra-core", "1.3.2"), ("git dirty", "false")]


def test_the_config_is_grouped_and_says_what_changed() -> None:
    config = {"agent": {"lr": 0.1, "hidden": [2]}, "extra": {}, "name": None}
    general, agent = views.config_groups(config, {"agent.lr": (0.2, 0.1)})
    assert (general.name, general.rows, general.changed) == (
        "general",
        (("extra", "{}", None), ("name", "null", None)),
        0,
    )
    assert (agent.name, agent.changed) == ("agent", 1)
    assert agent.rows == (("agent.lr", "0.1", "0.2"), ("agent.hidden", "[2]", None))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.03123, "0.0312"),
        (-0.0045, "-0.0045"),
        (3e-5, "3e-05"),
        (174.2, "174"),
        (999.9, "1k"),
        (9_999, "10k"),
        (61_440, "61.4k"),
        (999_999, "1M"),
        (2_457_600, "2.46M"),
        (7.7e9, "7.7G"),
        (-1e20, "-1e+20"),
    ],
)
def test_short_numbers(value: float, shown: str) -> None:
    assert views.short(value) == shown
