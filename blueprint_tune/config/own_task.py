"""Rules for backends whose tasks bring an environment of their own: what is seen, rewarded, a success."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from blueprint_tune.config.schema import ExperimentConfig

OWN_TASK_BACKENDS = ("isaaclab_task",)
"""They run a task's environment as it is, instead of training it with terms of this program."""
RETURN = "eval/return"
"""Mean return of the selection's episodes: tasks of their own have weights that no search changes."""
Kind = Literal["termination", "extras", "return"]
HOW = (
    "termination:<a termination term of the task>, extras:<an entry of a step's extras, a value for each"
    " environment> or, for a task without such a signal, return:<number>: an episode that earns it counts"
)


@dataclass(frozen=True)
class Signal:
    """What tells that an episode succeeded.

    Attributes:
        kind: ``termination``: the term of that name was true in the episode, ``extras``: the entry was above
            0.5 in it, ``return``: at its end it had earned ``at_least``.
        name: of the term, or of the entry, ``log/reached`` for ``extras["log"]["reached"]``.
    """

    kind: Kind
    name: str
    at_least: float = 0.0

    @property
    def sentence(self) -> str:
        """For people."""
        return {
            "termination": f"an episode succeeds when the task's termination term '{self.name}' is true",
            "extras": f"an episode succeeds when the task's extras '{self.name}' are above 0.5",
            "return": f"an episode counts as a success when it earns {self.at_least:g} or more",
        }[self.kind]


def read_signal(text: str) -> Signal:
    """What ``backend.success`` says. Raises ValueError for what it cannot say."""
    kind, _, name = text.partition(":")
    found = next((known for known in get_args(Kind) if known == kind), None)
    if found is None or not name:
        raise ValueError(text)
    at_least = float(name) if found == "return" else 0.0
    if not math.isfinite(at_least):
        raise ValueError(text)
    return Signal(found, name, at_least)


def own_task_problems(cfg: ExperimentConfig) -> list[str]:
    """Every rule about them that ``cfg`` breaks, one sentence each."""
    return list(_rules(cfg))


def _rules(cfg: ExperimentConfig) -> Iterator[str]:
    backend, scene, external = cfg.backend, cfg.scene, cfg.policy.family == "external"
    if not backend.own_task:
        if external:
            yield f"policy '{cfg.policy.name}' stands for the task of another backend: backend=isaaclab_task."
        return
    if not external:
        yield (
            f"backend '{backend.name}': observations, rewards and episodes are the task's own, so policy"
            f" '{cfg.policy.name}' does not apply. Leave policy=… and +scene=… out of the command"
            " (policy.name=… and scene.id=… say what results are published under)."
        )
    if scene.manifest is not None:
        yield f"backend '{backend.name}': the scene is the task's own. Leave scene.manifest=… out."
    if (backend.task is None) == (scene.package is None):
        both = "two tasks are named" if backend.task else "no task is named"
        yield (
            f"backend '{backend.name}': {both}. Give backend.task=<the name that it is registered under>, or"
            " +scene=package scene.package=<a task package with an environment class of its own>."
        )
    if scene.package is not None and not backend.trust_package_code:
        yield (
            f"backend '{backend.name}' runs env_cfg.py and what it imports, code that came with the package"
            f" {scene.package}. Read it, then add backend.trust_package_code=true; other backends train the"
            " package's task without running any of it (backend=mujoco)."
        )
    yield from _success(backend.success)


def _success(text: str | None) -> Iterator[str]:
    try:
        read_signal(text or "")
    except ValueError:
        yield f"backend.success={text}: which episodes succeed? Give {HOW}."
