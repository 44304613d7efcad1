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


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_a_policys_own_settings_of_the_agent_lie_over_any_agent(preset: str) -> None:
    overrides = [
        "+scene=warehouse_001",
        "policy=pallet_handling",
        f"preset={preset}",
        "agent.initial_std=0.9",
    ]
    composed = load(overrides)
    agent = composed.tree["agent"]
    assert (agent["discount_factor"], agent["initial_std"]) == (0.99, 0.9), "and the command line over both"
    assert origin(["agent", "desired_kl"], composed) == "conf/agent/_long_horizon.yaml: "
    assert origin(["agent", "initial_std"], composed) == ""
    assert origin(["agent", "gae_lambda"], composed) == f"conf/agent/{agent['name']}.yaml: "


def test_a_users_settings_of_the_agent_for_a_policy_are_named_by_their_path(tmp_path: Path) -> None:
    for group in ("agent", "policy"):
        (tmp_path / group).mkdir()
    (tmp_path / "agent" / "_mine.yaml").write_text("gae_lambda: 0.9\n")
    defaults = "defaults: [drawer_manipulation, /agent/_mine@_global_.agent, _self_]\nname: mine\n"
    (tmp_path / "policy" / "mine.yaml").write_text(defaults)
    composed = load(["+scene=kitchen_001", "policy=mine"], tmp_path)
    assert composed.tree["agent"]["gae_lambda"] == 0.9
    assert origin(["agent", "gae_lambda"], composed) == f"{tmp_path / 'agent' / '_mine.yaml'}: "
