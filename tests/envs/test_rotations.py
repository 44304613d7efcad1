"""Batched rotations against numpy's and against each other."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from blueprint_tune.envs.rotations import quat_multiply, rotation_between, rotation_quat
from blueprint_tune.tasks import geometry


def random_vectors(count: int, most_rad: float) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    vectors = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    lengths = torch.rand(count, 1, generator=generator, dtype=torch.float64) * most_rad
    return vectors / vectors.norm(dim=1, keepdim=True) * lengths


def test_rotation_vectors_and_quaternions_agree() -> None:
    for vector in random_vectors(50, 3.1):
        angle = float(vector.norm())
        expected = geometry.quat_about((vector / angle).numpy(), angle)
        np.testing.assert_allclose(rotation_quat(vector[None])[0], expected, atol=1e-12)
    np.testing.assert_allclose(rotation_quat(torch.zeros(1, 3)), [[1, 0, 0, 0]])


def test_products_are_those_of_numpy() -> None:
    a, b = rotation_quat(random_vectors(20, 3.0)), rotation_quat(random_vectors(20, 1.0).flip(0))
    expected = [geometry.quat_multiply(x.numpy(), y.numpy()) for x, y in zip(a, b)]
    np.testing.assert_allclose(quat_multiply(a, b), expected, atol=1e-12)


def test_the_rotation_between_two_is_the_short_way() -> None:
    start, vectors = rotation_quat(random_vectors(50, 3.0)), random_vectors(50, 3.1).flip(0)
    end = quat_multiply(rotation_quat(vectors), start)
    torch.testing.assert_close(rotation_between(start, end), vectors, atol=1e-6, rtol=0)
    torch.testing.assert_close(rotation_between(start, -end), vectors, atol=1e-6, rtol=0)
    torch.testing.assert_close(rotation_between(start, start), torch.zeros_like(vectors), atol=1e-6, rtol=0)
