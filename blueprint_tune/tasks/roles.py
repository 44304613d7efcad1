"""Which entity of a scene can play which role of a policy type, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, product

import numpy as np

from blueprint_tune.config.schema import GripperConfig, RoleConfig
from blueprint_tune.errors import TaskPackageError, nearest
from blueprint_tune.tasks.classes import CLASSES
from blueprint_tune.tasks.overlaps import inside, serious_overlap
from blueprint_tune.tasks.scene import Entity, Scene

MAX_MASS_KG = 5.0
_GRIP_SHARE = 0.9
"""Of the gripper's opening that an object may fill."""
_OPEN_M = 0.25
"""Free space around an object beyond which more of it is no better."""
_WORKING_HEIGHT_M = 0.8
_SHOWN = 5
_MAX_BINDINGS = 200


@dataclass(frozen=True)
class Asked:
    """What :func:`candidates` judges entities by."""

    policy: str
    role: str
    config: RoleConfig
    gripper: GripperConfig | None


def candidates(scene: Scene, asked: Asked) -> list[Entity]:
    """The entities that fit a role, best first. Raises TaskPackageError naming the nearest that do not."""
    wanted = asked.config.entity
    if wanted is not None:
        return [_explicit(scene, asked, wanted)]
    fitting, rejected = [], []
    for entity in scene.entities:
        reason = _reason(scene, entity, asked)
        if reason is None:
            fitting.append(entity)
        else:
            rejected.append((entity, reason))
    if not fitting:
        raise TaskPackageError(_nobody(scene, asked, rejected))
    return sorted(fitting, key=lambda entity: _preference(scene, entity, asked))


def bindings(scene: Scene, asked: Sequence[Asked]) -> Iterable[dict[str, Entity]]:
    """Every way to give each role an entity of its own, best first (at most 200). Raises TaskPackageError."""
    ranked = [candidates(scene, one) for one in asked]
    orders = (
        sorted(product(*(range(min(len(r), 40)) for r in ranked)), key=lambda o: (sum(o), o))
        if ranked
        else []
    )
    chosen = ([ranked[i][k] for i, k in enumerate(order)] for order in orders)
    distinct = (entities for entities in chosen if len({e.id for e in entities}) == len(entities))
    found = [dict(zip((one.role for one in asked), e, strict=True)) for e in islice(distinct, _MAX_BINDINGS)]
    if asked and not found:
        names = ", ".join(f"'{one.role}'" for one in asked)
        raise TaskPackageError(
            f"{scene.id}: policy '{asked[0].policy}' needs a different entity for each of its roles "
            f"{names}, but the scene has too few that fit. Use another policy or scene."
        )
    return found


def _explicit(scene: Scene, asked: Asked, wanted: str) -> Entity:
    where = f"policy.roles.{asked.role}.entity"
    by_source = {entity.source_id: entity for entity in scene.entities}
    entity = scene.by_id.get(wanted) or by_source.get(wanted)
    if entity is None:
        raise TaskPackageError(
            f"{scene.id}: {where} is '{wanted}', which the scene does not have. {nearest(wanted, scene.by_id)}"
        )
    reason = _reason(scene, entity, asked)
    if reason is not None:
        raise TaskPackageError(
            f"{scene.id}: {where} is '{wanted}', which cannot be the {_description(asked)}: {reason}. "
            f"Leave {where} unset to take the best fitting entity."
        )
    return entity


def _reason(scene: Scene, entity: Entity, asked: Asked) -> str | None:
    """Why an entity does not fit the role, or None when it does."""
    role = asked.config
    if role.categories and not entity.labels & {c.lower() for c in role.categories}:
        return f"is a {entity.category}, not one of {', '.join(role.categories)}"
    missing = [word for word in role.affordances if word.lower() not in entity.affordances]
    if missing:
        return f"is not {' or '.join(missing)}"
    judge = {"rigid": _rigid, "articulated": _articulated, "region": _region}[role.kind]
    reason = judge(entity, asked)
    if reason is not None or role.kind == "region":
        return reason
    holder = inside(entity, scene.entities) if role.kind == "rigid" else None
    if holder is not None:
        return f"lies inside '{holder.id}'"
    overlap = serious_overlap(entity, scene.entities)
    return None if overlap is None else f"overlaps '{overlap[0].id}' by {100 * overlap[1]:.0f} cm"


