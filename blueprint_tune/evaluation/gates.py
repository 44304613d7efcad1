"""What the settings ask of a champion, and whether a policy reaches it: for the report and for promotion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_LIMITS = (
    ("min_success_rate", "success rate", True),
    ("min_smoothness", "action smoothness", True),
    ("max_jerk", "mean action jerk", False),
)
"""Setting under ``evaluation.gates``, what it is about, whether it is a lower bound."""
_MOST_DECIMALS = 17


@dataclass(frozen=True)
class Limit:
    """One demand.

    Attributes:
        key: the setting. name: what it is about. above: whether ``limit`` is a lower bound, itself included.
        found: None where it was not measured.
    """

    key: str
    name: str
    limit: float
    found: float | None
    above: bool

    @property
    def holds(self) -> bool | None:
        """None where it was not measured."""
        if self.found is None:
            return None
        return self.found >= self.limit if self.above else self.found <= self.limit

    def asked(self, scale: float = 1.0) -> str:
        """The demand, ``at least 0.5``; ``scale`` is 100 for percent."""
        return f"{'at least' if self.above else 'at most'} {scale * self.limit:.10g}"

    def measured(self, decimals: int, scale: float = 1.0) -> str | None:
        """What was found, as :func:`telling` has it; None where it was not measured."""
        return None if self.found is None else telling(scale * self.found, scale * self.limit, decimals)


def telling(found: float, limit: float, decimals: int, kind: str = "f") -> str:
    """``found`` with as many more decimals as it takes to be on its side of ``limit``.

    ``kind`` is ``f``, or ``e`` for powers of ten.
    """
    asked = float(f"{limit:.10g}")  # as it is shown
    texts = (f"{found:.{count}{kind}}" for count in range(decimals, _MOST_DECIMALS))
    return next((text for text in texts if _side(float(text), asked) == _side(found, limit)), repr(found))


def limits(
    gates: Mapping[str, float | None], success_rate: float, smoothness: float | None, jerk: float | None
) -> list[Limit]:
    """The demands of ``gates``, the settings under ``evaluation.gates``; one that is null asks nothing."""
    found = {"min_success_rate": success_rate, "min_smoothness": smoothness, "max_jerk": jerk}
    return [
        Limit(key, name, limit, found[key], above)
        for key, name, above in _LIMITS
        if (limit := gates.get(key)) is not None
    ]


def _side(found: float, limit: float) -> int:
    """1 above, -1 below, 0 at the limit."""
    return (found > limit) - (found < limit)
