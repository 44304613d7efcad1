"""The types of the ``export`` settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from blueprint_tune.config.fields import STRICT


@dataclass(config=STRICT)
class ExportConfig:
    """What a bundle holds beside ``policy.onnx`` and ``policy.pt``."""

    formats: list[Literal["torch_export", "torchscript"]] = Field(default_factory=list)
    """``policy.pt2`` and ``policy.ts``, held to the same tolerance as the graph."""
