"""Published policies, found by name, by address, or by the experiment that made them."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from blueprint_tune.config.schema import StorageConfig
from blueprint_tune.errors import ConfigError, ObjectNotFound, StorageError, nearest
from blueprint_tune.publish import MARKER, training_root
from blueprint_tune.storage.path import StoragePath, check_id, open_root

_ADDRESS = re.compile(
    r"(?:(?P<root>.*)/)?scenes/(?P<scene>[^/]+)/rl_training/policies/(?P<name>[^/]+)(?:/policy\.(?:onnx|pt))?/?"
)
_INDEXED = ("policy_id", "robot_type", "job_id", "eval_path", "success_rate", "success_rate_95ci")


@dataclass(frozen=True)
class Published:
    """A policy in the index of its scene.

    Attributes:
        root: of the storage. scene, name: of the scene and the policy; entry: what the index says.
    """

    root: StoragePath
    scene: str
    name: str
    entry: Mapping[str, Any]

    @property
    def training(self) -> StoragePath:
        """``{root}/scenes/{scene}/rl_training``."""
        return training_root(self.root, self.scene)

    @property
    def policy(self) -> str:
        """The policy type."""
        return str(self.entry["policy_id"])

    @property
    def robot(self) -> str:
        """The robot's name."""
        return str(self.entry["robot_type"])

    @property
    def job(self) -> str:
        """The job's id, which can name a folder."""
        return check_id("job id", str(self.entry["job_id"]))

    @property
    def evaluation(self) -> str:
        """The id of the evaluation that the index names, which can name a folder."""
        path = str(self.entry["eval_path"])
        match = re.fullmatch(r"evaluations/([^/]+)/benchmark_report\.json", path)
        return check_id("evaluation id", match.group(1) if match else path)

    @property
    def bundle(self) -> StoragePath:
        """The bundle's folder."""
        return self.training / "policies" / check_id("policy name", self.name)


def all_published(root: StoragePath) -> tuple[list[Published], list[str]]:
    """All policies in the indices of all scenes, by scene, policy type, robot and name.

    And a sentence for each index, or entry of one, that cannot be read: it hides no other. Raises
    StorageError where storage refuses: two in a row are its own trouble.
    """
    found, damaged, trouble = list[Published](), list[str](), False
    for scene in scenes(root):
        try:
            policies, sentences = index(root, scene)
        except StorageError as error:
            if trouble:
                raise
            trouble, policies, sentences = True, [], [str(error)]
        else:
            trouble = False
        found, damaged = [*found, *policies], [*damaged, *sentences]
    return sorted(found, key=lambda p: (p.scene, p.policy, p.robot, p.name)), damaged


def scenes(root: StoragePath) -> list[str]:
    """Ids of the scenes that may have an index."""
    found = list[str]()
    for name in (root / "scenes").folders():
        with contextlib.suppress(StorageError):  # somebody else's folder, which no scene can be called
            found.append(check_id("scene id", name))
    return found


def index(root: StoragePath, scene: str) -> tuple[list[Published], list[str]]:
    """The policies of one scene, and a sentence for each entry that is damaged.

    No policies where nothing was published, or by somebody who keeps no index. Raises StorageError where
    storage refuses.
    """
    marker = training_root(root, scene) / MARKER
    try:
        content = marker.read_bytes()
    except ObjectNotFound:
        return [], []
    try:
        policies = parse_json(marker, content).get("policies", {})
    except StorageError as error:
        return [], [str(error)]
    found, damaged = list[Published](), list[str]()
    for name, entry in policies.items() if isinstance(policies, Mapping) else ():
        try:
            _check_entry(str(name), entry)
        except StorageError as error:
            damaged.append(f"{marker}: the entry of {name!r}: {error} Publish that policy again.")
        else:
            found.append(Published(root, scene, str(name), entry))
    return found, damaged


