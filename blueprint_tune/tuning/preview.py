"""The values that a search will sample, drawn by the very generators that will draw them."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.experiment import Experiment
from ray.tune.search import ConcurrencyLimiter

from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.tuning import schedulers

_UNBOUNDED = 1_000_000
"""Trials at once, for a preview."""


class _Nothing(tune.Trainable):
    """What Ray's experiment would run; only its samples are of interest."""


@dataclass(frozen=True)
class Preview:
    """The first trials of a search.

    Attributes:
        samples: searched keys and values of trial 0, 1, …, as far as they are known.
        depends: whether those of later trials depend on results of earlier ones.
    """

    samples: tuple[dict[str, Any], ...]
    depends: bool


def preview(cfg: ExperimentConfig, distributions: Mapping[str, Any], limit: int) -> Preview:
    """What the first ``limit`` trials will run with. Starts no Ray.

    Raises ConfigError for a searcher that cannot be made.
    """
    num_trials = schedulers.trial_count(cfg, distributions)
    wanted = min(limit, num_trials)
    if cfg.sweep.searcher is None:
        samples = tuple(itertools.islice(_generated(cfg, distributions), wanted))
        return Preview(samples, depends=False)
    # A searcher that hears results and one that does not agree for as long as results do not matter.
    told, untold = (_suggested(cfg, distributions, wanted, tell) for tell in (True, False))
    agreeing = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(told, untold))
    samples = tuple(sample for sample, _ in agreeing)
    return Preview(samples, depends=len(samples) < num_trials)


def _generated(cfg: ExperimentConfig, distributions: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    generator = schedulers.make_searcher(cfg, distributions, _UNBOUNDED)
    with tempfile.TemporaryDirectory(prefix="blueprint-tune-plan-") as folder:
        experiment = Experiment(
            "plan",
            run=_Nothing,
            config=dict(distributions),
            num_samples=schedulers.num_samples(cfg, distributions),
            storage_path=folder,
        )
        generator.add_configurations(experiment)
        while (trial := generator.next_trial()) is not None:
            yield dict(trial.config)


def _suggested(
    cfg: ExperimentConfig, distributions: Mapping[str, Any], wanted: int, tell: bool
) -> list[dict[str, Any]]:
    """``tell``: a made-up result after each suggestion, another one each time."""
    searcher = schedulers.make_searcher(cfg, distributions, _UNBOUNDED)
    searcher.set_search_properties(cfg.sweep.metric, cfg.sweep.mode, dict(distributions))
    if isinstance(searcher, ConcurrencyLimiter):
        searcher.max_concurrent = _UNBOUNDED
    found = []
    for number in range(wanted):
        trial = f"trial_{number}"
        sample = searcher.suggest(trial)
        if not isinstance(sample, dict):  # finished, or waiting for results
            break
        found.append(dict(sample))
        if tell:
            searcher.on_trial_complete(trial, _made_up(cfg.sweep.metric, (7 * number % 10) / 10))
    return found


def _made_up(metric: str | list[str], value: float) -> dict[str, Any]:
    names = [metric] if isinstance(metric, str) else metric
    return {**dict.fromkeys(names, value), "training_iteration": 1}
