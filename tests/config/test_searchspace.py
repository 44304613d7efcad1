from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from blueprint_tune.config.compose import compose
from blueprint_tune.config.paths import conf_dir, searchspaces_dir
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.searchspace import load_searchspace, searchspace_problems, structural_reason
from blueprint_tune.config.validate import apply_overrides
from blueprint_tune.errors import SearchSpaceError

SHIPPED = sorted(path.stem for path in searchspaces_dir().glob("*.yaml"))


def write(tmp_path: Path, *lines: str) -> str:
    file = tmp_path / "space.yaml"
    file.write_text("\n".join(lines))
    return str(file)


def refused(config: ExperimentConfig, tmp_path: Path, *lines: str) -> str:
    with pytest.raises(SearchSpaceError) as caught:
        load_searchspace(write(tmp_path, *lines), config)
    return str(caught.value)


POLICIES = sorted(path.stem for path in (conf_dir() / "policy").glob("[a-z]*.yaml"))
FAMILIES = ("place", "articulate", "insert")


@pytest.mark.parametrize("policy", POLICIES)
def test_every_shipped_space_fits_every_policy_type_of_its_family(
    policy: str, benchmark: Callable[[str], list[str]]
) -> None:
    config = compose([*benchmark(policy), "preset=benchmark", "sweep=random"])
    others = tuple(f"_{family}" for family in FAMILIES if family != config.policy.family)
    for name in SHIPPED:
        if not name.endswith(others):
            space = load_searchspace(name, config)
            assert all(entry["_target_"].startswith("ray.tune.") for entry in space.values())


def test_an_event_that_the_policy_lacks_is_searched_as_a_whole(
    config: ExperimentConfig, tmp_path: Path
) -> None:
    space = load_searchspace("randomization", config)
    assert "policy.events.late_actions" in space
    late = {"kind": "action_delay", "steps": [0, 2]}
    changed = apply_overrides(config, {"policy.events.late_actions": json.dumps(late)})
    assert changed.policy.events["late_actions"] == late
    assert apply_overrides(config, {"policy.events.late_actions": None}) == config
    for value in ("[1.0, 2.0]", "[{steps: [0, 1]}]"):
        text = refused(
            config, tmp_path, f"policy.events.late: {{_target_: ray.tune.choice, categories: {value}}}"
        )
        assert "the policy has no such event" in text


def test_no_space_is_empty(config: ExperimentConfig) -> None:
    assert load_searchspace(None, config) == {}


def test_spaces_combine_and_the_later_one_counts(config: ExperimentConfig, tmp_path: Path) -> None:
    mine = write(tmp_path, "agent.learning_rate: {_target_: ray.tune.uniform, lower: 1.0e-4, upper: 1e-3}")
    space = load_searchspace(["ppo_core", "network", mine], config)
    assert set(space) > set(load_searchspace("network", config))
    assert space["agent.learning_rate"] == {"_target_": "ray.tune.uniform", "lower": 1e-4, "upper": 1e-3}


