"""Published policies, found by name, by address, or by the experiment that made them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blueprint_tune.errors import ConfigError, StorageError, nearest
from blueprint_tune.publish import MARKER, training_root
from blueprint_tune.storage.path import StoragePath, check_id, open_path

_ADDRESS = re.compile(
    r"(?:(?P<root>.*)/)?scenes/(?P<scene>[^/]+)/rl_training/policies/(?P<name>[^/]+)(?:/policy\.(?:onnx|pt))?/?"
)
_INDEXED = ("policy_id", "robot_type", "job_id", "eval_path", "success_rate", "success_rate_95ci")
_MARKERS = re.compile(r"([^/]+)/rl_training/" + re.escape(MARKER))


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


def all_published(root: StoragePath) -> list[Published]:
    """All policies in the indices of all scenes, by scene, policy type, robot and name."""
    found = [policy for scene in scenes(root) for policy in index(root, scene)]
    return sorted(found, key=lambda p: (p.scene, p.policy, p.robot, p.name))


def scenes(root: StoragePath) -> list[str]:
    """Ids of the scenes that have a marker."""
    matches = (_MARKERS.fullmatch(name) for name in (root / "scenes").walk())
    return [match.group(1) for match in matches if match]


def index(root: StoragePath, scene: str) -> Iterator[Published]:
    """The policies of one scene; none where nothing was published, or by somebody who keeps no index."""
    marker = training_root(root, scene) / MARKER
    if not marker.exists():
        return
    policies = read_json(marker).get("policies", {})
    for name, entry in policies.items() if isinstance(policies, Mapping) else ():
        if not isinstance(entry, Mapping) or not set(_INDEXED) <= set(entry):
            raise StorageError(f"{marker}: the entry of {name!r} is incomplete. Publish that policy again.")
        yield Published(root, scene, check_id("policy name", str(name)), entry)


def find(word: str, root: StoragePath) -> Published:
    """The policy that ``word`` means: an experiment's folder, an address, or a name under ``root``.

    Raises ConfigError where there is none, or more than one.
    """
    folder = Path(word).expanduser()
    if "://" not in word and (folder / "experiment.yaml").is_file():
        return _of_experiment(folder)
    if _ADDRESS.fullmatch(word):
        return at_address(word, root)
    if "/" in word or "\\" in word:
        raise ConfigError(
            f"{word}: there is neither an experiment here nor does this name a published policy. Give an "
            "experiment's folder, a policy's name, or <root>/scenes/<scene>/rl_training/policies/<policy>."
        )
    name = check_id("policy name", word)
    known = all_published(root)
    found = [policy for policy in known if policy.name == name]
    if len(found) > 1:
        places = "\n".join(f"  {policy.bundle}" for policy in found)
        raise ConfigError(f"{len(found)} published policies are called {name}. Give the address:\n{places}")
    if not found:
        raise ConfigError(
            f"{root} has no published policy '{name}'. {nearest(name, [policy.name for policy in known])} "
            "Set storage.root=… if it is elsewhere."
        )
    return found[0]


def _of_experiment(folder: Path) -> Published:
    try:
        address = json.loads((folder / "result.json").read_text())["published"]["policy"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{folder} has not been published yet. Finish it:  blueprint-tune resume {folder}"
        ) from None
    return at_address(str(address))


def at_address(address: str, known: StoragePath | None = None) -> Published:
    """The policy at ``…/scenes/{scene}/rl_training/policies/{policy}``. Raises ConfigError.

    ``known``: a storage that is open already, and asked in its own way.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ConfigError(f"{address!r} is not the address of a published policy.")
    scene, name = check_id("scene id", match["scene"]), check_id("policy name", match["name"])
    where = match["root"] or ("/" if address.startswith("/") else ".")
    root = known if known is not None and str(known) == where else open_path(where)
    found = {policy.name: policy for policy in index(root, scene)}
    if name not in found:
        raise ConfigError(
            f"{root} has no published policy '{name}' in the index of scene '{scene}'. {nearest(name, found)}"
        )
    return found[name]


def read_json(path: StoragePath) -> dict[str, Any]:
    """A JSON document in storage. Raises StorageError for one that cannot be read."""
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise StorageError(f"{path} is damaged: it is not a JSON document.")
    return document
