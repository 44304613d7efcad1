"""Entries with a ``_target_`` become objects of Ray Tune, and nothing else."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest
from ray import tune
from ray.tune.schedulers import ASHAScheduler, PopulationBasedTraining, pb2
from ray.tune.search.basic_variant import BasicVariantGenerator

from blueprint_tune.config.compose import compose
from blueprint_tune.config.paths import conf_dir
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.searchspace import load_searchspace
from blueprint_tune.config.validate import apply_overrides
from blueprint_tune.errors import ConfigError
from blueprint_tune.tuning.schedulers import (
    check_sweep,
    default_point,
    default_points,
    make_scheduler,
    make_searcher,
    num_samples,
    search_space,
    trial_count,
)
from blueprint_tune.tuning.targets import instantiate

ASHA = compose(["+scene=kitchen_001", "preset=smoke", "sweep=asha", "sweep.num_samples=5"])
SPACE = search_space(load_searchspace(ASHA.searchspace, ASHA))


def sweep(**changes: Any) -> ExperimentConfig:
    return replace(ASHA, sweep=replace(ASHA.sweep, **changes))


def test_shipped_search_space_gives_distributions() -> None:
    assert {type(v).__name__ for v in SPACE.values()} <= {"Float", "Categorical", "Integer"}
    assert SPACE["agent.learning_rate"].lower == 1e-4


def test_trial_0_has_the_composed_values_of_all_searched_keys() -> None:
    point = default_point(ASHA, SPACE)
    assert point["agent.learning_rate"] == ASHA.agent.learning_rate
    assert set(point) == set(SPACE)
    nested = {"policy.rewards.success.weight": tune.uniform(0, 1)}
    key = next(f"policy.rewards.{name}.weight" for name in ASHA.policy.rewards)
    assert default_point(ASHA, {key: nested})[key] == next(iter(ASHA.policy.rewards.values()))["weight"]


def test_asha_counts_env_steps_up_to_the_budget() -> None:
    scheduler = make_scheduler(ASHA, SPACE)
    assert isinstance(scheduler, ASHAScheduler)
    assert scheduler._time_attr == "env_steps" and scheduler._max_t == ASHA.budget.env_steps
    assert make_scheduler(sweep(scheduler=None), SPACE) is None


def test_population_based_training_mutates_the_searched_keys() -> None:
    pbt = {"_target_": "ray.tune.schedulers.PopulationBasedTraining", "time_attr": "env_steps"}
    scheduler = make_scheduler(sweep(scheduler={**pbt, "perturbation_interval": 100}), SPACE)
    assert isinstance(scheduler, PopulationBasedTraining)
    assert set(scheduler._hyperparam_mutations) == set(SPACE)


def first_points(cfg: ExperimentConfig, space: dict[str, Any], how_many: int) -> list[dict[str, Any]]:
    """What the search would try first, asked as Tune asks."""
    searcher = make_searcher(cfg, space, concurrent=0)
    spec = {"run": "x", "config": space, "num_samples": num_samples(cfg, space)}
    from ray.tune.search.basic_variant import _TrialIterator
    from ray.tune.search.variant_generator import _count_variants

    assert isinstance(searcher, BasicVariantGenerator)
    iterator = _TrialIterator(
        "x",
        spec["num_samples"],
        spec,
        points_to_evaluate=list(searcher._points_to_evaluate),
        random_state=searcher._random_state,
    )
    assert _count_variants(spec, searcher._points_to_evaluate) == trial_count(cfg, space)
    iterator.create_trial = lambda resolved, spec: spec["config"]
    return [next(iterator) for _ in range(how_many)]


def test_random_search_begins_with_the_defaults_and_is_seeded() -> None:
    points = first_points(ASHA, SPACE, 5)
    assert points[0] == default_point(ASHA, SPACE)
    assert len({str(p) for p in points}) == 5
    assert points == first_points(ASHA, SPACE, 5)


def test_a_grid_keeps_all_its_points_beside_trial_0() -> None:
    grid = {"_target_": "ray.tune.grid_search", "values": [0.97, 0.98, 0.99]}
    space = search_space({"agent.discount_factor": grid})
    cfg = sweep(num_samples=1)
    points = first_points(cfg, space, 4)
    assert points[0] == default_point(cfg, space)
    assert [p["agent.discount_factor"] for p in points[1:]] == [0.97, 0.98, 0.99]
    assert trial_count(sweep(num_samples=2, default_settings_first=False), space) == 6


def test_without_a_search_space_there_is_one_trial_per_sample() -> None:
    assert trial_count(sweep(num_samples=1), {}) == num_samples(sweep(num_samples=1), {}) == 1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"_target_": "os.system", "command": "true"}, "not part of ray.tune"),
        ({"_target_": "ray.tune.tune.os.system", "command": "true"}, "no module 'ray.tune.tune.os'"),
        ({"_target_": "ray.tune.tune.signal"}, "not something that ray.tune defines"),
        ({"_target_": "ray.tune.loguniforme", "lower": 1, "upper": 2}, "Did you mean 'loguniform'?"),
        ({"_target_": "ray.tune.loguniform", "low": 1}, r"here\.low: .* Did you mean 'lower'\?"),
        ({"_target_": "ray.tune.schedulers.ASHASchedular"}, "Did you mean 'ASHAScheduler'?"),
        ({"_target_": "ray.tune.loguniform", "lower": -1, "upper": 2}, "does not accept this"),
        ({"lower": 1}, "no '_target_'"),
        ({"_target_": "ray.tune.choice", "categories": [{"_target_": "os.getcwd"}]}, r"categories\[0\]"),
    ],
)
def test_what_is_not_an_entry_of_ray_tune_is_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        instantiate(entry, "here")


def test_the_metric_is_set_in_one_place() -> None:
    scheduler = {"_target_": "ray.tune.schedulers.ASHAScheduler", "metric": "train/return"}
    with pytest.raises(ConfigError, match="set that instead"):
        make_scheduler(sweep(scheduler=scheduler), SPACE)


def test_a_searcher_whose_package_is_missing_is_named() -> None:
    searcher = {"_target_": "ray.tune.search.hyperopt.HyperOptSearch"}
    with pytest.raises(ConfigError, match="HyperOptSearch needs a package that is not installed"):
        make_searcher(sweep(searcher=searcher), SPACE, concurrent=2)


def test_lists_to_choose_from_come_back_as_lists() -> None:
    """Tune takes lists apart; a sampled network must still be a list of sizes in the trial's config."""
    space = search_space(load_searchspace("network", ASHA))
    first = default_point(ASHA, space)
    assert apply_overrides(ASHA, first) == ASHA
    for _ in range(5):
        sampled = {key: distribution.sample() for key, distribution in space.items()}
        hidden = apply_overrides(ASHA, sampled).agent.policy_hidden_dims
        assert hidden in ([64, 64], [128, 128], [256, 128], [256, 256, 128])
    assert not any(isinstance(value, list) for value in first.values()), "Tune would take a list apart"


