"""Dishwashers opened: their racks as they stand when they are pulled out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from blueprint_tune.tasks.overlaps import inside
from blueprint_tune.tasks.regions import derived_rack
from blueprint_tune.tasks.scene import FRONT, Entity

_MACHINE = "dishwasher"
_GAP_M = 0.02


def open_racks(entities: Sequence[Entity]) -> list[Entity]:
    """The racks of every dishwasher, pulled out before its front; one is made up where none is described."""
    found = []
    for machine in entities:
        if machine.category != _MACHINE:
            continue
        described = [e for e in entities if e.shape == "rack" and inside(e, [machine]) is machine]
        found += [_pulled_out(rack, machine) for rack in described] or [_made_up(machine)]
    return found


def _made_up(machine: Entity) -> Entity:
    rack, guess = derived_rack(machine)
    return replace(rack, guesses=(guess,))


def _pulled_out(rack: Entity, machine: Entity) -> Entity:
    """A rack moved out along the machine's front until it is clear of it."""
    front = machine.rotation @ FRONT
    behind = float(np.abs(front) @ (rack.bounds[1] - rack.bounds[0]) / 2)
    ahead = machine.size[1] / 2 + _GAP_M + behind - float((rack.position - machine.position) @ front)
    text = f"{rack.id}: it is taken to be pulled out of '{machine.id}' by {ahead:.2f} m, the door being open."
    return replace(rack, position=rack.position + ahead * front, guesses=(text,))