def test_a_users_folder_may_hold_spaces_in_it_or_beside_it(config: ExperimentConfig, tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    for folder, name in [(conf / "searchspaces", "inside"), (tmp_path / "searchspaces", "beside")]:
        folder.mkdir(parents=True)
        (folder / f"{name}.yaml").write_text("seed: {_target_: ray.tune.randint, lower: 0, upper: 9}")
    assert set(load_searchspace(["inside", "beside"], config, [conf])) == {"seed"}
    assert searchspace_problems("besid", config, [conf]) == [
        "searchspace=besid: there is no such search space. Did you mean 'beside'?"
    ]


def test_a_path_that_does_not_exist(config: ExperimentConfig) -> None:
    (problem,) = searchspace_problems("nowhere/space.yaml", config)
    assert problem.startswith("searchspace=nowhere/space.yaml: there is no such search space")
    assert searchspace_problems("../searchspaces/ppo_core", config)


@pytest.mark.parametrize("text", ["", "- a\n- b", "agent.learning_rate: [1", "\x00", "just words"])
def test_a_file_that_is_no_space(config: ExperimentConfig, tmp_path: Path, text: str) -> None:
    assert str(tmp_path / "space.yaml") in refused(config, tmp_path, text)


UNIFORM = "{_target_: ray.tune.uniform, lower: 0.1, upper: 0.3}"


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("agent.ratio_clp", ["there is no such setting", "Did you mean 'agent.ratio_clip'?"]),
        ("backend.num_envs", ["cannot change its number of environments", "-m backend.num_envs="]),
        ("physics.dt_s", ["cannot be searched", "physics"]),
        ("policy.episode_s", ["cannot be searched", "same task"]),
        ("policy.success.hold_s", ["cannot be searched", "same task"]),
        ("policy.observations", ["cannot be searched", "inputs"]),
        ("budget.env_steps", ["cannot be searched", "env steps"]),
        ("storage.root", ["cannot be searched", "not a trial"]),
        ("agent", ["is a group of settings"]),
    ],
)
def test_keys_that_cannot_be_searched(
    config: ExperimentConfig, tmp_path: Path, key: str, parts: list[str]
) -> None:
    text = refused(config, tmp_path, f"{key}: {UNIFORM}")
    for part in ["space.yaml: ", f"'{key}'", *parts]:
        assert part in text


@pytest.mark.parametrize(
    "key", ["agent.learning_rate", "seed", "policy.rewards.reach.weight", "policy.events.x.range"]
)
def test_keys_that_can(key: str) -> None:
    assert structural_reason(key) is None


def test_every_entry_of_every_file_is_judged(config: ExperimentConfig, tmp_path: Path) -> None:
    text = refused(
        config,
        tmp_path,
        f"agent.ratio_clp: {UNIFORM}",
        "agent.gae_lambda: {_target_: subprocess.run, args: [ls]}",
        f"backend.num_envs: {UNIFORM}",
    )
    assert text.startswith("3 problems")
    assert "'agent.gae_lambda' names 'subprocess.run', which is outside ray.tune" in text


@pytest.mark.parametrize(
    ("lines", "drawn"),
    [
        (["agent.mini_batches: {_target_: ray.tune.choice, categories: [4, 7]}"], "agent.mini_batches=7"),
        (
            [
                "agent.rollouts: {_target_: ray.tune.choice, categories: [16, 3]}",
                "agent.mini_batches: {_target_: ray.tune.choice, categories: [4, 64]}",
            ],
            "agent.rollouts=3, agent.mini_batches=64",
        ),
        (["agent.gae_lambda: {_target_: ray.tune.uniform, lower: 0.5, upper: 1.5}"], "agent.gae_lambda=1.5"),
        (
            ["agent.learning_epochs: {_target_: ray.tune.uniform, lower: 2, upper: 8}"],
            "agent.learning_epochs=4.22",
        ),
        (
            ["agent.learning_rate: {_target_: ray.tune.loguniform, lower: 1e-4, upper: 0.1}"],
            "agent.learning_rate=0.1",
        ),
        (["agent.activation: {_target_: ray.tune.choice, categories: [elu, gelu]}"], "agent.activation=gelu"),
    ],
)
def test_values_that_settings_refuse_are_found_before_the_sweep(
    config: ExperimentConfig, tmp_path: Path, lines: list[str], drawn: str
) -> None:
    assert f"the search space can draw {drawn}: " in refused(config, tmp_path, *lines)


def test_rollouts_and_minibatches_are_judged_together(config: ExperimentConfig, tmp_path: Path) -> None:
    both = write(
        tmp_path,
        "agent.rollouts: {_target_: ray.tune.choice, categories: [16, 24]}",
        "agent.mini_batches: {_target_: ray.tune.choice, categories: [2, 32, 64]}",
    )
    assert searchspace_problems(both, config) == []
