"""A package's reward weights, put on this program's terms of the same names.

The generator gives every component the same weight, 1 (0.01 and 0.001 for the two penalties it adds), so a
weight says how much against that: a component of weight 5 counts five times what the policy file gives it.
"""

from __future__ import annotations

from typing import Any

from blueprint_tune.config.package_train import Layer
from blueprint_tune.packages.check_terms import Reward
from blueprint_tune.packages.knowledge import USUAL_WEIGHT, USUAL_WEIGHTS

Tree = dict[str, Any]


def apply_package(tree: Tree, layer: Layer) -> None:
    """Weigh ``tree['policy']['rewards']`` as the package does, and list its adaptations in the scene."""
    policy, scene = tree.get("policy"), tree.get("scene")
    if not isinstance(policy, dict) or not isinstance(scene, dict):
        return  # what is missing is told elsewhere
    rewards = policy.get("rewards")
    sentences = list(layer.adaptations)
    if isinstance(rewards, dict) and layer.rewards:
        sentences += _weigh(rewards, layer, str(policy.get("name")))
    scene["adaptations"] = sentences


def _weigh(rewards: Tree, layer: Layer, policy: str) -> list[str]:
    said, usual = [], []
    for reward in layer.rewards:
        entry = rewards.get(reward.name)
        if not isinstance(entry, dict):
            said.append(f"reward '{reward.name}' has no counterpart in policy '{policy}' and is left out.")
        elif not layer.is_typed(f"policy.rewards.{reward.name}.weight"):
            changed = _weighed(entry, reward)
            said += [changed] if changed else []
            usual += [] if changed else [reward.name]
    if usual:
        said.append(
            f"rewards {', '.join(usual)} are this program's terms of these names with the policy file's"
            " weights: the package has the weights that upstream gives everything."
        )
    own = [name for name in rewards if name not in {reward.name for reward in layer.rewards}]
    if own:
        said.append(f"rewards {', '.join(own)} are the policy file's own: upstream's lead nowhere alone.")
    return said


def _weighed(entry: Tree, reward: Reward) -> str | None:
    """Give a term its weight; a sentence where it is not the policy file's own."""
    given, own = reward.weight, entry.get("weight")
    if given is None or not isinstance(own, int | float):
        return None
    factor = given / USUAL_WEIGHTS.get(reward.name, USUAL_WEIGHT)
    if reward.negative:
        factor = abs(factor)  # upstream's function is below zero already, and so is our weight
    if factor == 1 and not reward.doubly_negative:
        return None
    entry["weight"] = own * factor
    sign = "; its two minus signs would have rewarded it" if reward.doubly_negative else ""
    return (
        f"reward '{reward.name}' has weight {given:g}, {factor:g} x upstream's usual one: it counts"
        f" {entry['weight']:g} here, {factor:g} x the policy file's {own:g}{sign}."
    )
