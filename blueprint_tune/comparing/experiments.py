"""Two experiments side by side: what they were asked, and what came out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blueprint_tune.config import paths
from blueprint_tune.config.conf_files import Library
from blueprint_tune.config.flat import Change, changes, flat
from blueprint_tune.config.identity import NOT_THE_QUESTION, SAME_STARTS, differing
from blueprint_tune.config.origins import origin
from blueprint_tune.config.tree import Composed, load
from blueprint_tune.evaluation.statistics import (
    difference_interval,
    paired_difference_interval,
    wilson_interval,
)
from blueprint_tune.tuning.folder import ExperimentFolder
from blueprint_tune.tuning.records import TrialRecord, load_records

COMMAND_LINE = "command line"

Episodes = dict[tuple[int, int], bool]
"""(seed, slot) -> whether the episode succeeded."""


@dataclass(frozen=True)
class Result:
    """What came of an experiment; None where it has not come so far.

    Attributes:
        state: ``new``, ``unfinished`` or ``finished``. trials: how many; failed: of them.
        env_steps, training_s: of all trials, summed. duration_s: of the whole run.
    """

    state: str
    successes: int | None = None
    episodes: int | None = None
    interval: tuple[float, float] | None = None
    trials: int | None = None
    failed: int | None = None
    env_steps: int | None = None
    training_s: float | None = None
    duration_s: float | None = None

    @property
    def rate(self) -> float | None:
        """The success rate of the benchmark."""
        return None if self.successes is None or not self.episodes else self.successes / self.episodes


@dataclass(frozen=True)
class Verdict:
    """Whether the difference of two success rates, B minus A, is more than chance.

    Attributes:
        interval: its 95 % interval. paired: whether both played the same starts, episode by episode.
    """

    difference: float
    interval: tuple[float, float]
    paired: bool

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval leaves zero out."""
        return not self.interval[0] <= 0.0 <= self.interval[1]


@dataclass(frozen=True)
class ExperimentsDiff:
    """Two experiments.

    Attributes:
        settings: that differ, each with where A and B have it from. best: what the best trials sampled.
        versions: (what, in A, in B) of code and libraries. verdict: None unless both have been evaluated.
    """

    names: tuple[str, str]
    settings: tuple[tuple[Change, str, str], ...]
    best: tuple[Change, ...]
    versions: tuple[tuple[str, str, str], ...]
    results: tuple[Result, Result]
    verdict: Verdict | None


def find_experiment(word: str, output_dir: Path) -> ExperimentFolder | None:
    """The experiment in the folder ``word``, or of that name under ``output_dir``; None if there is none."""
    folders = (ExperimentFolder(path) for path in (Path(word).absolute(), output_dir.absolute() / word))
    return next((folder for folder in folders if folder.document.is_file()), None)


def compare_experiments(a: ExperimentFolder, b: ExperimentFolder) -> ExperimentsDiff:
    """How two experiments differ. Raises ConfigError for a document that cannot be read."""
    one, other = a.tree(), b.tree()
    left, right = _settings(one), _settings(other)
    origins = _Origins(one), _Origins(other)
    found = changes(left, right)
    results = _result(a), _result(b)
    episodes = _episodes(a), _episodes(b)
    alike = not any(change.key.startswith(SAME_STARTS) for change in found)
    return ExperimentsDiff(
        names=(a.name, b.name),
        settings=tuple((c, origins[0].of(c.key), origins[1].of(c.key)) for c in found),
        best=tuple(changes(_sample(a), _sample(b))),
        versions=tuple(differing(one.get("provenance", {}), other.get("provenance", {}))),
        results=results,
        verdict=_verdict(results, episodes, alike),
    )


def _settings(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Resolved settings of an experiment, with the search space and the scene by content."""
    config = {key: value for key, value in tree["config"].items() if key not in NOT_THE_QUESTION}
    return {
        **flat(config),
        **flat(dict(tree["searchspace"]), "searchspace"),
        "scene.digest": tree.get("scene_digest"),
    }


class _Origins:
    """Where an experiment's settings came from, as far as today's files say the same."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self._then = flat(tree["config"])
        overrides = [str(word) for word in tree.get("overrides") or ()]
        self._typed = [word.lstrip("+~").partition("=")[0] for word in overrides]
        self._composed: Composed = load(overrides, library=Library())
        self._now = flat(self._composed.tree)

    def of(self, key: str) -> str:
        """A file, the command line, or nothing where it cannot be told any more."""
        keys = [typed for typed in self._typed if typed not in paths.GROUPS]
        if any(key == typed or key.startswith(f"{typed}.") for typed in keys):
            return COMMAND_LINE
        if key not in self._then or self._now.get(key) != self._then[key]:
            return ""
        return origin(key.split("."), self._composed).removesuffix(": ")


def _sample(folder: ExperimentFolder) -> dict[str, Any]:
    """Searched settings of the best trial, if it is known."""
    if not (folder.records.exists() and folder.result.exists()):
        return {}
    best = json.loads(folder.result.read_text())["best_trial"]
    return next((dict(r.sample) for r in load_records(folder.records) if r.trial_id == best), {})


def _result(folder: ExperimentFolder) -> Result:
    records: tuple[TrialRecord, ...] = load_records(folder.records) if folder.records.exists() else ()
    numbers: dict[str, Any] = {}
    if records:
        numbers = {
            "trials": len(records),
            "failed": sum(record.status == "failed" for record in records),
            "env_steps": sum(record.env_steps for record in records),
            "training_s": math.fsum(record.duration_s for record in records),
        }
    if played := _episodes(folder):
        successes = sum(played.values())
        interval = wilson_interval(successes, len(played))
        numbers |= {"successes": successes, "episodes": len(played), "interval": interval}
    if folder.result.exists():
        numbers["duration_s"] = json.loads(folder.result.read_text())["duration_s"]
    return Result(folder.state(), **numbers)


def _episodes(folder: ExperimentFolder) -> Episodes:
    """The benchmark's episodes; none before it was played."""
    file = folder.evaluation / "eval_results.json"
    if not file.exists():
        return {}
    return {(e["seed"], e["slot"]): bool(e["success"]) for e in json.loads(file.read_text())["episodes"]}


def _verdict(
    results: tuple[Result, Result], episodes: tuple[Episodes, Episodes], alike: bool
) -> Verdict | None:
    a, b = results
    if a.successes is None or b.successes is None or not a.episodes or not b.episodes:
        return None
    one, other = episodes
    if alike and one.keys() == other.keys():
        only_a = sum(one[k] and not other[k] for k in one)
        only_b = sum(other[k] and not one[k] for k in one)
        interval = paired_difference_interval(only_a, only_b, len(one))
        return Verdict((only_b - only_a) / len(one), interval, paired=True)
    interval = difference_interval(a.successes, a.episodes, b.successes, b.episodes)
    return Verdict(b.successes / b.episodes - a.successes / a.episodes, interval, paired=False)
