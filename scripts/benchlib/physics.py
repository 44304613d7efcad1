"""``scripts/bench physics``: the environment against bare MuJoCo, and peers at its control rate."""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchlib.peer_client import Peer, simulators_python
from benchlib.record import Document, Repeats, number, progress, verdict
from benchlib.replay import RawReplay, Recording, Segments
from blueprint_tune.config.compose import compose
from blueprint_tune.envs.factory import make_env
from blueprint_tune.simulators.mujoco.simulator import MujocoSimulator
from blueprint_tune.tuning.session import available_cpus

if TYPE_CHECKING:
    from blueprint_tune.envs.manipulation import ManipulationEnv

POLICY = "dexterous_pick_place"
CHUNK = 10
"""Env steps before the other side has its turn, so that a disturbance hits both."""
MIN_RATIO, MIN_FACTOR = 0.85, 10.0


@dataclass
class Sides:
    """Seconds of one repeat on either side, and whether both ended in the same state."""

    env_s: list[float]
    raw_s: list[float]
    identical: bool


@dataclass
class PeerResult:
    """One peer configuration and its rates; ``as_shipped``: with its own physics step."""

    name: str
    as_shipped: bool
    facts: dict[str, Any]
    rates: list[float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sizes; the defaults are what is published."""
    parser.add_argument("--num-envs", type=int, default=256)
    parser.add_argument("--steps", type=int, default=160, help="env steps of one repeat")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer-seconds", type=float, default=8.0)
    parser.add_argument("--threads", type=int, default=available_cpus())
    parser.add_argument("--no-peers", action="store_true")


def run(options: argparse.Namespace, command: list[str]) -> None:
    """Measure and write ``physics.md``."""
    torch.set_num_threads(1)
    config = compose(
        ["+scene=kitchen_001", f"policy={POLICY}", "preset=quick", f"backend.num_envs={options.num_envs}"]
    )
    document = Document("physics", f"Physics: {POLICY}, {options.num_envs} environments", command)
    env = make_env(config, options.threads)
    segments = Segments(env, options.steps)
    progress("recording", env_steps=options.steps * options.num_envs)
    recording = segments.record()
    assert isinstance(env.simulator, MujocoSimulator)
    raw = RawReplay(env.simulator, recording, options.threads, decimation(env))
    with contextlib.ExitStack() as stack:
        peers = [] if options.no_peers else _start_peers(stack, env, options)
        sides = Sides([], [], True)
        for repeat in range(options.repeats):
            one_repeat(segments, raw, options.steps, sides)
            progress(f"repeat {repeat + 1}", env_s=number(sides.env_s[-1]), raw_s=number(sides.raw_s[-1]))
            for peer, result in peers:
                result.rates.append(peer.rate(options.peer_seconds))
                progress(result.name, env_steps_per_s=number(result.rates[-1]))
    _write_ratio(document, env, recording, sides, options)
    _write_peers(document, env, sides, [result for _, result in peers], options)
    versions = {
        name: v for _, result in peers for name, v in result.facts["versions"].items() if name != "mujoco"
    }
    document.write(Path(options.results), versions)


def decimation(env: ManipulationEnv) -> int:
    """Physics steps of an env step."""
    return round(env.control_dt_s / env.simulator.physics_dt_s)


def one_repeat(segments: Segments, raw: RawReplay, steps: int, sides: Sides) -> None:
    """All steps on both sides, in turns; which side begins changes from turn to turn."""
    segments.restart()
    raw.restart()
    env_s = raw_s = 0.0
    for turn, first in enumerate(range(0, steps, CHUNK)):
        count = min(CHUNK, steps - first)
        if turn % 2:
            raw_s += raw.run(count)
            env_s += segments.run(count)
        else:
            env_s += segments.run(count)
            raw_s += raw.run(count)
    ours = segments.env.simulator.save_state()["rows"].numpy()
    sides.env_s.append(env_s)
    sides.raw_s.append(raw_s)
    sides.identical &= bool(np.array_equal(ours[:, 1:], raw.rows[:, 1:]))  # the first column is the clock


def _start_peers(
    stack: contextlib.ExitStack, env: ManipulationEnv, options: argparse.Namespace
) -> list[tuple[Peer, PeerResult]]:
    """Every peer as shipped and with our physics step, all at our control rate."""
    python = simulators_python()
    if python is None:
        progress("no peers (scripts/bench peers-install)")
        return []
    started = []
    cores = available_cpus()
    for module, name, num_envs in (
        ("mjlab_lift_cube", "mjlab, CPU", options.num_envs),
        ("fetch_pick_and_place", "gymnasium-robotics, AsyncVectorEnv", cores),
        ("fetch_pick_and_place", "gymnasium-robotics, AsyncVectorEnv", 4 * cores),
    ):
        for steps in (None, decimation(env)):
            settings = {"num_envs": num_envs, "decimation": steps, "control_dt_s": env.control_dt_s}
            progress(f"starting {name}", num_envs=num_envs)
            peer = stack.enter_context(Peer(python, module, settings))
            started.append((peer, PeerResult(name, steps is None, peer.facts, [])))
    return started


def _write_ratio(
    document: Document, env: ManipulationEnv, recording: Recording, sides: Sides, options: argparse.Namespace
) -> None:
    count = options.steps * options.num_envs
    resets = sum(len(r.env_ids) for r in recording.resets if r is not None)
    through = Repeats.of([count * decimation(env) / s for s in sides.env_s])
    raw = Repeats.of([count * decimation(env) / s for s in sides.raw_s])
    ratio = through / raw
    document.heading("The environment against bare Batch.step")
    document.text(
        f"{options.steps} env steps of {options.num_envs} environments under recorded random actions, "
        f"{decimation(env)} physics steps of {env.simulator.physics_dt_s * 1000:g} ms each, on "
        f"{options.threads} threads. Bare: a batch of the same model is given the joint targets that the "
        f"environment computed, and only `Batch.step` and writing the targets are on the clock. The "
        f"environment's {resets} resets are on its clock; the bare batch gets the same starts, off the "
        f"clock. Both take turns every {CHUNK} env steps. "
        + ("They ended in the same states, bit for bit." if sides.identical else "Their final states DIFFER.")
    )
    header = ["physics steps/s", "min", "median", "max"]
    rows = [["environment", *through.cells()], ["bare Batch.step", *raw.cells()], ["ratio", *ratio.cells()]]
    document.table(header, rows)
    document.text(verdict(ratio.median, MIN_RATIO, at_least=True))


def _write_peers(
    document: Document,
    env: ManipulationEnv,
    sides: Sides,
    results: list[PeerResult],
    options: argparse.Namespace,
) -> None:
    ours = Repeats.of([options.steps * options.num_envs / s for s in sides.env_s])
    document.heading("Peers at the same control rate")
    if not results:
        document.text("Not measured: the peers are not installed (`scripts/bench peers-install`).")
        return
    document.text(
        "Env steps a second with random actions and each environment's own resets, "
        f"{env.control_dt_s * 1000:g} ms an env step everywhere, in turns in the same run. The tasks differ: "
        f"ours is a Franka in a kitchen ({len(env.task.static)} colliders in reach), mjlab's nearest task a "
        "YAM arm with one cube on a plane, gymnasium-robotics' a Fetch with one cube on a table. Each peer "
        "with the physics step it ships (rounded to divide the env step), which the target is about, and "
        "with ours."
    )
    rows = [[f"blueprint-tune, {POLICY}", str(options.num_envs), physics_of(env), *ours.cells(), ""]]
    for result in results:
        facts, rates = result.facts, Repeats.of(result.rates)
        step = f"{facts['decimation']} × {facts['dt_s'] * 1000:.3g} ms"
        factor = number(ours.median / rates.median)
        rows.append([f"{result.name}, {facts['task']}", str(facts["num_envs"]), step, *rates.cells(), factor])
    header = ["env steps/s", "environments", "physics", "min", "median", "max", "ours is × faster"]
    document.table(header, rows)
    for name in dict.fromkeys(result.name for result in results):
        shipped = [r for r in results if r.name == name and r.as_shipped]
        best = max(Repeats.of(r.rates).median for r in shipped)
        times = ours.median / best
        document.text(f"{name}, as shipped: × {number(times)}, {verdict(times, MIN_FACTOR, at_least=True)}")


def physics_of(env: ManipulationEnv) -> str:
    """Physics steps of an env step, and how long they are."""
    return f"{decimation(env)} × {env.simulator.physics_dt_s * 1000:.3g} ms"
