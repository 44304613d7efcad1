"""What a sweep cannot do is said before Ray starts, with what it could do instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blueprint_tune.config.compose import compose, inspect
from blueprint_tune.config.paths import conf_dir
from blueprint_tune.config.sweep_checks import IN_FLIGHT, targets

SMOKE = ["+scene=kitchen_001", "preset=smoke"]
SWEEPS = sorted(p.stem for p in (conf_dir() / "sweep").glob("[a-z]*.yaml"))


def problems(*overrides: str) -> list[str]:
    return inspect([*SMOKE, *overrides])[1]


def space(tmp_path: Path, *lines: str) -> str:
    file = tmp_path / "space.yaml"
    file.write_text("\n".join(lines))
    return f"searchspace={file}"


@pytest.mark.parametrize("preset", ["smoke", "quick", "benchmark", "full"])
@pytest.mark.parametrize("sweep", SWEEPS)
def test_every_shipped_sweep_composes_under_every_preset(sweep: str, preset: str) -> None:
    cfg = compose(["+scene=kitchen_001", f"preset={preset}", f"sweep={sweep}"])
    assert cfg.sweep.name == sweep


PBT = "ray.tune.schedulers.PopulationBasedTraining"


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["sweep=random", "searchspace=null"], ["would run 2 equal trials", "searchspace=ppo_core"]),
        (["sweep=asha", "sweep.num_samples=1"], ["searchspace=ppo_core has no effect", "sweep=asha"]),
        (
            ["sweep=asha", "sweep.metric=train/return"],
            ["sweep.metric='train/return' cannot compare trials", "eval/success_rate"],
        ),
        (
            ["sweep=asha", "sweep.metric=eval/sucess_rate"],
            ["no report carries it", "Did you mean 'eval/success_rate'?"],
        ),
        (["sweep=optuna_multi", "sweep.mode=max"], ["names 2 metrics and sweep.mode 1"]),
        (
            ["sweep=optuna_multi", "sweep.searcher._target_=ray.tune.search.bayesopt.BayesOptSearch"],
            ["names 2 metrics", "BayesOptSearch searches by one", "sweep=optuna_multi"],
        ),
        (["sweep=random", "+sweep.scheduler={max_t: 3}"], ["sweep.scheduler needs a _target_"]),
        (
            ["sweep=random", "+sweep.searcher={_target_: os.system, command: ls}"],
            ["sweep.searcher: 'os.system' is outside ray.tune.search"],
        ),
        (
            ["sweep=asha", "+sweep.scheduler.a=[{_target_: builtins.eval}]"],
            ["sweep.scheduler: 'builtins.eval' is outside ray.tune.schedulers"],
        ),
        (
            ["sweep=optuna", "sweep.searcher.sampler._target_=optuna.storages.RDBStorage"],
            ["'optuna.storages.RDBStorage' is outside"],
        ),
        (
            ["sweep=asha", "sweep.scheduler.grace_period=5000"],
            ["grace_period=5000 leaves nothing of a trial of 4096 env_steps", "a larger budget"],
        ),
        (
            [
                "sweep=median",
                "sweep.scheduler.grace_period=4",
                "sweep.scheduler.time_attr=training_iteration",
            ],
            ["grace_period=4 leaves nothing of a trial of 3 training_iteration"],
        ),
        (["sweep=asha", "sweep.scheduler.max_t=1024"], ["grace_period=2048 is more than", "max_t=1024"]),
        (["sweep=asha", "sweep.scheduler.time_attr=steps"], ["no report counts it", "env_steps"]),
        (
            ["sweep=asha", "sweep.scheduler.brackets=2"],
            ["there is no such setting", "write +sweep.scheduler.brackets=2"],
        ),
        (["sweep=pbt", "sweep.scheduler.perturbation_interval=4096"], ["perturbation_interval=4096 leaves"]),
        (["sweep=pbt", "sweep.num_samples=1"], ["needs a population of 2 or more"]),
        (["sweep=pbt", "+sweep.scheduler.hyperparam_mutations={}"], ["name it with searchspace="]),
        (["sweep=pbt", "+sweep.scheduler.synch=true"], ["wait for ever for one that has failed"]),
        (
            ["sweep=pbt", "+sweep.searcher={_target_: ray.tune.search.optuna.OptunaSearch}"],
            ["takes no searcher", "sweep.searcher=null"],
        ),
        (
            ["sweep=pbt", "sweep.keep_checkpoints=20"],
            ["keep_checkpoints=20", "deleted before it has read it", "Use sweep.keep_checkpoints=all"],
        ),
        (["sweep=optuna", "searchspace=ppo_grid"], ["holds a grid", "Use sweep=grid"]),
        (["sweep=pbt", "searchspace=ppo_grid"], ["is a grid, which PopulationBasedTraining does not"]),
        (["sweep=pb2", "searchspace=in_flight"], ["is a choice, and PB2 fits a model over ranges"]),
        (["sweep=pbt", "searchspace=network"], ["policy_hidden_dims' cannot be changed in flight", "sizes"]),
    ],
)
def test_what_cannot_work_is_said_with_a_way_out(overrides: list[str], parts: list[str]) -> None:
    found = problems(*overrides)
    assert found
    for part in parts:
        assert part in found[0]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("agent.rollouts", 32, "same env steps in every member"),
        ("agent.initial_std", 0.5, "where the learned exploration began"),
        ("seed", 3, "state of the random numbers is copied"),
        ("policy.events.target_friction.range", [0.9, 1.1], "running episodes were drawn"),
        ("policy.rewards.reach.std_m", 0.1, "only when it begins"),
    ],
)
def test_what_cannot_change_in_flight_is_refused_with_its_reason(
    tmp_path: Path, key: str, value: Any, reason: str
) -> None:
    given = space(tmp_path, f"{key}: {{_target_: ray.tune.choice, categories: [{value}]}}")
    (found,) = problems("sweep=pbt", given)
    assert f"'{key}' cannot be changed in flight" in found and reason in found
    assert not [p for p in problems("sweep=random", given) if "in flight" in p]


def test_what_the_curriculum_changes_is_not_changed_in_flight_too(tmp_path: Path) -> None:
    key = "policy.rewards.reach.weight"
    given = space(tmp_path, f"{key}: {{_target_: ray.tune.uniform, lower: 0.5, upper: 2.0}}")
    change = "changes: {easy: {path: rewards.reach.weight, start: 3.0}}"
    assert problems("sweep=pbt", given) == []
    (found,) = problems("sweep=pbt", given, f"+policy.curriculum={{raise_at: 0.7, step: 0.25, {change}}}")
    assert "the curriculum changes it" in found


def test_keys_in_flight_are_settings_of_the_agent() -> None:
    agent = vars(compose(SMOKE).agent)
    assert {key.removeprefix("agent.") for key in IN_FLIGHT} <= set(agent)


def test_targets_are_found_at_any_depth() -> None:
    tree = {"_target_": "a", "x": {"_target_": "b", "y": [1, {"_target_": "c"}]}, "z": None}
    assert list(targets(tree)) == ["a", "b", "c"]
