"""``scripts/bench learning``: every policy type, trained and evaluated through the public path."""

from __future__ import annotations

import argparse
import shutil
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import blueprint_tune
from benchlib.readme import SEEDS, benchmark_of, policy_types
from benchlib.record import ROOT, Document, cpu_model, progress
from benchlib.table import Cell, Cells, pooled, read_cells, table, write_cells
from blueprint_tune.config.compose import compose
from blueprint_tune.config.identity import input_hash, provenance
from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.reporting.curves import EVALUATED_AT, SUCCESS, read_trial
from blueprint_tune.tasks.spec import bind_task
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.session import available_cpus
from blueprint_tune.tuning.workers import VIDEO_FILE

if TYPE_CHECKING:
    from blueprint_tune.pipeline import RunResult

BARS = {
    "dexterous_pick_place": (0.90, 8.0),
    "general_manipulation": (0.90, 8.0),
    "dish_loading": (0.90, 15.0),
    "mixed_sku_logistics": (0.90, 15.0),
    "grocery_stocking": (0.90, 15.0),
    "table_clearing": (0.90, 15.0),
    "pallet_handling": (0.90, 15.0),
    "laundry_sorting": (0.50, 30.0),
    "drawer_manipulation": (0.95, 4.0),
    "door_manipulation": (0.95, 5.0),
    "articulated_access": (0.95, 5.0),
    "knob_manipulation": (0.95, 5.0),
    "panel_interaction": (0.95, 10.0),
    "precision_insertion": (0.95, 15.0),
}
"""Success that is asked for (the lower end of the interval may be 0.05 less), and minutes of training."""
SLACK = 0.05
FILMS = ROOT / "docs" / "policies"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to measure; all of it by default."""
    parser.add_argument("--policies", nargs="+", default=policy_types(), metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--preset", default="benchmark")
    parser.add_argument(
        "--cpus", type=int, default=available_cpus(), help="of a training; several benches share a machine"
    )
    parser.add_argument("--again", action="store_true", help="also measure what has been measured")
    parser.add_argument("--markdown", action="store_true", help="train nothing, print the table")
    parser.add_argument("--work", type=Path, default=ROOT / "outputs" / "bench", help="where experiments go")
    parser.add_argument("--films", type=Path, default=FILMS, help="where films of the policies go")


def run(options: argparse.Namespace, command: list[str]) -> None:
    """Measure the missing cells one after the other, writing each down as it is there."""
    file = options.results / "learning.json"
    if options.markdown:
        print("\n".join(table(policy_types(), read_cells(file), SEEDS)))
        return
    failed = []
    for policy in options.policies:
        for seed in options.seeds:
            cells = read_cells(file)  # another process may have added to it
            if seed in cells.get(policy, {}) and not options.again:
                _tell_if_old(cells[policy][seed], policy, _overrides(options, policy, seed))
                continue
            progress(f"{policy}, seed {seed}")
            try:
                cell = _measure(options, policy, seed)
            except Exception as error:  # one training that fails must not end a night of them
                print(error) if isinstance(error, BlueprintTuneError) else traceback.print_exc()
                failed.append(f"{policy}, seed {seed}")
                continue
            cells = read_cells(file)
            cells.setdefault(policy, {})[seed] = cell
            write_cells(file, cells)
            document(cells, options, command)
    if failed:
        raise SystemExit(f"not measured: {'; '.join(failed)}")


def _overrides(options: argparse.Namespace, policy: str, seed: int) -> list[str]:
    where = benchmark_of(policy)
    return [
        f"+scene={where['scene']}",
        f"policy={policy}",
        *where["overrides"],
        f"preset={options.preset}",
        "sweep=single",
        f"sweep.resources.cpus={options.cpus}",
        f"seed={seed}",
        f"output_dir={options.work}",
        f"storage.root={options.work / 'published'}",
    ]


def _measure(options: argparse.Namespace, policy: str, seed: int) -> Cell:
    overrides = _overrides(options, policy, seed)
    result = blueprint_tune.run([*overrides, f"force={str(options.again).lower()}"])
    video = ExperimentFolder(result.path).evaluation / VIDEO_FILE
    if seed == SEEDS[0] and video.exists():
        options.films.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(video, options.films / f"{policy}.gif")
    return cell_of(result, seed, _question(overrides), provenance(), options.cpus)


def cell_of(result: RunResult, seed: int, question: str, known: dict[str, Any], cpus: int) -> Cell:
    """What is kept of a finished experiment."""
    trial = next(t for t in result.trials if t.trial_id == result.best_trial)
    folder = ExperimentFolder(result.path).trials / trial.trial_id
    curves = read_trial(folder, trial.trial_id, trial.status, trial.sample)
    evaluated = dict(zip(*(v.tolist() for v in curves.series(SUCCESS, against=EVALUATED_AT)), strict=True))
    return Cell(
        seed=seed,
        successes=int(result.metrics["successes"]),
        episodes=int(result.metrics["episodes"]),
        zero=float(result.metrics["baselines"]["zero"]),
        random=float(result.metrics["baselines"]["random"]),
        env_steps=trial.env_steps,
        training_s=round(trial.duration_s, 1),
        input_hash=question,
        commit=f"{str(known['git_commit'])[:12]}{'+' if known['git_dirty'] else ''}",
        cpus=cpus,
        machine=cpu_model(),
        curve=tuple((steps, round(rate, 4)) for steps, rate in evaluated.items()),
    )


def _question(overrides: list[str]) -> str:
    config = compose(overrides)
    return input_hash(config, bind_task(config).scene.digest)


def _tell_if_old(cell: Cell, policy: str, overrides: list[str]) -> None:
    """A measured cell stays until it is asked for again; say when today's settings are others."""
    try:
        same = _question(overrides) == cell.input_hash
    except BlueprintTuneError:
        traceback.print_exc()
        return
    state = "measured" if same else f"measured at {cell.commit} with other settings than today's (--again)"
    progress(f"{policy}, seed {cell.seed}: {state}")


