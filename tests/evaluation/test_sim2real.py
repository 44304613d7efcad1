from __future__ import annotations

import numpy as np
import pytest

from blueprint_tune.evaluation.sim2real import Indicator, indicators


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
