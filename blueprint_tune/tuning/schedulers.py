"""Schedulers, searchers and distributions from their YAML entries: ``_target_`` and arguments.

Config is not code: a target must be something that Ray Tune itself defines.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import logging
import math
from collections.abc import Mapping
from typing import Any

from blueprint_tune.config.compose import to_dict
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import ConfigError, nearest

_ROOT = "ray.tune"


def instantiate(entry: Mapping[str, Any], where: str) -> Any:
    """Call the entry's ``_target_`` with its other keys; entries nested in them are instantiated first.

    Raises ConfigError, naming ``where``, for a target outside ray.tune, one that does not exist, and
    arguments it does not take.
    """
    target = entry.get("_target_")
    if not isinstance(target, str):
        raise ConfigError(f"{where} has no '_target_', for example {_ROOT}.loguniform.")
    call = _resolve(target, where)
    arguments = {k: _plain(v, f"{where}.{k}") for k, v in entry.items() if k != "_target_"}
    try:
        return call(**arguments)
    except ImportError as error:
        raise ConfigError(f"{where}: {target} needs a package that is not installed: {error}") from error
    except (TypeError, ValueError, AssertionError) as error:
        if "installed" in str(error):  # how some of Tune's searchers say it
            raise ConfigError(f"{where}: {target} needs a package that is not installed. {error}") from error
        raise ConfigError(
            f"{where}: {target} does not accept this: {error}. It takes: {', '.join(_parameters(call))}."
        ) from error


def search_space(space: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Dotted key -> Ray Tune distribution, sorted: samples are drawn one key after the other."""
    return {key: instantiate(_opaque_entry(space[key]), f"search space, '{key}'") for key in sorted(space)}


def _opaque_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with categories that are lists as JSON: Tune would take the lists apart."""
    lists = {
        key: [_opaque(item) for item in value] for key, value in entry.items() if isinstance(value, list)
    }
    return {**entry, **lists}


def _opaque(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value


def default_point(cfg: ExperimentConfig, space: Mapping[str, Any]) -> dict[str, Any]:
    """The composed value of every searched key: what trial 0 runs."""
    tree = to_dict(cfg)
    values = {key: functools.reduce(lambda node, part: node[part], key.split("."), tree) for key in space}
    return {key: _opaque(value) for key, value in values.items()}


def trial_count(cfg: ExperimentConfig, space: Mapping[str, Any]) -> int:
    """Trials the search will have: samples by grid points, and trial 0 beside a grid."""
    return cfg.sweep.num_samples * _grid_points(space) + _extra_sample(cfg, space)


def num_samples(cfg: ExperimentConfig, space: Mapping[str, Any]) -> int:
    """What Ray calls ``num_samples``; trial 0 takes one of them, which must not be a whole grid."""
    return cfg.sweep.num_samples + _extra_sample(cfg, space)


def make_scheduler(cfg: ExperimentConfig, space: Mapping[str, Any]) -> Any:
    """The scheduler of ``sweep.scheduler``, or None; population-based ones mutate the searched keys."""
    entry, where = cfg.sweep.scheduler, "sweep.scheduler"
    if entry is None:
        return None
    entry = _without_metric(entry, where)
    if "hyperparam_mutations" in _parameters(_resolve(str(entry.get("_target_")), where)):
        entry.setdefault("hyperparam_mutations", dict(space))
    return instantiate(entry, where)


def make_searcher(cfg: ExperimentConfig, space: Mapping[str, Any], concurrent: int) -> Any:
    """The searcher of ``sweep.searcher`` (null: random and grid sampling), seeded, default settings first."""
    first = [default_point(cfg, space)] if space and cfg.sweep.default_settings_first else None
    if cfg.sweep.searcher is None:
        from ray.tune.search.basic_variant import BasicVariantGenerator

        return BasicVariantGenerator(
            points_to_evaluate=first, max_concurrent=concurrent, random_state=cfg.seed
        )
    where = "sweep.searcher"
    entry = _without_metric(cfg.sweep.searcher, where)
    accepted = _parameters(_resolve(str(entry.get("_target_")), where))
    offered = {"points_to_evaluate": first, "seed": cfg.seed, "random_state_seed": cfg.seed}
    extras = {k: v for k, v in offered.items() if v is not None and k in accepted and k not in entry}
    searcher = instantiate({**entry, **extras}, where)
    # The libraries behind searchers (ray.tune.search.optuna) like to greet.
    library = type(searcher).__module__.removeprefix("ray.tune.search.").split(".")[0]
    logging.getLogger(library).setLevel(logging.WARNING)
    return searcher


def _grid_points(space: Mapping[str, Any]) -> int:
    grids = [d["grid_search"] for d in space.values() if isinstance(d, Mapping) and "grid_search" in d]
    return math.prod(len(grid) for grid in grids)


def _extra_sample(cfg: ExperimentConfig, space: Mapping[str, Any]) -> int:
    return int(_grid_points(space) > 1 and cfg.sweep.default_settings_first)


def _without_metric(entry: Mapping[str, Any], where: str) -> dict[str, Any]:
    for name in ("metric", "mode"):
        if name in entry:
            raise ConfigError(f"{where}.{name}: trials are compared by sweep.{name}; set that instead.")
    return dict(entry)


def _resolve(target: str, where: str) -> Any:
    """The class or function that ``target`` names, which Ray Tune must have defined."""
    if not target.startswith(f"{_ROOT}."):
        raise ConfigError(f"{where}: '{target}' is not part of {_ROOT}; nothing else may be named here.")
    module_name, _, name = target.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"{where}: there is no module '{module_name}'.") from error
    found = getattr(module, name, None)
    if found is None:
        public = [n for n in dir(module) if not n.startswith("_")]
        raise ConfigError(f"{where}: {module_name} has no '{name}'. {nearest(name, public)}")
    if not callable(found) or not str(getattr(found, "__module__", "")).startswith(_ROOT):
        raise ConfigError(f"{where}: '{target}' is not something that {_ROOT} defines.")
    return found


def _plain(value: Any, where: str) -> Any:
    """Instantiate entries nested in an argument; copy lists and dicts."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            return instantiate(value, where)
        return {k: _plain(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, f"{where}[{i}]") for i, v in enumerate(value)]
    return value


def _parameters(call: Any) -> list[str]:
    try:
        return [p for p in inspect.signature(call).parameters if p not in ("self", "args", "kwargs")]
    except (TypeError, ValueError):
        return []
