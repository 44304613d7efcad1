"""Which part of a container counts as inside it, measured or guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from blueprint_tune.errors import ManifestError, TaskPackageError
from blueprint_tune.tasks.regions import derived_rack, fitted_socket, region
from blueprint_tune.tasks.scene import Entity, Scene

Json = dict[str, Any]


@pytest.fixture
def one(read_objects: Callable[..., Scene], obj: Callable[..., Json]) -> Callable[..., Entity]:
    """one(category, size, z, **affordance parameters) -> the entity of a scene with nothing else."""

    def _one(category: str, size: tuple[float, float, float], z: float = 0.5, **params: Any) -> Entity:
        described = {"class": category, "affordance_params": {"Containable": params}}
        return read_objects(obj("it", category, (1.0, 2.0, z), size, semantics=described)).entities[0]

    return _one


@pytest.mark.parametrize("category", ["bin", "tote", "basket", "hamper", "crate", "tray", "mug", "bowl"])
def test_the_inside_reaches_from_the_floor_to_the_rim(one, category: str) -> None:
    entity = one(category, (0.4, 0.4, 0.3))
    inside = region(entity)
    assert inside is not None and inside.opening == "up"
    low, high = inside.center - inside.size / 2, inside.center + inside.size / 2
    assert high[2] == pytest.approx(0.15) and -0.15 < low[2] < -0.13
    assert (inside.size[:2] < 0.4).all() and (inside.size[:2] > 0.36).all()
    np.testing.assert_allclose(inside.center[:2], 0.0)
    assert any("walls of" in guess for guess in inside.guesses)


def test_a_described_wall_is_not_guessed(one) -> None:
    inside = region(one("tote", (0.6, 0.4, 0.3), wall_thickness=0.02))
    assert inside is not None and inside.guesses == ()
    np.testing.assert_allclose(inside.size, [0.56, 0.36, 0.28])


def test_what_stands_out_of_a_rack_is_in_it(one) -> None:
    inside = region(one("dish_rack", (0.5, 0.48, 0.12)))
    assert inside is not None and inside.center[2] + inside.size[2] / 2 == pytest.approx(0.06 + 0.05)
    assert any("above the rim" in guess for guess in inside.guesses)


def test_a_shelf_offers_the_board_at_working_height(one) -> None:
    entity = one("shelf", (0.9, 0.3, 1.8), z=0.9)
    bay = region(entity)
    assert bay is not None and bay.opening == "front"
    board = entity.position[2] + bay.center[2] - bay.size[2] / 2
    assert board == pytest.approx(0.02 + 2 * 1.78 / 5) and 0.6 < board < 1.1
    assert bay.size[0] == pytest.approx(0.3) and bay.size[2] == pytest.approx(1.78 / 5 - 0.02)
    assert bay.center[1] - bay.size[1] / 2 == pytest.approx(-0.15), "up to the front edge of the board"
    assert len(bay.guesses) == 2 and "6 are assumed" in bay.guesses[0]


def test_described_boards_and_slots_win(one) -> None:
    bay = region(one("shelf", (0.9, 0.3, 1.5), z=0.75, board_heights=[0.1, 0.7, 1.2], slot_width=0.2))
    assert bay is not None and bay.guesses == ()
    np.testing.assert_allclose(bay.center[2] - bay.size[2] / 2 + 0.75, 0.7)
    np.testing.assert_allclose(bay.size[[0, 2]], [0.2, 0.5 - 0.02])


def test_a_tall_rack_is_a_shelf_and_a_low_one_is_not(one) -> None:
    assert (one("rack", (2.0, 1.0, 2.0)).shape, one("rack", (0.5, 0.5, 0.12)).shape) == ("shelf", "rack")


@pytest.mark.parametrize("category", ["pallet", "staging_area"])
def test_the_room_above_a_pallet_or_a_zone_is_its_region(one, category: str) -> None:
    entity = one(category, (1.2, 0.8, 0.01), z=0.005)
    above = region(entity)
    assert above is not None
    np.testing.assert_allclose(above.size, [1.2, 0.8, 1.0])
    assert above.center[2] - above.size[2] / 2 == pytest.approx(entity.size[2] / 2)


def test_a_high_zone_is_flattened_onto_its_underside(one) -> None:
    entity = one("zone", (1.0, 1.0, 1.0), z=0.5)
    assert (entity.bottom, entity.top) == (pytest.approx(0.0), pytest.approx(0.01))


def test_a_socket_s_hole_is_read_or_guessed(one) -> None:
    told = region(one("socket", (0.08, 0.08, 0.06), insertion_depth=0.04, hole_width=0.032))
    assert told is not None and told.guesses == ()
    np.testing.assert_allclose(told.size, [0.032, 0.032, 0.04])
    assert told.center[2] + told.size[2] / 2 == pytest.approx(0.03)
    guessed = region(one("socket", (0.08, 0.08, 0.06)))
    assert guessed is not None and len(guessed.guesses) == 2


def test_a_socket_is_fitted_to_the_part_that_goes_in(one) -> None:
    peg = one("peg", (0.03, 0.03, 0.1))
    fitted, guess = fitted_socket(one("socket", (0.08, 0.08, 0.06)), peg)
    assert fitted.interior.hole_width_m == pytest.approx(0.032) and not fitted.interior.hole_round
    assert guess is not None and "square one of 32.0 mm" in guess
    loose, _ = fitted_socket(one("socket", (0.08, 0.08, 0.06), receptacle_tolerance=0.003), peg)
    assert loose.interior.hole_width_m == pytest.approx(0.036)
    tube, _ = fitted_socket(one("tube_rack", (0.1, 0.1, 0.07)), one("test_tube", (0.018, 0.018, 0.12)))
    assert tube.interior.hole_round
    told = one("socket", (0.08, 0.08, 0.06), hole_width=0.05)
    assert fitted_socket(told, peg) == (told, None)
    with pytest.raises(TaskPackageError, match="a hole for 'it' would be 32.0 mm, at most 31.0 fit"):
        fitted_socket(one("socket", (0.035, 0.08, 0.06)), peg)


def test_a_dishwasher_without_a_rack_gets_one_before_its_front(one) -> None:
    machine = one("dishwasher", (0.6, 0.6, 0.82), z=0.41)
    rack, guess = derived_rack(machine)
    assert rack.id == "it_rack" and "no rack is described" in guess
    assert rack.bottom == pytest.approx(0.73 * 0.82)
    assert rack.bounds[1][1] < machine.bounds[0][1], "its front is the -y face"
    assert region(rack) is not None and rack.joint is None and not rack.movable


@pytest.mark.parametrize(
    ("category", "params", "says"),
    [
        ("socket", {"hole_width": 0.08}, "hole_width is 0.08 m; expected more than 0 and at most 0.076"),
        ("socket", {"insertion_depth": -1}, "insertion_depth is -1 m"),
        ("socket", {"insertion_depth": "deep"}, "insertion_depth is deep; expected a finite number"),
        ("bin", {"wall_thickness": 0.05}, "wall_thickness is 0.05 m"),
        ("shelf", {"board_heights": [0.01, 2.0]}, "board_heights are [0.01, 2.0]; expected heights above"),
    ],
)
def test_an_inside_that_cannot_be_meant_is_refused(one, category: str, params: Json, says: str) -> None:
    with pytest.raises(ManifestError) as caught:
        one(category, (0.08, 0.08, 0.06), **params)
    assert says in str(caught.value) and "it: affordance_params" in str(caught.value)


def test_what_holds_nothing_has_no_region(one) -> None:
    assert region(one("table", (1.0, 1.0, 0.7))) is None and region(one("bottle", (0.07, 0.07, 0.2))) is None
