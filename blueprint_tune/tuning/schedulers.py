"""The scheduler, searcher and distributions of a sweep, from their YAML entries."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from blueprint_tune.config.compose import to_dict
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.searchspace import SEED
from blueprint_tune.config.suggest import join_problems, lookup
from blueprint_tune.config.sweep_checks import TIME, is_population, pauses_trials
from blueprint_tune.config.validate import is_new_event
from blueprint_tune.errors import ConfigError
from blueprint_tune.tuning.population import copying_the_better, mutations
from blueprint_tune.tuning.targets import instantiate, parameters, resolve


def search_space(space: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Dotted key -> Ray Tune distribution, sorted: samples are drawn one key after the other."""
    return {key: instantiate(_opaque_entry(space[key]), f"search space, '{key}'") for key in sorted(space)}


def _opaque_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with categories that are lists or mappings as JSON: Tune would take them apart."""
    lists = {
        key: [_opaque(item) for item in value] for key, value in entry.items() if isinstance(value, list)
    }
    return {**entry, **lists}


def _opaque(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


def default_point(cfg: ExperimentConfig, space: Mapping[str, Any]) -> dict[str, Any]:
    """The composed value of every searched key: what trial 0 runs; None for an event the policy lacks."""
    tree = to_dict(cfg)
    values = {key: None if is_new_event(tree, key) else lookup(tree, key.split(".")) for key in space}
    return {key: _opaque(value) for key, value in values.items()}


def default_points(cfg: ExperimentConfig, space: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the first trials run: the composed settings, once, or with a seed of its own each."""
    first = default_point(cfg, space)
    return [first, *({**first, SEED: cfg.seed + k} for k in range(1, _repeats(cfg) + 1))]


def _repeats(cfg: ExperimentConfig) -> int:
    """Trials that repeat trial 0, to find out what chance does."""
    return (cfg.evaluation.noise_floor or 1) - 1


def trial_count(cfg: ExperimentConfig, space: Mapping[str, Any]) -> int:
    """Trials the search will have: samples by grid points, trial 0 beside a grid, repeats of trial 0."""
    return cfg.sweep.num_samples * _grid_points(space) + _extra_sample(cfg, space) + _repeats(cfg)


def num_samples(cfg: ExperimentConfig, space: Mapping[str, Any]) -> int:
    """What Ray calls ``num_samples``; trial 0 takes one of them, which must not be a whole grid."""
    return cfg.sweep.num_samples + _extra_sample(cfg, space) + _repeats(cfg)


def make_scheduler(cfg: ExperimentConfig, space: Mapping[str, Any]) -> Any:
    """The scheduler of ``sweep.scheduler``, or None; population-based ones change the searched keys."""
    entry, where = cfg.sweep.scheduler, "sweep.scheduler"
    if entry is None:
        return None
    accepted = parameters(resolve(str(entry.get("_target_")), where))
    offered: dict[str, Any] = {"time_attr": TIME}
    wrapped: Callable[[Any], Any] = lambda call: call  # noqa: E731
    if is_population(cfg.sweep):
        offered |= mutations(space, accepted)
        wrapped = copying_the_better
    if len(cfg.sweep.metrics) > 1:  # Tune's own metric and mode, which it hands on, are for one
        offered |= {"metric": cfg.sweep.metrics[0], "mode": cfg.sweep.modes[0]}
    return instantiate(_completed(entry, where, accepted, offered), where, wrapped)


def make_searcher(cfg: ExperimentConfig, space: Mapping[str, Any], concurrent: int) -> Any:
    """The searcher of ``sweep.searcher`` (null: random and grid sampling), seeded, default settings first."""
    first = default_points(cfg, space) if space and cfg.sweep.default_settings_first else None
    if cfg.sweep.searcher is None:
        from ray.tune.search.basic_variant import BasicVariantGenerator

        # a trial that is put aside would count as running, and the others would never begin
        limit = 0 if pauses_trials(cfg.sweep) else concurrent
        return BasicVariantGenerator(points_to_evaluate=first, max_concurrent=limit, random_state=cfg.seed)
    where = "sweep.searcher"
    entry = _seeded_sampler(cfg.sweep.searcher, cfg.seed, where)
    accepted = parameters(resolve(str(entry.get("_target_")), where))
    offered: dict[str, Any] = {"points_to_evaluate": first}
    if "sampler" not in entry:  # whose seed is its own
        offered |= {"seed": cfg.seed, "random_state_seed": cfg.seed}
    if len(cfg.sweep.metrics) > 1:
        offered |= {"metric": list(cfg.sweep.metrics), "mode": list(cfg.sweep.modes)}
    searcher = instantiate(_completed(entry, where, accepted, offered), where)
    # The libraries behind searchers (ray.tune.search.optuna) like to greet.
    library = type(searcher).__module__.removeprefix("ray.tune.search.").split(".")[0]
    logging.getLogger(library).setLevel(logging.WARNING)
    return searcher


