"""Every success and termination condition against numbers computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from blueprint_tune.mdp.state import Catalog, SceneState
from blueprint_tune.mdp.terms import REGISTRY, bind_term

CASES: list[tuple[str, dict[str, Any], list[bool]]] = [
    (
        "success",
        {"term": "within_distance", "a": "target", "b": "command/goal", "distance_m": 0.1},
        [False, True],
    ),
    (
        "success",
        {"term": "within_distance", "a": "target", "b": "command/goal", "distance_m": 0.51},
        [True, True],
    ),
    (
        "success",
        {"term": "joint_at", "joint": "drawer/joint", "at": "opening", "tolerance": 0.76},
        [True, False],
    ),
    (
        "success",
        {"term": "joint_at", "joint": "drawer/joint", "at": "opening", "tolerance": 0.7},
        [False, False],
    ),
    (
        "success",
        {"term": "joint_within", "joint": "drawer/joint", "at": "opening", "distance": 0.35},
        [True, False],
    ),
    ("termination", {"term": "below_height", "frame": "target", "height_m": 0.7}, [True, False]),
    (
        "termination",
        {"term": "farther_than", "a": "robot/ee", "b": "target", "distance_m": 0.4},
        [True, False],
    ),
]


@pytest.mark.parametrize(("kind", "entry", "expected"), CASES)
def test_condition(
    catalog: Catalog, scene: Callable[[], SceneState], kind: str, entry: dict[str, Any], expected: list[bool]
) -> None:
    found = bind_term(kind, "c", entry, catalog, "test").function(scene())
    assert found.dtype == torch.bool
    assert found.tolist() == expected


def test_every_condition_is_tested_and_success_has_a_margin() -> None:
    registered = {n: r for n, r in REGISTRY.items() if r.kinds & {"success", "termination"}}
    assert {entry["term"] for _, entry, _ in CASES} == set(registered)
    for name, entry in registered.items():
        if "success" in entry.kinds:
            assert entry.start_margin and all(m > 0 for m in entry.start_margin.values()), name
