"""An experiment's folder: who owns it, what it was asked, how far it got."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml

from blueprint_tune.config.compose import to_config, to_dict
from blueprint_tune.config.identity import content_hash, input_hash, provenance
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import BlueprintTuneError, ConfigError, nearest

State = Literal["new", "unfinished", "finished"]


@dataclasses.dataclass(frozen=True)
class ExperimentFolder:
    """``{output_dir}/{name}/``; ``result.json`` is written last and marks it finished."""

    path: Path

    @property
    def name(self) -> str:
        """The experiment's name, also its job id."""
        return self.path.name

    @property
    def document(self) -> Path:
        """Written first: config, search space, versions, hashes."""
        return self.path / "experiment.yaml"

    @property
    def trials(self) -> Path:
        """Ray Tune's experiment folder: one folder a trial with its checkpoints, reports and events."""
        return self.path / "trials"

    @property
    def records(self) -> Path:
        """One record a trial; exists once the search is over."""
        return self.path / "search.json"

    @property
    def evaluation(self) -> Path:
        """What the benchmark measured."""
        return self.path / "evaluation"

    @property
    def bundle(self) -> Path:
        """The deployable policy."""
        return self.path / "bundle"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.path / "report.html"

    @property
    def result(self) -> Path:
        """Exists once everything is done."""
        return self.path / "result.json"

    @property
    def log(self) -> Path:
        """What Ray and Tune had to say."""
        return self.path / "ray.log"

    def state(self) -> State:
        """How far the experiment got."""
        if self.result.exists():
            return "finished"
        return "unfinished" if self.document.exists() else "new"

    def read(self) -> tuple[ExperimentConfig, dict[str, Any]]:
        """The config and the search space it was started with.

        Raises ConfigError if this is not an experiment, or one whose settings this version does not know.
        """
        tree = self.tree()
        try:
            return to_config(tree["config"]), tree["searchspace"]
        except ConfigError as error:
            made_with = tree.get("provenance", {}).get("blueprint_tune", "another version")
            raise ConfigError(
                f"{self.document} was written by blueprint-tune {made_with} and does not fit:\n{error}"
            ) from error

    def tree(self) -> dict[str, Any]:
        """``experiment.yaml`` as it stands. Raises ConfigError if there is none."""
        try:
            tree = yaml.safe_load(self.document.read_text())
        except OSError as error:
            raise ConfigError(
                f"{self.path} is not an experiment: it holds no {self.document.name}. {self._neighbours()}"
            ) from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{self.document} cannot be read: {error}") from error
        if not isinstance(tree, dict) or not {"config", "searchspace", "input_hash"} <= set(tree):
            raise ConfigError(f"{self.document} is incomplete; start the experiment again.")
        return tree

    def _neighbours(self) -> str:
        """What could have been meant: experiments in this folder, else beside it."""
        for folder in (self.path, self.path.parent):
            known = [path.parent.name for path in folder.glob(f"*/{self.document.name}")]
            if known:
                return f"In {folder}: {nearest(self.name, known)}"
        return "Experiments are in the folder output_dir names, by default outputs."

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder against a second process; a killed one lets go by itself."""
        with (self.path / ".lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                raise BlueprintTuneError(
                    f"{self.path} is being worked on by process {lock.read().strip() or '?'}. "
                    "Wait for it, stop it, or give this run another name=…"
                ) from error
            except OSError:
                pass  # a file system without locks
            lock.seek(0)
            lock.truncate()
            lock.write(str(os.getpid()))
            lock.flush()
            yield


def describe(
    cfg: ExperimentConfig, space: Mapping[str, Any], scene_digest: str, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """The content of ``experiment.yaml``; ``overrides`` are what the user typed."""
    question = input_hash(cfg, scene_digest)
    name = cfg.name or f"{cfg.scene.id}-{cfg.policy.name}-{cfg.sweep.name}-{question[:8]}"
    return {
        "name": name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "input_hash": question,
        "content_hash": content_hash(cfg, scene_digest),
        "scene_digest": scene_digest,
        "overrides": list(overrides),
        "provenance": provenance(),
        "searchspace": {key: dict(entry) for key, entry in space.items()},
        "config": to_dict(dataclasses.replace(cfg, name=name)),
    }


def anchored(cfg: ExperimentConfig) -> ExperimentConfig:
    """``cfg`` with paths that mean the same from any working directory: a trial's, or a later resume's."""
    scene, robot, storage = cfg.scene, cfg.robot, cfg.storage
    if scene.manifest is not None and Path(scene.manifest).exists():
        scene = dataclasses.replace(scene, manifest=str(Path(scene.manifest).absolute()))
    if scene.package is not None:
        scene = dataclasses.replace(scene, package=str(Path(scene.package).absolute()))
    grippers = {
        name: hand and dataclasses.replace(hand, model=_anchored_model(hand.model))
        for name, hand in robot.grippers.items()
    }
    robot = dataclasses.replace(robot, model=_anchored_model(robot.model) or "", grippers=grippers)
    if "://" not in storage.root:
        storage = dataclasses.replace(storage, root=str(Path(storage.root).expanduser().absolute()))
    output_dir = str(Path(cfg.output_dir).expanduser().absolute())
    env_package, backend = cfg.backend.env_package, cfg.backend
    if env_package is not None and "://" not in env_package:
        place = str(Path(env_package).expanduser().absolute())
        backend = dataclasses.replace(backend, env_package=place)
    return dataclasses.replace(
        cfg, scene=scene, robot=robot, storage=storage, backend=backend, output_dir=output_dir
    )


def _anchored_model(model: str | None) -> str | None:
    """A robot's or gripper's model as an absolute path, or its name if it ships with the program."""
    return str(Path(model).absolute()) if model and "/" in model and Path(model).exists() else model


def open_folder(cfg: ExperimentConfig, document: dict[str, Any]) -> tuple[ExperimentFolder, State]:
    """The folder for this input (an :func:`anchored` one), made and described if it is new.

    Raises ConfigError if the name belongs to another input or the folder cannot be written.
    """
    folder = ExperimentFolder(Path(cfg.output_dir) / check_name(document["name"]))
    try:
        refuse_foreign(folder, document["input_hash"])
        if cfg.force and folder.state() != "new":
            with folder.claimed():
                _set_aside(folder.path)
        state = folder.state()
        folder.path.mkdir(parents=True, exist_ok=True)
        if state == "new":
            partial = folder.document.with_name(folder.document.name + ".partial")
            partial.write_text(yaml.safe_dump(document, sort_keys=False, width=110))
            partial.replace(folder.document)
    except OSError as error:
        raise ConfigError(
            f"output_dir={cfg.output_dir}: {folder.path} cannot be written ({error.strerror or error}). "
            "Choose a folder you may write to: output_dir=…"
        ) from error
    return folder, state


def check_name(name: str) -> str:
    """``name``, which can be a folder's on every system. Raises ConfigError if it cannot."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", name):
        raise ConfigError(
            f"name={name!r}: a name is up to 128 letters, digits, '-', '_' and '.', "
            "the first a letter or digit."
        )
    return name


def refuse_foreign(folder: ExperimentFolder, question: str) -> None:
    """A name belongs to the first input it was given to; raises ConfigError for another's."""
    if not folder.path.exists():
        return
    if not folder.document.exists():
        if any(p.name != ".lock" for p in folder.path.iterdir()):
            raise ConfigError(
                f"{folder.path} exists and is not an experiment. Choose another name=… or output_dir=…"
            )
        return
    theirs = folder.tree()["input_hash"]
    if theirs != question:
        raise ConfigError(
            f"The name '{folder.name}' is taken: {folder.path} is an experiment with other settings "
            f"(input {theirs}, yours is {question}). Choose another name=…, or leave name out."
        )


def _set_aside(path: Path) -> None:
    """Keep what a forced rerun replaces."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    path.rename(path.with_name(f"{path.name}.replaced-{stamp}"))
