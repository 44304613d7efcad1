"""How far each experiment of a batch is, and how long the batch will still take."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from blueprint_tune.batches.record import Item
from blueprint_tune.batches.standing import Standing, read_standing
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.reporting.views import percent
from blueprint_tune.tuning.forecast import START_S, Forecast, TrialProgress, closing_s


class Outlook:
    """What was last seen of the items, and estimates from it."""

    def __init__(self, configs: Mapping[str, ExperimentConfig], trials: Mapping[str, int]) -> None:
        """By experiments' names: configs and how many trials each will have."""
        self._configs, self._trials = configs, trials
        self._standings: dict[str, Standing] = {}

    def look(self, path: Path, item: Item) -> None:
        """Read the item's folder."""
        standing = read_standing(path)
        if standing is not None:
            self._standings[item.name] = standing

    def standing(self, item: Item) -> Standing | None:
        """What was last seen of it; None before it began."""
        return self._standings.get(item.name)

    def success(self, item: Item) -> str | None:
        """Of the benchmark, with its interval, once there is one."""
        standing = self.standing(item)
        if standing is None or standing.success_rate is None or standing.interval is None:
            return None
        low, high = standing.interval
        return f"{percent(standing.success_rate)} ({100 * low:.0f}–{100 * high:.0f}%)"

    def left_s(self, item: Item) -> float | None:
        """Seconds until the item is over, at the rate it has or, before it has one, at others'."""
        if item.state not in ("running", "waiting") or item.offered:
            return 0.0
        standing = self.standing(item)
        rates = [rate for s in self._standings.values() for t in s.begun if (rate := t.rate)]
        if not rates:
            return None
        usual, cfg = sum(rates) / len(rates), self._configs[item.name]
        if standing is not None and standing.stage == "proving":
            return max(1.0, closing_s(cfg, usual) - (time.time() - standing.proving_since))
        trials = [] if standing is None else _progress(standing, cfg.budget.env_steps, usual)
        forecast = Forecast(cfg, self._trials[item.name], 1)
        seconds, _ = forecast.remaining_s(trials or [TrialProgress(0, state="waiting", steps_per_s=usual)])
        return seconds + (0.0 if trials else START_S)

    def remaining_s(self, items: Iterable[Item]) -> float | None:
        """Of the batch: the longest of what runs, or all that is left on as many CPUs; None = unknown."""
        left = [(item, self.left_s(item)) for item in items]
        if any(seconds is None for _, seconds in left):
            return None
        running = [seconds or 0.0 for item, seconds in left if item.state == "running"]
        at_once = max(1, len(running))
        return max([sum(seconds or 0.0 for _, seconds in left) / at_once, *running])


def _progress(standing: Standing, budget: int, usual_rate: float) -> list[TrialProgress]:
    """Its trials as a forecast wants them; those that reported last are the ones that still run."""
    open_ones = [t for t in standing.begun if t.env_steps < budget]
    going = sorted(open_ones, key=lambda t: -t.since)[: standing.at_once]
    return [
        TrialProgress(
            index=i,
            state="running" if trial in going else "completed",
            env_steps=trial.env_steps,
            steps_per_s=trial.rate or usual_rate,
            since=time.monotonic() - max(0.0, time.time() - trial.since),
        )
        for i, trial in enumerate(standing.begun)
    ]
