from __future__ import annotations

from pathlib import Path

import pytest

from blueprint_tune.config.origins import origin
from blueprint_tune.config.tree import load


@pytest.fixture(scope="module")
def composed_with_user_file(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("conf")
    (folder / "storage").mkdir()
    (folder / "storage" / "mine.yaml").write_text("kind: local\nroot: here\n")
    overrides = [
        "+scene=kitchen_001",
        "preset=smoke",
        "storage=mine",
        "agent.learning_rate=1",
        "+policy.rewards.x={weight:1}",
    ]
    return load(overrides, folder), folder


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("scene.up_axis", "conf/scene/kitchen_001.yaml: "),
        ("backend.num_envs", "conf/preset/smoke.yaml: "),
        ("agent.rollouts", "conf/preset/smoke.yaml: "),
        ("agent.gae_lambda", "conf/agent/ppo_cpu.yaml: "),
        ("physics.dt_s", "conf/physics/manipulation_standard.yaml: "),
        ("agent.learning_rate", ""),
        ("policy.rewards.x.weight", ""),
        ("policy.rewards.reach.weight", "conf/policy/_place.yaml: "),
        ("cluster.address", ""),
        ("agent.not_there", "conf/agent/ppo_cpu.yaml: "),
    ],
)
def test_the_file_or_command_line_that_set_a_value(composed_with_user_file, key: str, expected: str) -> None:
    composed, _ = composed_with_user_file
    assert origin(key.split("."), composed) == expected


def test_a_users_file_is_named_by_its_path(composed_with_user_file) -> None:
    composed, folder = composed_with_user_file
    assert origin(["storage", "root"], composed) == f"{Path(folder) / 'storage' / 'mine.yaml'}: "
