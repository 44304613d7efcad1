from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blueprint_tune.errors import StorageError, TaskPackageError
from blueprint_tune.service.marker import marker_key, parse_marker, request_of, scene_of, scenes_below
from blueprint_tune.service.overrides import command_of
from blueprint_tune.service.settings import read_settings
from blueprint_tune.storage.path import StoragePath

SPECIFIED = {
    "scene_id": "kitchen_001",
    "timestamp": "2026-01-08T12:00:00Z",
    "policy_id": "dish_loading",
    "robot_type": "franka",
    "environment_type": "kitchen",
    "validation_status": "passed",
    "syntax_valid": True,
}
REAL = {
    "status": "complete",
    "task_name": "kitchen_dish_loading",
    "policy_id": "dish_loading",
    "completed_at": "2026-01-08T12:00:00Z",
    "runtime_validated": False,
    "validation_errors": ["No module named 'isaaclab'"],
    "feasibility_gate": None,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
KEYS = st.sampled_from(["scene_id", "policy_id", "robot_type", "status", "priority", "max_runtime_hours"])


def parse(tree: object) -> object:
    return parse_marker("kitchen_001", json.dumps(tree).encode())


@pytest.mark.parametrize("tree", [SPECIFIED, REAL])
def test_both_shapes_are_read(tree: dict[str, object]) -> None:
    marker = parse_marker("kitchen_001", json.dumps(tree).encode())
    assert (marker.scene_id, marker.policy_id) == ("kitchen_001", "dish_loading")
    assert marker.robot == tree.get("robot_type")
    assert marker.written_at == "2026-01-08T12:00:00Z"
    assert (marker.priority, marker.max_runtime_hours) == (None, None)


def test_an_empty_marker_leaves_everything_open() -> None:
    marker = parse_marker("a", b"{}")
    assert (marker.policy_id, marker.robot, marker.written_at) == (None, None, None)


def test_priority_and_time_limit_are_taken() -> None:
    marker = parse_marker("a", b'{"priority": 3, "max_runtime_hours": 0.5}')
    assert (marker.priority, marker.max_runtime_hours) == (3, 0.5)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "expected an object"),
        (b" " * (1 << 21), "bytes"),
        (b'{"status": "running"}', "nothing to train yet"),
        (b'{"scene_id": "other"}', "is that of scene 'other'"),
        (b'{"scene_id": "../x"}', "cannot name a folder"),
        (b'{"policy_id": "a b"}', "cannot name a folder"),
        (b'{"policy_id": ["x"]}', "cannot name a folder"),
        (b'{"robot_type": "franka,ur10"}', "cannot name a folder"),
        (b'{"priority": true}', "expected a whole number"),
        (b'{"priority": 1.5}', "expected a whole number"),
        (b'{"max_runtime_hours": 0}', "expected hours"),
        (b'{"max_runtime_hours": NaN}', "expected hours"),
        (b'{"max_runtime_hours": 1' + b"0" * 400 + b"}", "expected hours"),
    ],
)
def test_what_is_no_marker_is_refused_in_one_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(TaskPackageError, match=sentence) as caught:
        parse_marker("kitchen_001", content)
    assert len(str(caught.value)) < 600


@PATIENT
@given(st.binary(max_size=200) | st.dictionaries(KEYS, JSON).map(lambda tree: json.dumps(tree).encode()))
def test_any_content_is_a_marker_with_safe_ids_or_refused(content: bytes) -> None:
    try:
        marker = parse_marker("kitchen_001", content)
    except TaskPackageError:
        return
    for value in (marker.policy_id, marker.robot):
        assert value is None or not set(value) & set("/\\\0 =,[]{}'\"")


@pytest.mark.parametrize(
    "scene", ["../../etc", "..", "", ".", "a/b", "/etc", "a\0b", "a\n", "-x", "a" * 200, "ä", "a\\b", "$(x)"]
)
def test_path_tricks_in_a_scene_id_are_refused(scene: str) -> None:
    with pytest.raises(StorageError, match="cannot name a folder"):
        scene_of(f"scenes/{scene}/isaac_lab/.isaac_lab_complete")
    with pytest.raises(StorageError):
        marker_key(scene)


@pytest.mark.parametrize(
    "key",
    ["", "scenes/a/isaac_lab/env_cfg.py", "x/scenes/a/isaac_lab/.isaac_lab_complete", ".isaac_lab_complete"],
)
def test_other_objects_are_no_markers(key: str) -> None:
    assert scene_of(key) is None


@PATIENT
@given(st.text(max_size=40))
def test_a_scene_is_found_at_its_own_key_or_not_at_all(scene: str) -> None:
    try:
        found = scene_of(f"scenes/{scene}/isaac_lab/.isaac_lab_complete")
    except StorageError:
        return
    assert found == scene
    assert marker_key(scene) == f"scenes/{scene}/isaac_lab/.isaac_lab_complete"


def test_scenes_are_listed_and_bad_ones_told(root: StoragePath) -> None:
    for name in ("b", "a", "-bad"):
        (root / f"scenes/{name}/isaac_lab/.isaac_lab_complete").write_bytes(b"{}")
    (root / "scenes/-unfinished/isaac_lab/env_cfg.py").write_bytes(b"")
    scenes, refused = scenes_below(root)
    assert scenes == ["a", "b"]
    assert len(refused) == 1
    assert "-bad" in refused[0]


def test_a_scene_that_no_path_can_name_stops_no_other(root: StoragePath, tmp_path: Path) -> None:
    (root / "scenes/a/isaac_lab/.isaac_lab_complete").write_bytes(b"{}")
    (tmp_path / "store/scenes/a\\b/isaac_lab").mkdir(parents=True)
    assert scenes_below(root) == (["a"], [])


def test_a_job_told_its_cpus_gets_no_other_share(root: StoragePath) -> None:
    marker = parse_marker("a", b"{}")
    settings, _ = read_settings(["watch.jobs_at_once=2"])
    assert any(word.startswith("cluster.") for word in command_of(marker, root, [], settings))
    words = command_of(marker, root, ["++cluster.num_cpus=1"], settings)
    assert [word for word in words if "cluster" in word] == ["++cluster.num_cpus=1"]


def test_a_request_is_the_content_and_the_question() -> None:
    marker, other = parse_marker("a", b"{}"), parse_marker("a", b"{ }")
    asked = request_of(marker, ["preset=quick"])
    assert asked == request_of(
        marker, ["preset=quick", "output_dir=x", "cluster.num_cpus=2", "storage.root=y"]
    )
    assert asked == request_of(
        marker,
        ["preset=quick", "++output_dir=x", "++cluster.num_cpus=2", "++storage.root=y", "+logger=wandb"],
    )
    assert asked != request_of(marker, ["preset=full"])
    assert asked != request_of(other, ["preset=quick"])
