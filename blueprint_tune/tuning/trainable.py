"""One trial as a Ray Tune trainable, in a process that keeps its simulator from trial to trial."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from blueprint_tune.config.compose import apply_overrides, to_config
from blueprint_tune.tuning.environment import learning_device, new_env
from blueprint_tune.tuning.lineage import EXPLOIT, plain, read_origin, write_origin
from blueprint_tune.tuning.records import CHECKPOINT_FILE

if TYPE_CHECKING:
    from blueprint_tune.config.schema import ExperimentConfig
    from blueprint_tune.envs.base import VecEnv
    from blueprint_tune.learning.trainer import Trainer
    from blueprint_tune.tuning.ranks import Peers
    from blueprint_tune.tuning.resources import Shape


class Trial(tune.Trainable):
    """Trains with the sampled settings; one step is the updates up to the next report.

    Nothing raises while a trial is set up, because Ray ends a trial for good (and may hang) when
    ``reset_config`` fails; the failure is raised by the next step, which restarts the trial in a
    fresh process.
    """

    def setup(self, config: dict[str, Any], base: dict[str, Any], fit: Shape, trials_dir: str) -> None:
        """Runs on the process's main thread.

        ``config``: sampled dotted keys. ``base``: the composed config, plain. ``fit``: what was reserved.
        ``trials_dir``: a trial's folder there receives the dump of a diverged training.
        """
        self._base, self._fit, self._trials_dir = base, fit, Path(trials_dir)
        self._env: VecEnv | None = None
        self._peers: Peers | None = None
        self._trainer: Trainer | None = None
        self._failure: Exception | None = None
        self._exploit: dict[str, Any] | None = None
        self._started: float | None = None
        self._first_report_s: float | None = None
        self._free_since = time.time()
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial into this process, with the simulator as it stands."""
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train up to the next report and return its metrics."""
        if self._failure is not None:
            raise self._failure
        assert self._trainer is not None
        if self._started is None:
            self._started = time.time()
        assert self._peers is not None
        report: dict[str, Any] = dict(self._peers.train(self._trainer.train_until_report))
        if self._first_report_s is None:
            self._first_report_s = time.time() - self._given
        report["perf/trial_switch_s"] = self._started - self._given
        report["perf/first_report_s"] = self._first_report_s
        report["perf/warm_simulator"] = float(self._warm)
        report["done"] = self._trainer.finished
        if self._exploit is not None:
            report[EXPLOIT], self._exploit = self._exploit, None
        self._free_since = time.time()
        return report

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Everything needed to go on as if nothing had happened, in one file."""
        assert self._trainer is not None
        assert self._peers is not None
        self._trainer.save(Path(checkpoint_dir) / CHECKPOINT_FILE, self._peers.shares())
        write_origin(Path(checkpoint_dir), self.trial_id, self._sample)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Continue from a checkpoint's folder; a failure is raised by the next step."""
        if self._failure is not None or self._trainer is None or self._peers is None:
            return
        from blueprint_tune.learning.checkpoint import read_checkpoint

        try:
            saved = read_checkpoint(Path(checkpoint) / CHECKPOINT_FILE)
            self._peers.load(saved)
            self._trainer.load_state(saved)
            self._adopt(read_origin(Path(checkpoint)), self._trainer, self._peers)
        except Exception as error:  # raised by the next step
            self._failure = error

    def _adopt(self, origin: tuple[str, dict[str, Any]] | None, trainer: Trainer, peers: Peers) -> None:
        """Go on with this trial's settings from a checkpoint that another one saved with its own.

        What did not change goes on as it was saved: a learning rate that nobody changed stays where the
        schedule had moved it.
        """
        if origin is None:
            return
        donor, theirs = origin
        changed = {k: (theirs.get(k), v) for k, v in self._sample.items() if theirs.get(k) != v}
        if changed or donor != self.trial_id:
            peers.adopt(list(changed))
            self._exploit = {
                "donor": donor,
                "env_steps": trainer.env_steps,
                "changed": changed,
                "in_force": trainer.adopt(changed),
            }

    def cleanup(self) -> None:
        """Free the simulators; called once, when the process ends."""
        self._trainer = None
        if self._peers is not None:
            self._peers.close()
        if self._env is not None:
            self._env.close()

    def _begin(self, sample: dict[str, Any]) -> None:
        """Everything from the last step of the trial before, or the start, to the first step."""
        self._given = self._free_since
        self._warm = self._env is not None
        self._started = self._first_report_s = None
        self._failure = None
        self._trainer = None
        self._exploit = None
        self._sample = plain(sample)
        try:
            cfg = apply_overrides(to_config(self._base), sample)
            peers = self._peers or self._new_peers()
            peers.begin(sample, str(self._dump_dir))
            if self._env is None:
                self._env = new_env(cfg, self._fit.threads, self._fit.ranks)
            self._trainer = self._new_trainer(self._env, cfg, peers)
            peers.ready()
        except Exception as error:  # raised by the next step
            self._failure = error

    @property
    def _dump_dir(self) -> Path:
        return self._trials_dir / self.trial_id

    def _new_peers(self) -> Peers:
        from blueprint_tune.tuning.ranks import Peers

        self._peers = Peers(self._base, self._fit.threads, self._fit.bundles)
        return self._peers

    def _new_trainer(self, env: VecEnv, cfg: ExperimentConfig, peers: Peers) -> Trainer:
        """A trainer starts the environment anew, set to the trial's policy settings."""
        from blueprint_tune.learning.trainer import Trainer

        self._dump_dir.mkdir(parents=True, exist_ok=True)
        events = self._base["policy"]["events"]
        return Trainer(env, cfg, self._dump_dir, events, peers.together, learning_device(cfg))
