"""What ``list`` and ``show`` tell, as plain mappings."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from blueprint_tune.config.evaluation_schema import GatesConfig
from blueprint_tune.errors import StorageError
from blueprint_tune.registry.bundles import bundle_identity
from blueprint_tune.registry.champions import Champion, log
from blueprint_tune.registry.evaluations import read_evaluation, read_experiment
from blueprint_tune.registry.judging import check_gates
from blueprint_tune.registry.published import Published, all_published
from blueprint_tune.storage.path import StoragePath

_LISTED = ("timestamp", "job_id", "success_rate", "success_rate_95ci")


def rows(root: StoragePath) -> tuple[list[dict[str, Any]], list[str]]:
    """A row a published policy, by scene, policy type and robot, the best first; the champion is marked.

    And a sentence for each index, entry or champion's log that is damaged.
    """
    published, damaged = all_published(root)
    known, torn = champion_names(published)
    found: list[dict[str, Any]] = [
        {
            "scene": policy.scene,
            "policy_type": policy.policy,
            "robot": policy.robot,
            "name": policy.name,
            **{name: policy.entry.get(name) for name in _LISTED},
            "champion": known.get(place(policy)) == policy.name,
            "bundle": str(policy.bundle),
        }
        for policy in published
    ]
    found.sort(
        key=lambda r: (r["scene"], r["policy_type"], r["robot"], -r["success_rate_95ci"][0], r["name"])
    )
    return found, [*damaged, *torn]


def place(policy: Published) -> tuple[str, str, str]:
    """What there is one champion of: scene, policy type and robot."""
    return policy.scene, policy.policy, policy.robot


def champion_names(
    published: Sequence[Published],
) -> tuple[dict[tuple[str, str, str], str | None], list[str]]:
    """The champion's name for each :func:`place` of ``published``, which share one root.

    And a sentence for each log that is damaged, whose champion nobody knows.
    """
    roots = {place(policy): policy.root for policy in published}
    names: dict[tuple[str, str, str], str | None] = {}
    damaged = []
    for where, root in roots.items():
        try:
            champion = log(root, *where).state()[1]
            names[where] = None if champion is None else champion.name
        except StorageError as error:
            damaged.append(f"Who the champion of {' / '.join(where)} is cannot be told: {error}")
    return names, damaged


def facts(policy: Published, gates: GatesConfig) -> dict[str, Any]:
    """Everything about one policy. Raises what :func:`read_evaluation` raises."""
    evaluation = read_evaluation(policy)
    decisions = log(policy.root, *place(policy))
    champion = decisions.state()[1]
    folder = policy.training
    return {
        "name": policy.name,
        "scene": policy.scene,
        "policy_type": policy.policy,
        "robot": policy.robot,
        "published": policy.entry.get("timestamp"),
        "success_rate": evaluation.rate,
        "success_rate_95ci": list(evaluation.interval),
        "episodes": len(evaluation.success),
        "baselines": {
            name: sum(success.values()) / len(success) for name, success in evaluation.baselines.items()
        },
        "champion": champion is not None and champion.name == policy.name,
        "standing": _standing(policy, champion),
        "gates": [asdict(gate) for gate in check_gates(gates, evaluation)],
        "files": {
            "bundle": str(policy.bundle),
            "onnx": str(policy.bundle / "policy.onnx"),
            "report": f"{folder}/evaluations/{evaluation.eval_id}/report.html",
            "episodes": f"{folder}/evaluations/{evaluation.eval_id}/eval_results.json",
            "job": f"{folder}/jobs/{policy.job}",
        },
        "reproduce": _reproduce(policy),
        "decisions": [d for d in decisions.decisions() if d["candidate"]["policy_name"] == policy.name],
    }


def _standing(policy: Published, champion: Champion | None) -> str:
    if champion is None:
        return "there is none yet"
    if champion.name != policy.name:
        return f"{champion.name}, since decision {champion.decision}"
    if bundle_identity(policy) != champion.candidate["bundle_sha256"]:
        return f"this one, since decision {champion.decision}; its files were replaced since"
    return f"this one, since decision {champion.decision}"


def _reproduce(policy: Published) -> list[str]:
    """The command that made it, and the code it was made with."""
    tree = read_experiment(policy)
    overrides, made = [str(word) for word in tree.get("overrides") or ()], tree.get("provenance") or {}
    commit = made.get("git_commit")
    code = f"commit {str(commit)[:12]}" + (" with changes" if made.get("git_dirty") else "") if commit else ""
    if overrides:
        command = shlex.join(["python", "-m", "blueprint_tune", *overrides])
    else:
        command = f"# the settings in {policy.training}/jobs/{policy.job}/config/experiment.yaml"
    return [command, *([f"# {code}"] if code else [])]
