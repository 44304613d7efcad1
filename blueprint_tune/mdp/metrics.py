"""Terms that only evaluations measure. Each returns (N,) float32; a metric names how an episode sums it up.

Rewards and conditions can be metrics too.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor

from blueprint_tune.mdp.state import Command, Contact, Frame, Joint, Members, SceneState
from blueprint_tune.mdp.terms import Against, BoundTerm, Positive, term


@term("metric")
def grip_force(state: SceneState, by: Annotated[Contact, Against("what")], force_n: Positive = 1.0) -> Tensor:
    """Newtons with which a finger of ``by`` presses on ``what``, their mean; 0 where it is not grasped."""
    return state.grasped(by, force_n) * state.forces(by).mean(dim=1)


@term("metric")
def contact_force(state: SceneState, by: Annotated[Contact, Against("what")]) -> Tensor:
    """The largest force in newtons on a body of ``by`` from ``what`` (anything if left out)."""
    return state.forces(by).amax(dim=1)


@term("metric")
def distance(state: SceneState, a: Frame, b: Frame) -> Tensor:
    """Metres between two frames."""
    return state.distance(a, b)


@term("metric")
def joint_deviation(state: SceneState, joint: Joint, to: Command) -> Tensor:
    """How far a joint is from the commanded fraction of its range, rad or m."""
    return state.joint_error(joint, to).abs()


@term("metric")
def members_meeting(state: SceneState, role: Members, condition: BoundTerm) -> Tensor:
    """For how many members of a role a condition holds."""
    met = [state.on_member(member, condition.function) for member in range(role.count)]
    return torch.stack(met, dim=1).sum(dim=1).float()
