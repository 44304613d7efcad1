"""What an expression of a reward, observation or termination function can be, as far as verdicts need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


class Raised(Exception):
    """Evaluating this line raises at run time."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.text, self.line = text, line


@dataclass(frozen=True)
class Known:
    """A constant, None among them."""

    value: Any


@dataclass(frozen=True)
class Thing:
    """Something with attributes. ``name`` is an entity's, where it is one or its data."""

    kind: Literal["env", "scene", "entity", "data", "found", "ids", "reference", "module"]
    name: str = ""


@dataclass(frozen=True)
class Tensor:
    """A tensor, or anything computed.

    Attributes:
        zero: zero in every environment. negative: never above zero.
        extra: what its shape is instead of (N,) or (N, …), '' where nothing is wrong with it.
        why: for a zero, what is missing.
    """

    zero: bool = False
    negative: bool = False
    extra: str = ""
    why: str = ""


Value = Known | Thing | Tensor
ANY = Tensor()


def as_tensor(value: Value) -> Tensor:
    """A value as an operand."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Known) and isinstance(value.value, int | float):
        return Tensor(zero=value.value == 0, negative=value.value < 0)
    return ANY


def add(left: Value, right: Value) -> Tensor:
    """The sum, or the difference with the sign of ``right`` turned by the caller."""
    one, other = as_tensor(left), as_tensor(right)
    if one.zero or other.zero:
        kept = other if one.zero else one
        return Tensor(one.zero and other.zero, kept.negative, kept.extra, one.why or other.why)
    return Tensor(negative=one.negative and other.negative, extra=_broadcast(one.extra, other.extra))


def multiply(left: Value, right: Value) -> Tensor:
    """The product, or the quotient."""
    one, other = as_tensor(left), as_tensor(right)
    zero, extra = one.zero or other.zero, one.extra or other.extra
    return Tensor(zero, one.negative != other.negative and not zero, extra, one.why or other.why)


def negate(value: Value) -> Tensor:
    """The value with its sign turned."""
    operand = as_tensor(value)
    return Tensor(operand.zero, not operand.negative and not operand.zero, operand.extra, operand.why)


def either(left: Value, right: Value) -> Value:
    """What may be one or the other."""
    if left == right:
        return left
    one, other = as_tensor(left), as_tensor(right)
    return Tensor(
        one.zero and other.zero,
        (one.negative or one.zero) and (other.negative or other.zero) and not (one.zero and other.zero),
        one.extra or other.extra,
        one.why or other.why,
    )


def _broadcast(one: str, other: str) -> str:
    """(N, 1, …) against (N, …) gives (N, N, …), against its like itself."""
    if one == other or "(N, N)" in (one, other):
        return one or other
    return "(N, N)"
