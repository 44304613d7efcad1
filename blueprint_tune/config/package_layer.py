"""A task package as a layer of settings: above this program's defaults, below the command line.

``+scene=package scene.package=<place>`` stands for further words in front of those that were typed: the
policy, the robot, the manifest, and what train_cfg.yaml says (``package_train.py``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from blueprint_tune.config import paths
from blueprint_tune.config.commandline import Verdict, parse
from blueprint_tune.config.own_task import OWN_TASK_BACKENDS
from blueprint_tune.config.package_train import Layer, quoted, set_physics, set_training
from blueprint_tune.errors import TaskPackageError
from blueprint_tune.packages.check_files import manifest_beside, policy_of, robot_of
from blueprint_tune.packages.fetch import is_uri, local_package
from blueprint_tune.packages.reader import read_package
from blueprint_tune.packages.validate import examine

_NOT_ASKED = {"unknown-policy": "policy", "unknown-robot": "robot"}
"""Findings that a word of the command line settles."""


def package_layer(overrides: Sequence[str]) -> Layer | None:
    """The layer of the package that ``overrides`` name; None where they name none.

    Raises TaskPackageError where there is no package, StorageError where it cannot be fetched.
    """
    given = {item.key_or_group: item.value() for item in parse(overrides, Verdict())}
    place = given.get("scene.package")
    if given.get("scene") != "package" or "scene.package" not in given:
        return None
    if place in (None, ""):
        raise TaskPackageError("scene.package is empty. Give the folder or URI of a task package.")
    if not isinstance(place, str):
        return None  # several: whoever judges the words says so
    output_dir = given.get("output_dir") or _default("output_dir")
    cache, endpoint = Path(str(output_dir)).expanduser() / ".packages", given.get("storage.endpoint")
    folder = local_package(place, cache, endpoint if isinstance(endpoint, str) else None).absolute()
    package = read_package(folder)
    report = examine(package)
    layer = Layer(package, frozenset(given), report.rewards)
    own_task = given.get("backend") in OWN_TASK_BACKENDS
    named = {
        "policy": own_task or "policy" in given,
        "robot": own_task or "robot" in given or "robot.model" in given,
    }
    fatal = [f for f in report.findings if f.level == "fatal" and not named.get(_NOT_ASKED.get(f.code, ""))]
    if fatal:
        said = "; ".join(f"{finding.place} {finding.what} ({finding.here})" for finding in fatal)
        layer.problems.append(f"{place}: the package cannot be used: {said}. blueprint-tune validate {place}")
        return layer
    if is_uri(place):
        layer.words.append(f"scene.package={quoted(str(folder))}")
        layer.adaptations.append(f"the package was copied from {place} to {folder}.")
    if own_task:
        _own_task(layer, folder, given.get("backend.num_envs"))
        return layer
    _scene(layer, folder)
    _choices(layer, str(given.get("policy") or policy_of(package)))
    set_training(layer, given.get("backend.num_envs"))
    set_physics(layer)
    return layer


def expanded(overrides: Sequence[str], layer: Layer | None) -> list[str]:
    """``overrides`` with the layer's words in their place: what was typed comes last and wins."""
    if layer is None:
        return list(overrides)
    own = {"scene.package"} if any(w.startswith("scene.package=") for w in layer.words) else set()
    typed = [word for word in overrides if word.lstrip("+").partition("=")[0] not in own]
    return [*layer.words, *typed]


def _default(key: str) -> Any:
    return yaml.safe_load((paths.conf_dir() / "config.yaml").read_text())[key]


def _scene(layer: Layer, folder: Path) -> None:
    package, manifest = layer.package, manifest_beside(folder)
    if manifest.is_file():
        layer.set("scene.manifest", quoted(str(manifest)))
    elif "scene.manifest" not in layer.typed:
        if not set(package.entities) - {"robot", "scene_root"}:
            layer.problems.append(
                f"{folder}: has no scene manifest ({manifest}) and names no objects either."
                " Add scene.manifest=<path to scene_manifest.json>."
            )
        layer.adaptations.append(
            f"there is no scene manifest at {manifest}: objects come from SCENE_ENTITY_MAP with guessed"
            " places and sizes of their classes."
        )
    _scene_id(layer, folder)


def _scene_id(layer: Layer, folder: Path) -> None:
    package = layer.package
    stated = package.scene_id or folder.parent.name
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", stated).strip("_-")[:64] or "package"
    if name != package.scene_id:
        why = f"'{package.scene_id}' is no safe name" if package.scene_id else "the package names no scene"
        layer.adaptations.append(f"the scene is called '{name}': {why}.")
    layer.set("scene.id", quoted(name))


def _own_task(layer: Layer, folder: Path, num_envs: object) -> None:
    """What of a package counts where its own environment is run: names, train_cfg.yaml, its success flag."""
    package = layer.package
    _scene_id(layer, folder)
    for key, stated in (("policy.name", package.policy), ("robot.name", package.robot)):
        if stated is not None and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", stated):
            layer.set(key, quoted(stated))
    layer.set("backend.success", "termination:task_success")
    set_training(layer, num_envs)
    layer.words = [word for word in layer.words if not word.startswith("policy.episode_s=")]
    layer.rewards = ()  # they are weighed by the package's own environment


def _choices(layer: Layer, policy: str) -> None:
    """The policy type and the robot, and what of the robot the policy type cannot do without."""
    package, stated = layer.package, layer.package.policy
    layer.set("policy", policy)
    if policy != stated and "policy" not in layer.typed:
        layer.adaptations.append(f"policy '{stated}' is one of upstream's fallbacks; '{policy}' is trained.")
    if layer.typed & {"robot", "robot.model"}:
        return
    robot, needs = str(robot_of(package)), _needs(policy)
    if needs.get("mobile_base") and robot != "fetch":
        layer.adaptations.append(
            f"robot '{robot}' stands still and policy '{policy}' drives; robot=fetch robot.base=planar does."
        )
        robot = "fetch"
    elif robot != package.robot:
        layer.adaptations.append(f"robot '{package.robot}' is '{robot}' here.")
    layer.set("robot", robot)
    if needs.get("mobile_base"):
        layer.set("robot.base", "planar")
    if robot == "ur10" and needs.get("grasps"):
        layer.set("robot.gripper", "parallel")
        layer.adaptations.append(f"policy '{policy}' grasps; the ur10 is given its parallel gripper.")


def _needs(policy: str) -> dict[str, bool]:
    """What a policy type's own file asks of a robot."""
    for root in [*paths.user_conf_dirs(), paths.conf_dir()]:
        file = root / "policy" / f"{policy}.yaml"
        if file.is_file():
            tree = yaml.safe_load(file.read_text())
            roles = tree.get("roles") or {} if isinstance(tree, dict) else {}
            grasps = any(isinstance(role, dict) and role.get("graspable") for role in roles.values())
            return {"mobile_base": bool(tree.get("mobile_base")), "grasps": grasps}
    return {}
