"""What a curriculum makes of a policy file, and one sentence for every entry that cannot work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blueprint_tune.config.compose import compose
from blueprint_tune.config.curriculum import policy_at
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.searchspace import load_searchspace
from blueprint_tune.config.validate import apply_overrides, examine, to_config, to_dict

CHANGES = {
    "pose": {"path": "events.target_pose.x_m", "start": [-0.02, 0.02]},
    "height": {"path": "commands.goal.z_m.1", "start": 0.15},
    "tolerance": {"path": "success.distance_m", "start": 0.07},
    "late": {"path": "events.late.steps", "start": [0, 0]},
    "noise": {"path": "start.joint_noise_rad", "start": 0.0},
}


@pytest.fixture(scope="module")
def taught() -> ExperimentConfig:
    text = json.dumps({"raise_at": 0.7, "step": 0.25, "changes": CHANGES}).replace('"', "")
    late = "+policy.events.late={kind: action_delay, steps: [0, 3]}"
    words = ["+scene=kitchen_001", "policy=dexterous_pick_place", "preset=smoke", late]
    return compose([*words, f"+policy.curriculum={text}"])


def problems(config: ExperimentConfig, **changes: Any) -> list[str]:
    tree = to_dict(config)
    tree["policy"]["curriculum"].update(changes)
    return examine(tree)[1]


def test_numbers_go_from_their_start_to_what_the_file_says(taught: ExperimentConfig) -> None:
    policy = taught.policy
    first, middle = policy_at(policy, 0.0), policy_at(policy, 0.5)
    assert first.events["target_pose"]["x_m"] == [-0.02, 0.02]
    assert middle.events["target_pose"]["x_m"] == pytest.approx([-0.06, 0.06])
    assert (first.commands["goal"]["z_m"], middle.commands["goal"]["z_m"]) == ([0.05, 0.15], [0.05, 0.2])
    assert (first.success["distance_m"], middle.success["distance_m"]) == (0.07, 0.05)
    steps = [policy_at(policy, level / 4).events["late"]["steps"] for level in range(5)]
    assert steps == [[0, 0], [0, 1], [0, 2], [0, 2], [0, 3]], "whole numbers stay whole"
    assert (first.start.joint_noise_rad, middle.start.joint_noise_rad) == (0.0, 0.05)


def test_everything_else_and_the_end_are_the_file(taught: ExperimentConfig) -> None:
    policy = taught.policy
    assert policy_at(policy, 1.0) == policy
    almost = policy_at(policy, 1.0 - 1e-12)
    assert almost.events["late"] == policy.events["late"]
    first = policy_at(policy, 0.0)
    assert (first.rewards, first.observations, first.roles) == (
        policy.rewards,
        policy.observations,
        policy.roles,
    )
    assert first.events["target_pose"]["y_m"] == policy.events["target_pose"]["y_m"]
    assert policy.success["distance_m"] == 0.03, "the file's own values are not touched"
    plain = replace(policy, curriculum=None)
    assert policy_at(plain, 0.0) == plain


def test_it_is_part_of_the_config(taught: ExperimentConfig) -> None:
    assert to_config(json.loads(json.dumps(to_dict(taught)))) == taught
    sampled = apply_overrides(
        taught, {"policy.curriculum.raise_at": 0.5, "policy.curriculum.changes.pose.start": "[-0.01, 0.01]"}
    )
    assert sampled.policy.curriculum is not None and sampled.policy.curriculum.raise_at == 0.5
    assert policy_at(sampled.policy, 0.0).events["target_pose"]["x_m"] == [-0.01, 0.01]


def test_it_can_be_searched(taught: ExperimentConfig, tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    entry = "{_target_: ray.tune.uniform, lower: 0.5, upper: 0.9}"
    file.write_text(f"policy.curriculum.raise_at: {entry}\n")
    assert list(load_searchspace(str(file), taught)) == ["policy.curriculum.raise_at"]


def change(path: str, start: Any, **more: Any) -> dict[str, Any]:
    return {"changes": {"probe": {"path": path, "start": start}, **more}}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            change("events.target_pos.x_m", [0.0, 0.0]),
            "policy.curriculum.changes.probe.path='events.target_pos.x_m': there is no such setting. "
            "Did you mean 'events.target_pose'?",
        ),
        (
            change("observations.joint_vel.scale", 0.1),
            "path='observations.joint_vel.scale' cannot change while a policy is trained; what lies below "
            "events, commands, rewards, success, terminations can, and start.joint_noise_rad.",
        ),
        (change("success.distance_m", [0.1]), "start=[0.1] cannot lead to policy.success.distance_m=0.03"),
        (change("events.target_pose.x_m", [0.1]), "start=[0.1] cannot lead to policy.events.target_pose.x_m"),
        (change("events.target_pose.role", 1.0), "policy.events.target_pose.role='target'; both must be"),
        (
            change("success.distance_m", 0.1, again={"path": "success.distance_m", "start": 0.2}),
            "changes.again.path='success.distance_m' is changed by 'probe' already.",
        ),
        (
            change("events.target_pose.x_m.0", 0.0, all=CHANGES["pose"]),
            "changes.all.path='events.target_pose.x_m' is changed by 'probe' already.",
        ),
        ({"lower_at": 0.8}, "policy.curriculum.lower_at=0.8 is not below policy.curriculum.raise_at=0.7"),
        ({"step": 0.0}, "policy.curriculum.step=0.0 should be greater than 0"),
        ({"changes": {}}, "policy.curriculum.changes"),
    ],
)
def test_mistakes_name_the_entry(taught: ExperimentConfig, changes: dict[str, Any], says: str) -> None:
    found = problems(taught, **changes)
    assert len(found) == 1 and says in found[0], found
