"""From a policy's events and commands to what draws them for every episode."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from blueprint_tune.config.policy_schema import PolicyConfig
from blueprint_tune.envs.commands import COMMANDS
from blueprint_tune.envs.episodes import Apply, Draw, Episodes
from blueprint_tune.envs.events import EVENTS
from blueprint_tune.errors import ConfigError, nearest
from blueprint_tune.tasks.spec import TaskSpec


def make_draws(policy: PolicyConfig, task: TaskSpec) -> list[Apply]:
    """What draws a policy's events, then its commands. Raises ConfigError naming a wrong entry."""
    where = f"conf/policy/{policy.name}.yaml"
    events = [_entry(EVENTS, task, f"{where}: event", name, e) for name, e in policy.events.items()]
    commands = [_entry(COMMANDS, task, f"{where}: command", name, e) for name, e in policy.commands.items()]
    return [*events, *commands, *_sequence(policy, task, where)]


def _sequence(policy: PolicyConfig, task: TaskSpec, where: str) -> list[Apply]:
    """What draws whose turn it is in which order."""
    sequence = policy.sequence
    if sequence is None:
        return []
    several = [role for role, config in policy.roles.items() if config.count > 1]
    if sequence.role not in several:
        raise ConfigError(
            f"{where}: sequence.role: no role with several members is called "
            f"'{sequence.role}'. {nearest(sequence.role, several)}"
        )
    members = policy.roles[sequence.role].count
    length = sequence.length
    if length > members:
        raise ConfigError(
            f"{where}: sequence.length={length} is more than the {members} members of "
            f"role '{sequence.role}'. Use sequence.length={members} or less."
        )

    def apply(draw: Draw, episodes: Episodes) -> None:
        episodes.order = np.argsort(draw.uniform("sequence", members), axis=1, kind="stable")[:, :length]

    return [apply]


def _entry(
    kinds: dict[str, Callable[..., Apply]], task: TaskSpec, where: str, name: str, entry: dict[str, Any]
) -> Apply:
    given = dict(entry)
    kind = str(given.pop("kind", ""))
    place = f"{where} '{name}'"
    if kind not in kinds:
        raise ConfigError(f"{place} has kind '{kind}'. {nearest(kind, kinds)}")
    make = kinds[kind]
    parameters = list(inspect.signature(make).parameters.values())[3:]
    wanted = [parameter.name for parameter in parameters]
    for key in given:
        if key not in wanted:
            raise ConfigError(f"{place} has '{key}'. {nearest(key, wanted)}")
    for parameter in parameters:
        if parameter.name not in given and parameter.default is parameter.empty:
            takes = ", ".join(wanted)
            raise ConfigError(f"{place} needs '{parameter.name}' (kind '{kind}' takes {takes}).")
    return make(task, place, name, **given)
