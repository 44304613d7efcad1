"""What a package's terms are worth: live, constant, raising, of a wrong shape or a wrong sign."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from blueprint_tune.errors import printable
from blueprint_tune.packages.findings import FROM_POLICY, Finding, Level
from blueprint_tune.packages.interpret import Steps, Verdict, judge
from blueprint_tune.packages.model import Package, Place, Term
from blueprint_tune.packages.reader import REWARDS
from blueprint_tune.packages.static import dotted, is_number

OWN_TERM = "this program's term of that name, if the policy type has one"
_CLOSES_ON_NOTHING = "grasp_success"
_PENALTIES = ("penalty", "smooth_motion", "smooth_ee_velocity", "efficiency")
_COSTS_TIME = ("efficiency", "efficiency_bonus", "force_control")


@dataclass(frozen=True)
class Reward:
    """A reward component of the package.

    Attributes:
        weight: as the package has it. verdict: of its function on Isaac Lab, None where it is not there.
        negative: its function returns what is below zero, so a positive weight makes it a penalty.
    """

    name: str
    weight: float | None
    place: Place
    verdict: Verdict | None
    negative: bool

    @property
    def doubly_negative(self) -> bool:
        """Its weight turns the penalty into a reward for what it punishes."""
        return self.negative and self.weight is not None and self.weight < 0


def rewards(package: Package, steps: Steps) -> list[Reward]:
    """The reward components: env_cfg.py's, and those that only train_cfg.yaml names.

    Where both give a weight, train_cfg.yaml, which people edit, is not asked: env_cfg.py is what runs.
    """
    found = [_reward(term, package, steps) for term in package.rewards]
    weights = package.train.get("rewards")
    known = {reward.name for reward in found}
    for name, weight in weights.items() if isinstance(weights, dict) else ():
        if isinstance(name, str) and name not in known:
            number = float(weight) if is_number(weight) else None
            negative = any(word in name for word in _PENALTIES) or name in _COSTS_TIME
            found.append(
                Reward(printable(name), number, package.train_place(f"rewards.{name}"), None, negative)
            )
    return found


def _reward(term: Term, package: Package, steps: Steps) -> Reward:
    if term.function is None or term.module is None:
        negative = any(word in term.name for word in _PENALTIES) or term.name in _COSTS_TIME
        return Reward(term.name, term.weight, term.place, None, negative)
    names = package.modules[term.module].constants
    verdict = judge(term.function, term.params, package.scene, names, steps=steps)
    sign = judge(term.function, term.params, package.scene, names, generous=True, steps=steps)
    return Reward(term.name, term.weight, term.place, verdict, sign.negative)


def term_findings(package: Package, components: list[Reward], steps: Steps) -> Iterator[Finding]:
    """About rewards, observations and terminations."""
    for reward in components:
        yield from _about(reward, package)
    yield from _task_reward(components)
    yield from _history(package)
    for term in (*package.observations, *package.terminations):
        yield from _other_term(term, package, steps)


def _about(reward: Reward, package: Package) -> Iterator[Finding]:
    verdict = reward.verdict
    if verdict is not None and verdict.kind != "live":
        file = next((t.module for t in package.rewards if t.name == reward.name and t.module), REWARDS)
        said = {
            "zero": f"constant zero: {verdict.why or 'nothing it reads is there'}",
            "raises": f"raises: {verdict.why}",
            "shape": f"wrong shape: {verdict.why}",
            "unknown": f"cannot be decided: {verdict.why}",
        }[verdict.kind]
        level: Level = "note" if verdict.kind == "unknown" else "adapted"
        place = Place(file, verdict.line)
        yield Finding(f"term-{verdict.kind}", level, place, f"reward '{reward.name}'", said, OWN_TERM)
    if reward.doubly_negative:
        yield Finding(
            "double-negative", "adapted", reward.place, f"weight {reward.weight:g} of '{reward.name}'",
            "the function returns what is below zero already: the mistake would be rewarded",
            "taken as the penalty that is meant",
        )  # fmt: skip
    if reward.weight is None:
        yield Finding(
            "no-weight", "adapted", reward.place, f"reward '{reward.name}' has no constant weight",
            "nothing can be said", "the policy file's own weight",
        )  # fmt: skip


def _task_reward(components: list[Reward]) -> Iterator[Finding]:
    if not components:
        return
    live = [r for r in components if r.verdict is not None and r.verdict.kind == "live" and not r.negative]
    useful = [reward for reward in live if reward.name != _CLOSES_ON_NOTHING]
    for reward in live:
        if reward not in useful:
            yield Finding(
                "grasp-on-nothing", "adapted", reward.place,
                f"'{reward.name}' looks at the finger joints alone",
                "closing the gripper on nothing earns it",
                "a grasp is force on both fingers here",
            )  # fmt: skip
    if not useful:
        yield Finding(
            "no-task-reward", "adapted", components[0].place, "no live term rewards the task",
            "nothing leads to the goal: penalties and time alone are learned from", FROM_POLICY,
        )  # fmt: skip


def _history(package: Package) -> Iterator[Finding]:
    def kept(node: ast.AST) -> bool:
        targets = node.targets if isinstance(node, ast.Assign) else []
        return any(dotted(target).startswith("env._prev") for target in targets)

    module = package.modules.get(REWARDS)
    terms = [f for name, f in module.functions.items() if name.startswith("reward_")] if module else []
    nodes = [node for function in terms for node in ast.walk(function) if kept(node)]
    if nodes:
        assert isinstance(nodes[0], ast.Assign)  # as matched
        yield Finding(
            "history-not-reset", "adapted", Place(REWARDS, nodes[0].lineno),
            f"{dotted(nodes[0].targets[0])} is kept between steps and never reset",
            "the first step of an episode is judged by the last action of the one before",
            "histories start anew with each episode",
        )  # fmt: skip


def _other_term(term: Term, package: Package, steps: Steps) -> Iterator[Finding]:
    if term.function is None or term.module is None:
        return
    names = package.modules[term.module].constants
    verdict = judge(term.function, term.params, package.scene, names, steps=steps)
    if verdict.kind == "live":
        return
    if verdict.kind == "zero" and term in package.terminations:
        yield Finding(
            "success-never-set", "adapted", Place(term.module, verdict.line), f"termination '{term.name}'",
            f"never happens: {verdict.why}", "success is judged on state by the policy file's success term",
        )  # fmt: skip
    else:
        yield Finding(
            f"term-{verdict.kind}", "adapted", Place(term.module, verdict.line), f"'{term.name}'",
            f"{verdict.kind}: {verdict.why}", FROM_POLICY,
        )  # fmt: skip
