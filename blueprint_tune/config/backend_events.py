"""A policy's events that the chosen backend cannot play: left out when settings are composed, with a note."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blueprint_tune.config.schema import ExperimentConfig

Tree = dict[str, Any]


def drop_events(tree: Tree) -> None:
    """Take events of the kinds in ``tree['backend']['drops_events']`` out of the policy; a note in the scene.

    What a curriculum changes of them goes with them.
    """
    backend, policy, scene = (tree.get(name) for name in ("backend", "policy", "scene"))
    if not (isinstance(backend, dict) and isinstance(policy, dict) and isinstance(scene, dict)):
        return  # what is missing is told elsewhere
    kinds, events = backend.get("drops_events"), policy.get("events")
    if not isinstance(kinds, list) or not isinstance(events, dict):
        return
    dropped = {n: e["kind"] for n, e in events.items() if isinstance(e, dict) and e.get("kind") in kinds}
    policy["events"] = {name: entry for name, entry in events.items() if name not in dropped}
    curriculum = policy.get("curriculum")
    changes = curriculum.get("changes") if isinstance(curriculum, dict) else None
    if isinstance(changes, dict):
        for name in [n for n, c in changes.items() if _is_about(c, dropped)]:
            del changes[name]
    scene["adaptations"] = [
        *(scene.get("adaptations") or ()),
        *(
            f"event '{name}' ({kind}) is left out: backend '{backend.get('name')}' cannot play it."
            for name, kind in dropped.items()
        ),
    ]


def _is_about(change: Any, events: dict[str, str]) -> bool:
    path = str(change.get("path", "")) if isinstance(change, dict) else ""
    return path.startswith("events.") and path.split(".")[1] in events


def event_problems(cfg: ExperimentConfig) -> Iterator[str]:
    """Events that a search would add although the backend cannot play them."""
    for name, event in cfg.policy.events.items():
        if event.get("kind") in cfg.backend.drops_events:
            yield (
                f"policy.events.{name} is of kind '{event['kind']}', which backend '{cfg.backend.name}' "
                "cannot play. Leave it out of the search space, or use backend=mujoco."
            )
