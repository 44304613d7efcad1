"""Whether a published bundle is whole and one that this version can use."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from blueprint_tune.errors import ConfigError, ObjectNotFound, StorageError
from blueprint_tune.registry.published import Published, read_json
from blueprint_tune.schemas import load_schema

CHECKSUMS = "checksums.sha256"


def check_bundle(policy: Published) -> str:
    """The bundle's identity: the sha256 of its list of checksums, every file of which was read and is right.

    Raises ConfigError for a bundle of a newer version, or of another policy, scene or robot; StorageError for
    a damaged one.
    """
    facts = _read_facts(policy)
    checksums = policy.bundle / CHECKSUMS
    wrong = []
    text = checksums.read_bytes()
    for line in text.decode(errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        if not line.startswith("#") and not _is_right(policy, name, digest):
            wrong.append(name)
    if wrong or not text.strip():
        raise StorageError(
            f"{policy.bundle} is damaged: {', '.join(wrong) or CHECKSUMS} is not what was written. "
            f"Nothing was promoted. Publish the experiment again: blueprint-tune resume <its folder>"
        )
    _check_facts(policy, facts)
    return hashlib.sha256(text).hexdigest()


def bundle_identity(policy: Published) -> str | None:
    """The same without reading the files; None where there is no bundle any more."""
    try:
        return hashlib.sha256((policy.bundle / CHECKSUMS).read_bytes()).hexdigest()
    except ObjectNotFound:
        return None


def _is_right(policy: Published, name: str, digest: str) -> bool:
    try:
        return hashlib.sha256((policy.bundle / name).read_bytes()).hexdigest() == digest
    except ObjectNotFound:
        return False


def _read_facts(policy: Published) -> dict[str, Any]:
    """What the bundle says about itself, in a form that is known here."""
    facts = read_json(policy.bundle / "policy_config.json")
    version, known = facts.get("format_version"), load_schema("policy_config")["properties"]["format_version"]
    if version != known["const"]:
        raise ConfigError(
            f"{policy.bundle}: format {version} of a bundle is not known here, {known['const']} is. "
            "Promote it with the version of blueprint-tune that wrote it."
        )
    return facts


def _check_facts(policy: Published, facts: Mapping[str, Any]) -> None:
    found = {"scene_id": facts.get("scene_id"), "policy_id": facts.get("policy_id")}
    wanted = {"scene_id": policy.scene, "policy_id": policy.policy}
    wrong = [f"{k} is {found[k]!r}, not {v!r}" for k, v in wanted.items() if found[k] != v]
    robots = facts.get("compatible_robots") or []
    if policy.robot not in robots:
        wrong.append(f"compatible_robots is {robots}, without {policy.robot!r}")
    if wrong:
        raise ConfigError(f"{policy.bundle} is not what the scene's index says: {'; '.join(wrong)}.")
