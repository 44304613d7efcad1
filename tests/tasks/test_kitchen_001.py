"""The shipped kitchen: full, sensible, and in need of no leniency."""

from __future__ import annotations

import numpy as np
import pytest

from blueprint_tune.config.paths import assets_dir
from blueprint_tune.tasks.manifest import read_manifest
from blueprint_tune.tasks.overlaps import deep_overlaps, inside, top_below
from blueprint_tune.tasks.roles import open_radius
from blueprint_tune.tasks.scene import Scene


@pytest.fixture(scope="module")
def kitchen() -> Scene:
    return read_manifest(assets_dir() / "scenes" / "kitchen_001" / "scene_manifest.json")


def test_it_is_a_full_kitchen(kitchen: Scene) -> None:
    kinds = {entity.category for entity in kitchen.entities}
    assert len(kitchen.entities) >= 25
    assert {"counter", "table", "sink", "stove", "fridge", "dishwasher", "rack", "drawer", "cabinet"} <= kinds
    assert {"plate", "bowl", "mug", "glass", "tin", "bottle", "cutting_board", "toaster", "chair"} <= kinds
    assert kitchen.id == "kitchen_001"


def test_the_only_notes_are_handles_one_missing_limit_and_the_axis(kitchen: Scene) -> None:
    guesses = [guess.text for guess in kitchen.guesses if "no handle is described" not in guess.text]
    assert guesses == [
        "base_cabinet_002: no joint limits are given; 0 to 90 degrees is assumed, as for a cabinet."
    ]
    others = [note for note in kitchen.notes if note not in {guess.text for guess in kitchen.guesses}]
    assert others == ["z is up, as the manifest says."]


def test_nothing_is_where_it_cannot_be(kitchen: Scene) -> None:
    assert [str(overlap) for overlap in deep_overlaps(kitchen.entities) if not overlap.expected] == []


def test_everything_that_can_be_carried_stands_on_something(kitchen: Scene) -> None:
    for entity in kitchen.entities:
        if entity.movable and inside(entity, kitchen.entities) is None:
            below = top_below(entity, kitchen.entities)
            assert below is not None, entity.id
            assert abs(entity.bottom - below) < 0.011, entity.id


def test_furniture_and_appliances_stand_on_the_floor_or_hang_on_the_wall(kitchen: Scene) -> None:
    for entity in kitchen.entities:
        assert entity.bottom >= -0.03, entity.id
        assert np.all(np.abs(entity.position[:2]) <= 2.6), entity.id


def test_drawers_and_doors_open_into_the_room(kitchen: Scene) -> None:
    for entity in kitchen.entities:
        if entity.grip_outward is not None:
            np.testing.assert_allclose(entity.grip_outward, [0, -1, 0], atol=1e-9, err_msg=entity.id)


def test_the_tea_tin_stands_free(kitchen: Scene) -> None:
    tin = kitchen.by_id["tea_tin_001"]
    assert open_radius(kitchen, tin) >= 0.25
    assert tin.size.max() <= 0.06
    assert "graspable" in tin.affordances
