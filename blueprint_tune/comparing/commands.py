"""The commands that a folder of configuration files is meant for: what a change of it may change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from blueprint_tune.config import paths
from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.tasks.manifest import read_manifest

_PAIRED = ("scene", "policy")


@dataclass(frozen=True)
class Command:
    """One experiment people start.

    Attributes:
        label: how people call it; equal for equal commands of two revisions. overrides: what they type.
        scene, policy: of a pair; empty for a command that tries another file of some group.
        files_only: only which files are chosen is of interest: the rest is another command's.
    """

    label: str
    overrides: tuple[str, ...]
    scene: str = ""
    policy: str = ""
    files_only: bool = False


def commands() -> list[Command]:
    """Scenes with the policy types they are meant for, then every other file of every group in the first.

    The whole cross product would say the same more often. Files are those of :func:`paths.reading_from`.
    """
    pairs = list(_pairs())
    return [*pairs, *_others(pairs[0])] if pairs else []


def _pairs() -> Iterator[Command]:
    policies = {name: _tree("policy", name) for name in paths.group_options("policy")}
    meant = _tree("", "environments")
    served = {}
    for scene in paths.group_options("scene"):
        given = _tree("scene", scene).get("scene")
        if isinstance(given, dict) and "???" not in given.values():
            measured = [name for name, policy in policies.items() if _benchmark(policy).get("scene") == scene]
            listed = meant.get(_environment(given)) or ()
            served[scene] = list(dict.fromkeys(name for name in [*listed, *measured] if name in policies))
    if served:  # a policy type that no scene is meant for is still composed once
        first = next(iter(served))
        served[first] += [p for p in policies if not any(p in names for names in served.values())]
    for scene, names in served.items():
        for name in names:
            words = (f"+scene={scene}", f"policy={name}", *_robot(policies[name]))
            yield Command(f"{name} in {scene}", words, scene, name)


def _others(pair: Command) -> Iterator[Command]:
    """Every file of the other groups, and every search space, beside what ``pair`` has."""
    for scene in paths.group_options("scene"):
        yield Command(f"+scene={scene}", (f"+scene={scene}",), files_only=True)
    for group in paths.GROUPS:
        if group not in _PAIRED:
            for name in paths.group_options(group):
                own = "scene" in _tree(group, name)  # a backend with tasks of its own, of which none is named
                words = () if own else pair.overrides
                yield Command(f"{group}={name}", (*words, f"{group}={name}"), files_only=own)
    for space in sorted({file.stem for folder in paths.searchspace_dirs() for file in folder.glob("*.yaml")}):
        words = ("sweep=random", f"searchspace={space}")
        yield Command(words[1], (*pair.overrides, *words))


def _robot(policy: dict[str, Any]) -> list[str]:
    """The words that choose the robot a policy type is measured with, if it is not the scene's."""
    words = map(str, _benchmark(policy).get("overrides") or ())
    return [word for word in words if word.split("=")[0].split(".")[0] == "robot"]


def _benchmark(policy: dict[str, Any]) -> dict[str, Any]:
    found = policy.get("benchmark")
    return found if isinstance(found, dict) else {}


def _environment(scene: dict[str, Any]) -> str:
    """What kind of scene a manifest describes; empty where it cannot be read."""
    manifest = scene.get("manifest")
    shipped = paths.assets_dir() / "scenes" / str(scene.get("id")) / "scene_manifest.json"
    try:
        return read_manifest(Path(manifest) if manifest else shipped).environment
    except BlueprintTuneError:
        return ""


def _tree(group: str, name: str) -> dict[str, Any]:
    """A configuration file as it stands; empty where it is missing or no mapping."""
    for root in (paths.conf_dir(), *paths.user_conf_dirs()):
        if (file := root / group / f"{name}.yaml").is_file():
            try:
                tree = yaml.safe_load(file.read_text())
            except (yaml.YAMLError, UnicodeDecodeError):
                return {}
            return tree if isinstance(tree, dict) else {}
    return {}
