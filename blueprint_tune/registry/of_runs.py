"""What a run asks of the registry: whom to compare with, and to promote what it published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blueprint_tune.config.identity import task_digest
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.validate import to_dict
from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.registry import champions
from blueprint_tune.registry.promote import promote
from blueprint_tune.registry.published import at_address
from blueprint_tune.storage.path import open_root


def incumbent(cfg: ExperimentConfig, scene_digest: str) -> Mapping[str, Any] | None:
    """The champion's episodes as ``eval_results.json`` has them, for an evaluation to be compared with.

    None before there is one, and for one that was asked something else: another version of the scene, another
    definition of success. Raises StorageError where storage cannot be read.
    """
    champion = champions.current(open_root(cfg.storage), cfg.scene.id, cfg.policy.name, cfg.robot.name)
    if champion is None or champion.candidate["task_digest"] != task_digest(to_dict(cfg), scene_digest):
        return None
    episodes = [{"seed": s, "slot": k, "success": won} for (s, k), won in champion.success.items()]
    return {"job_id": champion.candidate["job_id"], "episodes": episodes}


def promote_published(cfg: ExperimentConfig, address: str) -> str:
    """Put forward what was published at ``address``; a sentence about what came of it.

    The run is over and good by then, so what cannot be decided is told, not raised.
    """
    try:
        outcome = promote(at_address(address, cfg.storage), cfg.evaluation.gates)
    except BlueprintTuneError as error:
        return f"Not promoted: {error}"
    if outcome.decision is None:
        return "It is the champion already."
    word = "Promoted" if outcome.decision["promoted"] else "Not promoted"
    return f"{word}: {'; '.join(outcome.decision['reasons'])}."