def document(cells: Cells, options: argparse.Namespace, command: list[str]) -> None:
    """Write ``learning.md``: all that has been measured, whatever was asked for last."""
    page = Document("learning", "Learning: every policy type on fixed seeds", command)
    page.text(
        f"`preset={options.preset} sweep=single`, one training a seed, each judged by "
        "its policy's mean actions on the benchmark's fixed starts in the scene that its policy file names "
        "(`benchmark`); the interval is Wilson's at 95 % over "
        "the episodes of all seeds. Env steps and minutes are one training's, its selection evaluations "
        f"included, on {_machines(cells)}. An empty cell has not been measured."
    )
    page.lines += [*table(policy_types(), cells, SEEDS), ""]
    rows = [_bar(policy, list(cells[policy].values())) for policy in BARS if cells.get(policy)]
    if rows:
        page.heading("Against the bars")
        page.table(["policy type", "bar", "lower end needed", "lower end", "slowest training, min"], rows)
    commits = {c.commit for row in cells.values() for c in row.values()}
    page.text(f"Measured at: {', '.join(sorted(commits))} (+ with uncommitted changes).")
    page.write(options.results)


def _machines(cells: Cells) -> str:
    used = sorted({(c.machine, c.cpus) for row in cells.values() for c in row.values()})
    return " or ".join(f"{n} CPU{'s' * (n > 1)}{f' of {machine}' if machine else ''}" for machine, n in used)


def _bar(policy: str, cells: list[Cell]) -> list[str]:
    bar, minutes = BARS[policy]
    slowest = max(c.training_s for c in cells) / 60
    low = pooled(cells)[1]
    return [
        f"`{policy}`",
        f"{bar:.2f} in {minutes:g} min",
        f"{bar - SLACK:.2f}",
        f"{low:.3f}, {'reached' if low >= bar - SLACK else 'NOT reached'}",
        f"{slowest:.1f}, {'reached' if slowest <= minutes else 'NOT reached'}",
    ]
