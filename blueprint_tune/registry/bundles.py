"""Whether a published bundle is whole, of a version that is known here, and what the index says it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blueprint_tune.errors import ConfigError, ObjectNotFound
from blueprint_tune.export.checksums import CHECKSUMS
from blueprint_tune.export.loading import load_bundle
from blueprint_tune.registry.published import Published
from blueprint_tune.storage.digests import sha256


def check_bundle(policy: Published) -> str:
    """The bundle's identity: the digest of its list of checksums, every file of which was read and is right.

    Raises ConfigError for a bundle of another policy type, scene or robot, and what ``load_bundle`` raises
    for one that is damaged or of a newer version.
    """
    _check_facts(policy, load_bundle(policy.bundle).config)
    return sha256((policy.bundle / CHECKSUMS).read_bytes())


def bundle_identity(policy: Published) -> str | None:
    """The same without reading the files; None where there is no bundle any more."""
    try:
        return sha256((policy.bundle / CHECKSUMS).read_bytes())
    except ObjectNotFound:
        return None


def _check_facts(policy: Published, facts: Mapping[str, Any]) -> None:
    found = {"scene_id": facts.get("scene_id"), "policy_id": facts.get("policy_id")}
    wanted = {"scene_id": policy.scene, "policy_id": policy.policy}
    wrong = [f"{k} is {found[k]!r}, not {v!r}" for k, v in wanted.items() if found[k] != v]
    robots = facts.get("compatible_robots") or []
    if policy.robot not in robots:
        wrong.append(f"compatible_robots is {robots}, without {policy.robot!r}")
    if wrong:
        raise ConfigError(f"{policy.bundle} is not what the scene's index says: {'; '.join(wrong)}.")
