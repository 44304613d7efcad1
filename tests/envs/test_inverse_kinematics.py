"""Damped least squares against LAPACK."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from blueprint_tune.envs.inverse_kinematics import damped_least_squares

DAMPING = 0.05


def solved_by_numpy(jacobian: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The minimum of |J dq - e|² + damping² |dq|² as an ordinary least-squares problem."""
    joints = jacobian.shape[1]
    stacked = np.concatenate([jacobian, DAMPING * np.eye(joints)])
    return np.linalg.lstsq(stacked, np.concatenate([error, np.zeros(joints)]), rcond=None)[0]


@pytest.mark.parametrize("joints", [3, 6, 7])
def test_it_is_the_least_squares_solution(joints: int) -> None:
    generator = torch.Generator().manual_seed(joints)
    jacobian = torch.randn(40, 6, joints, generator=generator)
    jacobian[:10, 2] = jacobian[:10, 1]  # singular without damping
    jacobian[10:12] = 0.0
    error = 0.1 * torch.randn(40, 6, generator=generator)
    expected = [solved_by_numpy(j, e) for j, e in zip(jacobian.double().numpy(), error.double().numpy())]
    found = damped_least_squares(jacobian, error, DAMPING)
    assert found.shape == (40, joints)
    np.testing.assert_allclose(found, np.array(expected), atol=2e-3)


def test_an_environment_does_not_depend_on_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    jacobian, error = torch.randn(300, 6, 7, generator=generator), torch.randn(300, 6, generator=generator)
    all_of_them = damped_least_squares(jacobian, error, DAMPING)
    for count in (1, 7, 256):
        some = damped_least_squares(jacobian[:count], error[:count], DAMPING)
        assert torch.equal(some, all_of_them[:count])