def tune_metric(cfg: ExperimentConfig) -> dict[str, Any]:
    """``metric`` and ``mode`` as Tune is told them; of several, scheduler and searcher know themselves."""
    sweep = cfg.sweep
    if len(sweep.metrics) > 1:
        return {"metric": None, "mode": None}
    return {"metric": sweep.metrics[0], "mode": sweep.modes[0]}


def check_sweep(cfg: ExperimentConfig, space: Mapping[str, Mapping[str, Any]]) -> None:
    """Make scheduler, searcher and distributions, and throw them away: what is wrong is said without Ray.

    Raises ConfigError naming everything that is wrong.
    """
    problems: list[str] = []

    def tried(make: Callable[[], Any]) -> Any:
        try:
            return make()
        except ConfigError as error:
            problems.append(str(error))

    distributions = tried(lambda: search_space(space)) or {}
    tried(lambda: make_scheduler(cfg, distributions))
    searcher = tried(lambda: make_searcher(cfg, distributions, concurrent=1))
    if cfg.sweep.searcher is not None and searcher is not None and not problems:
        tried(lambda: _try_searcher(cfg, searcher, distributions))
    if problems:
        raise ConfigError(join_problems(problems))


def _try_searcher(cfg: ExperimentConfig, searcher: Any, distributions: Mapping[str, Any]) -> None:
    """Hand the search space to the searcher as Tune will, and ask for the first trial."""
    first = default_point(cfg, distributions) if cfg.sweep.default_settings_first else {}
    for key, distribution in distributions.items():
        choices = getattr(distribution, "categories", None)
        if choices is not None and key in first and first[key] not in choices:
            raise ConfigError(
                f"search space, '{key}': trial 0 has the composed value {first[key]}, which is none of its"
                f" choices {list(choices)}. Add it, or set sweep.default_settings_first=false."
            )
    try:
        searcher.set_search_properties(**tune_metric(cfg), config=dict(distributions))
        searcher.suggest("first")
    except Exception as error:  # of a library behind a searcher: anything
        target = (cfg.sweep.searcher or {}).get("_target_")
        raise ConfigError(f"sweep.searcher: {target} cannot search this space: {error}") from error


def _completed(
    entry: Mapping[str, Any], where: str, accepted: Sequence[str], offered: Mapping[str, Any]
) -> dict[str, Any]:
    """The entry, with what is ``offered`` and it takes and does not set itself."""
    for name in ("metric", "mode"):
        if name in entry:
            raise ConfigError(f"{where}.{name}: trials are compared by sweep.{name}; set that instead.")
    return {**{k: v for k, v in offered.items() if v is not None and k in accepted}, **entry}


def _seeded_sampler(entry: Mapping[str, Any], seed: int, where: str) -> dict[str, Any]:
    sampler = entry.get("sampler")
    if not isinstance(sampler, Mapping):
        return dict(entry)
    accepted = parameters(resolve(str(sampler.get("_target_")), f"{where}.sampler"))
    seeded = {"seed": seed} if "seed" in accepted else {}
    return {**entry, "sampler": {**seeded, **sampler}}


def _grid_points(space: Mapping[str, Any]) -> int:
    grids = [d["grid_search"] for d in space.values() if isinstance(d, Mapping) and "grid_search" in d]
    return math.prod(len(grid) for grid in grids)


def _extra_sample(cfg: ExperimentConfig, space: Mapping[str, Any]) -> int:
    return int(_grid_points(space) > 1 and cfg.sweep.default_settings_first)
