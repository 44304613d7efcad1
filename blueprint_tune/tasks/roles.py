"""Which entity of a scene can play which role of a policy type, and why the others cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from blueprint_tune.config.policy_schema import RoleConfig
from blueprint_tune.config.schema import GripperConfig
from blueprint_tune.errors import TaskPackageError, nearest
from blueprint_tune.tasks.overlaps import Overlap, inside
from blueprint_tune.tasks.racks import open_racks
from blueprint_tune.tasks.regions import region
from blueprint_tune.tasks.scene import Entity, Scene

MAX_MASS_KG = 5.0
_GRIP_SHARE = 0.9
"""Of the gripper's opening that an object may fill."""
_OPEN_M = 0.25
"""Free space around an object beyond which more of it is no better."""
_WORKING_HEIGHT_M = 0.8
_SLENDER = 1.5
"""Height over width up to which an object does not topple easily."""
_TOGETHER_M, _APART_STEP_M = 0.6, 0.25
"""Entities of one task as near to each other as this are as good as nearer ones; then every step is worse."""
_TOLD = {
    "rigid": "graspable",
    "deformable": "graspable",
    "articulated": "openable",
    "region": "containable",
}
"""The affordance by which a manifest says that an entity can play a role of a kind."""
_SHOWN = 5
_MAX_BINDINGS = 200
_MAX_CANDIDATES = 40


@dataclass(frozen=True)
class Casting:
    """One role to fill: what the policy asks, of which scene and its ``overlaps``, for which gripper."""

    scene: Scene
    overlaps: Sequence[Overlap]
    policy: str
    role: str
    config: RoleConfig
    gripper: GripperConfig | None

    def __str__(self) -> str:
        role = self.config
        kind = f" with a {role.joint} joint" if role.joint else f" of kind {role.kind}"
        can = f" that is {' and '.join(role.affordances)}" if role.affordances else ""
        kinds = f" among {', '.join(role.categories)}" if role.categories else ""
        return f"role '{self.role}'{kind}{can}{kinds}"


def member_names(role: str, config: RoleConfig) -> tuple[str, ...]:
    """What the entities that play a role are called: the role itself, or ``item_0``, ``item_1``, …"""
    return (role,) if config.count == 1 else tuple(f"{role}_{i}" for i in range(config.count))


def bindings(castings: Sequence[Casting]) -> list[dict[str, Entity]]:
    """Ways to give each role entities of its own, best first: near to each other, then as preferred.

    Raises TaskPackageError when there is none.
    """
    ranked = [_groups(casting) for casting in castings]
    orders = product(*(range(min(len(groups), _MAX_CANDIDATES)) for groups in ranked))
    chosen = ((order, [ranked[i][k] for i, k in enumerate(order)]) for order in orders)
    names = [name for casting in castings for name in member_names(casting.role, casting.config)]
    found = []
    for order, groups in chosen:
        entities = [entity for group in groups for entity in group]
        if len({entity.id for entity in entities}) == len(entities):
            found.append((_apart(entities), sum(order), order, dict(zip(names, entities, strict=True))))
    if not found:
        raise TaskPackageError(
            f"{castings[0].scene.id}: policy '{castings[0].policy}' needs a different entity for each of its "
            f"roles {', '.join(names)}, and the scene has too few that fit. Use another policy or scene."
        )
    found.sort(key=lambda item: item[:3])
    return [roles for *_, roles in found[:_MAX_BINDINGS]]


def _groups(casting: Casting) -> list[tuple[Entity, ...]]:
    """What can play a role, best first; for several members each candidate with those nearest to it."""
    fitting, count = candidates(casting), casting.config.count
    if len(fitting) < count:
        names = ", ".join(f"'{entity.id}'" for entity in fitting)
        raise TaskPackageError(
            f"{casting.scene.id}: policy '{casting.policy}' needs {count} entities for its {casting}; "
            f"only {names} fit. Use another policy or scene, or "
            f"policy.roles.{casting.role}.count={len(fitting)}."
        )
    groups: dict[frozenset[str], tuple[Entity, ...]] = {}
    for leader in fitting:
        near = sorted(fitting, key=lambda e: (round(_distance(e, leader), 2), fitting.index(e)))[:count]
        groups.setdefault(frozenset(entity.id for entity in near), tuple(near))
    return sorted(groups.values(), key=lambda group: (_apart(group), fitting.index(group[0])))


