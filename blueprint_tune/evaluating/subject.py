"""What ``evaluate`` is asked about: a policy in an experiment, a checkpoint or a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blueprint_tune.config import paths
from blueprint_tune.config.commandline import override_key, override_values
from blueprint_tune.config.compose import apply_overrides, compose
from blueprint_tune.config.own_task import OWN_TASK_BACKENDS
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.dossier import Dossier
from blueprint_tune.errors import ConfigError
from blueprint_tune.evaluating.needs import Needs, bundle_needs, config_needs
from blueprint_tune.tasks.asked import with_installed
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.lineage import read_origin
from blueprint_tune.tuning.records import CHECKPOINT_FILE, load_records

if TYPE_CHECKING:
    from blueprint_tune.evaluation.benchmark import Act

POLICY_PT, POLICY_ONNX = "policy.pt", "policy.onnx"
Sizes = tuple[int, int]
"""Numbers of an observation and of an action."""


@dataclass(frozen=True)
class Subject:
    """A policy and what it was made for.

    Attributes:
        name: the job it comes from. file: what it is loaded from. needs: what an environment must offer.
        compose: overrides -> the settings it is evaluated with. load: given the sizes, the policy.
    """

    name: str
    file: Path
    needs: Needs
    compose: Callable[[Sequence[str]], ExperimentConfig]
    load: Callable[[Sizes], Act]


def find_subject(path: Path) -> Subject:
    """What a path means. Raises ConfigError for what is no policy of ours."""
    if (path / "experiment.yaml").is_file():
        return _best_of(ExperimentFolder(path.absolute()))
    if path.is_dir():
        for name in (CHECKPOINT_FILE, POLICY_PT, POLICY_ONNX):
            if (path / name).is_file():
                return find_subject(path / name)
    if path.is_file() and (path.suffix == ".onnx" or path.name == POLICY_PT):
        return _bundled(path)
    if path.suffix == ".pt" and path.is_file():
        return _checkpoint(path.absolute())
    missing = "" if path.exists() else " (there is no such file or folder)"
    raise ConfigError(
        f"{path}: this is no experiment, checkpoint or bundle{missing}. An experiment's folder holds "
        f"experiment.yaml, a checkpoint's {CHECKPOINT_FILE}, a bundle's {POLICY_PT} or {POLICY_ONNX}."
    )


def _best_of(folder: ExperimentFolder) -> Subject:
    cfg, _ = folder.read()
    if not folder.records.exists():
        raise ConfigError(
            f"{folder.path}: its search is not over, so there is no best trial yet. Go on with it "
            f"(blueprint-tune resume {folder.path}), or evaluate one of its checkpoints: "
            f"{folder.trials}/<trial>/<checkpoint>."
        )
    best = Dossier(cfg, None, folder, folder.tree(), load_records(folder.records)).settled().best
    return _in_experiment(folder, folder.path / str(best.checkpoint) / CHECKPOINT_FILE, best.sample)


def _checkpoint(file: Path) -> Subject:
    """A checkpoint of a trial, whose experiment lies above it and whose settings lie beside it."""
    home = next((parent for parent in file.parents if (parent / "experiment.yaml").is_file()), None)
    origin = read_origin(file.parent)
    if home is None or origin is None:
        raise ConfigError(
            f"{file}: a checkpoint holds weights alone; what they are for stands in the experiment around "
            "it, and here is none. Evaluate it where it was trained, or the bundle: policy.pt or policy.onnx."
        )
    return _in_experiment(ExperimentFolder(home), file, origin[1])


def _in_experiment(folder: ExperimentFolder, file: Path, sample: Mapping[str, Any]) -> Subject:
    base = with_installed(folder.read()[0], folder.path)
    trained = apply_overrides(base, sample)
    overrides = [str(word) for word in folder.tree().get("overrides") or ()]

    def composed(words: Sequence[str]) -> ExperimentConfig:
        cfg = _with_words(base, overrides, words)
        return replace(cfg, output_dir=_output_dir(words))

    def load(sizes: Sizes) -> Act:
        from blueprint_tune.learning.agents import load_policy

        return load_policy(file, trained, *sizes)

    return Subject(folder.name, file, config_needs(trained), composed, load)


def _with_words(base: ExperimentConfig, before: Sequence[str], words: Sequence[str]) -> ExperimentConfig:
    """The experiment's settings changed by words: values in place, files of groups by composing anew."""
    chosen = {override_key(word) for word in words}
    if not chosen & set(paths.GROUPS):
        return apply_overrides(base, override_values(words))
    kept = [word for word in before if override_key(word) not in chosen]
    for group in chosen & {"scene", "backend"}:  # settings of the old one mean nothing to the new
        kept = [word for word in kept if not override_key(word).startswith(f"{group}.")]
    if "policy" not in {override_key(word) for word in (*kept, *words)}:
        kept.append(f"policy={base.policy.name}")
    return compose([*kept, *words])


def _bundled(file: Path) -> Subject:
    """A policy in its bundle, every file of which is verified; or one that came alone."""
    from blueprint_tune.export.checksums import CHECKSUMS
    from blueprint_tune.export.loading import load_bundle, read_weights

    if (file.parent / CHECKSUMS).is_file():
        bundle = load_bundle(file.parent)
        load = bundle.torch_policy if file.name == POLICY_PT else bundle.onnx_policy
        return _of_bundle(file, bundle.config, lambda sizes: load())
    if file.suffix == ".onnx":
        return _graph_alone(file)
    config, policy = read_weights(file.read_bytes(), str(file))
    return _of_bundle(file, config, lambda sizes: policy)


def _graph_alone(file: Path) -> Subject:
    from blueprint_tune.export.contract import from_metadata
    from blueprint_tune.export.onnx import OnnxPolicy, read_metadata

    try:
        said = from_metadata(read_metadata(file))
    except ValueError:
        said = {}  # of another program: it does not say what it needs
    return _of_bundle(file, said, lambda sizes: OnnxPolicy(file))


def _of_bundle(file: Path, config: Mapping[str, Any], load: Callable[[Sizes], Act]) -> Subject:
    needs = bundle_needs(file, config)
    return Subject(needs.job, file, needs, lambda words: _composed(file, needs, words), load)


def _composed(file: Path, needs: Needs, words: Sequence[str]) -> ExperimentConfig:
    """The settings of a policy that came without any: its scene, type and robot, unless words say others."""
    chosen = {override_key(word) for word in words}
    if any(word == f"backend={name}" for word in words for name in OWN_TASK_BACKENDS):
        names = [f"policy.name={needs.policy}", f"robot.name={needs.robot}", f"scene.id={needs.scene}"]
        return compose([*names, *words])
    if "scene" not in chosen and needs.scene not in paths.group_options("scene"):
        raise ConfigError(
            f"{file}: it was trained in scene '{needs.scene}', which has no file here. Add it, as "
            "+scene=manifest scene.manifest=<its manifest>, or another one that has what it needs. For a "
            "task with an environment of its own: backend=isaaclab_task backend.task=<its name>."
        )
    defaults = {"scene": f"+scene={needs.scene}", "policy": f"policy={needs.policy}"}
    if needs.robot in paths.group_options("robot"):
        defaults["robot"] = f"robot={needs.robot}"
    return compose([*(word for group, word in defaults.items() if group not in chosen), *words])


def _output_dir(words: Sequence[str]) -> str:
    """Where results go: where the user says, not where the experiment went, which may be another machine."""
    said = [word.partition("=")[2] for word in words if override_key(word) == "output_dir"]
    return said[-1] if said else "outputs"
