"""What entities are made of: a few primitives each, which together fill the entity's box to its faces.

Every primitive costs physics time, so there are as few as the object's use allows: a cup is eight walls on
a foot because something goes into it, a bottle two cylinders because nothing does.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin, sqrt, tan

import numpy as np

from blueprint_tune.tasks.classes import Shape
from blueprint_tune.tasks.containers import boards, floor_m, hole, wall_m
from blueprint_tune.tasks.dishes import bottle, bowl, cup, cylinder, plate
from blueprint_tune.tasks.geometry import quat_about
from blueprint_tune.tasks.primitives import SIDES, Part, slab
from blueprint_tune.tasks.scene import Entity

_ROUND = frozenset({"cylinder", "cup", "bowl", "plate", "bottle"})
_DECK_SHARE, _RUNNER_SHARE = 0.35, 0.12
"""Of a pallet's height that its deck takes, and of its depth that each of its two runners takes."""


def hull(entity: Entity) -> Part:
    """The one convex primitive that stands for the whole entity: what it costs least to collide with."""
    if entity.shape not in _ROUND:
        return Part("box", np.zeros(3), entity.size)
    diameter = float(entity.size[:2].mean())
    return Part("cylinder", np.zeros(3), np.array([diameter, diameter, entity.size[2]]))


def parts(entity: Entity) -> tuple[Part, ...]:
    """The primitives of an entity, in its own frame; together they reach each face of its box."""
    make = _MAKERS.get(entity.shape)
    return (hull(entity),) if make is None else tuple(make(entity))


def _open_box(entity: Entity) -> list[Part]:
    """A floor and four walls."""
    x, y, z = (float(extent) / 2 for extent in entity.size)
    t, low = wall_m(entity), floor_m(entity) - z
    return [
        slab((-x, -y, -z), (x, y, low)),
        slab((-x, -y, low), (x, t - y, z)),
        slab((-x, y - t, low), (x, y, z)),
        slab((-x, t - y, low), (t - x, y - t, z)),
        slab((x - t, t - y, low), (x, y - t, z)),
    ]


def _shelf(entity: Entity) -> list[Part]:
    """Two sides, a back and boards; open at the front, -y."""
    x, y, z = (float(extent) / 2 for extent in entity.size)
    t = wall_m(entity)
    found = [
        slab((-x, -y, -z), (t - x, y, z)),
        slab((x - t, -y, -z), (x, y, z)),
        slab((t - x, y - t, -z), (x - t, y, z)),
    ]
    levels = [(max(top - t, 0.0) - z, top - z) for top in boards(entity)]
    return found + [slab((t - x, -y, low), (x - t, y - t, high)) for low, high in levels]


def _pallet(entity: Entity) -> list[Part]:
    """A closed deck on two runners along its width: each more costs four contacts with the floor."""
    x, y, z = (float(extent) / 2 for extent in entity.size)
    deck, runner = z - 2 * z * _DECK_SHARE, _RUNNER_SHARE * y
    middles = (runner - y, y - runner)
    return [
        slab((-x, -y, deck), (x, y, z)),
        *(slab((-x, middle - runner, -z), (x, middle + runner, deck)) for middle in middles),
    ]


def _socket(entity: Entity) -> list[Part]:
    """A floor and four walls around a square hole; four more across its corners make it round."""
    x, y, z = (float(extent) / 2 for extent in entity.size)
    found = hole(entity)
    h, low = found.width_m / 2, z - found.depth_m
    made = [
        slab((-x, -y, -z), (x, y, low)),
        slab((-x, -y, low), (x, -h, z)),
        slab((-x, h, low), (x, y, z)),
        slab((-x, -h, low), (-h, h, z)),
        slab((h, -h, low), (x, h, z)),
    ]
    if not found.round:
        return made
    # no deeper than to the hole's square corner, nor out of the block's face
    thick = min((sqrt(2) - 1) * h, sqrt(2) * (min(x, y) - h))
    size = np.array([thick, 2 * h * tan(pi / SIDES), found.depth_m])
    for k in range(4):
        angle = pi / 4 + k * pi / 2
        reach = h + thick / 2
        center = np.array([reach * cos(angle), reach * sin(angle), (low + z) / 2])
        made.append(Part("box", center, size, quat_about((0, 0, 1), angle)))
    return made


_MAKERS: dict[Shape, Callable[[Entity], list[Part]]] = {
    "cylinder": cylinder,
    "cup": cup,
    "bowl": bowl,
    "plate": plate,
    "bottle": bottle,
    "bin": _open_box,
    "rack": _open_box,
    "shelf": _shelf,
    "pallet": _pallet,
    "socket": _socket,
}