def test_the_order_of_a_search_space_does_not_change_its_samples() -> None:
    entries = load_searchspace(ASHA.searchspace, ASHA)
    backwards = dict(reversed(entries.items()))
    assert list(search_space(backwards)) == list(search_space(entries)) == sorted(entries)


def ask_for_scikit_learn() -> None:
    """Skips where Ray's PB2 wants GPy instead: Ray 2.52, and no GPy installs beside Isaac Lab."""
    if hasattr(pb2, "GPy"):
        pytest.skip("this Ray's PB2 needs GPy")


SWEEPS = sorted(p.stem for p in (conf_dir() / "sweep").glob("[a-z]*.yaml"))


@pytest.mark.parametrize("sweep", SWEEPS)
def test_every_shipped_sweep_can_be_made(sweep: str) -> None:
    if sweep == "pb2":
        ask_for_scikit_learn()
    cfg = compose(["+scene=kitchen_001", "preset=smoke", f"sweep={sweep}"])
    check_sweep(cfg, load_searchspace(cfg.searchspace, cfg))


def composed(*overrides: str) -> tuple[ExperimentConfig, dict[str, Any]]:
    cfg = compose(["+scene=kitchen_001", "preset=smoke", *overrides])
    return cfg, load_searchspace(cfg.searchspace, cfg)


