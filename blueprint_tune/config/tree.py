"""Hydra's part of a composition: overrides and files -> one plain mapping, and what is wrong with them.

Kept apart from the schema so that ``--cfg job`` starts without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from blueprint_tune.config import paths
from blueprint_tune.config.commandline import (
    COMPOSITION_ERRORS,
    Groups,
    Verdict,
    judge_groups,
    judge_values,
    parse,
)
from blueprint_tune.config.conf_files import Library
from blueprint_tune.errors import StorageError, TaskPackageError

if TYPE_CHECKING:
    from blueprint_tune.config.package_train import Layer

_ABSENT = object()


@dataclass
class Composed:
    """A composition as far as it went."""

    tree: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    """Dotted keys about which a problem speaks already."""
    choices: dict[str, str] = field(default_factory=dict)
    """The file chosen in each group."""
    usable: list[str] = field(default_factory=list)
    """The overrides that took part."""
    layer: Layer | None = None
    """What a task package contributes."""
    folders: list[Path] = field(default_factory=list)


def register_resolvers() -> None:
    """Make known what configuration files compute.

    ``${share_of:<number>,<share>}``: that share of a whole number, rounded, at least 1.
    ``${reports_of:<env steps>,<env steps between reports>}``: how many reports a trial makes at most.
    ``${updates_of:<updates>,<agent.rollouts>,<backend.num_envs>}``: the env steps of so many updates.
    ``${scene_id_of:<manifest>}``: the id that a scene manifest states, as a safe file name.
    ``${task_id_of:<task>}``: the name under which a task is registered, as a safe file name.
    """
    OmegaConf.register_new_resolver("share_of", _share_of, replace=True)
    OmegaConf.register_new_resolver("reports_of", _reports_of, replace=True)
    OmegaConf.register_new_resolver("updates_of", _updates_of, replace=True)
    OmegaConf.register_new_resolver("scene_id_of", _scene_id_of, replace=True)
    OmegaConf.register_new_resolver("task_id_of", _task_id_of, replace=True)


def _share_of(whole: Any, share: float) -> Any:
    """What is no number stays as it is, for the schema to complain about."""
    return max(1, round(whole * share)) if isinstance(whole, int | float) else whole


def _reports_of(env_steps: Any, between: Any) -> Any:
    """One after the first update, then one each ``between`` env steps."""
    return (
        -(-env_steps // between) + 1 if isinstance(env_steps, int) and isinstance(between, int) else env_steps
    )


def _updates_of(updates: Any, rollouts: Any, num_envs: Any) -> Any:
    whole = all(isinstance(value, int) for value in (updates, rollouts, num_envs))
    return updates * rollouts * num_envs if whole else updates


def _scene_id_of(manifest: str) -> str:
    """ "manifest" for a file that cannot be read; whoever reads the scene says why."""
    try:
        tree = json.loads(Path(manifest).read_bytes())
    except (OSError, ValueError, RecursionError):
        return "manifest"
    stated = tree.get("scene_id") if isinstance(tree, dict) else None
    return re.sub(r"[^A-Za-z0-9_-]+", "_", str(stated or Path(manifest).stem)).strip("_")[:64] or "manifest"


def _task_id_of(task: Any) -> str:
    """Without a namespace: what is registered as "mine:Isaac-Lift-v0" is "Isaac-Lift-v0"."""
    stated = str(task or "").rpartition(":")[2]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stated).strip("_-")[:64] or "task"


def searchpath_overrides(folders: Sequence[Path]) -> list[str]:
    """The Hydra override that makes the user's folders known."""
    quoted = [f'"file://{folder!s}"' for folder in folders]
    return [f"hydra.searchpath=[{','.join(quoted)}]"] if quoted else []


def load(
    overrides: Sequence[str],
    config_dir: Path | None = None,
    complete: bool = True,
    library: Library | None = None,
) -> Composed:
    """Compose ``overrides``; mistakes among them are reported and left out.

    ``complete=False`` only asks whether they can be composed: values, even the scene, may be absent.
    ``library`` spares many compositions of the same files from reading them each time.
    """
    register_resolvers()
    result, folders = Composed(), _user_folders(config_dir)
    result.problems = [
        f"The folder of configuration files {f} does not exist." for f in folders if not f.is_dir()
    ]
    result.folders = [folder for folder in folders if folder.is_dir()]
    groups, words = _groups(result.folders), list(overrides)
    try:
        result.layer, words = _with_layer(overrides)
    except (TaskPackageError, StorageError) as error:
        result.problems.append(str(error))
    with _session(library):
        cfg, verdict = _compose(words, groups, searchpath_overrides(result.folders))
    result.problems += result.layer.problems if result.layer else []
    result.problems += verdict.problems
    result.usable = verdict.usable
    if cfg is None or not complete:
        return result
    chosen = cfg.hydra.runtime.choices
    result.choices = {group: chosen[group] for group in paths.GROUPS if group in chosen}
    settings: Any = OmegaConf.to_container(cfg, resolve=False)
    del settings["hydra"]
    result.tree = _resolve(settings, "", cfg, result)
    if "scene" not in result.choices and "scene" not in result.tree:
        result.silent.append("scene")
        if not any(override.lstrip("+~").startswith("scene=") for override in overrides):
            result.problems.append(no_scene(groups.options["scene"]))
    return result


