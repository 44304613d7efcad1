"""Which file, or the command line, a setting of a composed experiment comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from blueprint_tune.config import paths, suggest
from blueprint_tune.config.tree import Composed

_WHOLE = ("scene", "preset", "sweep")
"""Groups whose files set values all over the experiment, the last composed first."""


def origin(path: Sequence[str], composed: Composed) -> str:
    """``"conf/agent/ppo.yaml: "`` for the setting at ``path``; empty for one of the command line."""
    words = [text.lstrip("+~").partition("=")[0] for text in composed.usable]
    keys = [word for word in words if word not in paths.GROUPS]
    key = ".".join(path)
    if composed.layer is not None and key in composed.layer.sources:
        return composed.layer.sources[key]
    if any(key == given or key.startswith(f"{given}.") or given.startswith(f"{key}.") for given in keys):
        return ""
    group = path[0]
    for whole in _WHOLE:
        file = _file(whole, composed)
        if file is not None and (setting := _setting(file, path)):
            return _label(whole, setting)
    if overlay := _overlay(path, composed):
        return _label(group, overlay)
    file = _file(group, composed)
    if file is None:
        return ""
    return _label(group, _setting(file, path[1:]) or file)  # else whose it would be, were it there


def _file(group: str, composed: Composed) -> Path | None:
    name = composed.choices.get(group)
    roots = [paths.conf_dir(), *composed.folders]
    return next(
        (root / group / f"{name}.yaml" for root in roots if (root / group / f"{name}.yaml").is_file()), None
    )


def _overlay(path: Sequence[str], composed: Composed) -> Path | None:
    """The file that sets ``path`` over the group's chosen one because the policy's file lists it."""
    policy, package = _file("policy", composed), f"@_global_.{path[0]}"
    listed = _read(policy).get("defaults") if policy is not None else None
    names = [str(entry).removesuffix(package) for entry in listed or [] if str(entry).endswith(package)]
    files = [
        root / f"{name.strip('/')}.yaml" for name in names for root in (*composed.folders, paths.conf_dir())
    ]
    return next((file for file in reversed(files) if suggest.exists(_read(file), path[1:])), None)


def _label(group: str, file: Path) -> str:
    return f"conf/{group}/{file.name}: " if file.is_relative_to(paths.conf_dir()) else f"{file}: "


def _setting(file: Path, path: Sequence[str]) -> Path | None:
    """The file that sets ``path``: this one or, where it says nothing, one that it builds on."""
    tree = _read(file)
    if suggest.exists(tree, path):
        return file
    for entry in reversed(tree.get("defaults") or []):
        if isinstance(entry, str) and entry.startswith("_") and entry != "_self_":
            name, _, package = entry.partition("@")
            inside = path[1:] if package and package == path[0] else path
            if found := _setting(file.with_name(f"{name}.yaml"), inside):
                return found
    return None


def _read(file: Path) -> dict[str, Any]:
    """What a file says; nothing if it cannot be read."""
    try:
        tree: Any = OmegaConf.to_container(OmegaConf.load(file), resolve=False)
    except (OmegaConfBaseException, YAMLError, OSError):
        return {}
    return tree if isinstance(tree, dict) else {}