def test_every_constructor_setting_is_reached_from_the_command_line() -> None:
    cfg, space = composed("sweep=asha", "sweep.scheduler.reduction_factor=4", "+sweep.scheduler.brackets=2")
    scheduler = make_scheduler(cfg, search_space(space))
    assert scheduler._reduction_factor == 4 and len(scheduler._brackets) == 2
    cfg, space = composed("sweep=optuna", "+sweep.searcher.sampler.n_ei_candidates=7")
    sampler = make_searcher(cfg, search_space(space), concurrent=1)._sampler
    assert sampler._n_ei_candidates == 7 and sampler._n_startup_trials == 5


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (
            ["sweep=asha", "+sweep.scheduler.bracket=2"],
            ["sweep.scheduler.bracket", "Did you mean 'brackets'?", "It takes: time_attr"],
        ),
        (
            ["sweep=optuna", "+sweep.searcher.sampler.n_startup=2"],
            ["sweep.searcher.sampler.n_startup", "Did you mean 'n_startup_trials'?"],
        ),
        (["sweep=pbt", "sweep.scheduler.quantile_fraction=0.9"], ["between 0 and0.5"]),
        (
            ["sweep=asha_optuna", "sweep.scheduler._target_=ray.tune.schedulers.Asha", "+sweep.searcher.x=1"],
            ["2 problems", "'Asha'", "sweep.searcher.x"],
        ),
        (
            ["sweep=optuna", "agent.discount_factor=0.975"],
            ["trial 0 has the composed value 0.975", "sweep.default_settings_first=false"],
        ),
    ],
)
def test_what_ray_would_refuse_is_said_before_it_starts(overrides: list[str], parts: list[str]) -> None:
    cfg, space = composed(*overrides)
    with pytest.raises(ConfigError) as caught:
        check_sweep(cfg, space)
    for part in parts:
        assert part in str(caught.value)


def test_without_its_package_pb2_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_for_scikit_learn()
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ConfigError, match=r"PB2 needs a package.*scikit-learn.*blueprint-tune\[pb2\]"):
        check_sweep(*composed("sweep=pb2"))


def test_the_search_is_seeded_through_its_sampler() -> None:
    first = [
        make_searcher(*composed_space("sweep=optuna", f"seed={seed}"), concurrent=1) for seed in (1, 1, 2)
    ]
    drawn = [searcher._sampler._rng.rng.random() for searcher in first]
    assert drawn[0] == drawn[1] != drawn[2]


def composed_space(*overrides: str) -> tuple[ExperimentConfig, dict[str, Any]]:
    cfg, space = composed(*overrides)
    return cfg, search_space(space)


def test_what_is_put_aside_does_not_count_as_running() -> None:
    """Else a population, or a bracket, would only ever have as many members as there are CPUs."""
    for sweep, limit in (("pbt", 0), ("hyperband", 0), ("asha", 2)):
        assert make_searcher(*composed_space(f"sweep={sweep}"), concurrent=2).max_concurrent == limit


def test_a_noise_floor_repeats_the_default_settings_with_seeds_of_their_own() -> None:
    words = ["+scene=kitchen_001", "preset=smoke", "evaluation.noise_floor=3"]
    for sweep_words, others in ((["sweep=single"], 0), (["sweep=random", "sweep.num_samples=4"], 3)):
        cfg = compose([*words, *sweep_words])
        space = search_space(load_searchspace(cfg.searchspace, cfg))
        points = default_points(cfg, space)
        assert [point["seed"] for point in points] == [cfg.seed, cfg.seed + 1, cfg.seed + 2]
        assert all({**point, "seed": cfg.seed} == points[0] for point in points)
        assert trial_count(cfg, space) == num_samples(cfg, space) == 3 + others
    assert default_points(ASHA, SPACE) == [default_point(ASHA, SPACE)]
