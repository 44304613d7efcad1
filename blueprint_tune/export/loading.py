"""A bundle as it is read: every byte verified before anything is made of it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blueprint_tune.errors import BundleDamaged, ObjectNotFound, StorageError
from blueprint_tune.export.checksums import CHECKSUMS, REMEDY, parse_checksums
from blueprint_tune.storage.digests import sha256
from blueprint_tune.storage.local import LocalStore
from blueprint_tune.storage.path import StoragePath

if TYPE_CHECKING:
    from blueprint_tune.export.onnx import OnnxPolicy
    from blueprint_tune.learning.networks import DeployablePolicy

FORMAT_VERSION = 1
"""Of a bundle; raised when a reader of the former could not use it."""
REQUIRED = ("policy.onnx", "policy.pt", "policy_config.json", "recorded.npz", "training_summary.json")
OPTIONAL = ("policy.pt2", "policy.ts")


@dataclass(frozen=True)
class Bundle:
    """A verified bundle; what it gives is made of the bytes that were verified, not read a second time.

    Attributes:
        where: the folder, for messages. files: name -> content. config: the document ``policy_config.json``.
    """

    where: str
    files: Mapping[str, bytes]
    config: Mapping[str, Any]

    def summary(self) -> dict[str, Any]:
        """The document ``training_summary.json``."""
        document: dict[str, Any] = json.loads(self.files["training_summary.json"])
        return document

    def onnx_policy(self) -> OnnxPolicy:
        """The graph through onnxruntime, to drive an environment."""
        from blueprint_tune.export.onnx import OnnxPolicy

        return OnnxPolicy(self.files["policy.onnx"])

    def torch_policy(self) -> DeployablePolicy:
        """The network of ``policy.pt``. Raises StorageError for one of another format."""
        return read_weights(self.files["policy.pt"], f"{self.where}/policy.pt")[1]


def load_bundle(folder: Path | StoragePath) -> Bundle:
    """Read and verify a bundle.

    Raises ObjectNotFound for what is no bundle, BundleDamaged naming every file that is missing or not, to a
    single bit, what was written, and StorageError for a bundle of a version that this program cannot read.
    """
    root = StoragePath(LocalStore(folder), "") if isinstance(folder, Path) else folder
    if not (root / CHECKSUMS).exists():
        raise _not_a_bundle(root)
    digests = parse_checksums((root / CHECKSUMS).read_bytes(), str(root))
    present = [name for name in OPTIONAL if (root / name).exists()]
    if unlisted := [name for name in (*REQUIRED, *present) if name not in digests]:
        raise BundleDamaged(f"{root}: {CHECKSUMS} does not list {', '.join(unlisted)}. {REMEDY}")
    files, wrong = {}, []
    for name, digest in digests.items():
        try:
            files[name] = (root / name).read_bytes()
        except ObjectNotFound:
            wrong.append(f"{name} is missing")
            continue
        if sha256(files[name]) != digest:
            wrong.append(f"{name} is not what was written")
    if wrong:
        raise BundleDamaged(f"The bundle {root} is damaged: {', '.join(wrong)}. {REMEDY}")
    config = json.loads(files["policy_config.json"])
    _check_version(config, str(root))
    return Bundle(str(root), files, config)


def read_weights(content: bytes, where: str) -> tuple[dict[str, Any], DeployablePolicy]:
    """The document ``policy_config.json`` and the network in the content of a ``policy.pt``.

    Raises StorageError for a file that is damaged beyond reading or of another format.
    """
    import torch

    from blueprint_tune.learning.networks import DeployablePolicy, mlp

    try:
        saved = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises many kinds for a file that is damaged or not its own
        raise StorageError(f"{where} is no policy, or is damaged: {str(error).splitlines()[0]}") from error
    _check_version(saved, where)
    config: dict[str, Any] = saved["config"]
    architecture = config["architecture"]
    total, dim = config["observation_space"]["total_dim"], config["action_space"]["dim"]
    net = mlp([total, *architecture["actor_hidden_dims"], dim], architecture["activation"], 1.0)
    policy = DeployablePolicy(net, torch.zeros(total), torch.ones(total), config["observation_clip"])
    policy.load_state_dict(saved["state_dict"])
    return config, policy.eval()


def _not_a_bundle(root: StoragePath) -> StorageError:
    if any((root / name).exists() for name in REQUIRED):
        return BundleDamaged(f"The bundle {root} is damaged: {CHECKSUMS} is missing. {REMEDY}")
    return ObjectNotFound(
        f"{root} is not a bundle: it holds no {CHECKSUMS}. An experiment has one in its folder 'bundle', "
        "storage has them under 'policies'."
    )


def _check_version(document: Any, where: str) -> None:
    version = document.get("format_version") if isinstance(document, dict) else None
    if version == FORMAT_VERSION:
        return
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise StorageError(
            f"{where} was written by a newer version of blueprint-tune: its format is {version}, this "
            f"program reads {FORMAT_VERSION}. Update blueprint-tune, or export it again with this version."
        )
    raise StorageError(f"{where} has the format {version!r}, which this program does not know. {REMEDY}")
