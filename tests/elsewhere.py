"""A device that is none: tensors on the CPU that refuse to be mixed with others, as those on a GPU do.

``Elsewhere()`` is entered like a mode. Within it, what is made with ``device=DEVICE`` is an :class:`Away`,
with real values. Operations on such tensors and on ordinary ones together raise, but for what PyTorch allows
(scalars, indices on the CPU, copies); numpy cannot be had of them. So code that forgets a device fails on a
machine without a GPU as it would on one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = "lazy:0"
"""One that PyTorch knows the name of and has nothing behind."""
_COPIES = ("_to_copy", "copy_")
_INDEXED = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")


class Away(torch.Tensor):
    """A tensor elsewhere: ``inner`` has its values."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Away:
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), dtype=inner.dtype, device=torch.device(DEVICE)
        )
        made.inner = inner
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Away({self.inner})"

    def tolist(self) -> Any:
        """As of any tensor, wherever it lives."""
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Literals(TorchFunctionMode):
    """``torch.tensor(…, device=DEVICE)`` is made on the CPU and moved: it asks no dispatch mode."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is not torch.tensor or kwargs.get("device") is None:
            return func(*args, **kwargs)
        device = kwargs.pop("device")
        return func(*args, **kwargs).to(device)


class _Made(TorchDispatchMode):
    """Has what is made on ``DEVICE`` be an :class:`Away`."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


@contextmanager
def Elsewhere() -> Iterator[None]:  # noqa: N802  a mode, as PyTorch calls its own
    """While it lasts there is such a device. There is no inference mode then,
    which does not go with tensors that are made up."""
    mode = torch.inference_mode
    enter, leave = mode.__enter__, mode.__exit__
    mode.__enter__ = lambda self: None  # type: ignore[method-assign]
    mode.__exit__ = lambda self, *error: None  # type: ignore[method-assign]
    try:
        with _Literals(), _Made():
            yield
    finally:
        mode.__enter__, mode.__exit__ = enter, leave  # type: ignore[method-assign]


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = func.overloadpacket.__name__
    wanted = kwargs.get("device")
    tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, torch.Tensor)]
    away = [tensor for tensor in tensors if isinstance(tensor, Away)]
    _refuse_mixture(name, args, tensors, away)
    plain_args, plain_kwargs = tree_map(_inner, (args, kwargs))
    if wanted is not None:
        plain_kwargs["device"] = torch.device("cpu")
    answer = func(*plain_args, **plain_kwargs)
    if name.endswith("_") and args and isinstance(args[0], torch.Tensor):
        return args[0]
    if "out" in kwargs:
        return kwargs["out"]
    goes_away = bool(away) if wanted is None else torch.device(wanted).type == torch.device(DEVICE).type
    if name == "copy_" or not goes_away:
        return answer
    return tree_map(lambda leaf: Away(leaf) if isinstance(leaf, torch.Tensor) else leaf, answer)


def _inner(leaf: Any) -> Any:
    return leaf.inner if isinstance(leaf, Away) else leaf


def _refuse_mixture(name: str, args: Any, tensors: list[torch.Tensor], away: list[torch.Tensor]) -> None:
    if not away or name in _COPIES:
        return
    here = [tensor for tensor in tensors if not isinstance(tensor, Away) and tensor.dim() > 0]
    if name in _INDEXED and isinstance(args[0], Away):
        given = [args[2]] if len(args) > 2 else []
        here = [t for t in given if isinstance(t, torch.Tensor) and not isinstance(t, Away) and t.dim() > 0]
    if here:
        raise RuntimeError(
            f"{name}: tensors on two devices: {[tuple(t.shape) for t in here]} are on the CPU, "
            f"{[tuple(t.shape) for t in away]} are not."
        )
