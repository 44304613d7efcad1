"""Walls, floors, boards and holes of containers, in numbers that shapes and regions share.

Thicknesses are chosen for physics as much as for looks: a wall thinner than an object travels in a physics
step (1 m/s and 8 ms: 8 mm) lets it through, a much thicker one takes room from what is to go inside.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from blueprint_tune.tasks.geometry import Floats
from blueprint_tune.tasks.scene import Entity

BOARD_SPACING_M = 0.35
"""Usual distance from board to board: what bookcases and store shelves are drilled for."""
HOLE_SHARE, DEPTH_SHARE = 0.5, 0.8
"""A socket that is not described: of its width and of its height that the hole takes."""
HANDLE_FROM = 1.15
"""A cup has a handle when it is longer than wide by this factor; 8.5 x 8.5 cm leave no room for one."""
_BOARD_M = 0.02
_DISH_M = 0.01
"""Of cups and bowls. Closing with 70 N in 8 ms steps, fingers hold a mug with walls of 10 mm as firmly as a
solid cylinder, however it is turned; with 8 mm it tilts now and then, with 6 mm most grasps are lost."""


class Hole(NamedTuple):
    """A socket's hole: its width (or diameter) and depth in metres, and whether it is round."""

    width_m: float
    depth_m: float
    round: bool


class Vessel(NamedTuple):
    """The round body of a cup or bowl: its outer diameter, and where its axis is: (2,) m in the own frame."""

    diameter_m: float
    axis: Floats


class Bay(NamedTuple):
    """One compartment of a shelf: height of its board above the shelf's underside, and clear height, m."""

    board_m: float
    clear_m: float


def wall_m(entity: Entity) -> float:
    """Thickness of a container's walls, of a cup's side, of a shelf's boards, sides and back."""
    if entity.interior.wall_m is not None:
        return entity.interior.wall_m
    across = float(entity.size[:2].min())
    if entity.shape == "shelf":
        return min(_BOARD_M, float(entity.size.min()) / 4)
    if entity.shape in ("cup", "bowl"):
        return min(_DISH_M, 0.2 * across)
    return float(min(np.clip(0.03 * across, 0.008, 0.015), across / 8))


def vessel(entity: Entity) -> Vessel:
    """The round body. What a cup is longer one way than the other is taken by its handle, on the + side."""
    across = entity.size[:2]
    longer, shorter = float(across.max()), float(across.min())
    if entity.shape != "cup" or longer < HANDLE_FROM * shorter:
        return Vessel(float(across.mean()), np.zeros(2))
    return Vessel(shorter, np.where(across == longer, (shorter - longer) / 2, 0.0))


def floor_m(entity: Entity) -> float:
    """Thickness of the floor: as the walls, but at most a third of the height."""
    return min(wall_m(entity), float(entity.size[2]) / 3)


def boards(entity: Entity) -> tuple[float, ...]:
    """Heights in metres of the upper surfaces of a shelf's boards above its underside, rising."""
    if entity.interior.boards_m is not None:
        return entity.interior.boards_m
    height, thick = float(entity.size[2]), wall_m(entity)
    bays = max(1, round((height - thick) / BOARD_SPACING_M))
    return tuple(thick + k * (height - thick) / bays for k in range(bays + 1))


def bays(entity: Entity) -> list[Bay]:
    """A shelf's compartments from below; one without a board above is open up to the shelf's top."""
    tops, height, thick = boards(entity), float(entity.size[2]), wall_m(entity)
    ceilings = [top - thick for top in tops[1:]] + [height]
    return [
        Bay(top, ceiling - top) for top, ceiling in zip(tops, ceilings, strict=True) if ceiling > top + 1e-6
    ]


def hole(entity: Entity) -> Hole:
    """A socket's hole."""
    told = entity.interior
    width = HOLE_SHARE * float(entity.size[:2].min()) if told.hole_width_m is None else told.hole_width_m
    depth = DEPTH_SHARE * float(entity.size[2]) if told.hole_depth_m is None else told.hole_depth_m
    return Hole(width, depth, bool(told.hole_round))