def _check_entry(name: str, entry: Any) -> None:
    """Raises StorageError for an entry that lacks something, or has something else in its place."""
    check_id("policy name", name)
    if not isinstance(entry, Mapping) or (missing := [key for key in _INDEXED if key not in entry]):
        raise StorageError(
            f"{', '.join(missing)} missing." if isinstance(entry, Mapping) else "it is no object."
        )
    for key in ("policy_id", "robot_type"):
        check_id(key, entry[key] if isinstance(entry[key], str) else repr(entry[key]))
    interval = entry["success_rate_95ci"]
    pair = isinstance(interval, list) and len(interval) == 2
    if not pair or not all(_is_share(value) for value in (entry["success_rate"], *interval)):
        raise StorageError("its success_rate and success_rate_95ci must be one and two numbers from 0 to 1.")


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0


def find(word: str, storage: StorageConfig) -> Published:
    """The policy that ``word`` means: an experiment's folder, an address, or a name below the storage's root.

    An address says its own root, which is asked as ``storage`` says. Raises ConfigError where there is none,
    or more than one, StorageError where it may be in an index that is damaged.
    """
    if is_experiment(word):
        return _of_experiment(Path(word).expanduser(), storage)
    if _ADDRESS.fullmatch(word):
        return at_address(word, storage)
    if "/" in word or "\\" in word:
        raise ConfigError(
            f"{word}: there is neither an experiment here nor does this name a published policy. Give an "
            "experiment's folder, a policy's name, or <root>/scenes/<scene>/rl_training/policies/<policy>."
        )
    name, root = check_id("policy name", word), open_root(storage)
    known, damaged = all_published(root)
    found = [policy for policy in known if policy.name == name]
    if len(found) > 1:
        places = "\n".join(f"  {policy.bundle}" for policy in found)
        raise ConfigError(f"{len(found)} published policies are called {name}. Give the address:\n{places}")
    if not found:
        raise _absent(
            damaged,
            f"{root} has no published policy '{name}'. {nearest(name, [policy.name for policy in known])} "
            "Set storage.root=… if it is elsewhere.",
        )
    return found[0]


def is_experiment(word: str) -> bool:
    """Whether ``word`` is the folder of an experiment."""
    try:
        return "://" not in word and (Path(word).expanduser() / "experiment.yaml").is_file()
    except (OSError, RuntimeError, ValueError):  # longer than any path, ~nobody, NUL
        return False


def storage_of(word: str) -> Mapping[str, Any]:
    """The storage group of the experiment that ``word`` names, as it ran; empty where there is none."""
    if not is_experiment(word):
        return {}
    try:
        text = (Path(word).expanduser() / "experiment.yaml").read_text()
        storage = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["config"]["storage"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return {}
    return storage if isinstance(storage, Mapping) else {}


def _absent(damaged: list[str], sentence: str) -> ConfigError | StorageError:
    if damaged:
        return StorageError("\n".join([f"{sentence} It may be in what cannot be read:", *damaged]))
    return ConfigError(sentence)


def _of_experiment(folder: Path, storage: StorageConfig) -> Published:
    try:
        address = json.loads((folder / "result.json").read_text())["published"]["policy"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{folder} has not been published yet. Finish it:  blueprint-tune resume {folder}"
        ) from None
    return at_address(str(address), storage)


def at_address(address: str, storage: StorageConfig) -> Published:
    """The policy at ``…/scenes/{scene}/rl_training/policies/{policy}``, asked for as ``storage`` says.

    Raises what :func:`find` raises.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ConfigError(f"{address!r} is not the address of a published policy.")
    scene, name = check_id("scene id", match["scene"]), check_id("policy name", match["name"])
    root = open_root(replace(storage, root=match["root"] or ("/" if address.startswith("/") else ".")))
    policies, damaged = index(root, scene)
    found = {policy.name: policy for policy in policies}
    if name not in found:
        raise _absent(
            damaged,
            f"{root} has no published policy '{name}' in the index of scene '{scene}'. "
            f"{nearest(name, found)}",
        )
    return found[name]


def read_json(path: StoragePath) -> dict[str, Any]:
    """A JSON document in storage. Raises StorageError for one that cannot be read."""
    return parse_json(path, path.read_bytes())


def parse_json(path: StoragePath, content: bytes) -> dict[str, Any]:
    """The JSON document that was read from ``path``. Raises StorageError for what is none."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise StorageError(f"{path} is damaged: it is not a JSON document.")
    return document
