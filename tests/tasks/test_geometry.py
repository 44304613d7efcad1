from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blueprint_tune.tasks.geometry import (
    Z_UP_FROM_Y_UP,
    Box,
    half_extents,
    penetration,
    quat_about,
    quat_from_euler,
    quat_matrix,
    quat_multiply,
)

angles = st.floats(-3.2, 3.2)


def rotation(axis: str, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return {
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


@given(angles, angles, angles)
def test_euler_angles_turn_yaw_first_then_pitch_then_roll(roll: float, pitch: float, yaw: float) -> None:
    expected = rotation("z", yaw) @ rotation("y", pitch) @ rotation("x", roll)
    np.testing.assert_allclose(quat_matrix(quat_from_euler(roll, pitch, yaw)), expected, atol=1e-12)


@given(angles, angles)
def test_product_of_quaternions_is_product_of_matrices(a: float, b: float) -> None:
    first, second = quat_about((1, 0, 0), a), quat_about((0, 0.6, 0.8), b)
    np.testing.assert_allclose(
        quat_matrix(quat_multiply(first, second)), quat_matrix(first) @ quat_matrix(second), atol=1e-12
    )


def test_y_up_front_becomes_z_up_front() -> None:
    np.testing.assert_allclose(Z_UP_FROM_Y_UP @ [0, 0, 1], [0, -1, 0])
    np.testing.assert_allclose(Z_UP_FROM_Y_UP @ [0, 1, 0], [0, 0, 1])
    assert np.linalg.det(Z_UP_FROM_Y_UP) == pytest.approx(1)


def test_half_extents_of_a_turned_box() -> None:
    half = half_extents(rotation("z", np.pi / 4), np.array([2.0, 2.0, 4.0]))
    np.testing.assert_allclose(half, [np.sqrt(2), np.sqrt(2), 2.0])


def test_penetration_of_axis_aligned_boxes_is_the_smallest_overlap() -> None:
    a = Box(np.zeros(3), np.array([1.0, 1.0, 1.0]))
    b = Box(np.array([0.9, 0.2, 0.0]), np.array([1.0, 1.0, 1.0]))
    assert penetration(a, np.eye(3), b, np.eye(3)) == pytest.approx(0.1)


def test_turned_boxes_may_be_apart_although_their_bounds_meet() -> None:
    stick = np.array([2.0, 0.1, 0.1])
    diagonal = rotation("z", np.pi / 4)
    a, b = Box(np.zeros(3), stick), Box(np.array([0.5, -0.5, 0.0]), stick)
    assert np.all(np.abs(b.center - a.center) < 2 * half_extents(diagonal, stick) + 1e-9)
    assert penetration(a, diagonal, b, diagonal) == pytest.approx(0.1 - np.sqrt(0.5))


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), angles, angles)
def test_penetration_is_symmetric(offset: list[float], a: float, b: float) -> None:
    size = np.array([0.4, 0.6, 0.8])
    one, other = Box(np.zeros(3), size), Box(np.array(offset), size)
    turns = rotation("x", a), rotation("y", b)
    assert penetration(one, turns[0], other, turns[1]) == pytest.approx(
        penetration(other, turns[1], one, turns[0])
    )
