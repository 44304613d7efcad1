"""One bound task to draw episodes for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.tasks.spec import TaskSpec, bind_task


@pytest.fixture(scope="session")
def pick_task(config: Callable[..., ExperimentConfig]) -> TaskSpec:
    return bind_task(config("policy=dexterous_pick_place"))


@pytest.fixture(scope="session")
def drawer_task(config: Callable[..., ExperimentConfig]) -> TaskSpec:
    return bind_task(config("policy=drawer_manipulation"))
