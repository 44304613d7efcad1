"""JSON Schemas of every published document, shipped for whoever reads them."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

SCHEMAS = {
    "benchmark_report.json": "benchmark_report",
    "champion.json": "champion",
    "decisions/*.json": "decision",
    "eval_config.json": "eval_config",
    "eval_results.json": "eval_results",
    "final_metrics.json": "final_metrics",
    "job_config.json": "job_config",
    "job_status.json": "job_status",
    "policy_config.json": "policy_config",
    "training_curves.json": "training_curves",
    "training_summary.json": "training_summary",
    ".complete": "job_complete",
    ".rl_training_complete": "rl_training_complete",
}
"""Name of a published file -> name of its schema."""


def load_schema(name: str) -> dict[str, Any]:
    """The schema called ``name`` (a value of ``SCHEMAS``)."""
    text = (files(__name__) / f"{name}.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
