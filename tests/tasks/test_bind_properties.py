"""Wherever things stand and however large they are, a task binds soundly or is refused in a sentence."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blueprint_tune.config.compose import compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import ManifestError, TaskPackageError
from blueprint_tune.tasks.spec import TaskSpec, bind_task

Json = dict[str, Any]
POLICIES = ("dexterous_pick_place", "drawer_manipulation")

poses = st.fixed_dictionaries({axis: st.floats(-2, 2) for axis in "xyz"})
turns = st.fixed_dictionaries({axis: st.floats(-1, 1) for axis in "wxyz"})
sizes = st.fixed_dictionaries({key: st.floats(0.01, 2) for key in ("width", "depth", "height")})


@pytest.fixture(scope="module")
def configs() -> dict[str, ExperimentConfig]:
    return {name: compose(["+scene=kitchen_001", f"policy={name}", "preset=smoke"]) for name in POLICIES}


def bound(tree: Json, cfg: ExperimentConfig) -> TaskSpec | None:
    """The task, or None when it is refused; any other exception is a failure."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.json"
        path.write_text(json.dumps(tree))
        try:
            return bind_task(replace(cfg, scene=replace(cfg.scene, manifest=str(path))))
        except (ManifestError, TaskPackageError) as error:
            message = str(error)
    assert "\n" not in message
    assert message.endswith(".")
    return None


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_scrambled_scenes_bind_or_are_refused(
    kitchenette: Callable[[], Json], configs: dict[str, ExperimentConfig], data: st.DataObject
) -> None:
    tree = kitchenette()
    for item in tree["objects"]:
        for block, key, values in (
            (item["transform"], "position", poses),
            (item["transform"], "rotation_quaternion", turns),
            (item, "dimensions_est", sizes),
        ):
            if data.draw(st.booleans()):
                block[key] = data.draw(values)
    task = bound(tree, configs[data.draw(st.sampled_from(POLICIES))])
    if task is None:
        return
    assert np.isfinite(task.robot_base).all()
    assert 0 <= task.robot_base[2] <= 1.2
    groups = (task.free, task.jointed, task.static, task.pruned)
    everyone = [entity.id for group in groups for entity in group]
    assert len(set(everyone)) == len(everyone) >= len(task.scene.entities)
    assert set(task.scene.by_id) <= set(everyone)
    target = task.roles["target"]
    assert target in task.free or target in task.jointed
    reach = np.linalg.norm(target.position - (*task.robot_base[:2], task.robot_base[2] + 0.33))
    assert reach <= task.robot.reach_m or target.handle is not None
