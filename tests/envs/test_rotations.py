"""Batched rotations against numpy's and against each other."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from blueprint_tune.envs.rotations import rotation_between, turn, twist
from blueprint_tune.tasks import geometry


def random_vectors(count: int, most_rad: float) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    vectors = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    lengths = torch.rand(count, 1, generator=generator, dtype=torch.float64) * most_rad
    return vectors / vectors.norm(dim=1, keepdim=True) * lengths


def rotations(vectors: Tensor) -> Tensor:
    """Quaternions of rotation vectors, by numpy."""
    angles = vectors.norm(dim=1)
    quats = [geometry.quat_about((v / a).numpy(), float(a)) for v, a in zip(vectors, angles, strict=True)]
    return torch.from_numpy(np.array(quats))


def products(a: Tensor, b: Tensor) -> Tensor:
    """The rotations ``b`` followed by ``a``, by numpy."""
    return torch.from_numpy(
        np.array([geometry.quat_multiply(x.numpy(), y.numpy()) for x, y in zip(a, b, strict=True)])
    )


def test_small_turns_are_exact_to_a_thousandth() -> None:
    start, vectors = rotations(random_vectors(50, 3.0)), random_vectors(50, 0.1).flip(0)
    turned = turn(start, vectors)
    torch.testing.assert_close(turned.norm(dim=1), torch.ones_like(turned[:, 0]), atol=1e-12, rtol=0)
    torch.testing.assert_close(rotation_between(start, turned), vectors, atol=1e-6, rtol=2e-3)


def test_a_twist_is_a_turn_about_its_own_z_axis() -> None:
    start, angles = rotations(random_vectors(50, 3.0)), random_vectors(50, 0.4)[:, :1]
    own_z = torch.zeros(50, 3, dtype=torch.float64)
    for row, quat in enumerate(start):
        own_z[row] = torch.from_numpy(geometry.quat_matrix(quat.numpy())[:, 2])
    torch.testing.assert_close(twist(start, angles), turn(start, angles * own_z), atol=1e-12, rtol=0)


def test_large_turns_keep_their_axis_and_the_length_that_is_stated() -> None:
    start, vectors = rotations(random_vectors(50, 3.0)), random_vectors(50, 2.0).flip(0)
    angle = vectors.norm(dim=1, keepdim=True)
    expected = products(rotations(vectors / angle * 2 * torch.atan(angle / 2)), start)
    torch.testing.assert_close(turn(start, vectors), expected, atol=1e-12, rtol=0)


def test_the_rotation_between_two_is_the_short_way() -> None:
    start, vectors = rotations(random_vectors(50, 3.0)), random_vectors(50, 3.1).flip(0)
    angle = vectors.norm(dim=1, keepdim=True)
    end = products(rotations(vectors), start)
    expected = vectors / angle * 2 * torch.sin(angle / 2)
    torch.testing.assert_close(rotation_between(start, end), expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(rotation_between(start, -end), expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(rotation_between(start, start), torch.zeros_like(vectors), atol=1e-12, rtol=0)
