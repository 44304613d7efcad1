"""What the fields of a composed experiment may hold."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Range = Annotated[list[float], Field(min_length=2, max_length=2)]
Term = dict[str, Any]
"""One term of a policy file: ``term: <name>`` and its parameters, resolved when the task is bound."""
