"""Which contact sensors the asked forces need: one a body, which tells its net force and its filters'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blueprint_tune.mdp.state import ContactRequest


@dataclass(frozen=True)
class ContactPlan:
    """Sensors and where the columns of ``SceneState.contact_force`` come from.

    Attributes:
        sensors: body -> the bodies that its sensor tells apart. columns: (body, index among those; None =
            against anything), a column each.
    """

    sensors: dict[str, tuple[str, ...]]
    columns: tuple[tuple[str, int | None], ...]


def plan_contacts(requests: Sequence[ContactRequest]) -> ContactPlan:
    """Filters work for a sensor of one body only, so each body asked about has one of its own."""
    sensors: dict[str, tuple[str, ...]] = {}
    for body, against in requests:
        known = sensors.setdefault(body, ())
        if against is not None and against not in known:
            sensors[body] = (*known, against)
    columns = tuple((body, None if other is None else sensors[body].index(other)) for body, other in requests)
    return ContactPlan(sensors, columns)
