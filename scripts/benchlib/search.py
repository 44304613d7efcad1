"""``scripts/bench search``: what a search finds against the default settings, on training seeds of its own.

For each policy type a sweep of a fixed time, then its winner's settings and the default ones, both trained
anew with fresh seeds and judged on the same starts. What has been measured stays; the bench goes on where
it stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import blueprint_tune
from benchlib.readme import benchmark_of
from benchlib.record import ROOT, Document, cpu_model, progress
from blueprint_tune.evaluation.statistics import paired_difference_interval
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.records import load_records, write_json
from blueprint_tune.tuning.session import available_cpus

if TYPE_CHECKING:
    from blueprint_tune.pipeline import RunResult

SIDES = ("default", "winner")
Found = dict[str, Any]
"""Policy type -> ``sweep``: what it did; ``default``, ``winner``: seed -> successes, a text of 0 and 1."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is searched, and how long."""
    parser.add_argument("--policies", nargs="+", default=["pallet_handling", "grocery_stocking"])
    parser.add_argument("--minutes", type=float, default=30.0, help="of a sweep, on two CPUs")
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[11, 12, 13], help="of the trainings after it"
    )
    parser.add_argument("--sweep", default="asha")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--cpus", type=int, default=available_cpus(), help="of a sweep and of a training")
    parser.add_argument("--work", type=Path, default=ROOT / "outputs" / "bench", help="where experiments go")
    parser.add_argument("--sweeps-only", action="store_true", help="search, and train nothing afterwards")


def run(options: argparse.Namespace, command: list[str]) -> None:
    """Measure what is missing, writing each figure down as it is there."""
    file = options.results / "search.json"
    for policy in options.policies:
        if "sweep" not in _read(file).get(policy, {}):
            progress(f"{policy}: searching")
            _keep(file, policy, {"sweep": sweep_of(_search(options, policy), options.cpus)})
        for seed in () if options.sweeps_only else options.seeds:
            for side in SIDES:
                known = _read(file)[policy]
                if str(seed) in known.get(side, {}):
                    continue
                progress(f"{policy}: {side} settings, seed {seed}")
                sample = known["sweep"]["winner"] if side == "winner" else {}
                result = _train(options, policy, seed, sample)
                _keep(
                    file, policy, {side: {**_read(file)[policy].get(side, {}), str(seed): episodes(result)}}
                )
        _document(_read(file), options, command)


def _read(file: Path) -> Found:
    found: Found = json.loads(file.read_text()) if file.exists() else {}
    return found


def _keep(file: Path, policy: str, more: Mapping[str, Any]) -> None:
    found = _read(file)
    found.setdefault(policy, {}).update(more)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, found)


def _common(options: argparse.Namespace, policy: str) -> list[str]:
    where = benchmark_of(policy)
    return [
        f"+scene={where['scene']}",
        f"policy={policy}",
        *where["overrides"],
        f"preset={options.preset}",
        "evaluation.video=false",
        f"output_dir={options.work}",
        f"storage.root={options.work / 'published'}",
    ]


def _search(options: argparse.Namespace, policy: str) -> Path:
    """The experiment's folder; as many trials as the time allows."""
    words = [f"sweep={options.sweep}", "budget.trials=1000", f"cluster.num_cpus={options.cpus}"]
    limit = f"sweep.time_budget_s={60.0 * options.minutes * 2 / options.cpus:g}"
    return blueprint_tune.run([*_common(options, policy), *words, limit]).path


def sweep_of(path: Path, cpus: int, machine: str = "") -> dict[str, Any]:
    """What is kept of a sweep: its winner's settings, and how much it tried on what."""
    folder = ExperimentFolder(path)
    records = load_records(folder.records)
    tree, result = folder.tree(), json.loads(folder.result.read_text())
    best = next(r for r in records if r.trial_id == result["best_trial"])
    return {
        "winner": best.sample,
        "winning_trial": best.index,
        "trials": len(records),
        "env_steps": sum(r.env_steps for r in records),
        "seconds": tree["config"]["sweep"]["time_budget_s"],
        "cpus": cpus,
        "machine": machine or cpu_model(),
    }


def _train(options: argparse.Namespace, policy: str, seed: int, sample: Mapping[str, Any]) -> RunResult:
    settings = [f"{key}={json.dumps(value)}" for key, value in sample.items()]
    words = ["sweep=single", f"sweep.resources.cpus={options.cpus}", f"seed={seed}", *settings]
    return blueprint_tune.run([*_common(options, policy), *words])


def episodes(result: RunResult) -> str:
    """Which of the benchmark's episodes succeeded, in the order of their starts: ``0110…``."""
    document = json.loads((ExperimentFolder(result.path).evaluation / "eval_results.json").read_text())
    rows = sorted(document["episodes"], key=lambda row: (row["seed"], row["slot"]))
    return "".join(str(int(row["success"])) for row in rows)


def paired(default: Mapping[str, str], winner: Mapping[str, str]) -> tuple[float, float, float] | None:
    """Winner's rate less the default's over the seeds that both have, and its 95 % interval."""
    pairs = [
        (a, b)
        for seed in sorted(set(default) & set(winner))
        for a, b in zip(default[seed], winner[seed], strict=True)
    ]
    if not pairs:
        return None
    only_default, only_winner = pairs.count(("1", "0")), pairs.count(("0", "1"))
    low, high = paired_difference_interval(only_default, only_winner, len(pairs))
    return (only_winner - only_default) / len(pairs), low, high


def _document(found: Found, options: argparse.Namespace, command: Sequence[str]) -> None:
    document = Document("search", "What a search finds against the default settings", command)
    document.text(
        f"`sweep={options.sweep} preset={options.preset}` over its search space for a fixed time, then the "
        f"winner's settings and the default ones, each trained with training seeds {_listed(options.seeds)}, "
        "which no trial had, for the same number of env steps, and judged by mean actions on the same 100 "
        "starts. The difference is paired by seed and start; its interval is Agresti and Min's at 95 %."
    )
    document.table(
        ["policy type", "trials", "env steps", "searched", "winner"],
        [_searched(policy, row["sweep"]) for policy, row in found.items()],
    )
    document.table(
        ["policy type", "default, each seed", "winner, each seed", "difference", "better"],
        [_compared(policy, row) for policy, row in found.items()],
    )
    document.write(options.results)


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


def _searched(policy: str, sweep: Mapping[str, Any]) -> list[str]:
    settings = ", ".join(f"{key.rpartition('.')[2]} {value:.4g}" for key, value in sweep["winner"].items())
    time = f"{sweep['seconds'] / 60:g} min on {sweep['cpus']} CPUs of {sweep['machine']}"
    winner = "the default settings" if sweep["winning_trial"] == 0 else settings
    return [f"`{policy}`", str(sweep["trials"]), f"{sweep['env_steps'] / 1e6:.1f} M", time, winner]


def _compared(policy: str, row: Mapping[str, Any]) -> list[str]:
    sides = [row.get(side, {}) for side in SIDES]
    rates = [" ".join(f"{text.count('1') / len(text):.2f}" for text in side.values()) for side in sides]
    found = paired(*sides)
    if found is None:
        return [f"`{policy}`", *rates, "", ""]
    difference, low, high = found
    return [
        f"`{policy}`",
        *rates,
        f"{difference:+.2f} ({low:+.2f} to {high:+.2f})",
        "yes" if low > 0 else "no",
    ]
