"""The terms of a policy file, bound to a task's names."""

from __future__ import annotations

from dataclasses import dataclass

# importing the modules registers their terms
from blueprint_tune.config.policy_schema import PolicyConfig
from blueprint_tune.errors import ConfigError
from blueprint_tune.mdp import observations as _observations  # noqa: F401
from blueprint_tune.mdp import rewards as _rewards  # noqa: F401
from blueprint_tune.mdp import success as _success  # noqa: F401
from blueprint_tune.mdp.state import Catalog
from blueprint_tune.mdp.terms import BoundTerm, bind_term, bind_terms


@dataclass(frozen=True)
class TaskTerms:
    """Every term of one policy, bound.

    Attributes:
        advance: under which the next member of the sequence has its turn. hold_s: how long success must hold.
    """

    observations: tuple[BoundTerm, ...]
    rewards: tuple[BoundTerm, ...]
    terminations: tuple[BoundTerm, ...]
    success: BoundTerm
    hold_s: float
    advance: BoundTerm | None = None

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
        )


def _advance(policy: PolicyConfig, catalog: Catalog, where: str) -> BoundTerm | None:
    if policy.sequence is None or policy.sequence.advance is None:
        return None
    return bind_term("condition", "advance", policy.sequence.advance, catalog, f"{where}: sequence")
