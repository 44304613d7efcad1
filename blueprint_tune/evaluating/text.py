"""What ``evaluate`` prints of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_PASSED = {True: "met", False: "missed", None: ""}


def as_text(report: Mapping[str, Any]) -> str:
    """The figures of ``benchmark_report.json``, a line each, and the perturbations."""
    return "\n".join([f"\n{report['eval_id']}", *_lines(report), ""])


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    summary, config, results = report["summary"], report["evaluation_config"], report["results"]
    low, high = summary["success_rate_95ci"]
    seeds = ", ".join(map(str, config["fixed_seeds"]))
    yield f"  success    {summary['success_rate']:.2f}   95 % interval {low:.2f} to {high:.2f}, " + (
        f"{config['num_episodes']} episodes on seeds {seeds}"
    )
    low, high = summary["reward_95ci"]
    yield f"  reward     {summary['mean_reward']:.1f}   95 % interval {low:.1f} to {high:.1f}"
    if results["completion_time_mean"] is not None:
        yield f"  time       {results['completion_time_mean']:.1f} s to success"
    for name, row in report["comparison_to_baseline"]["baselines"].items():
        yield f"  {name:<10} {row['success_rate']:.2f}   the same starts"
    yield from _last_promoted(report["comparison_to_baseline"]["last_promoted"])
    yield from _metrics(report)
    yield from _indicators(report)
    yield from _robustness(report["robustness"])


def _last_promoted(row: Mapping[str, Any] | None) -> Iterator[str]:
    if row is None:
        return
    low, high = row["difference_95ci"]
    pairs = f", {row['paired_episodes']} starts in common" if row["paired_episodes"] else ""
    yield f"  against    {row['policy_name']}: {row['success_rate']:.2f}; this one is better by " + (
        f"{row['improvement_points']:+.2f}, 95 % interval {low:+.2f} to {high:+.2f}{pairs}"
    )


def _metrics(report: Mapping[str, Any]) -> Iterator[str]:
    metrics = report["task_specific_metrics"]
    plain = {name: value for name, value in metrics.items() if f"{name}_mean" in metrics}
    if plain:
        yield f"  metrics    {', '.join(f'{name} {value:.3g}' for name, value in plain.items())}"


def _indicators(report: Mapping[str, Any]) -> Iterator[str]:
    for name, value in report["sim2real_indicators"].items():
        verdict = report["sim2real_verdict"][name]
        shown = "not measured" if value is None else f"{value:.3g}"
        target = ""
        if verdict["target"] is not None and verdict["measure"] == name:
            sign = ">" if verdict["target_is"] == "above" else "<"
            target = f"{sign} {verdict['target']:g} {_PASSED[verdict['passed']]}".rstrip()
        yield f"  {name:<28}{shown:>12}  {target}".rstrip()


def _robustness(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        low, high = row["success_rate_95ci"]
        amount = "" if row["value"] is None else f"{row['value']:g} {row['unit']}"
        name = row["perturbation"].replace("_", " ")
        text = "unperturbed" if row["value"] is None else f"{name} {amount}"
        yield f"  {text:<28}{row['success_rate']:>12.2f}  {low:.2f} to {high:.2f}"
