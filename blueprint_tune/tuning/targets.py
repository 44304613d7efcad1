"""Objects of Ray Tune from YAML entries: ``_target_`` and arguments.

Config is not code: a target must be something that one of a few named packages itself defines.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from blueprint_tune.errors import ConfigError, nearest

_ROOT = "ray.tune"
HOMES = (_ROOT, "optuna.samplers")
"""Where a target may be defined."""
_EXTRAS = {"scikit-learn": "blueprint-tune[pb2]", "sklearn": "blueprint-tune[pb2]"}
"""What brings a package that some scheduler or searcher needs."""


def instantiate(
    entry: Mapping[str, Any], where: str, wrapped: Callable[[Any], Any] = lambda call: call
) -> Any:
    """Call the entry's ``_target_`` with its other keys; entries nested in them are instantiated first.

    ``wrapped`` may put something of ours around the target.

    Raises ConfigError, naming ``where``, for a target that config may not name, one that does not exist,
    arguments it does not take and packages that are missing.
    """
    target = entry.get("_target_")
    if not isinstance(target, str):
        raise ConfigError(f"{where} has no '_target_', for example {_ROOT}.loguniform.")
    call = resolve(target, where)
    arguments = {k: _plain(v, f"{where}.{k}") for k, v in entry.items() if k != "_target_"}
    _refuse_unknown(call, arguments, where, target)
    try:
        return wrapped(call)(**arguments)
    except (ImportError, TypeError, ValueError, AssertionError, RuntimeError) as error:
        if isinstance(error, ImportError) or "install" in str(error):  # how some of Tune's classes say it
            raise ConfigError(_missing_package(where, target, str(error))) from error
        raise ConfigError(
            f"{where}: {target} does not accept this: {error}. It takes: {', '.join(parameters(call))}."
        ) from error


def _refuse_unknown(call: Any, arguments: Mapping[str, Any], where: str, target: str) -> None:
    known = parameters(call)
    unknown = [name for name in arguments if name not in known]
    if known and unknown and not _takes_any(call):
        raise ConfigError(
            f"{where}.{unknown[0]}: {target} has no such setting. {nearest(unknown[0], known)}"
            f" It takes: {', '.join(known)}."
        )


def _missing_package(where: str, target: str, said: str) -> str:
    extra = next((extra for name, extra in _EXTRAS.items() if name in said), None)
    way = f' pip install "{extra}" brings it.' if extra else ""
    return f"{where}: {target} needs a package that is not installed: {said}{way}"


def resolve(target: str, where: str) -> Any:
    """The class or function that ``target`` names, which one of ``HOMES`` must have defined."""
    home = next((home for home in HOMES if target.startswith(f"{home}.")), None)
    if home is None:
        raise ConfigError(f"{where}: '{target}' is not part of {_ROOT}; nothing else may be named here.")
    module_name, _, name = target.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        if home != _ROOT and error.name == home.partition(".")[0]:
            raise ConfigError(_missing_package(where, target, str(error))) from error
        raise ConfigError(f"{where}: there is no module '{module_name}'.") from error
    found = getattr(module, name, None)
    if found is None:
        public = [n for n in dir(module) if not n.startswith("_")]
        raise ConfigError(f"{where}: {module_name} has no '{name}'. {nearest(name, public)}")
    if not callable(found) or not str(getattr(found, "__module__", "")).startswith(home):
        raise ConfigError(f"{where}: '{target}' is not something that {home} defines.")
    return found


def _plain(value: Any, where: str) -> Any:
    """Instantiate entries nested in an argument; copy lists and dicts."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            return instantiate(value, where)
        return {k: _plain(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v, f"{where}[{i}]") for i, v in enumerate(value)]
    return value


def parameters(call: Any) -> list[str]:
    """Names of what ``call`` takes."""
    return [p.name for p in _signature(call) if p.kind not in _ANY and p.name != "self"]


_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _takes_any(call: Any) -> bool:
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in _signature(call))


def _signature(call: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError):
        return []
