"""Batched rotations: quaternions are (N, 4) wxyz, rotation vectors (N, 3) in rad."""

from __future__ import annotations

import torch
from torch import Tensor


def quat_multiply(a: Tensor, b: Tensor) -> Tensor:
    """The rotation ``b`` followed by ``a``, normalised."""
    aw, av, bw, bv = a[:, :1], a[:, 1:], b[:, :1], b[:, 1:]
    w = aw * bw - (av * bv).sum(dim=1, keepdim=True)
    v = aw * bv + bw * av + torch.linalg.cross(av, bv)
    return torch.nn.functional.normalize(torch.cat([w, v], dim=1))


def rotation_quat(vector: Tensor) -> Tensor:
    """Quaternion of a rotation vector."""
    half = 0.5 * vector
    angle = torch.linalg.vector_norm(half, dim=1, keepdim=True)
    # sin(a)/a by torch's sinc, which is exact at zero
    return torch.cat([torch.cos(angle), half * torch.sinc(angle / torch.pi)], dim=1)


def rotation_between(a: Tensor, b: Tensor) -> Tensor:
    """Rotation vector that turns ``a`` into ``b`` the short way."""
    conjugate = torch.cat([a[:, :1], -a[:, 1:]], dim=1)
    delta = quat_multiply(b, conjugate)
    delta = torch.where(delta[:, :1] < 0, -delta, delta)
    sine = torch.linalg.vector_norm(delta[:, 1:], dim=1, keepdim=True)
    angle = 2.0 * torch.atan2(sine, delta[:, :1])
    return delta[:, 1:] * torch.where(sine > 1e-6, angle / sine.clamp_min(1e-6), 2.0)