def _apart(entities: Sequence[Entity]) -> int:
    """How far apart entities are, in steps too coarse to overrule preferences among neighbours."""
    farthest = max((_distance(a, b) for a in entities for b in entities), default=0.0)
    return max(0, round((farthest - _TOGETHER_M) / _APART_STEP_M))


def _distance(a: Entity, b: Entity) -> float:
    return float(np.linalg.norm(a.position - b.position))


def candidates(casting: Casting) -> list[Entity]:
    """The entities that fit a role, best first. Raises TaskPackageError naming the nearest that do not."""
    if casting.config.entity is not None:
        return [_explicit(casting, casting.config.entity)]
    reasons = {entity.id: unfit(casting, entity) for entity in casting.scene.entities}
    fitting = [entity for entity in casting.scene.entities if reasons[entity.id] is None]
    if casting.config.kind == "region":
        fitting += [rack for rack in open_racks(casting.scene.entities) if unfit(casting, rack) is None]
    if not fitting:
        raise TaskPackageError(_nobody(casting, {name: reason for name, reason in reasons.items() if reason}))
    return sorted(fitting, key=lambda entity: _preference(casting, entity))


def unfit(casting: Casting, entity: Entity) -> str | None:
    """Why an entity does not fit the role, or None when it does."""
    role = casting.config
    if role.categories and not entity.labels & {category.lower() for category in role.categories}:
        return f"is a {entity.category}, not one of {', '.join(role.categories)}"
    missing = [word for word in role.affordances if word.lower() not in entity.affordances]
    if missing:
        return f"is not {' or '.join(missing)}"
    judges = {
        "rigid": _unfit_rigid,
        "deformable": _unfit_deformable,
        "articulated": _unfit_articulated,
        "region": _unfit_region,
    }
    return judges[role.kind](casting, entity)


def _unfit_deformable(casting: Casting, entity: Entity) -> str | None:
    if entity.shape != "cloth":
        return f"is a {entity.category}, not cloth"
    return _unfit_loose(casting, entity)


def _unfit_rigid(casting: Casting, entity: Entity) -> str | None:
    loose = _unfit_loose(casting, entity)
    return loose or (_too_wide(entity, casting.gripper) if casting.config.graspable else None)


def _unfit_loose(casting: Casting, entity: Entity) -> str | None:
    if not entity.movable:
        return f"is {entity.sim_role}, not something to move"
    if entity.mass_kg > MAX_MASS_KG:
        return f"weighs {entity.mass_kg:g} kg, more than {MAX_MASS_KG:g}"
    holder = inside(entity, casting.scene.entities)
    if holder is not None:
        return f"lies inside '{holder.id}'"
    for overlap in casting.overlaps:
        other = overlap.other(entity)
        if other is not None:
            return f"overlaps '{other.id}' by {100 * overlap.depth_m:.0f} cm"
    return None


def _too_wide(entity: Entity, gripper: GripperConfig | None) -> str | None:
    if gripper is None:
        return "cannot be grasped: the robot has no gripper"
    width, limit = grasp_width(entity), _GRIP_SHARE * gripper.max_width_m
    if width <= limit:
        return None
    return f"is {100 * width:.1f} cm wide where it is narrowest, the gripper takes {100 * limit:.1f}"


