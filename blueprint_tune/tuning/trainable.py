"""One trial as a Ray Tune trainable, in a process that keeps its simulator from trial to trial."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from blueprint_tune.config.compose import apply_overrides, to_config
from blueprint_tune.errors import CheckpointDamaged, OutOfMemory
from blueprint_tune.tuning import checkpoints
from blueprint_tune.tuning.environment import learning_device, new_env
from blueprint_tune.tuning.lineage import EXPLOIT, plain, read_origin, write_origin
from blueprint_tune.tuning.memory import NUM_ENVS, ROLLOUTS, out_of_device_memory
from blueprint_tune.tuning.records import CHECKPOINT_FILE, TOLD_AGAIN

if TYPE_CHECKING:
    from blueprint_tune.config.schema import ExperimentConfig
    from blueprint_tune.envs.base import VecEnv
    from blueprint_tune.learning.trainer import Trainer
    from blueprint_tune.tuning.ranks import Peers
    from blueprint_tune.tuning.resources import Shape


class Trial(tune.Trainable):
    """Trains with the sampled settings; one step is the updates up to the next report.

    The first step of a trial makes all it needs: Ray ends a trial for good (and may hang) when
    ``reset_config`` fails, and no watchdog sees what hangs before a step. What fails in a step restarts the
    trial in a fresh process.
    """

    def setup(self, config: dict[str, Any], base: dict[str, Any], fit: Shape, trials_dir: str) -> None:
        """Runs on the process's main thread.

        ``config``: sampled dotted keys. ``base``: the composed config, plain. ``fit``: what was reserved.
        ``trials_dir``: a trial's folder there has its checkpoints and receives a diverged training's dump.
        """
        self._base, self._fit, self._trials_dir = base, fit, Path(trials_dir)
        self._env: VecEnv | None = None
        self._peers: Peers | None = None
        self._free_since = time.time()
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial into this process, with the simulator as it stands."""
        self._take(new_config)
        return True

    def _take(self, sample: dict[str, Any]) -> None:
        self._sample, self._given = plain(sample), self._free_since
        self._warm = self._env is not None
        self._trainer: Trainer | None = None
        self._saved: dict[str, Any] | None = None
        self._origin: tuple[str, dict[str, Any]] | None = None
        self._exploit: dict[str, Any] | None = None
        self._failure: Exception | None = None
        self._note, self._last_report = "", dict[str, Any]()
        self._started: float | None = None
        self._first_report_s: float | None = None
        self._ended = checkpoints.ending(self._folder)

    @property
    def _folder(self) -> Path:
        return self._trials_dir / self.trial_id

    def step(self) -> dict[str, Any]:
        """Train up to the next report and return its metrics.

        Raises OutOfMemory when a device's memory is full, whoever says so.
        """
        if self._failure is not None:
            raise self._failure
        if self._ended is not None:
            return self._told_again(self._ended[1])
        try:
            report = self._train()
        except Exception as error:
            if full := out_of_device_memory(error):
                raise OutOfMemory(f"out of memory: {full}") from error
            raise
        self._free_since = time.time()
        return report

    def _train(self) -> dict[str, Any]:
        trainer = self._trainer or self._begin()
        began = time.time()
        if self._started is None:
            self._started = began
        assert self._peers is not None
        report: dict[str, Any] = dict(self._peers.train(trainer.train_until_report))
        report["time_this_iter_s"] = time.time() - began  # without building the scene
        if self._first_report_s is None:
            self._first_report_s = time.time() - self._given
        report["perf/trial_switch_s"] = self._started - self._given
        report["perf/first_report_s"] = self._first_report_s
        report["perf/warm_simulator"] = float(self._warm)
        report["done"] = trainer.finished
        report["note"], self._note = self._note, ""
        if self._exploit is not None:
            report[EXPLOIT], self._exploit = self._exploit, None
        self._last_report = report
        return report

    def _told_again(self, reached: checkpoints.Reached) -> dict[str, Any]:
        """The last report of a trial that finished unknown to Ray: it is not trained again."""
        self._iteration, self._time_total = reached.iteration - 1, reached.time_s
        return {**reached.report, "done": True, "time_this_iter_s": 0.0, TOLD_AGAIN: True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Everything needed to go on as if nothing had happened."""
        folder = Path(checkpoint_dir)
        if self._ended is not None:
            shutil.copytree(self._ended[0], folder, dirs_exist_ok=True)
            self._count_from(self._ended[0])
            return
        trainer = self._trainer or self._begin()
        assert self._peers is not None
        trainer.save(folder / CHECKPOINT_FILE, self._peers.shares())
        write_origin(folder, self.trial_id, self._sample)
        reached = checkpoints.Reached(
            iteration=self._iteration,
            updates=trainer.updates,
            time_s=self._time_total,
            finished=trainer.finished,
            report=self._last_report,
        )
        checkpoints.write_reached(folder, reached)

    def _count_from(self, last: Path) -> None:
        """Let Ray put the next checkpoint behind ``last``: its own, older count would overwrite one."""
        if self._storage is not None:
            self._storage.current_checkpoint_index = int(last.name.rpartition("_")[2])

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Continue from a checkpoint's folder, or the newest before it that is whole.

        Without any the trial begins anew. A failure is raised by the next step.
        """
        from blueprint_tune.learning.checkpoint import read_checkpoint

        if self._ended is not None:
            return
        folder, self._trainer = Path(checkpoint), None
        try:
            found, reached, self._saved = checkpoints.newest(folder, read_checkpoint)
            self._origin = read_origin(found)
            self._iteration, self._time_total = reached.iteration, reached.time_s
            self._last_report = dict(reached.report)
            self._note = "" if found == folder else f"{folder.name} is damaged: going on from {found.name}"
        except CheckpointDamaged as error:
            self._iteration, self._time_total = 0, 0.0
            self._note = f"{error} There is none before it: starting anew"
        except Exception as error:  # raised by the next step
            self._failure = error

    def cleanup(self) -> None:
        """Free the simulators; called once, when the process ends."""
        self._trainer = None
        if self._peers is not None:
            self._peers.close()
        if self._env is not None:
            self._env.close()

    def _begin(self) -> Trainer:
        """A trainer, which starts the environment anew, set to the trial's policy settings."""
        from blueprint_tune.learning.trainer import Trainer

        cfg = apply_overrides(to_config(self._base), self._sample)
        self._folder.mkdir(parents=True, exist_ok=True)
        peers = self._peers or self._new_peers()
        peers.begin(self._sample, str(self._folder))
        self._fit_simulator(cfg)
        if self._env is None:
            self._env = new_env(cfg, self._fit.threads, self._fit.ranks)
        events = self._base["policy"]["events"]
        trainer = Trainer(self._env, cfg, self._folder, events, peers.together, learning_device(cfg))
        peers.ready()
        if self._saved is not None:
            peers.load(self._saved)
            trainer.load_state(self._saved)
            self._adopt(trainer, peers)
        self._saved, self._trainer = None, trainer
        return trainer

    def _adopt(self, trainer: Trainer, peers: Peers) -> None:
        """Go on with this trial's settings from a checkpoint that another one saved with its own.

        What did not change goes on as it was saved: a learning rate that nobody changed stays where the
        schedule had moved it. Environments halved for want of memory are no change of settings.
        """
        if self._origin is None:
            return
        donor, theirs = self._origin
        own = {k: v for k, v in self._sample.items() if k not in (NUM_ENVS, ROLLOUTS)}
        changed = {k: (theirs.get(k), v) for k, v in own.items() if theirs.get(k) != v}
        if changed or donor != self.trial_id:
            peers.adopt(list(changed))
            self._exploit = {
                "donor": donor,
                "env_steps": trainer.env_steps,
                "changed": changed,
                "in_force": trainer.adopt(changed),
            }

    def _fit_simulator(self, cfg: ExperimentConfig) -> None:
        """Give up a simulator whose number of environments is not the trial's: one of them was halved."""
        if self._env is not None and self._env.num_envs != cfg.backend.num_envs // self._fit.ranks:
            self._env.close()
            self._env, self._warm = None, False

    def _new_peers(self) -> Peers:
        from blueprint_tune.tuning.ranks import Peers

        self._peers = Peers(self._base, self._fit.threads, self._fit.bundles)
        return self._peers
