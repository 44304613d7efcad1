"""What the verbs of single stages share: their words, and an experiment that is far enough."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blueprint_tune.comparing.experiments import find_experiment
from blueprint_tune.dossier import Dossier, check_bundle
from blueprint_tune.errors import ConfigError, nearest
from blueprint_tune.tasks.asked import ask, with_env_package
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.progress import Progress
from blueprint_tune.tuning.records import load_records

if TYPE_CHECKING:
    from blueprint_tune.tasks.asked import Asked

COMMON_HELP = """\
  EXPERIMENT         its folder, or its name under output_dir
  output_dir=FOLDER  where names of experiments are looked for (default: outputs)"""


@dataclass(frozen=True)
class Words:
    """What was typed after a verb: an experiment, ``--flags``, and ``key=value`` settings."""

    experiment: str
    flags: frozenset[str]
    settings: Mapping[str, str]
    output_dir: Path


@dataclass(frozen=True)
class Evaluated:
    """An experiment whose search, evaluation and export are done, held against other processes."""

    dossier: Dossier
    outcome: dict[str, Any]
    progress: Progress


def parse(verb: str, words: Sequence[str], flags: Sequence[str] = (), settings: str = "") -> Words:
    """The words of a verb that knows some ``flags``, and settings whose key is or is below ``settings``.

    Raises ConfigError for any other word, and for anything but one experiment.
    """
    names, found, output_dir = list[str](), dict[str, str](), "outputs"
    for word in words:
        key, equals, value = word.partition("=")
        if word.startswith("-"):
            if word not in flags:
                raise ConfigError(f"{verb} has no option {word}. blueprint-tune {verb} --help lists them.")
        elif not equals:
            names.append(word)
        elif key == "output_dir":
            output_dir = value
        elif settings and key.partition(".")[0] == settings:
            found[key] = value
        else:
            can = f"only {settings}.… and output_dir" if settings else "only output_dir"
            raise ConfigError(f"{verb} cannot set {key}, {can}: the experiment is what it was trained as.")
    if len(names) != 1:
        raise ConfigError(
            f"{verb} takes one experiment, not {len(names) or 'none'}. See blueprint-tune {verb} --help."
        )
    given = frozenset(word for word in words if word.startswith("-"))
    return Words(names[0], given, found, Path(output_dir).expanduser())


@contextmanager
def evaluated(
    words: Words, verb: str, bound: bool = True, bundle: bool = True, quiet: bool = False
) -> Iterator[Evaluated]:
    """The experiment in ``words``; ``bound``: with its scene read; ``bundle``: it must have one.

    Raises ConfigError for what is no experiment, is not far enough, or whose scene has changed.
    """
    folder = _find(words)
    cfg, _ = folder.read()
    tree = folder.tree()
    cfg = with_env_package(cfg, folder.path)
    dossier = Dossier(cfg, None, folder, tree, _records(folder, verb))
    if not dossier.outcome_file.exists():
        raise ConfigError(_unfinished(folder, verb, "its best policy is not evaluated and exported"))
    if bundle:
        check_bundle(folder)
    mode = "off" if quiet else cfg.logger.progress
    with folder.claimed(), Progress(mode, folder.name) as progress:
        dossier = dossier.settled()
        if bound:
            progress.stage("reading the scene")
            dossier = replace(dossier, task=_task(dossier))
        yield Evaluated(dossier, json.loads(dossier.outcome_file.read_text()), progress)


def _find(words: Words) -> ExperimentFolder:
    found = find_experiment(words.experiment, words.output_dir)
    if found is None:
        folders = words.output_dir.glob("*/experiment.yaml") if words.output_dir.is_dir() else ()
        known = [folder.parent.name for folder in folders]
        raise ConfigError(
            f"'{words.experiment}' is no experiment: neither a folder that holds an experiment.yaml, nor "
            f"a name under {words.output_dir}. {nearest(words.experiment, known)}"
        )
    return found


def _records(folder: ExperimentFolder, verb: str) -> tuple[Any, ...]:
    if not folder.records.exists():
        raise ConfigError(_unfinished(folder, verb, "its trials are not all trained"))
    return load_records(folder.records)


def _unfinished(folder: ExperimentFolder, verb: str, why: str) -> str:
    return (
        f"{folder.name} has nothing to {verb} yet: {why}. Go on with it:  blueprint-tune resume {folder.path}"
    )


def _task(dossier: Dossier) -> Asked:
    task, scene = ask(dossier.cfg), dossier.cfg.scene
    if task.digest != dossier.tree["scene_digest"]:
        raise ConfigError(
            f"{scene.manifest or scene.id}: the scene has changed since {dossier.folder.name} was "
            "trained in it. Put the old manifest back."
        )
    return task