def _rigid(entity: Entity, asked: Asked) -> str | None:
    if not entity.movable:
        return f"is {entity.sim_role}, not something to move"
    if entity.mass_kg > MAX_MASS_KG:
        return f"weighs {entity.mass_kg:g} kg, more than {MAX_MASS_KG:g}"
    if not asked.config.graspable:
        return None
    if asked.gripper is None:
        return "cannot be grasped: the robot has no gripper"
    width, limit = grasp_width(entity), _GRIP_SHARE * asked.gripper.max_width_m
    if width > limit:
        return f"is {100 * width:.1f} cm wide at its narrowest, the gripper takes {100 * limit:.1f}"
    return None


def _articulated(entity: Entity, asked: Asked) -> str | None:
    joint, wanted = entity.joint, asked.config.joint
    if joint is None:
        return "has no joint"
    if wanted is not None and joint.kind != wanted:
        return f"is {joint.kind}"
    by_name = asked.config.categories or asked.config.affordances
    if not by_name and entity.handle is None:
        return "has no handle to open it by"
    return None


def _region(entity: Entity, asked: Asked) -> str | None:
    known = CLASSES.get(entity.category)
    if "containable" in entity.affordances or (known is not None and known.holds == "contents"):
        return None
    return f"is a {entity.category}, which holds nothing"


def grasp_width(entity: Entity) -> float:
    """The smaller of the entity's two horizontal extents in metres, as it stands."""
    axes = np.argsort(-np.abs(entity.rotation[2]))
    return float(entity.size[axes[1:]].min())


def _preference(scene: Scene, entity: Entity, asked: Asked) -> tuple[float, ...] | tuple[object, ...]:
    """Smaller is better: told to be usable, in the open, easy to hold, at working height, then by name."""
    told = {"rigid": "graspable", "articulated": "openable", "region": "containable"}[asked.config.kind]
    if entity.handle_position is not None and asked.config.kind == "articulated":
        height = abs(float(entity.handle_position[2]) - scene.floor_m - _WORKING_HEIGHT_M)
        return (told not in entity.affordances, round(height, 1), entity.id)
    crowd = round(max(0.0, _OPEN_M - open_radius(scene, entity)), 2)
    easy = {"box": 0, "cylinder": 1}[entity.shape]
    tall = round(float(entity.size[2] / max(entity.size[:2].min(), 1e-6)), 1)
    return (told not in entity.affordances, crowd, easy, max(tall, 1.5), entity.id)


def open_radius(scene: Scene, entity: Entity) -> float:
    """Horizontal distance in metres from an entity's centre to the nearest thing beside it."""
    low, high = entity.bounds
    gaps = [np.inf]
    for other in scene.entities:
        if other is entity:
            continue
        other_low, other_high = other.bounds
        if other_high[2] > low[2] + 0.01 and other_low[2] < high[2] + 0.1:
            point = entity.position[:2]
            gaps.append(float(np.linalg.norm(point - np.clip(point, other_low[:2], other_high[:2]))))
    return min(gaps)


def _description(asked: Asked) -> str:
    role = asked.config
    with_joint = f" with a {role.joint} joint" if role.joint else ""
    can = f" that is {' and '.join(role.affordances)}" if role.affordances else ""
    kinds = f" among {', '.join(role.categories)}" if role.categories else ""
    return f"{role.kind} role '{asked.role}'{with_joint}{can}{kinds}"


def _nobody(scene: Scene, asked: Asked, rejected: list[tuple[Entity, str]]) -> str:
    """The message for a role that nobody fits, with the nearest entities and what they lack."""
    role = asked.config

    def far(item: tuple[Entity, str]) -> tuple[bool, bool, bool, str]:
        entity, _ = item
        right_kind = entity.joint is not None if role.kind == "articulated" else entity.movable
        named = not role.categories or bool(entity.labels & set(role.categories))
        can = bool(entity.affordances & {a.lower() for a in role.affordances})
        return (not right_kind, not named, not can, entity.id)

    close = ", ".join(f"'{entity.id}' ({reason})" for entity, reason in sorted(rejected, key=far)[:_SHOWN])
    return (
        f"{scene.id}: policy '{asked.policy}' needs a {_description(asked)}; of {len(rejected)} entities none fits. "
        f"Nearest: {close}. Use another policy or scene, or correct the manifest."
    )
