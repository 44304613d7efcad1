"""``configclass``: a dataclass whose mutable defaults are copied; missing fields are found at use."""

import copy
import dataclasses
from dataclasses import MISSING
from types import FunctionType

_NO_SETTING = (FunctionType, property, classmethod, staticmethod, type)


def configclass(cls):
    """A dataclass from annotated and plain attributes alike, each instance with defaults of its own."""
    annotations = dict(vars(cls).get("__annotations__", {}))
    for name, value in vars(cls).items():
        if not name.startswith("_") and not isinstance(value, _NO_SETTING):
            annotations.setdefault(name, object)
    for name in annotations:
        default = vars(cls).get(name, MISSING)
        if default is not MISSING and not isinstance(default, dataclasses.Field):
            setattr(
                cls, name, dataclasses.field(default_factory=lambda default=default: copy.deepcopy(default))
            )
        elif default is MISSING:
            setattr(cls, name, dataclasses.field(default_factory=lambda: MISSING))
    cls.__annotations__ = annotations
    post = vars(cls).get("__post_init__")
    before = next(
        (vars(base).get("__post_init__") for base in cls.__mro__[1:] if "__post_init__" in vars(base)), None
    )
    if post is not None and before is not None:

        def chained(self):
            before(self)
            post(self)

        cls.__post_init__ = chained
    built = dataclasses.dataclass(eq=False)(cls)
    built.validate = _validate
    return built


def _validate(self, prefix=""):
    missing = list(_missing(self, prefix))
    if missing:
        raise TypeError(
            f"Missing values detected in object {type(self).__name__} for the following fields:\n"
            + "\n".join(f"  - {name}" for name in missing)
        )


def _missing(config, prefix):
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value is MISSING:
            yield f"{prefix}{field.name}"
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield from _missing(value, f"{prefix}{field.name}.")
