"""Overrides -> configuration files -> :class:`ExperimentConfig`.

Hydra composes; what it lets pass (``+bogus.key=1``, wrong types, values out of range) the schema catches,
and what it would report one at a time is collected into one message.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from blueprint_tune.config.backend_events import drop_events
from blueprint_tune.config.origins import origin
from blueprint_tune.config.own_robot import replace_own_robot
from blueprint_tune.config.package_rewards import apply_package
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.searchspace import searchspace_problems
from blueprint_tune.config.suggest import join_problems
from blueprint_tune.config.tree import Composed, load
from blueprint_tune.config.validate import apply_overrides, examine, to_config, to_dict
from blueprint_tune.errors import ConfigError

__all__ = ["apply_overrides", "compose", "inspect", "to_config", "to_dict"]


def compose(overrides: Sequence[str], config_dir: Path | None = None) -> ExperimentConfig:
    """The experiment that ``overrides`` describe.

    ``config_dir`` is a folder of further configuration files beside those of ``BLUEPRINT_TUNE_CONF``.
    Raises ConfigError whose message holds every problem of the overrides, the files, and the search space.
    """
    config, problems = inspect(overrides, config_dir)
    if config is None or problems:
        raise ConfigError(join_problems(problems))
    return config


def complete(tree: dict[str, Any], overrides: Sequence[str]) -> ExperimentConfig:
    """The experiment of a plain, resolved composition. Raises ConfigError naming every problem."""
    problems = replace_own_robot(tree, overrides)
    if problems:
        raise ConfigError(join_problems(problems))
    drop_events(tree)
    return to_config(tree)


def inspect(
    overrides: Sequence[str], config_dir: Path | None = None
) -> tuple[ExperimentConfig | None, list[str]]:
    """What ``compose`` returns, if the settings make one, and the problems it would raise."""
    return examine_composed(load(overrides, config_dir))


def examine_composed(composed: Composed) -> tuple[ExperimentConfig | None, list[str]]:
    """The same for what Hydra has composed already; a user's own robot is put into its tree."""
    config, problems = None, list(composed.problems)
    own = replace_own_robot(composed.tree, composed.usable)
    if composed.layer is not None:
        apply_package(composed.tree, composed.layer)
    drop_events(composed.tree)
    problems += own
    if composed.tree and not own:
        config, found = examine(composed.tree, lambda path: origin(path, composed), composed.silent)
        problems += found
    if config is not None:
        problems += searchspace_problems(config.searchspace, config, composed.folders)
    return config, problems
