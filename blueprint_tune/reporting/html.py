"""Templates of the pages, and what their text needs."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from blueprint_tune.reporting import views


def templates() -> Environment:
    """Where the pages' templates are."""
    environment = Environment(
        loader=PackageLoader("blueprint_tune.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["setting"] = views.setting
    environment.filters["duration"] = views.duration
    environment.filters["number"] = views.number
    environment.filters["percent"] = views.percent
    environment.filters["interval"] = views.interval
    return environment
