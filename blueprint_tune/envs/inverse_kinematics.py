"""From the end effector's pose error to joint displacements."""

from __future__ import annotations

import torch
from torch import Tensor


def damped_least_squares(jacobian: Tensor, error: Tensor, damping: float) -> Tensor:
    """Joint displacements (N, A) that reduce a pose error (N, 6), given Jacobians (N, 6, A).

    Solves min |J dq - e|² + damping² |dq|² as dq = Jᵀ (J Jᵀ + damping² I)⁻¹ e (Wampler 1986). The matrix is
    positive definite, so it is eliminated without pivots. Environments lie along the fastest dimension and
    sums are written out: faster than batched LAPACK, and the rounding does not depend on their number.
    """
    rows = jacobian.permute(1, 2, 0).contiguous()
    system = rows.new_zeros(6, 7, len(error))
    system[:, 6] = error.T
    system.view(42, -1)[:41:8] = damping**2
    gram = system[:, :6]
    for joint in range(rows.shape[1]):
        gram.addcmul_(rows[:, None, joint], rows[None, :, joint])
    for pivot in range(6):
        rest = system[:, pivot + 1 :]
        row = rest[pivot] / system[pivot, pivot]
        rest.addcmul_(system[:, pivot, None], row, value=-1.0)
        rest[pivot] = row
    step = torch.zeros_like(rows[0])
    for row, weight in zip(rows, system[:, 6], strict=True):
        step.addcmul_(row, weight)
    return step.T
