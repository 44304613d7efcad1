"""Which episodes of a task of its own succeed: read right after a step, before the next one overwrites it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from blueprint_tune.config.own_task import HOW, Signal
from blueprint_tune.errors import ConfigError, SimulatorError

LOG = "log"
_TRUE = 0.5


class Judge(ABC):
    """Tells after each step which environments meet the criterion."""

    @abstractmethod
    def met(self, rewards: Tensor, ended: Tensor, extras: Mapping[str, Any]) -> Tensor:
        """(N,) bool. ``rewards``, ``ended``: (N,) of the step."""

    def restart(self) -> None:  # noqa: B027  most have nothing to forget
        """All episodes begin anew."""


def make_judge(signal: Signal, env: Any, name: str) -> Judge:
    """The judge of a task that is running. Raises ConfigError where the task has no such signal."""
    if signal.kind == "return":
        return _Return(signal.at_least)
    if signal.kind == "extras":
        return _Extras(signal.name, name)
    manager = getattr(env, "termination_manager", None)
    terms = list(manager.active_terms) if manager else []
    if signal.name not in terms:
        has = f"its terms are {', '.join(terms)}" if terms else "it has none"
        raise ConfigError(
            f"backend.success=termination:{signal.name}: '{name}' has no such termination term; {has}."
            f" Which episodes succeed? Give {HOW}; sweep.metric=eval/return compares trials by the return."
        )
    return _Termination(env, signal.name)


class _Termination(Judge):
    def __init__(self, env: Any, term: str) -> None:
        self._env, self._term = env, term

    def met(self, rewards: Tensor, ended: Tensor, extras: Mapping[str, Any]) -> Tensor:
        """See :meth:`Judge.met`."""
        found: Tensor = self._env.termination_manager.get_term(self._term)
        return found.bool()


class _Extras(Judge):
    """An entry of a step's extras; what the log has is about episodes that ended, and stays there."""

    def __init__(self, entry: str, name: str) -> None:
        self._path, self._name = tuple(entry.split("/", 1)) if entry.startswith(f"{LOG}/") else (entry,), name

    def met(self, rewards: Tensor, ended: Tensor, extras: Mapping[str, Any]) -> Tensor:
        """See :meth:`Judge.met`."""
        logged = self._path[0] == LOG
        if logged and not ended.any():  # a log is written, anew or in place, when episodes end
            return torch.zeros_like(ended)
        found: Any = extras
        for key in self._path:
            if not isinstance(found, Mapping) or key not in found:
                raise SimulatorError(self._missing(found if isinstance(found, Mapping) else {}))
            found = found[key]
        values = torch.as_tensor(found, device=ended.device)
        if values.numel() != ended.numel():
            raise SimulatorError(
                f"backend.success=extras:{'/'.join(self._path)}: '{self._name}' gives {values.numel()} there,"
                f" not one for each of {ended.numel()} environments: how many, not which. Give {HOW}."
            )
        met = values.reshape(-1) > _TRUE if values.dtype != torch.bool else values.reshape(-1)
        return met & ended if logged else met

    def _missing(self, there: Mapping[str, Any]) -> str:
        known = list(map(str, there))
        return (
            f"backend.success=extras:{'/'.join(self._path)}: '{self._name}' gives no such entry;"
            f" {'there are ' + ', '.join(known) if known else 'there is none'}. Give {HOW}."
        )


class _Return(Judge):
    def __init__(self, at_least: float) -> None:
        self._at_least = at_least
        self._earned: Tensor | None = None

    def met(self, rewards: Tensor, ended: Tensor, extras: Mapping[str, Any]) -> Tensor:
        """See :meth:`Judge.met`: only at an episode's end."""
        earned = rewards if self._earned is None else self._earned + rewards
        self._earned = torch.where(ended, torch.zeros_like(earned), earned)
        return ended & (earned >= self._at_least)

    def restart(self) -> None:
        """See :meth:`Judge.restart`."""
        self._earned = None
