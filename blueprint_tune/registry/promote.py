"""Put a published policy forward as the champion of its scene, policy type and robot."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from blueprint_tune.config.evaluation_schema import GatesConfig
from blueprint_tune.errors import ConfigError
from blueprint_tune.registry import champions
from blueprint_tune.registry.bundles import bundle_identity, check_bundle
from blueprint_tune.registry.champions import Champion, Decision
from blueprint_tune.registry.evaluations import (
    Evaluation,
    by_seed,
    differences,
    evaluations_of,
    read_evaluation,
    read_experiment,
)
from blueprint_tune.registry.judging import Comparison, better_baseline, compare, judge
from blueprint_tune.registry.published import Published, index

_ASKED = ("scene", "robot", "physics", "backend", "policy")
"""Of an experiment's overrides, those that may change how episodes start and what success is."""


@dataclass(frozen=True)
class Outcome:
    """What came of a promotion.

    Attributes:
        decision: as recorded, or as it would have been; None where the policy is the champion already.
        recorded: where; None for a dry run. champion: before the decision.
    """

    policy: Published
    decision: Decision | None
    recorded: str | None
    champion: Champion | None


def promote(
    policy: Published, gates: GatesConfig, force: str | None = None, dry_run: bool = False
) -> Outcome:
    """Decide about ``policy`` and record the decision.

    It is promoted if every gate holds and its success is above the champion's beyond chance on the same
    starts; before there is a champion, above the better baseline's. ``force`` is the reason for promoting it
    anyway. Raises ConfigError where nothing can be decided (other starts, another policy's evaluation, a
    newer version's bundle) and StorageError for a damaged bundle, which no reason promotes.
    """
    if force is not None and not force.strip():
        raise ConfigError('--force needs a reason: --force "why this policy must serve now"')
    bundle = check_bundle(policy)
    first = read_evaluation(policy)
    log = champions.log(policy.root, policy.scene, policy.policy, policy.robot)
    met: list[Champion | None] = []

    def decide(champion: Champion | None) -> dict[str, Any]:
        met.append(champion)
        if champion is not None and _is(champion, policy, bundle):
            raise _AlreadyChampion
        return _decision(policy, first, bundle, champion, gates, force)

    try:
        if dry_run:
            last, champion = log.state()
            decision = champions.numbered(decide(champion), last + 1, champion)
        else:
            decision = log.append(decide)
    except _AlreadyChampion:
        return Outcome(policy, None, None, met[-1])
    return Outcome(policy, decision, None if dry_run else str(log.document(decision["decision"])), met[-1])


class _AlreadyChampion(Exception):
    """There is nothing to decide."""


def _is(champion: Champion, policy: Published, bundle: str) -> bool:
    return champion.name == policy.name and champion.candidate["bundle_sha256"] == bundle


def _decision(
    policy: Published,
    first: Evaluation,
    bundle: str,
    champion: Champion | None,
    gates: GatesConfig,
    force: str | None,
) -> dict[str, Any]:
    """The part of the document that does not depend on the log."""
    evaluation, comparison, differing = _comparable(policy, first, champion)
    if comparison is None and force is None:
        raise ConfigError(_incomparable(policy, evaluation, champion, differing))
    verdict = judge(evaluation, gates, comparison, differing, force)
    return {
        "scene_id": policy.scene,
        "policy_id": policy.policy,
        "robot_type": policy.robot,
        "promoted": verdict.promoted,
        "forced": force,
        "reasons": list(verdict.reasons),
        "gates": [asdict(gate) for gate in verdict.gates],
        "comparison": None if comparison is None else _comparison(comparison),
        "candidate": _candidate(policy, evaluation, bundle),
        "incumbent_decision": champion and champion.decision,
    }


def _comparable(
    policy: Published, first: Evaluation, champion: Champion | None
) -> tuple[Evaluation, Comparison | None, list[str]]:
    """The ``first`` evaluation and how it compares or, where it cannot be compared, the newest one that can.

    That one must have asked what the policy was made for, not something easier.
    """
    comparison, differing = _compared(policy, first, champion)
    if comparison is None:
        for other in evaluations_of(policy):
            again = _compared(policy, other, champion)[0] if other.task else None
            if again is not None:
                return other, again, []
    return first, comparison, differing


