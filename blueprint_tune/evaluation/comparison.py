"""How a policy stands beside doing nothing, acting at random, and the policy that was promoted last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from blueprint_tune.evaluation.statistics import (
    difference_interval,
    paired_difference_interval,
    wilson_interval,
)

if TYPE_CHECKING:  # it needs torch, which whoever handles documents may not want
    from blueprint_tune.evaluation.benchmark import BenchmarkResult


def comparison(
    result: BenchmarkResult,
    baselines: Mapping[str, BenchmarkResult],
    incumbent: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Upstream's two fields against the better baseline, the difference of the rates, and every baseline.

    A baseline that never succeeds, as it should, has no relative improvement over it. ``incumbent``: see
    :func:`last_promoted`.
    """
    rows = {
        name: {
            "success_rate": baseline.success_rate,
            "success_rate_95ci": list(wilson_interval(baseline.successes, baseline.num_episodes)),
            "mean_reward": float(baseline.returns.mean()),
        }
        for name, baseline in baselines.items()
    }
    best = max((b.success_rate for b in baselines.values()), default=None)
    points = None if best is None else result.success_rate - best
    return {
        "baseline_success_rate": best,
        "improvement": f"{100.0 * points / best:+.1f}%" if points is not None and best else None,
        "improvement_points": points,
        "baselines": rows,
        "last_promoted": None if incumbent is None else last_promoted(result, incumbent),
    }


def last_promoted(result: BenchmarkResult, incumbent: Mapping[str, Any]) -> dict[str, Any]:
    """The policy promoted last, out of its ``eval_results.json``, and how much better the new one is.

    Where both played from the same starts (seed and slot) the difference is that of the pairs, which is far
    more exact; without any, or where ``same_starts`` is false, the rates are compared as those of independent
    samples.
    """
    theirs = {(row["seed"], row["slot"]): bool(row["success"]) for row in incumbent["episodes"]}
    ours = dict(
        zip(
            zip(result.seed.tolist(), result.slot.tolist(), strict=True),
            result.success.tolist(),
            strict=True,
        )
    )
    paired = incumbent.get("same_starts", True)
    shared = [key for key in ours if paired and key in theirs]
    successes = sum(theirs.values())
    if shared:
        only_new = sum(ours[key] and not theirs[key] for key in shared)
        only_old = sum(theirs[key] and not ours[key] for key in shared)
        points = (only_new - only_old) / len(shared)
        interval = paired_difference_interval(only_old, only_new, len(shared))
    else:
        points = result.success_rate - successes / len(theirs)
        interval = difference_interval(successes, len(theirs), result.successes, result.num_episodes)
    return {
        "policy_name": incumbent["job_id"],
        "success_rate": successes / len(theirs),
        "success_rate_95ci": list(wilson_interval(successes, len(theirs))),
        "improvement_points": points,
        "difference_95ci": list(interval),
        "paired_episodes": len(shared),
    }
