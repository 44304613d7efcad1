"""The same physics twice: through the environment, and as bare ``Batch.step`` calls.

A recording holds what the environment told its simulator: joint targets at every env step, and the
states it put finished environments in. Replaying it into a batch of the same model makes MuJoCo do
exactly the same work, which the final states prove.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from mujoco.batch import Batch
from numpy.typing import NDArray
from torch import Tensor

from blueprint_tune.envs.manipulation import ManipulationEnv
from blueprint_tune.simulators.base import Starts
from blueprint_tune.simulators.mujoco.simulator import MujocoSimulator
from blueprint_tune.simulators.mujoco.variation import Variation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Snapshot:
    """State rows (k, S) of some environments, and what is varied between them: name -> (k, …)."""

    env_ids: Ints
    rows: Floats
    varied: dict[str, Floats]


@dataclass
class Recording:
    """Controls (N, A) of each env step, and what was reset at its end."""

    start: Snapshot
    controls: list[Floats]
    resets: list[Snapshot | None]


class Segments:
    """Runs the environment over fixed actions, any number of times from the same start."""

    def __init__(self, env: ManipulationEnv, steps: int) -> None:
        self.env, self.steps = env, steps
        generator = torch.Generator().manual_seed(0)
        self.actions = torch.rand(steps, env.num_envs, env.num_actions, generator=generator) * 2 - 1
        self._at = 0

    @torch.inference_mode()
    def restart(self) -> None:
        """Back to the first step, episodes spread over their length as in training."""
        n = self.env.num_envs
        self.env.reset(np.zeros(n, dtype=np.int64), np.arange(n), stagger=True)
        self._at = 0

    @torch.inference_mode()  # as in training
    def run(self, count: int) -> float:
        """Seconds that the next ``count`` env steps take."""
        actions = self.actions[self._at : self._at + count]
        self._at += count
        began = time.perf_counter()
        for action in actions:
            self.env.step(action)
        return time.perf_counter() - began

    @torch.inference_mode()
    def record(self) -> Recording:
        """Run all steps once, writing down what the simulator is told."""
        simulator = self.env.simulator
        assert isinstance(simulator, MujocoSimulator)
        self.restart()
        everyone = np.arange(self.env.num_envs)
        recording = Recording(snapshot(simulator, everyone), [], [])
        set_targets, reset = simulator.set_joint_targets, simulator.reset
        finished: list[Ints] = []

        def recorded_targets(position: Tensor) -> None:
            recording.controls.append(position.double().numpy().copy())
            set_targets(position)

        def recorded_reset(env_ids: Ints, starts: Starts) -> None:
            finished.append(env_ids.copy())
            reset(env_ids, starts)

        simulator.set_joint_targets, simulator.reset = recorded_targets, recorded_reset  # type: ignore[method-assign]
        try:
            for action in self.actions:
                finished.clear()
                self.env.step(action)
                ids = np.concatenate(finished) if finished else None
                recording.resets.append(None if ids is None else snapshot(simulator, ids))
        finally:
            del simulator.set_joint_targets, simulator.reset
        return recording


def snapshot(simulator: MujocoSimulator, env_ids: Ints) -> Snapshot:
    """What some environments are now."""
    saved = simulator.save_state()
    varied = {name: values.numpy()[env_ids] for name, values in saved["variation"].items()}
    return Snapshot(env_ids, saved["rows"].numpy()[env_ids], varied)


class RawReplay:
    """A batch of the same model and nothing else."""

    def __init__(
        self, simulator: MujocoSimulator, recording: Recording, threads: int, decimation: int
    ) -> None:
        self._recording, self._decimation, self._nominal = recording, decimation, simulator.nominal
        self._batch = Batch(simulator.compiled.model, simulator.num_envs, threads, persistent=True)
        self._ctrl = self._batch.bind("ctrl")
        self._variation = Variation(self._batch, simulator.compiled)
        self._at = 0

    def restart(self) -> None:
        """Back to the recording's start."""
        self._put(self._recording.start)
        self._at = 0

    def run(self, count: int) -> float:
        """Seconds in ``Batch.step``, controls written, over the next ``count`` env steps.

        Finished environments are put at their next start outside the clock.
        """
        seconds = 0.0
        for index in range(self._at, self._at + count):
            began = time.perf_counter()
            self._ctrl[:] = self._recording.controls[index]
            self._batch.step(nstep=self._decimation)
            seconds += time.perf_counter() - began
            after = self._recording.resets[index]
            if after is not None:
                self._put(after)
        self._at += count
        return seconds

    @property
    def rows(self) -> Floats:
        """State of every environment."""
        rows: Floats = self._batch.state.copy()
        return rows

    def _put(self, snapshot: Snapshot) -> None:
        starts = self._nominal.take(np.zeros(len(snapshot.env_ids), dtype=np.int64))
        for name, values in snapshot.varied.items():
            setattr(starts, name, values)
        self._variation.apply(snapshot.env_ids, starts)
        self._batch.state[snapshot.env_ids] = snapshot.rows
        self._batch.forward(snapshot.env_ids.astype(np.int32))
