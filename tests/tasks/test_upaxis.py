from __future__ import annotations

import numpy as np
import pytest

from blueprint_tune.tasks.upaxis import Placed, convert, decide

LEVEL = np.array([1.0, 0, 0, 0])
FLOORS = {"y": 0.0, "z": 0.0}


def thing(
    position: tuple[float, float, float], size: float = 0.1, stands: bool = False, movable: bool = True
) -> Placed:
    return Placed(np.array(position), LEVEL, np.full(3, size), stands, movable, shell=False)


def test_the_manifest_is_believed_when_it_makes_sense() -> None:
    reading = decide([thing((0.1, 0.9, 0.2))], "y", FLOORS)
    assert (reading.up, reading.bottoms) == ("y", False)
    assert "as the manifest says" in reading.reason


def test_a_mug_below_the_floor_turns_the_axis_and_says_why() -> None:
    reading = decide([thing((0.5, 0.0, 0.9))], "y", FLOORS)
    assert reading.up == "z"
    assert "the manifest says y_up" in reading.reason
    assert "scene.up_axis=y" in reading.reason


def test_a_mug_that_hangs_in_the_air_turns_the_axis() -> None:
    assert decide([thing((0.1, 0.2, 0.8), 0.09)], "y", FLOORS).up == "z"


def test_a_mug_that_hangs_over_something_it_can_stand_on_does_not() -> None:
    crate = thing((0.1, 0.075, 0.8), 0.15, movable=False)
    assert decide([thing((0.1, 0.2, 0.8)), crate], "y", FLOORS).up == "y"


def test_neither_way_sensible_keeps_the_manifest_s_word() -> None:
    assert decide([thing((-5, -5, -5))], "z", FLOORS).up == "z"


def test_without_a_word_heights_decide() -> None:
    reading = decide([thing((0.0, -0.4, 0.5), 1.0, stands=True)], None, FLOORS)
    assert reading.up == "z"
    assert "no coordinate_frame" in reading.reason


def test_insisting_wins_over_heights() -> None:
    reading = decide([thing((0.5, 0.0, 0.9))], "y", FLOORS, insisted=True)
    assert reading.up == "y"
    assert "scene.up_axis" in reading.reason


def test_furniture_sunk_by_half_its_height_means_undersides() -> None:
    furniture = [thing((x, 0.0, 1.0), 0.8, stands=True, movable=False) for x in (0.0, 2.0, 4.0)]
    on_it = thing((0.0, 0.8, 1.0))
    reading = decide([*furniture, on_it], "y", FLOORS)
    assert (reading.up, reading.bottoms) == ("y", True)


def test_one_sunk_table_is_no_reason_to_read_undersides() -> None:
    assert not decide([thing((0.0, 0.0, 0.0), 0.8, stands=True, movable=False)], "z", FLOORS).bottoms


def test_heights_are_measured_from_the_floor() -> None:
    standing = thing((0.0, 1.5, 0.0), 1.0, stands=True, movable=False)
    assert decide([standing], "y", {"y": 1.0, "z": 0.0}).floor_m == 1.0


@pytest.mark.parametrize("up", ["y", "z"])
def test_convert_keeps_lengths_and_unit_quaternions(up: str) -> None:
    quat = np.array([0.5, 0.5, -0.5, 0.5])
    position, turned = convert(Placed(np.array([1.0, 2.0, 3.0]), quat, np.ones(3), False, False, False), up)  # type: ignore[arg-type]
    assert np.linalg.norm(position) == pytest.approx(np.sqrt(14))
    assert np.linalg.norm(turned) == pytest.approx(1)
    assert position[2] == pytest.approx({"y": 2.0, "z": 3.0}[up])
