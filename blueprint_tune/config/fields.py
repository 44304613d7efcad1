"""What the fields of a composed experiment may hold."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


def _finite(value: Any) -> Any:
    """What ``allow_inf_nan`` says of fields, for values of any type."""
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("finite_number", "Input should be a finite number")
    return value


Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Range = Annotated[list[float], Field(min_length=2, max_length=2)]
Term = dict[str, Annotated[Any, AfterValidator(_finite)]]
"""One term of a policy file: ``term: <name>`` and its parameters, resolved when the task is bound."""
