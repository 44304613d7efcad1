"""``configclass``: dataclasses whose fields may be missing until validated, and are copied when set."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import MISSING, dataclass, field, is_dataclass, replace
from functools import partial
from types import FunctionType
from typing import Any

_Missing = type(MISSING)


def configclass(cls: type, **kwargs: Any) -> type:
    own = cls.__dict__
    annotations = dict(own.get("__annotations__", {}))
    for name, value in list(own.items()):
        if not name.startswith("__") and not isinstance(value, type | FunctionType | property | classmethod):
            annotations.setdefault(name, type(value))
    for name in annotations:
        setattr(cls, name, field(default_factory=partial(_fresh, own.get(name, MISSING))))
    cls.__annotations__ = annotations
    for helper in (_copy, _replace, _to_dict, _validate):
        setattr(cls, helper.__name__.removeprefix("_"), helper)
    cls.__post_init__ = _own_copies
    return dataclass(cls, **kwargs)


def _fresh(value: Any) -> Any:
    return value if isinstance(value, type | _Missing) else deepcopy(value)


def _own_copies(config: Any) -> None:
    """What a config is made with is copied: later changes of the original do not reach it."""
    for name, value in vars(config).items():
        setattr(config, name, _fresh(value))


def _copy(self: Any) -> Any:
    return replace(self)


def _replace(self: Any, **kwargs: Any) -> Any:
    return replace(self, **kwargs)


def _to_dict(self: Any) -> dict[str, Any]:
    return {name: value.to_dict() if is_dataclass(value) else value for name, value in vars(self).items()}


def _validate(self: Any) -> None:
    if missing := _missing(self, ""):
        raise TypeError(f"Missing values detected in object {type(self).__name__}: {', '.join(missing)}")


def _missing(config: Any, prefix: str) -> list[str]:
    found = []
    for name, value in vars(config).items():
        if isinstance(value, _Missing):  # a copied config has a copy of MISSING
            found.append(prefix + name)
        elif is_dataclass(value) and not isinstance(value, type):
            found += _missing(value, f"{prefix}{name}.")
    return found