def _compared(
    policy: Published, evaluation: Evaluation, champion: Champion | None
) -> tuple[Comparison | None, list[str]]:
    """The comparison with the champion or the better baseline, or why there is none."""
    if champion is not None:
        return _with_champion(policy, evaluation, champion)
    baseline = better_baseline(evaluation.baselines)
    if baseline is None or baseline[1].keys() != evaluation.success.keys():
        return None, ["zero and random actions did not play the candidate's starts"]
    return compare(evaluation.success, baseline[1], baseline[0]), []


def _with_champion(
    policy: Published, evaluation: Evaluation, champion: Champion
) -> tuple[Comparison | None, list[str]]:
    recorded, found = champion.candidate, champion.success
    same = recorded["task_digest"], recorded["benchmark_version"], found.keys()
    if same == (evaluation.task_digest, evaluation.benchmark_version, evaluation.success.keys()):
        return compare(evaluation.success, found, champion.name), []
    differing: list[str] = []
    for other in _of_champion(policy, champion):
        unlike = differences(other, evaluation)
        if not unlike:
            return compare(evaluation.success, other.success, champion.name), []
        differing = differing or unlike
    return None, differing or ["the champion's files are gone or were replaced since it was promoted"]


def _of_champion(policy: Published, champion: Champion) -> Iterator[Evaluation]:
    """Its published evaluations, the newest first; none if its bundle is not the one promoted."""
    served = next((p for p in index(policy.root, policy.scene)[0] if p.name == champion.name), None)
    if served is None or bundle_identity(served) != champion.candidate["bundle_sha256"]:
        return
    yield from evaluations_of(served)


def _candidate(policy: Published, evaluation: Evaluation, bundle: str) -> dict[str, Any]:
    return {
        "policy_name": policy.name,
        "job_id": policy.job,
        "eval_id": evaluation.eval_id,
        "bundle_sha256": bundle,
        "benchmark_version": evaluation.benchmark_version,
        "task_digest": evaluation.task_digest,
        "successes": evaluation.successes,
        "episodes": len(evaluation.success),
        "success_rate": evaluation.rate,
        "success_rate_95ci": list(evaluation.interval),
        "action_smoothness": evaluation.smoothness,
        "mean_action_jerk": evaluation.jerk,
        "success": by_seed(evaluation.success),
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        **{k: v for k, v in asdict(comparison).items() if k != "interval"},
        "difference": comparison.difference,
        "difference_95ci": list(comparison.interval),
    }


def _incomparable(
    policy: Published, evaluation: Evaluation, champion: Champion | None, differing: list[str]
) -> str:
    """Why nothing can be decided, and the command that helps."""
    if champion is None:
        return (
            f"{policy.bundle}: {differing[0]}, and there is no champion to compare it with. "
            f"Evaluate it again:\n  {_evaluate(policy, policy.name, evaluation)} evaluation.baselines=true"
        )
    lines = "\n".join(f"  {line}" for line in differing)
    return (
        f"The champion '{champion.name}' and '{policy.name}' were not asked the same, so their success "
        f"cannot be compared. The champion's, then the candidate's:\n{lines}\n"
        "Evaluate the champion as the candidate was, and promote again:\n"
        f"  {_evaluate(policy, champion.name, evaluation)}\n"
        'Or decide without a comparison:  --force "why"'
    )


def _evaluate(asked: Published, name: str, evaluation: Evaluation) -> str:
    """The command that asks the policy called ``name`` what ``asked`` was asked in ``evaluation``."""
    digits = by_seed(evaluation.success)
    words = [str(word) for word in read_experiment(asked).get("overrides") or ()]
    words = [word for word in words if word.lstrip("+~").startswith(_ASKED)]
    words += [f"evaluation.seeds=[{','.join(digits)}]"]
    words += [f"evaluation.episodes_per_seed={max(len(text) for text in digits.values())}"]
    folder = asked.training
    out = f"{folder}/evaluations/eval_{name}_again"
    return shlex.join(["blueprint-tune", "evaluate", f"{folder}/policies/{name}", *words, "--out", out])
