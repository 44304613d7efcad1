"""``scripts/bench speed``: every policy type's environment against bare MuJoCo."""

from __future__ import annotations

import argparse

import torch

from benchlib.physics import Sides, decimation, one_repeat, physics_of
from benchlib.readme import benchmark_of, policy_types
from benchlib.record import Document, Repeats, number, progress, verdict
from benchlib.replay import RawReplay, Segments
from blueprint_tune.config.compose import compose
from blueprint_tune.envs.factory import make_env
from blueprint_tune.simulators.mujoco.simulator import MujocoSimulator
from blueprint_tune.tuning.session import available_cpus

MIN_RATIO = 0.70


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sizes; the defaults are what is published."""
    parser.add_argument("--policies", nargs="+", default=policy_types(), metavar="NAME")
    parser.add_argument("--num-envs", type=int, default=256)
    parser.add_argument("--steps", type=int, default=60, help="env steps of one repeat")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=available_cpus())


def run(options: argparse.Namespace, command: list[str]) -> None:
    """Measure and write ``speed.md``."""
    torch.set_num_threads(1)
    document = Document("speed", f"Speed: every policy type, {options.num_envs} environments", command)
    document.text(
        "The environment against bare `Batch.step` as in [physics.md](physics.md), random actions, each "
        "policy type in the scene and with the robot and settings that its file names (`benchmark`)."
    )
    rows, ratios = [], {}
    for policy in options.policies:
        env_steps, ratio, row = _measure(policy, options)
        ratios[policy] = ratio
        rows.append([f"`{policy}`", *row])
        progress(policy, env_steps_per_s=number(env_steps), ratio=number(ratio))
    header = ["policy type", "physics", "env steps/s", "bare", "ratio: min", "median", "max", "same states"]
    document.table(header, rows)
    lowest = min(ratios, key=lambda name: ratios[name])
    document.text(f"The lowest is `{lowest}`: {verdict(ratios[lowest], MIN_RATIO, at_least=True)}")
    document.write(options.results)


def _measure(policy: str, options: argparse.Namespace) -> tuple[float, float, list[str]]:
    """Medians of env steps/s and of their ratio to bare MuJoCo's, and what is written of both."""
    where = benchmark_of(policy)
    words = [f"+scene={where['scene']}", f"policy={policy}", *where["overrides"]]
    env = make_env(compose([*words, f"backend.num_envs={options.num_envs}"]), options.threads)
    assert isinstance(env.simulator, MujocoSimulator)
    segments, sides = Segments(env, options.steps), Sides([], [], True)
    raw = RawReplay(env.simulator, segments.record(), options.threads, decimation(env))
    for _ in range(options.repeats):
        one_repeat(segments, raw, options.steps, sides)
    count = options.steps * options.num_envs
    ours, bare = (Repeats.of([count / s for s in side]) for side in (sides.env_s, sides.raw_s))
    ratio = ours / bare
    same = "yes" if sides.identical else "NO"
    row = [physics_of(env), number(ours.median), number(bare.median), *ratio.cells(), same]
    env.close()
    return ours.median, ratio.median, row