def _unfit_articulated(casting: Casting, entity: Entity) -> str | None:
    joint, wanted = entity.joint, casting.config.joint
    if joint is None:
        return "has no joint"
    if wanted is not None and joint.kind != wanted:
        return f"is {joint.kind}"
    asked_for = casting.config.categories or casting.config.affordances
    if not asked_for and entity.handle is None:
        return "has no handle to open it by"
    for overlap in casting.overlaps:
        other = overlap.other(entity)
        if other is not None and not overlap.expected:
            return f"overlaps '{other.id}' by {100 * overlap.depth_m:.0f} cm"
    return None


def _unfit_region(casting: Casting, entity: Entity) -> str | None:
    if region(entity) is None:
        return f"is a {entity.category}, into or onto which nothing is put"
    holder = inside(entity, casting.scene.entities)
    return None if holder is None else f"is shut in by '{holder.id}'"


def grasp_width(entity: Entity) -> float:
    """The smaller of the entity's two horizontal extents in metres, as it stands."""
    upright = int(np.argmax(np.abs(entity.rotation[2])))
    return float(np.delete(entity.size, upright).min())


def open_radius(scene: Scene, entity: Entity) -> float:
    """Horizontal distance in metres from an entity's centre to the nearest thing beside it."""
    low, high = entity.bounds
    gaps = [np.inf]
    for other in scene.entities:
        other_low, other_high = other.bounds
        beside = other_high[2] > low[2] + 0.01 and other_low[2] < high[2] + 0.1
        if other is not entity and beside:
            point = entity.position[:2]
            gaps.append(float(np.linalg.norm(point - np.clip(point, other_low[:2], other_high[:2]))))
    return min(gaps)


def _explicit(casting: Casting, wanted: str) -> Entity:
    scene, where = casting.scene, f"policy.roles.{casting.role}.entity"
    entity = scene.by_id.get(wanted) or next((e for e in scene.entities if e.source_id == wanted), None)
    if entity is None:
        known = nearest(wanted, scene.by_id)
        raise TaskPackageError(f"{scene.id}: {where} is '{wanted}', which the scene does not have. {known}")
    reason = unfit(casting, entity)
    if reason is not None:
        raise TaskPackageError(
            f"{scene.id}: {where} is '{wanted}', which cannot play {casting}: it {reason}. "
            f"Leave {where} unset to take the best fitting entity."
        )
    return entity


def _preference(casting: Casting, entity: Entity) -> tuple[bool, float, bool, float, str]:
    """Smaller is better: told to be usable, in the open or at working height, easy to hold, then by name."""
    told = _TOLD[casting.config.kind]
    handle = entity.handle_position
    if casting.config.kind == "articulated" and handle is not None:
        return (
            told not in entity.affordances,
            round(abs(float(handle[2]) - _WORKING_HEIGHT_M), 1),
            False,
            0.0,
            entity.id,
        )
    crowded = round(max(0.0, _OPEN_M - open_radius(casting.scene, entity)), 2)
    slender = max(_SLENDER, round(float(entity.size[2] / entity.size[:2].min()), 1))
    return told not in entity.affordances, crowded, entity.shape != "box", slender, entity.id


def _nobody(casting: Casting, reasons: dict[str, str]) -> str:
    """The message for a role that nobody fits, with the nearest entities and what they lack."""
    role, scene = casting.config, casting.scene

    def lacking(name: str) -> tuple[int, str]:
        entity = scene.by_id[name]
        right_kind = {
            "rigid": entity.movable,
            "deformable": entity.shape == "cloth",
            "articulated": entity.joint is not None,
            "region": region(entity) is not None,
        }
        named = not role.categories or bool(
            entity.labels & {category.lower() for category in role.categories}
        )
        can = bool(entity.affordances & {word.lower() for word in role.affordances})
        return -4 * right_kind[role.kind] - 2 * named - can, name

    close = ", ".join(f"'{name}' ({reasons[name]})" for name in sorted(reasons, key=lacking)[:_SHOWN])
    return (
        f"{scene.id}: policy '{casting.policy}' needs a {casting}; of {len(reasons)} entities none fits. "
        f"Nearest: {close}. Use another policy or scene, or correct the manifest."
    )
