"""``scripts/bench policies``: docs/policies.md, from the policy files and from what was measured."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchlib.learning import FILMS
from benchlib.readme import SEEDS, benchmark_of, policy_types
from benchlib.record import ROOT, progress
from benchlib.table import Cell, Cells, pooled, read_cells
from blueprint_tune.config.compose import compose
from blueprint_tune.config.paths import conf_dir
from blueprint_tune.config.policy_schema import PolicyConfig, RoleConfig
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.envs.factory import make_env
from blueprint_tune.reporting.plots import Line, lines_plot
from blueprint_tune.reporting.svg import standalone
from blueprint_tune.tasks.spec import TaskSpec, bind_task

FAMILIES = {
    "place": "Grasp something and bring it somewhere",
    "articulate": "Move a joint of a fixture",
    "insert": "Put a part into a socket",
}
WIDTH, HEIGHT = 480, 360
_START_SEED = 42


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it goes."""
    parser.add_argument("--document", type=Path, default=ROOT / "docs" / "policies.md")
    parser.add_argument("--films", type=Path, default=FILMS, help="folder of the films and the pictures")


def run(options: argparse.Namespace, command: list[str]) -> None:
    """Draw every scene and curve, and write the document around them.

    Raises SimulatorError where nothing can draw: what is needed is said.
    """
    options.films.mkdir(parents=True, exist_ok=True)
    cells = read_cells(options.results / "learning.json")
    lines = [
        "# The 14 policy types",
        "",
        f"Written by `{' '.join(command)}` from the policy files, the scenes and "
        "[what was measured](../scripts/benchmarks/learning.md); do not edit it. A curve shows the selection "
        "evaluations of the benchmark's trainings: mean actions, 256 episodes, starts of their own.",
        "",
    ]
    for family, about in FAMILIES.items():
        lines += [f"## {family.capitalize()}: {about.lower()}", ""]
        for policy in policy_types():
            config = _config(policy)
            if config.policy.family == family:
                progress(policy)
                lines += _section(config, cells, options.films)
    options.document.write_text("\n".join(lines).rstrip() + "\n")
    print(f"\nwritten: {options.document}")


def _config(policy: str) -> ExperimentConfig:
    where = benchmark_of(policy)
    words = [f"+scene={where['scene']}", f"policy={policy}", "preset=benchmark", *where["overrides"]]
    return compose([*words, "backend.num_envs=1"])


def _section(config: ExperimentConfig, cells: Cells, folder: Path) -> Iterator[str]:
    policy, task = config.policy, bind_task(config)
    row = [cells[policy.name][seed] for seed in SEEDS if seed in cells.get(policy.name, {})]
    _draw_scene(config, folder / f"{policy.name}.png")
    yield from (f"### {policy.name}", "", _purpose(policy.name), "")
    scene = f"{policy.name} with {config.robot.name} in {config.scene.id}"
    yield f'<img src="policies/{policy.name}.png" width="400" alt="{scene}, at a start">'
    if (folder / f"{policy.name}.gif").exists():
        yield f'<img src="policies/{policy.name}.gif" width="400" alt="The trained policy: {scene}">'
    yield ""
    where = benchmark_of(policy.name)
    words = [f"+scene={where['scene']}", f"policy={policy.name}", "preset=benchmark", *where["overrides"]]
    yield from (f"`blueprint-tune {' '.join(words)}`", "", _measured(row), "")
    if any(cell.curve for cell in row):
        (folder / f"{policy.name}.svg").write_text(standalone(_curves(policy.name, row)))
        yield from (f"![Success during training](policies/{policy.name}.svg)", "")
    yield from _roles(policy, task)
    yield from (
        f"**Success**, held {_number(policy.success.get('hold_s', 0.0))} s: {_said(policy.success)}.",
        "",
    )
    yield from _rewards(policy)


def _draw_scene(config: ExperimentConfig, path: Path) -> None:
    env = make_env(config, 1)
    env.reset(np.array([_START_SEED]), np.array([0]))
    picture = Image.fromarray(env.render(0, WIDTH, HEIGHT))
    picture.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
    env.close()


def _purpose(policy: str) -> str:
    """The sentence that the policy's file begins with."""
    first = (conf_dir() / "policy" / f"{policy}.yaml").read_text().splitlines()[0]
    return first.removeprefix("#").strip()


def _measured(row: list[Cell]) -> str:
    if not row:
        return "Not measured yet."
    rate, low, high = pooled(row)
    cpus, minutes = sorted({c.cpus for c in row}), sorted(c.training_s / 60 for c in row)
    steps = max(c.env_steps for c in row) / 1e6
    return (
        f"**{rate:.0%}** success ({low:.0%} to {high:.0%}) over {sum(c.episodes for c in row)} episodes of "
        f"{len(row)} training{'s' * (len(row) > 1)} of {steps:.1f} M env steps, "
        f"{', '.join(f'{m:.1f}' for m in minutes)} minutes on "
        f"{' or '.join(map(str, cpus))} CPU{'s' * (cpus[-1] > 1)}; "
        f"zero actions {row[0].zero:.0%}, "
        f"random actions {row[0].random:.0%}."
    )


def _curves(policy: str, row: list[Cell]) -> str:
    lines = [Line(f"seed {c.seed}", *np.array(c.curve, dtype=np.float64).reshape(-1, 2).T) for c in row]
    return lines_plot(policy, "success during training", lines)


def _roles(policy: PolicyConfig, task: TaskSpec) -> Iterator[str]:
    yield from ("| role | played by | here |", "|---|---|---|")
    for name, role in policy.roles.items():
        players = [e.id for key, e in task.roles.items() if key == name or key.startswith(f"{name}_")]
        yield f"| `{name}` | {_asked(role)} | {', '.join(f'`{p}`' for p in players)} |"
    yield ""


def _asked(role: RoleConfig) -> str:
    said = [f"{role.count} × {role.kind}" if role.count > 1 else role.kind]
    said += [f"{role.joint} joint"] if role.joint else []
    said += [f"one of {', '.join(role.categories)}"] if role.categories else []
    said += [f"affords {', '.join(role.affordances)}"] if role.affordances else []
    said += ["fits the gripper"] if role.graspable else []
    return "; ".join(said)


def _rewards(policy: PolicyConfig) -> Iterator[str]:
    yield from ("| reward | weight | term |", "|---|---:|---|")
    for name, entry in policy.rewards.items():
        yield f"| `{name}` | {_number(entry.get('weight', 1.0))} | {_said(entry)} |"
    yield ""


def _said(entry: Mapping[str, Any]) -> str:
    """A term and its parameters as one line: ``all_of`` as its conditions."""
    conditions = entry.get("conditions")
    if entry["term"] == "all_of" and conditions:
        return " and ".join(_said(c) for c in conditions.values())
    inner = entry.get("condition")
    given = {k: v for k, v in entry.items() if k not in ("term", "weight", "hold_s", "condition")}
    values = [f"{key} {_value(value)}" for key, value in given.items()]
    if inner:
        values.append(f"where {_said(inner)}")
    return f"`{entry['term']}`" + (f" ({', '.join(values)})" if values else "")


def _value(value: Any) -> str:
    return _number(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def _number(value: float) -> str:
    return f"{value:g}"
