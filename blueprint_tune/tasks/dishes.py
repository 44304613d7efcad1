"""Round things to carry: hollow where something goes in, solid where nothing does.

All stand on a square foot with its corners on their circle. On a table, such a cup of ten pieces costs
4.1 us of CPU time a physics step and rests within 1e-8 m/s; one solid cylinder costs 4.9 us and keeps
rocking at 5 mm/s (MuJoCo 3.17, 8 ms steps): contacts between boxes are found in closed form.
"""

from __future__ import annotations

from math import atan2, pi, sqrt

import numpy as np

from blueprint_tune.tasks.containers import HANDLE_FROM, floor_m, vessel, wall_m
from blueprint_tune.tasks.geometry import quat_about
from blueprint_tune.tasks.primitives import Part, disc, ring, slab
from blueprint_tune.tasks.scene import Entity

_FOOT_SHARE, _RIM_SHARE, _TAPER = 0.7, 0.45, 0.6
"""Diameter of a plate's or bowl's foot over its own; height of a plate's rim over its own; diameter of a
bowl's walls at its foot over that at its rim."""
_LIFT_M = 0.002
"""From the underside of a foot to that of the round body around it."""
_NECK_SHARE, _SHOULDER_SHARE = 0.4, 0.65
"""Diameter of a bottle's neck over its own; height at which it begins."""


def _foot(diameter: float, low: float, high: float) -> Part:
    half = diameter / sqrt(8)
    return slab((-half, -half, low), (half, half, high))


def _floor(diameter: float, low: float, high: float) -> list[Part]:
    """A foot, and the same turned by 45 degrees to close most of the circle; only the foot is lain on."""
    foot, inset = _foot(diameter, low, high), (high - low) / 4
    turned = _foot(diameter, low + inset, high - inset)
    return [foot, Part("box", turned.center, turned.size, quat_about((0, 0, 1), pi / 4))]


def _standing(diameter: float, low: float, high: float) -> list[Part]:
    """A cylinder on a foot that hardly shows."""
    lift = min(_LIFT_M, (high - low) / 8)
    return [_foot(diameter, low, low + 4 * lift), disc(diameter, low + lift, high)]


def cup(entity: Entity) -> list[Part]:
    """A floor, eight upright walls around it and, where the size leaves room, a handle of three bars."""
    body, floor, half = vessel(entity), floor_m(entity), float(entity.size[2]) / 2
    # the walls begin above the underside, so that the foot alone stands on what is below
    walls = ring(body.diameter_m / 2, wall_m(entity), floor / 2 - half, half, 0.0)
    shift = np.array([*body.axis, 0.0])
    pieces = [*_floor(body.diameter_m, -half, floor - half), *walls]
    found = [Part(piece.kind, piece.center + shift, piece.size, piece.quat) for piece in pieces]
    longer = float(entity.size[:2].max())
    return found + _handle(entity) if longer >= HANDLE_FROM * body.diameter_m else found


def _handle(entity: Entity) -> list[Part]:
    """An upright bar and two posts to it, at the + end of the longer side."""
    along = int(np.argmax(entity.size[:2]))
    end, diameter, height = float(entity.size[along]) / 2, vessel(entity).diameter_m, float(entity.size[2])
    start = diameter - end - wall_m(entity) / 2
    bar = min(0.35 * (end - start), 0.012)

    def piece(near: float, far: float, low: float, high: float) -> Part:
        lowest, highest = [-bar / 2, -bar / 2], [bar / 2, bar / 2]
        lowest[along], highest[along] = near, far
        return slab((lowest[0], lowest[1], low), (highest[0], highest[1], high))

    upper = 0.3 * height
    return [
        piece(end - bar, end, -upper, upper),
        piece(start, end - bar, upper - bar, upper),
        piece(start, end - bar, -upper, bar - upper),
    ]


def bowl(entity: Entity) -> list[Part]:
    """A floor and eight walls that lean outwards."""
    radius, wall, half = vessel(entity).diameter_m / 2, wall_m(entity), float(entity.size[2]) / 2
    floor = floor_m(entity)
    lean = atan2((1 - _TAPER) * radius, 2 * half)
    return [
        *_floor(2 * _FOOT_SHARE * radius, -half, floor - half),
        *ring(radius, wall, floor / 4 - half, half, lean),
    ]


def plate(entity: Entity) -> list[Part]:
    """A disc on a foot: fingers get under its rim."""
    diameter, half = float(entity.size[:2].mean()), float(entity.size[2]) / 2
    step = half - _RIM_SHARE * 2 * half
    return [_foot(_FOOT_SHARE * diameter, -half, step), disc(diameter, step, half)]


def bottle(entity: Entity) -> list[Part]:
    """A cylinder and its neck."""
    diameter, half = float(entity.size[:2].mean()), float(entity.size[2]) / 2
    shoulder = _SHOULDER_SHARE * 2 * half - half
    return [*_standing(diameter, -half, shoulder), disc(_NECK_SHARE * diameter, shoulder, half)]


def cylinder(entity: Entity) -> list[Part]:
    """A solid one."""
    half = float(entity.size[2]) / 2
    return _standing(float(entity.size[:2].mean()), -half, half)
