"""Search spaces: dotted key of the composed experiment -> distribution of Ray Tune, checked without Ray."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from blueprint_tune.config import paths, suggest
from blueprint_tune.config.distributions import distribution_problems, representative_values
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.suggest import join_problems
from blueprint_tune.config.sweep_checks import space_problems
from blueprint_tune.config.validate import apply_overrides, is_new_event, to_dict
from blueprint_tune.errors import ConfigError, SearchSpaceError, nearest

Space = dict[str, dict[str, Any]]
"""Dotted key -> ``{_target_: ray.tune.…, <arguments>}``."""

_KEPT = "the simulator is kept between trials and cannot change its {what}"
_ALIKE = "trials must be measured on the same task to be compared"
_STRUCTURAL = {
    "backend.num_envs": _KEPT.format(what="number of environments"),
    "backend": _KEPT.format(what="backend"),
    "robot": _KEPT.format(what="robot"),
    "scene": _KEPT.format(what="scene"),
    "physics": _KEPT.format(what="physics"),
    "budget": "trials are compared at the same numbers of env steps",
    "evaluation": "trials are compared by the same evaluation",
    "policy.roles": _KEPT.format(what="bodies"),
    "policy.episode_s": _ALIKE,
    "policy.action_repeat": _ALIKE,
    "policy.observations": "the networks of one experiment share their inputs",
    "policy.actions": "the policies of one experiment share their outputs",
    "policy.start": _ALIKE,
    "policy.success": _ALIKE,
    "policy.commands": _ALIKE,
    "policy.terminations": _ALIKE,
    "policy.metrics": _ALIKE,
    "policy.grip": _ALIKE,
    "policy.budget": "trials are compared at the same numbers of env steps",
    "agent.torch_threads": "the CPUs of a trial are fixed when it starts",
    "agent.device": "what a trial is given is fixed when it starts",
}
SEED = "seed"
"""The setting in which repeats of the default settings differ (``evaluation.noise_floor``)."""
_SEARCHABLE = ("agent", "policy", SEED)
_COUPLED = (
    ("agent.rollouts", "agent.mini_batches"),
    ("agent.learning_rate", "agent.min_learning_rate", "agent.max_learning_rate"),
)
"""Keys that a rule binds together: their values are tried in combination."""


def load_searchspace(
    names: str | Sequence[str] | None, config: ExperimentConfig, folders: list[Path] | None = None
) -> Space:
    """The named search spaces in one; where two have the same key the later one counts.

    A name is a file of ``searchspaces/`` (ours, or in or beside ``folders``) or a path to a YAML file.
    Raises SearchSpaceError naming every entry that cannot be searched in ``config``.
    """
    space, problems = _collect(names, config, folders)
    if problems:
        raise SearchSpaceError(join_problems(problems))
    return space


def searchspace_problems(
    names: str | Sequence[str] | None, config: ExperimentConfig, folders: list[Path] | None = None
) -> list[str]:
    """What ``load_searchspace`` would raise, as a list."""
    return _collect(names, config, folders)[1]


def structural_reason(key: str) -> str | None:
    """Why ``key`` cannot differ between the trials of an experiment; None when it can."""
    parts = key.split(".")
    for length in range(len(parts), 0, -1):
        if reason := _STRUCTURAL.get(".".join(parts[:length])):
            return reason
    return None if parts[0] in _SEARCHABLE else "it describes the experiment, not a trial"


def _collect(
    names: str | Sequence[str] | None, config: ExperimentConfig, folders: list[Path] | None
) -> tuple[Space, list[str]]:
    space: Space = {}
    problems: list[str] = []
    tree = to_dict(config)
    for name in [names] if isinstance(names, str) else names or []:
        file, entries = _read(name, folders, problems)
        for key, entry in entries.items():
            found = list(_entry_problems(str(key), entry, tree, config.backend.own_task))
            problems += [f"{file}: {problem}" for problem in found]
            if not found:
                space[str(key)] = entry
    if config.evaluation.noise_floor:
        if SEED in space:
            problems.append(f"'{SEED}' is searched, and evaluation.noise_floor repeats trial 0 with others.")
        space[SEED] = _seeds(config.seed, config.evaluation.noise_floor)
    return space, [*problems, *_value_problems(space, config), *space_problems(space, config)]


def _seeds(first: int, count: int) -> dict[str, Any]:
    """The seeds among which trials then differ."""
    return {"_target_": "ray.tune.choice", "categories": [first + k for k in range(count)]}


def _read(name: str, folders: list[Path] | None, problems: list[str]) -> tuple[str, dict[Any, Any]]:
    """How messages name the file, and its entries."""
    file = _find(name, paths.searchspace_dirs(folders))
    if file is None:
        known = sorted(
            {path.stem for folder in paths.searchspace_dirs(folders) for path in folder.glob("*.yaml")}
        )
        problems.append(f"searchspace={name}: there is no such search space. {nearest(name, known)}")
        return name, {}
    label = f"searchspaces/{file.name}" if file.parent == paths.searchspaces_dir() else str(file)
    try:
        entries = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    except (OmegaConfBaseException, YAMLError, OSError, UnicodeDecodeError) as error:
        problems.append(f"{label}: cannot be read as YAML: {' '.join(str(error).split())}")
        return label, {}
    if not isinstance(entries, dict) or not entries:
        problems.append(
            f"{label}: expected lines like agent.learning_rate: {{_target_: ray.tune.loguniform, …}}."
        )
        return label, {}
    return label, entries


def _find(name: str, folders: list[Path]) -> Path | None:
    if name.endswith((".yaml", ".yml")):
        return Path(name) if Path(name).is_file() else None
    if "/" in name:
        return None
    return next((folder / f"{name}.yaml" for folder in folders if (folder / f"{name}.yaml").is_file()), None)


def _entry_problems(key: str, entry: Any, tree: Mapping[str, Any], own_task: bool) -> Iterator[str]:
    if own_task and key.partition(".")[0] == "policy":
        yield f"'{key}' cannot be searched: what is rewarded, seen and randomised is the task's own."
    elif is_new_event(tree, key):
        yield from _new_event_problems(key, entry)
    elif not suggest.exists(tree, key.split(".")):
        yield f"'{key}': {suggest.missing_key(tree, key)}"
    elif reason := structural_reason(key):
        yield f"'{key}' cannot be searched: {reason}. Run one experiment per value instead (-m {key}=…,…)."
    elif isinstance(suggest.lookup(tree, key.split(".")), dict):
        yield f"'{key}' is a group of settings; search its single settings."
    for problem in distribution_problems(entry):
        yield f"'{key}' {problem}"


def _new_event_problems(key: str, entry: Any) -> Iterator[str]:
    """An event that the policy file lacks is searched as a whole; null is to go without it."""
    values = entry.get("categories", entry.get("values")) if isinstance(entry, dict) else None
    if not isinstance(values, list) or not all(
        v is None or (isinstance(v, dict) and "kind" in v) for v in values
    ):
        yield (
            f"'{key}': the policy has no such event. Search one as a whole, for example"
            " {_target_: ray.tune.choice, categories: [null, {kind: action_delay, steps: [0, 1]}]}."
        )


def _value_problems(space: Space, config: ExperimentConfig) -> Iterator[str]:
    """Values that the schema or a rule between settings refuses."""
    coupled = [tuple(key for key in keys if key in space) for keys in _COUPLED]
    single = [(key,) for key in space if not any(key in keys for keys in coupled)]
    for keys in filter(None, [*coupled, *single]):
        for values in itertools.product(*(representative_values(space[key]) for key in keys)):
            try:
                apply_overrides(config, dict(zip(keys, values, strict=True)))
            except ConfigError as error:
                drawn = ", ".join(f"{key}={value}" for key, value in zip(keys, values, strict=True))
                yield f"the search space can draw {drawn}: {error}"
                break
