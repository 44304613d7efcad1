from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from blueprint_tune.envs.action_trace import ActionTrace


def trace(actions: NDArray[np.float64]) -> tuple[float, float]:
    """Means of one episode of (T, A) actions."""
    taken = ActionTrace(1, actions.shape[1])
    for action in actions.astype(np.float32):
        taken.add(action[None], np.array([0]))
    change, jerk = taken.means()
    return float(change[0]), float(jerk[0])


def test_differences_are_numpys() -> None:
    actions = np.random.default_rng(0).uniform(-1, 1, size=(30, 4))
    change, jerk = trace(actions)
    assert change == pytest.approx(np.abs(np.diff(actions, axis=0)).mean(), rel=1e-6)
    assert jerk == pytest.approx(np.abs(np.diff(actions, n=2, axis=0)).mean() / 4, rel=1e-6)


def test_extremes() -> None:
    assert trace(np.ones((10, 2))) == (0.0, 0.0)
    assert trace(np.linspace(-1, 1, 11)[:, None]) == (pytest.approx(0.2), pytest.approx(0.0, abs=1e-7))
    assert trace((-1.0) ** np.arange(10)[:, None]) == (2.0, 1.0)


def test_short_episodes_measure_nothing() -> None:
    assert np.isnan(trace(np.ones((1, 1)))).tolist() == [True, True]
    assert np.isnan(trace(np.ones((2, 1)))).tolist() == [False, True]


def test_episodes_are_kept_apart() -> None:
    taken = ActionTrace(2, 1)
    for value in (0.0, 1.0, 0.0, 1.0):
        taken.add(np.array([[value], [0.5]], dtype=np.float32), np.array([0, 1]))
    taken.add(np.array([[0.5]], dtype=np.float32), np.array([1]))
    change, jerk = taken.means()
    assert change.tolist() == [1.0, 0.0]
    assert jerk.tolist() == [0.5, 0.0]
