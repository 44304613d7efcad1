"""What a policy's curriculum makes of its file at each level: from 0, its start, to 1, the file itself."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from blueprint_tune.config import suggest
from blueprint_tune.config.policy_schema import CurriculumConfig, PolicyConfig

SECTIONS = ("events", "commands", "rewards", "success", "terminations")
"""What of a policy an environment can change while it runs; and ``start.joint_noise_rad``."""
_SINGLE = "start.joint_noise_rad"


def policy_at(policy: PolicyConfig, level: float) -> PolicyConfig:
    """The policy as it is trained at a level of its curriculum; without one, the policy."""
    if policy.curriculum is None or level == 1.0:
        return policy
    parts = {name: copy.deepcopy(getattr(policy, name)) for name in SECTIONS}
    start = policy.start
    for change in policy.curriculum.changes.values():
        if change.path == _SINGLE and isinstance(change.start, int | float):
            start = replace(start, joint_noise_rad=_between(change.start, start.joint_noise_rad, level))
            continue
        *parents, last = change.path.split(".")
        node = suggest.lookup(parts, parents)
        key = int(last) if isinstance(node, list) else last
        node[key] = _between(change.start, node[key], level)
    return replace(policy, start=start, **parts)


def curriculum_problems(policy: PolicyConfig) -> Iterator[str]:
    """What is wrong with a policy's curriculum, one sentence each."""
    curriculum = policy.curriculum
    if curriculum is None:
        return
    if curriculum.lower_at is not None and curriculum.lower_at >= curriculum.raise_at:
        yield (
            f"policy.curriculum.lower_at={curriculum.lower_at:g} is not below policy.curriculum.raise_at="
            f"{curriculum.raise_at:g}: the level would rise and fall at once."
        )
    yield from _change_problems(policy, curriculum)


def _change_problems(policy: PolicyConfig, curriculum: CurriculumConfig) -> Iterator[str]:
    tree = asdict(policy)
    changed: dict[str, str] = {}
    for name, change in curriculum.changes.items():
        where, path = f"policy.curriculum.changes.{name}", change.path
        if not suggest.exists(tree, path.split(".")):
            yield f"{where}.path='{path}': {suggest.missing_key(tree, path)}"
        elif path.split(".")[0] not in SECTIONS and path != _SINGLE:
            yield (
                f"{where}.path='{path}' cannot change while a policy is trained; what lies below "
                f"{', '.join(SECTIONS)} can, and {_SINGLE}."
            )
        else:
            end = suggest.lookup(tree, path.split("."))
            if not (_numeric(end) and _numeric(change.start) and _shape(end) == _shape(change.start)):
                yield (
                    f"{where}.start={change.start!r} cannot lead to policy.{path}={end!r}; "
                    "both must be a number, or lists of as many numbers."
                )
        for other, others in changed.items():
            if f"{path}.".startswith(f"{others}.") or f"{others}.".startswith(f"{path}."):
                yield f"{where}.path='{path}' is changed by '{other}' already. Leave one of them out."
        changed[name] = path


def _numeric(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)


def _shape(value: Any) -> int | None:
    return len(value) if isinstance(value, list) else None


def _between(start: Any, end: Any, level: float) -> Any:
    """Numbers and lists of numbers in between, exactly ``start`` at 0; whole ones stay whole."""
    if isinstance(end, list):
        return [_between(first, last, level) for first, last in zip(start, end, strict=True)]
    value = start * (1.0 - level) + end * level
    return round(value) if isinstance(start, int) and isinstance(end, int) else value
