"""Racks as they stand when a dishwasher is open, and roles that are made for each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import ConfigError, TaskPackageError
from blueprint_tune.tasks.racks import open_racks
from blueprint_tune.tasks.regions import region
from blueprint_tune.tasks.scene import FRONT
from blueprint_tune.tasks.spec import bind_task, catalog

Compose = Callable[..., ExperimentConfig]


def test_described_racks_are_pulled_out_clear_of_the_machine(config: Compose) -> None:
    scene = bind_task(config("policy=dish_loading")).scene
    machine = scene.by_id["dishwasher_001"]
    racks = {rack.id: rack for rack in open_racks(scene.entities)}
    assert sorted(racks) == ["dishwasher_rack_001", "dishwasher_rack_002"]
    ahead = machine.rotation @ FRONT
    for name, rack in racks.items():
        described = scene.by_id[name]
        moved = rack.position - described.position
        np.testing.assert_allclose(moved, (moved @ ahead) * ahead, atol=1e-9)
        behind = (rack.position - machine.position) @ ahead - rack.size[1] / 2 - machine.size[1] / 2
        assert behind == pytest.approx(0.02, abs=1e-6)
        assert "pulled out of 'dishwasher_001'" in rack.guesses[0]


def test_a_machine_without_racks_gets_one(config: Compose) -> None:
    scene = bind_task(config("policy=dish_loading")).scene
    (rack,) = open_racks([entity for entity in scene.entities if entity.shape != "rack"])
    assert rack.id == "dishwasher_001_rack" and region(rack) is not None
    assert "no rack is described" in rack.guesses[0]


def test_the_rack_of_the_task_is_a_collider_and_its_guesses_are_listed(config: Compose) -> None:
    task = bind_task(config("policy=dish_loading"))
    rack = task.roles["receptacle"]
    assert [entity for entity in task.static if entity.id == rack.id] == [rack]
    assert any("pulled out" in guess for guess in task.guesses)
    assert catalog(task).regions.keys() == {"receptacle"}


def test_a_socket_is_made_for_its_part(config: Compose, benchmark: Callable[[str], list[str]]) -> None:
    settings = config(*benchmark("precision_insertion"))
    task = bind_task(settings)
    width = task.roles["part"].size[0]
    assert task.roles["socket"].interior.hole_width_m == pytest.approx(width + 0.002)
    roles = {**settings.policy.roles, "socket": replace(settings.policy.roles["socket"], fits="prt")}
    with pytest.raises(
        TaskPackageError, match=r"roles\.socket\.fits: there is no role 'prt'.*Did you mean 'part'"
    ):
        bind_task(replace(settings, policy=replace(settings.policy, roles=roles)))


def test_members_are_the_nearest_to_each_other(
    config: Compose, benchmark: Callable[[str], list[str]]
) -> None:
    task = bind_task(config(*benchmark("panel_interaction")))
    assert list(task.roles) == ["button_0", "button_1", "button_2"]
    places = np.array([entity.position for entity in task.roles.values()])
    assert np.linalg.norm(places - places.mean(axis=0), axis=1).max() < 0.15
    assert catalog(task).members == {"button": ("button_0", "button_1", "button_2")}


def test_too_few_members_say_how_many_there_are(config: Compose) -> None:
    settings = config("policy=panel_interaction", "policy.roles.button.count=8")
    with pytest.raises(TaskPackageError, match=r"needs 8 entities .* only '.*' fit.*button\.count=3"):
        bind_task(settings)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("policy.start.holds=prt", r"start\.holds: there is no 'prt'.*Did you mean 'part'"),
        ("policy.start.near=sockt", r"start\.near: there is no 'sockt'.*Did you mean 'socket'"),
        ("policy.start.near=socket/handle", r"start\.near: there is no 'socket/handle'"),
    ],
)
def test_a_start_names_what_the_task_has(
    config: Compose, benchmark: Callable[[str], list[str]], word: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        bind_task(config(*benchmark("precision_insertion"), word))
