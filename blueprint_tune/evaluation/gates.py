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
        return None if self.found is None else _holds(self.found, self.limit, self.above)

    def asked(self, scale: float = 1.0) -> str:
        """The demand, ``at least 0.5``; ``scale`` is 100 for percent."""
        return f"{'at least' if self.above else 'at most'} {scale * self.limit:.10g}"

    def measured(self, decimals: int, scale: float = 1.0) -> str | None:
        """What was found, with as many more decimals as it takes to be on its side of :meth:`asked`."""
        return None if self.found is None else self._on_its_side(scale * self.found, decimals, scale)

    def _on_its_side(self, found: float, decimals: int, scale: float) -> str:
        limit = float(f"{scale * self.limit:.10g}")
        each = (f"{found:.{count}f}" for count in range(decimals, _MOST_DECIMALS))
        right = (text for text in each if _holds(float(text), limit, self.above) is self.holds)
        return next(right, repr(found))


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


def _holds(found: float, limit: float, above: bool) -> bool:
    return found >= limit if above else found <= limit
