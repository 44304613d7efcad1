"""What a manifest says of the inside of hollow objects: walls, boards, slots and holes.

The keys stand in any entry of ``semantics.affordance_params``, or flat in it; lengths are in scene units.

| key | means |
|---|---|
| ``insertion_depth`` | depth of a socket's hole |
| ``receptacle_tolerance`` | clearance on each side between the hole and the part that belongs in it |
| ``hole_width`` | width of the hole, or its diameter |
| ``hole_shape`` | ``round`` or ``square`` |
| ``wall_thickness`` | of a container's walls and floor |
| ``board_heights`` | list: upper surfaces of a shelf's boards above its underside |
| ``slot_width`` | width of the place on a board that belongs to one product |

The first two are upstream's, the others are read if they are there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from blueprint_tune.tasks.classes import Shape
from blueprint_tune.tasks.geometry import Floats
from blueprint_tune.tasks.reading import Notes, number, section, show
from blueprint_tune.tasks.scene import Entity, Interior

_TALL_RACK_M = 0.5
"""A rack as high as this is one to put shelves in, not one to put dishes in."""
_MARKING_M = 0.01
_THINNEST_M = 0.002


def shape_of(usual: Shape, size: Floats) -> Shape:
    """What an object of this size is made of, given what its class usually is: a tall rack is a shelf."""
    return "shelf" if usual == "rack" and size[2] > _TALL_RACK_M else usual


def flattened(entity: Entity, notes: Notes) -> Entity:
    """A zone as the marking on the floor that it is, whatever height its box has."""
    height = float(entity.size[2])
    if height <= _MARKING_M:
        return entity
    notes.note(f"{entity.id}: a {entity.category} is a marking; its box of {height:g} m height is flattened.")
    down = entity.rotation[:, 2] * (height - _MARKING_M) / 2
    return replace(entity, position=entity.position - down, size=np.array([*entity.size[:2], _MARKING_M]))


def read_interior(
    semantics: dict[str, Any], shape: Shape, name: str, size: Floats, meters: float, notes: Notes
) -> Interior:
    """The inside of an object of ``size`` (3,) m. Raises ManifestError for what does not fit into it."""
    params, where = _params(semantics, name, notes), f"{name}: affordance_params"

    def length(key: str, most: float) -> float | None:
        value = number(params.get(key), f"{where}.{key}", notes)
        if value is None:
            return None
        if not 0 < value * meters <= most:
            notes.refuse(
                f"{where}.{key} is {value * meters:g} m; expected more than 0 and at most {most:.3g}."
            )
        return value * meters

    across, height = float(size[:2].min()), float(size[2])
    if shape == "socket":
        return Interior(
            hole_width_m=length("hole_width", across - 2 * _THINNEST_M),
            hole_depth_m=length("insertion_depth", height - _THINNEST_M),
            hole_round=_hole_round(params.get("hole_shape"), where, notes),
            clearance_m=length("receptacle_tolerance", across / 4),
        )
    if shape == "shelf":
        boards = _boards(params.get("board_heights"), where, height, meters, notes)
        return Interior(
            length("wall_thickness", min(across, height) / 4), boards, length("slot_width", float(size[0]))
        )
    return Interior(length("wall_thickness", min(across / 4, height)))


def _params(semantics: dict[str, Any], name: str, notes: Notes) -> dict[str, Any]:
    """All affordances' parameters in one; the first that names a key counts."""
    given = section(semantics, "affordance_params", name, notes)
    found: dict[str, Any] = {}
    for block in (*(value for value in given.values() if isinstance(value, dict)), given):
        found = {**block, **found}
    return found


def _hole_round(value: Any, where: str, notes: Notes) -> bool | None:
    if value is None:
        return None
    words = {"round": True, "circular": True, "square": False, "rectangular": False}
    if not isinstance(value, str) or value.lower() not in words:
        notes.note(f"{where}.hole_shape {show(value)!r} is neither round nor square and is ignored.")
        return None
    return words[value.lower()]


def _boards(value: Any, where: str, height: float, meters: float, notes: Notes) -> tuple[float, ...] | None:
    if value is None or value == []:
        return None
    items = value if isinstance(value, list) else [value]
    found = [number(item, f"{where}.board_heights", notes) for item in items]
    boards = sorted(item * meters for item in found if item is not None)
    if not boards or boards[0] <= 0 or boards[-1] > height + 1e-6:
        notes.refuse(
            f"{where}.board_heights are {show(value)}; expected heights above its underside, at most "
            f"{height / meters:g}."
        )
    return tuple(boards)
