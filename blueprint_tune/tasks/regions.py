"""The part of a container that counts as inside, and what stands in for containers that a scene lacks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from blueprint_tune.errors import TaskPackageError
from blueprint_tune.tasks.containers import bays, boards, floor_m, hole, vessel, wall_m
from blueprint_tune.tasks.geometry import Floats
from blueprint_tune.tasks.scene import FRONT, Entity, Interior

_ABOVE_RIM_M = 0.05
"""Dishes stand out of a rack: their middles may be this much above its rim."""
_ABOVE_GROUND_M = 1.0
_WORKING_HEIGHT_M = 0.85
_SLOT_M = 0.3
"""Widest place on a board, and how far behind its front edge a product may stand."""
_LOWEST_BAY_M = 0.1
_CLEARANCE_M = 0.001
"""Around a part in its socket: the radial clearance of the insertion task."""
_THINNEST_WALL_M = 0.002
_RACK_HEIGHT_M = 0.6
"""Upstream's dishwasher_rack_upper in environment_policies.json: typical_height."""
_RACK_SHARE, _RACK_DEPTH_SHARE, _RIM_M, _GAP_M = 0.85, 0.8, 0.12, 0.02
"""A derived rack's width and depth as shares of the machine's; its rim, and its gap to the machine."""


@dataclass(frozen=True, eq=False)
class Region:
    """A box in an entity's own frame: what is in it is in (or on) the entity.

    Attributes:
        center, size: (3,) m, full extents. opening: whence things come in; 'front' is the own -y.
        guesses: what of it stands in for measurements, a sentence each.
    """

    center: Floats
    size: Floats
    opening: Literal["up", "front"]
    guesses: tuple[str, ...] = ()


def region(entity: Entity) -> Region | None:
    """The inside of a container, one bay of a shelf, the room above a pallet or a zone; or None."""
    match entity.shape:
        case "bin" | "rack":
            return _inside(entity, entity.size[:2], np.zeros(2))
        case "cup" | "bowl":
            body = vessel(entity)
            return _inside(entity, np.full(2, body.diameter_m), body.axis)
        case "shelf":
            return _bay(entity)
        case "pallet" | "zone":
            above = f"{entity.id}: what is less than {_ABOVE_GROUND_M:g} m above it counts as on it."
            return _upwards(entity, entity.size[:2], float(entity.size[2]), _ABOVE_GROUND_M, (above,))
        case "socket":
            return _hole(entity)
    return None


def derived_rack(entity: Entity) -> tuple[Entity, str]:
    """(the rack of a dishwasher that has none described, pulled out before its open flap; the guess)."""
    width, depth, height = (float(extent) for extent in entity.size)
    size = np.array([_RACK_SHARE * width, _RACK_DEPTH_SHARE * depth, _RIM_M])
    base_m = min(_RACK_HEIGHT_M, 0.73 * height)
    ahead = FRONT * ((depth + size[1]) / 2 + _GAP_M)
    place = ahead + np.array([0.0, 0.0, base_m + (size[2] - height) / 2])
    rack = replace(
        entity,
        id=f"{entity.id}_rack",
        source_id=f"{entity.source_id}_rack",
        category="rack",
        labels=frozenset({"rack", "dish_rack"}),
        sim_role="static",
        affordances=frozenset({"containable"}),
        position=entity.to_scene(place),
        size=size,
        shape="rack",
        movable=False,
        joint=None,
        handle=None,
        interior=Interior(),
    )
    shown = " x ".join(f"{extent:.2f}" for extent in size)
    return rack, (
        f"{entity.id}: no rack is described; one of {shown} m is assumed, pulled out before its front, "
        f"{base_m:.2f} m above its underside."
    )


