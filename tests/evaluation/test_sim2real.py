from __future__ import annotations

import numpy as np
import pytest

from blueprint_tune.envs.probe import Measured
from blueprint_tune.evaluation.sim2real import Indicator, indicators, strain


def test_targets_are_upstreams() -> None:
    smooth = {i.name: i for i in indicators(np.array([0.01, np.nan]), np.array([0.02, 0.04]))}
    assert smooth["action_smoothness"].value == pytest.approx(0.97)
    assert smooth["action_smoothness"].passed is True
    assert smooth["mean_action_jerk"].value == pytest.approx(0.01)
    assert smooth["mean_action_jerk"].passed is True
    assert indicators(np.array([0.3]), np.array([0.5]))[0].passed is False
    assert indicators(np.array([0.3]), np.array([0.5]))[1].passed is False


def test_what_is_not_measured_is_none() -> None:
    for indicator in indicators(np.array([np.nan]), np.array([np.nan])):
        assert indicator.value is None
        assert indicator.passed is None


def test_without_a_target_there_is_no_verdict() -> None:
    assert Indicator("grip", 0.9, None, True, "grip", 0.9).passed is None


def episode(acceleration: list[list[float]], grip_n: list[float]) -> Measured:
    return Measured(np.array(acceleration, dtype=np.float32), np.array(grip_n, dtype=np.float32), {})


def test_strain_by_hand() -> None:
    found = strain([episode([[1, 3], [2, 60]], [8, 12]), episode([[0, 1]], [5])])
    assert found.max_acceleration.tolist() == [60, 1]
    assert found.all_acceleration_p99 == pytest.approx(np.quantile([0, 1, 1, 2, 3, 60], 0.99))
    assert found.acceleration_p99[1] == pytest.approx(0.99)
    assert found.grip_variance[0] == 4 and found.grip_consistency[0] == pytest.approx(1 - 2 / 10)
    assert np.isnan(found.grip_variance[1]), "one moment of holding has no spread"


def test_one_knock_raises_the_largest_acceleration_but_not_the_verdict() -> None:
    smooth = np.full((1000, 7), 5.0)
    smooth[3, 2] = 400.0
    found = {
        i.name: i
        for i in indicators(np.array([0.0]), np.array([0.0]), strain([episode(smooth.tolist(), [])]))
    }
    assert found["max_joint_acceleration"].value == 400.0
    assert found["max_joint_acceleration"].measured == found["joint_acceleration_p99"].value == 5.0
    assert found["max_joint_acceleration"].passed is True
    assert found["contact_force_variance"].value is None and found["contact_force_std_n"].passed is None


def test_a_task_without_turning_joints_or_grip_has_no_strain() -> None:
    empty = Measured(np.zeros((5, 0), dtype=np.float32), np.zeros(0, dtype=np.float32), {})
    names = ("max_joint_acceleration", "joint_acceleration_p99", "gripper_force_consistency")
    found = {i.name: i.value for i in indicators(np.array([0.0]), np.array([0.0]), strain([empty]))}
    assert [found[name] for name in names] == [None, None, None]