def with_package(overrides: Sequence[str]) -> list[str]:
    """``overrides`` with what a task package among them contributes, for Hydra to show."""
    try:
        return _with_layer(overrides)[1]
    except (TaskPackageError, StorageError):  # whoever composes says so
        return list(overrides)


def _with_layer(overrides: Sequence[str]) -> tuple[Layer | None, list[str]]:
    """What a task package contributes, and ``overrides`` with it; the reader loads only if one is named."""
    if not any(word.lstrip("+").startswith("scene.package=") for word in overrides):
        return None, list(overrides)
    from blueprint_tune.config.package_layer import expanded, package_layer

    layer = package_layer(overrides)
    return layer, expanded(overrides, layer)


def no_scene(scenes: Sequence[str]) -> str:
    """What to tell someone who named no scene."""
    return (
        f"No scene is given. Add one to the command: {', '.join(f'+scene={name}' for name in scenes)}"
        " (manifest reads any scene: +scene=manifest scene.manifest=<path>; package a task package:"
        " +scene=package scene.package=<path>)."
    )


def _user_folders(config_dir: Path | None) -> list[Path]:
    given = [] if config_dir is None else [Path(config_dir).resolve()]
    return [*given, *(folder for folder in paths.user_conf_dirs() if folder not in given)]


def _groups(folders: list[Path]) -> Groups:
    options = {group: paths.group_options(group, folders) for group in paths.GROUPS}
    return Groups(options, always=frozenset(paths.GROUPS) - {"scene"})


def _compose(overrides: Sequence[str], groups: Groups, extra: list[str]) -> tuple[DictConfig | None, Verdict]:
    """Everything at once when all is well; otherwise what is left without the mistakes."""
    try:
        return _hydra([*extra, *overrides]), Verdict(usable=list(overrides))
    except COMPOSITION_ERRORS:
        verdict = Verdict()
    try:
        values = judge_groups(parse(overrides, verdict), groups, verdict)
        base = _hydra([*extra, *verdict.usable])
        judge_values(values, base, groups, verdict)
        return _hydra([*extra, *verdict.usable]), verdict
    except COMPOSITION_ERRORS as error:
        verdict.problems.append(_hydra_sentence(error))
        return None, verdict


@contextmanager
def _session(library: Library | None) -> Iterator[None]:
    """A Hydra for composing, also inside a Hydra application; a process has one at a time."""
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(paths.conf_dir()), version_base="1.3"):
            if library is not None and (hydra := GlobalHydra.instance().hydra) is not None:
                library.serve(hydra.config_loader)
            yield
    finally:
        GlobalHydra.instance().hydra = outer  # leaving Hydra's context may have replaced the instance


def _hydra(overrides: Sequence[str]) -> DictConfig:
    return compose("config", overrides=list(overrides), return_hydra_config=True)


def _hydra_sentence(error: Exception) -> str:
    lines = [str(error), *([str(error.__cause__)] if error.__cause__ else [])]
    text = " ".join(line.strip() for line in "\n".join(lines).splitlines() if line.strip())
    return text or type(error).__name__


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A composition that is known to be complete as a plain mapping, interpolations resolved."""
    container = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    return {str(key): value for key, value in container.items()} if isinstance(container, dict) else {}


def _resolve(node: Any, path: str, cfg: DictConfig, result: Composed) -> Any:
    """``node`` of ``cfg`` with interpolations resolved; what has no value is reported and left out."""
    if isinstance(node, dict):
        values = {str(key): _resolve(node[key], f"{path}.{key}".lstrip("."), cfg, result) for key in node}
        return {key: value for key, value in values.items() if value is not _ABSENT}
    if isinstance(node, list):
        return [_resolve(value, f"{path}.{i}", cfg, result) for i, value in enumerate(node)]
    if not isinstance(node, str) or not (node == "???" or "${" in node):
        return node
    try:
        if node != "???":
            value = OmegaConf.select(cfg, path)
            return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        if path != "scene":
            result.problems.append(f"{path} has no value yet; add {path}=… to the command.")
    except OmegaConfBaseException as error:
        result.problems.append(f"{path}: {str(error).splitlines()[0]}.")
    result.silent.append(path)
    return _ABSENT