def fitted_socket(socket: Entity, part: Entity) -> tuple[Entity, str | None]:
    """(the socket with the hole that ``part`` belongs into; the guess, None if the manifest gives the width).

    Raises TaskPackageError when the socket is too small for the part.
    """
    if socket.interior.hole_width_m is not None:
        return socket, None
    told = socket.interior.clearance_m
    clearance = _CLEARANCE_M if told is None else told
    round_part = part.shape not in ("box", "cloth")
    width = float(part.size[:2].max()) + 2 * clearance
    most = float(socket.size[:2].min()) - 2 * _THINNEST_WALL_M
    if width > most:
        raise TaskPackageError(
            f"'{socket.id}' is {1000 * socket.size[:2].min():.0f} mm wide; a hole for '{part.id}' would be "
            f"{1000 * width:.1f} mm, at most {1000 * most:.1f} fit. Correct their sizes in the manifest or "
            "give the socket's semantics.affordance_params.*.hole_width."
        )
    interior = replace(socket.interior, hole_width_m=width, hole_round=round_part)
    kind = "round" if round_part else "square"
    guess = (
        f"{socket.id}: no hole is described; a {kind} one of {1000 * width:.1f} mm is assumed, with "
        f"{1000 * clearance:.1f} mm of clearance around '{part.id}'."
    )
    return replace(socket, interior=interior), guess


def _upwards(entity: Entity, across: Floats, floor: float, height: float, guesses: tuple[str, ...]) -> Region:
    """A box that opens upwards; ``floor`` is measured from the entity's underside."""
    middle = floor + (height - float(entity.size[2])) / 2
    return Region(np.array([0.0, 0.0, middle]), np.array([*across, height]), "up", guesses)


def _inside(entity: Entity, across: Floats, axis: Floats) -> Region:
    """Within walls that stand around ``across`` (2,) m, their middle at ``axis`` (2,)."""
    wall, floor, rim = wall_m(entity), floor_m(entity), float(entity.size[2])
    guesses = []
    if entity.interior.wall_m is None:
        guesses.append(f"{entity.id}: walls of {1000 * wall:.0f} mm are assumed.")
    top = rim
    if entity.shape == "rack":
        top += _ABOVE_RIM_M
        guesses.append(
            f"{entity.id}: what is up to {100 * _ABOVE_RIM_M:.0f} cm above the rim of a rack counts as in it."
        )
    found = _upwards(entity, across - 2 * wall, floor, top - floor, tuple(guesses))
    return replace(found, center=found.center + np.array([*axis, 0.0]))


def _bay(entity: Entity) -> Region | None:
    """The compartment nearest to working height; its floor is the board, its middle the board's."""
    wall, told = wall_m(entity), entity.interior
    fitting = [bay for bay in bays(entity) if bay.clear_m >= _LOWEST_BAY_M]
    if not fitting:
        return None
    underside = float(entity.position[2] - entity.size[2] / 2)
    bay = min(
        fitting, key=lambda bay: (round(abs(underside + bay.board_m - _WORKING_HEIGHT_M), 6), bay.board_m)
    )
    inner = entity.size[:2] - (2 * wall, wall)
    width = min(_SLOT_M if told.slot_width_m is None else told.slot_width_m, float(inner[0]))
    depth = min(_SLOT_M, float(inner[1]))
    center = np.array([0.0, (depth - entity.size[1]) / 2, bay.board_m + (bay.clear_m - entity.size[2]) / 2])
    guesses = []
    if told.boards_m is None:
        guesses.append(
            f"{entity.id}: its boards are not described; {len(boards(entity))} are assumed, the one used "
            f"{underside + bay.board_m:.2f} m up with {bay.clear_m:.2f} m above it."
        )
    if told.slot_width_m is None:
        guesses.append(f"{entity.id}: a place of {width:.2f} m on its board is assumed for one product.")
    return Region(center, np.array([width, depth, bay.clear_m]), "front", tuple(guesses))


def _hole(entity: Entity) -> Region:
    found, told, guesses = hole(entity), entity.interior, []
    if told.hole_width_m is None:
        guesses.append(f"{entity.id}: no hole is described; one of {1000 * found.width_m:.1f} mm is assumed.")
    if told.hole_depth_m is None:
        guesses.append(f"{entity.id}: its hole is assumed to be {1000 * found.depth_m:.0f} mm deep.")
    floor = float(entity.size[2]) - found.depth_m
    return _upwards(entity, np.array([found.width_m] * 2), floor, found.depth_m, tuple(guesses))
