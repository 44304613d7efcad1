"""The terms of a policy file, bound to a task's names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# importing the modules registers their terms
from blueprint_tune.config.policy_schema import PolicyConfig
from blueprint_tune.errors import ConfigError, nearest
from blueprint_tune.mdp import metrics as _metrics  # noqa: F401
from blueprint_tune.mdp import observations as _observations  # noqa: F401
from blueprint_tune.mdp import rewards as _rewards  # noqa: F401
from blueprint_tune.mdp import success as _success  # noqa: F401
from blueprint_tune.mdp.state import Catalog, SceneState
from blueprint_tune.mdp.terms import BoundTerm, bind_term, bind_terms

Reduce = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(K,) the value so far, what was measured at the env step before, what is measured now -> the new value."""

REDUCTIONS: dict[str, Reduce] = {
    "final": lambda so_far, before, now: now,
    "sum": lambda so_far, before, now: so_far + now,
    "mean": lambda so_far, before, now: so_far + now,  # divided by the env steps at the end
    "max": lambda so_far, before, now: torch.maximum(so_far, now),
    "onsets": lambda so_far, before, now: so_far + ((now > 0) & (before <= 0)),
}
"""How the values of an episode become one: at its last env step, their sum, their mean, their largest (0 if
all are negative), or how many times they rose above 0."""


@dataclass(frozen=True)
class BoundMetric:
    """A metric of a policy file: an (N,) float of the state, and how an episode's values become one."""

    name: str
    function: Callable[[SceneState], Tensor]
    reduce: Reduce
    averages: bool


@dataclass(frozen=True)
class TaskTerms:
    """Every term of one policy, bound.

    Attributes:
        advance: under which the next member of the sequence has its turn. hold_s: how long success must hold.
        metrics, grip: what only evaluations measure.
    """

    observations: tuple[BoundTerm, ...]
    rewards: tuple[BoundTerm, ...]
    terminations: tuple[BoundTerm, ...]
    success: BoundTerm
    hold_s: float
    advance: BoundTerm | None = None
    metrics: tuple[BoundMetric, ...] = ()
    grip: BoundTerm | None = None

    @classmethod
    def bind(cls, policy: PolicyConfig, catalog: Catalog) -> TaskTerms:
        """Resolve all terms; raises ConfigError for the first that cannot be."""
        where = f"conf/policy/{policy.name}.yaml"
        if not policy.observations or not policy.rewards:
            raise ConfigError(f"{where}: a policy needs observations and rewards.")
        success = dict(policy.success)
        hold_s = success.pop("hold_s", 0.0)
        if isinstance(hold_s, bool) or not isinstance(hold_s, int | float) or hold_s < 0:
            raise ConfigError(f"{where}: success: hold_s must be seconds, not {hold_s!r}.")
        return cls(
            observations=bind_terms("observation", policy.observations, catalog, where),
            rewards=bind_terms("reward", policy.rewards, catalog, where),
            terminations=bind_terms("termination", policy.terminations, catalog, where),
            success=bind_term("success", "success", success, catalog, where),
            hold_s=float(hold_s),
            advance=_advance(policy, catalog, where),
            metrics=tuple(_metric(name, entry, catalog, where) for name, entry in policy.metrics.items()),
            grip=bind_term("metric", "grip", policy.grip, catalog, where) if policy.grip else None,
        )


def _advance(policy: PolicyConfig, catalog: Catalog, where: str) -> BoundTerm | None:
    if policy.sequence is None or policy.sequence.advance is None:
        return None
    return bind_term("condition", "advance", policy.sequence.advance, catalog, f"{where}: sequence")


def _metric(name: str, entry: dict[str, Any], catalog: Catalog, where: str) -> BoundMetric:
    given = dict(entry)
    how = str(given.pop("reduce", "final"))
    if how not in REDUCTIONS:
        raise ConfigError(f"{where}: metric '{name}' has reduce '{how}'. {nearest(how, REDUCTIONS)}")
    bound = bind_term("metric", name, given, catalog, where)
    return BoundMetric(name, bound.function, REDUCTIONS[how], how == "mean")
