"""A few seconds of the real training, in processes of their own: how fast, how large.

``python -m blueprint_tune.planning.probe`` reads a :class:`Request` as JSON, builds the scene, says "ready",
waits for a line, trains, and prints what it measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from blueprint_tune.config.compose import to_config, to_dict
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import BlueprintTuneError

PROBE_S = 5.0
_LONGEST_S = 600.0
"""After which a probe is given up: large scenes take their time to build."""
_FOREVER = 2**31
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class Measured:
    """What one process measured.

    Attributes:
        build_s: from the process's start to a scene that can be stepped. steps_per_s: with updates.
        rss_bytes: the most memory it held. checkpoint_bytes: of one checkpoint.
        observations, actions: sizes. max_episode_steps: of an episode.
    """

    build_s: float
    steps_per_s: float
    rss_bytes: int
    checkpoint_bytes: int
    observations: int
    actions: int
    max_episode_steps: int


def probe(cfg: ExperimentConfig, processes: int, threads: int, seconds: float = PROBE_S) -> list[Measured]:
    """Train in as many processes at once as trials would run, because they share memory and caches.

    Raises BlueprintTuneError with what a process that failed had to say.
    """
    command = [sys.executable, "-m", "blueprint_tune.planning.probe"]
    path = os.pathsep.join([_PACKAGE_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])
    request = json.dumps({"config": to_dict(cfg), "threads": threads, "seconds": seconds})
    environment = {**os.environ, "PYTHONPATH": path}
    with contextlib.ExitStack() as stack:
        started: list[_Probe] = [_Probe(stack, command, environment) for _ in range(processes)]
        watchdog = threading.Timer(_LONGEST_S, _kill, started)
        stack.callback(watchdog.cancel)
        watchdog.start()
        for one in started:
            one.tell(request)
        ready = [one.answer() for one in started]
        for one in started if all(ready) else ():
            one.tell("go")
        return [one.result() for one in started]


def _kill(*probes: _Probe) -> None:
    for one in probes:
        one.process.kill()


class _Probe:
    """One process, killed with the stack it is on."""

    def __init__(self, stack: contextlib.ExitStack, command: list[str], environment: dict[str, str]) -> None:
        self._errors = stack.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors}
        self.process = stack.enter_context(subprocess.Popen(command, text=True, env=environment, **pipes))
        stack.callback(self.process.kill)

    def tell(self, text: str) -> None:
        """Write a line; what the process may have died of is told by :meth:`result`."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()

    def answer(self) -> str:
        """The next line; empty when the process has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def result(self) -> Measured:
        """What it measured. Raises BlueprintTuneError with the last thing a failed process said."""
        out, _ = self.process.communicate()
        if self.process.returncode == 0 and out:
            return Measured(**json.loads(out.splitlines()[-1]))
        self._errors.seek(0)
        said = self._errors.read().strip().splitlines() or [f"it ended with status {self.process.returncode}"]
        raise BlueprintTuneError(f"The probe failed: {said[-1]}")


def main() -> None:
    """The process."""
    began = time.monotonic()
    request = json.loads(sys.stdin.readline())
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a simulator may print what it likes: answers have the pipe to themselves
    cfg = to_config(request["config"])
    measuring = _Measuring(cfg, request["threads"])
    print("ready", file=answers, flush=True)
    build_s = time.monotonic() - began
    if sys.stdin.readline():
        print(json.dumps(asdict(measuring.run(build_s, request["seconds"]))), file=answers, flush=True)


class _Measuring:
    """The trial's own environment and trainer, reporting after every update."""

    def __init__(self, cfg: ExperimentConfig, threads: int) -> None:
        from blueprint_tune.envs.factory import make_env
        from blueprint_tune.learning.trainer import Trainer
        from blueprint_tune.tasks.asked import with_env_package
        from blueprint_tune.tuning.environment import learning_device

        budget = replace(cfg.budget, env_steps=_FOREVER, report_env_steps=1)
        selection = replace(cfg.evaluation.selection, episodes=1)  # its time is reckoned, not measured
        evaluation = replace(cfg.evaluation, selection=selection)
        self._folder = tempfile.TemporaryDirectory(prefix="blueprint-tune-probe-")
        cfg = with_env_package(cfg, Path(self._folder.name))
        self._env = make_env(cfg, threads)
        self._trainer = Trainer(
            self._env,
            replace(cfg, budget=budget, evaluation=evaluation),
            Path(self._folder.name),
            device=learning_device(cfg),
        )

    def run(self, build_s: float, seconds: float) -> Measured:
        """Train for ``seconds``, at least one update after the first, which warms everything up."""
        self._trainer.train_until_report()
        began, steps, trained_s = time.monotonic(), 0, 0.0
        while not steps or time.monotonic() - began < seconds:
            before = self._trainer.env_steps
            report = self._trainer.train_until_report()
            done = self._trainer.env_steps - before
            steps, trained_s = steps + done, trained_s + done / report["perf/env_steps_per_s"]
        file = Path(self._folder.name) / "checkpoint.pt"
        self._trainer.save(file)
        measured = Measured(
            build_s=build_s,
            steps_per_s=steps / trained_s,
            rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            checkpoint_bytes=file.stat().st_size,
            observations=self._env.num_observations,
            actions=self._env.num_actions,
            max_episode_steps=self._env.max_episode_steps,
        )
        self._env.close()
        self._folder.cleanup()
        return measured


if __name__ == "__main__":
    main()
