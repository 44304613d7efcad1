"""Who is the champion: a log of decisions that can only grow.

::

    {root}/scenes/{scene_id}/rl_training/champions/{policy_id}/{robot_type}/
      decisions/000001.json …    one document a decision, never replaced
      champion.json              who it is now, for whoever deploys it

A decision takes the log's next number, and an object that exists cannot be created again: of two that race
one gets the number, and the other reads the log anew and decides again. So every decision was taken against
the champion that the decisions before it left, and the newest decision says who the champion is.
``champion.json`` follows from the log, and goes back to no older decision.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from blueprint_tune.errors import ClaimTaken, StorageError
from blueprint_tune.publish import training_root
from blueprint_tune.registry.evaluations import Start, from_seeds
from blueprint_tune.registry.published import read_json
from blueprint_tune.storage.path import StoragePath, check_id

Decision = dict[str, Any]
"""The document ``decisions/*.json``, as its schema has it."""
CHAMPION_FILE = "champion.json"
_CANDIDATE = {
    "policy_name", "job_id", "eval_id", "success", "success_rate", "success_rate_95ci", "bundle_sha256",
}  # fmt: skip
"""What is read of a decision's candidate."""
_NUMBERED = re.compile(r"(\d{6})\.json")


@dataclass(frozen=True)
class Champion:
    """The policy that a scene's policy type and robot are served with.

    Attributes:
        decision: number of the decision that made it the champion. candidate: what that recorded of it.
        success: of each start it was promoted with.
    """

    decision: int
    candidate: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The policy's."""
        return str(self.candidate["policy_name"])

    @property
    def success(self) -> dict[Start, bool]:
        """(seed, slot) -> success, as it was when the policy was promoted."""
        return from_seeds(self.candidate["success"])


@dataclass(frozen=True)
class Log:
    """The decisions about one scene, policy type and robot."""

    folder: StoragePath

    def decisions(self) -> list[Decision]:
        """All of them, the oldest first."""
        return [self._read(number) for number in self._numbers()]

    def state(self) -> tuple[int, Champion | None]:
        """The number of the last decision, 0 before the first, and the champion that it left."""
        last = max(self._numbers(), default=0)
        number = self._read(last)["champion_decision"] if last else None
        return last, None if number is None else Champion(number, self._read(number)["candidate"])

    def append(self, decide: Callable[[Champion | None], Mapping[str, Any]]) -> Decision:
        """Record what ``decide`` says about the champion of the moment; it is asked again after a race.

        Its answer becomes a decision with number, time and the champion that it leaves.
        """
        seen = -1
        while True:
            last, champion = self.state()
            if last == seen:
                raise StorageError(f"{self.folder}: decision {last + 1} is neither there nor to be written.")
            seen = last
            decision = numbered(decide(champion), last + 1, champion)
            try:
                self.document(last + 1).create(_bytes(decision))
            except ClaimTaken:
                continue
            self._follow()
            return decision

    def _follow(self) -> None:
        """Bring ``champion.json`` up to the log; one that is there already, of a later decision, stays."""
        _, champion = self.state()
        if champion is None:
            return
        document = champion_document(self._read(champion.decision))
        (self.folder / CHAMPION_FILE).update(lambda before: _newer(before, document))

    def _numbers(self) -> list[int]:
        matches = (_NUMBERED.fullmatch(name) for name in (self.folder / "decisions").walk())
        return sorted(int(match.group(1)) for match in matches if match)

    def document(self, number: int) -> StoragePath:
        """Where a decision is."""
        return self.folder / "decisions" / f"{number:06d}.json"

    def _read(self, number: int) -> Decision:
        decision = read_json(self.document(number))
        candidate, leaves = decision.get("candidate"), decision.get("champion_decision", "")
        if decision.get("decision") != number or not isinstance(leaves, int | None):
            raise StorageError(f"{self.document(number)} is damaged: it is not decision {number}.")
        if not isinstance(candidate, dict) or not candidate.keys() >= _CANDIDATE:
            raise StorageError(f"{self.document(number)} is damaged: it does not say who the candidate was.")
        return decision


def log(root: StoragePath, scene: str, policy: str, robot: str) -> Log:
    """The log of one scene, policy type and robot; ``root`` is the storage's."""
    folder = training_root(root, scene) / "champions" / check_id("policy type", policy)
    return Log(folder / check_id("robot name", robot))


def current(root: StoragePath, scene: str, policy: str, robot: str) -> Champion | None:
    """The champion with what it succeeded in, (seed, slot) by (seed, slot); None before the first."""
    return log(root, scene, policy, robot).state()[1]


def champion_document(decision: Mapping[str, Any]) -> dict[str, Any]:
    """The document ``champion.json`` from the decision that promoted."""
    candidate = decision["candidate"]
    name, eval_id = candidate["policy_name"], candidate["eval_id"]
    return {
        **{k: decision[k] for k in ("scene_id", "policy_id", "robot_type", "decision")},
        "policy_name": name,
        "job_id": candidate["job_id"],
        "promoted_at": decision["timestamp"],
        "forced": decision["forced"],
        "success_rate": candidate["success_rate"],
        "success_rate_95ci": candidate["success_rate_95ci"],
        "bundle_sha256": candidate["bundle_sha256"],
        "policy_path": f"policies/{name}/policy.pt",
        "onnx_path": f"policies/{name}/policy.onnx",
        "eval_path": f"evaluations/{eval_id}/benchmark_report.json",
        "report_path": f"evaluations/{eval_id}/report.html",
    }


def numbered(answer: Mapping[str, Any], number: int, champion: Champion | None) -> Decision:
    """The document of decision ``number`` from what was decided about ``champion``."""
    leaves = number if answer["promoted"] else champion and champion.decision
    timestamp = datetime.now(UTC).isoformat(timespec="seconds")
    return {"decision": number, "timestamp": timestamp, **answer, "champion_decision": leaves}


def _newer(before: bytes | None, document: Mapping[str, Any]) -> bytes:
    try:
        stands = 0 if before is None else int(json.loads(before)["decision"])
    except (ValueError, KeyError, TypeError):
        stands = 0  # damaged: the log knows
    return before if before is not None and stands > document["decision"] else _bytes(document)


def _bytes(document: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(document, indent=2, allow_nan=False)}\n".encode()
