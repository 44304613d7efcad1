"""A training from a package is that of the plain scene: the same numbers, not only a like success."""

import shutil

import pytest

from blueprint_tune.config.paths import assets_dir
from blueprint_tune.learning.trainer import Trainer

KITCHEN = assets_dir() / "scenes/kitchen_001/scene_manifest.json"
SMALL = (
    "preset=quick",
    "agent.policy_hidden_dims=[16]",
    "agent.value_hidden_dims=[16]",
    "policy.episode_s=1.5",
)
SIZES = (
    "backend.num_envs=8",
    "agent.rollouts=16",
    "budget.report_env_steps=256",
    "evaluation.selection.episodes=4",
)


@pytest.mark.parametrize("policy", ["drawer_manipulation", "dish_loading"])
def test_under_a_preset_a_package_trains_bit_for_bit_as_its_scene(package, new_env, config, tmp_path, policy):
    folder = package(policy)
    (folder.parent / "assets").mkdir()
    shutil.copy(KITCHEN, folder.parent / "assets")
    found = []
    for scene in (
        ["+scene=package", f"scene.package={folder}"],
        ["+scene=kitchen_001", f"policy={policy}"],
    ):
        words = (*scene, *SMALL, *SIZES)
        trainer = Trainer(new_env(*words, num_envs=8), config(*words), tmp_path)
        reports = [trainer.train_until_report() for _ in range(2)]
        found.append([{k: v for k, v in r.items() if not k.startswith("perf/")} for r in reports])
    assert repr(found[0]) == repr(found[1])
    assert len(found[0][1]) > 10 and any(key.startswith("reward/") for key in found[0][1])
