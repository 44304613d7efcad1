"""Before anything runs: which combinations make an experiment, and why the others do not."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from blueprint_tune.batches.record import Item, Refused
from blueprint_tune.batches.standing import place
from blueprint_tune.config.axes import Combination
from blueprint_tune.config.compose import inspect, to_dict
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.config.searchspace import Space, load_searchspace
from blueprint_tune.config.suggest import join_problems
from blueprint_tune.errors import BlueprintTuneError
from blueprint_tune.tasks.asked import ask
from blueprint_tune.tuning.folder import ExperimentFolder, anchored, check_name, describe


@dataclass(frozen=True)
class Entry:
    """An experiment that can run; ``trials`` is how many it will have."""

    combination: Combination
    cfg: ExperimentConfig
    folder: ExperimentFolder
    input_hash: str
    trials: int

    def item(self, batch: Path) -> Item:
        """What is written down about it in the batch whose folder is ``batch``."""
        return Item(
            name=self.folder.name,
            overrides=list(self.combination.overrides),
            axes=self.combination.axes,
            place=place(to_dict(self.cfg)),
            path=os.path.relpath(self.folder.path, batch),
            input_hash=self.input_hash,
            offered=self.folder.state() == "finished" and not self.cfg.force,
        )


@dataclass
class Checked:
    """The experiments of a command and what was refused of it.

    ``doubles``: combinations that would be an experiment that is there already.
    """

    entries: list[Entry] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    doubles: list[Combination] = field(default_factory=list)


def check(
    combinations: Iterable[Combination], told: Callable[[Combination], None] = lambda combination: None
) -> Checked:
    """Compose and bind every combination; ``told`` is called before each."""
    result, known = Checked(), set[Path]()
    for combination in combinations:
        told(combination)
        try:
            entry = _entry(combination)
        except BlueprintTuneError as error:
            result.refused.append(
                Refused(list(combination.overrides), combination.axes, str(error), not combination.broad)
            )
            continue
        if entry.folder.path in known:
            result.doubles.append(combination)
            continue
        known.add(entry.folder.path)
        result.entries.append(entry)
    return result


def _entry(combination: Combination) -> Entry:
    config, problems = inspect(combination.overrides)
    if config is None or problems:
        raise BlueprintTuneError(join_problems(problems))
    cfg = anchored(config)
    task = ask(cfg)
    space = load_searchspace(cfg.searchspace, cfg)
    document = describe(cfg, space, task.digest)
    folder = ExperimentFolder(Path(cfg.output_dir) / check_name(document["name"]))
    return Entry(combination, cfg, folder, document["input_hash"], _trials(cfg, space))


def _trials(cfg: ExperimentConfig, space: Space) -> int:
    """Samples of every point of the grids, and the default settings where a grid may leave them out."""
    grids = [entry["values"] for entry in space.values() if entry["_target_"].endswith(".grid_search")]
    points = math.prod(len(values) for values in grids)
    return cfg.sweep.num_samples * points + int(points > 1 and cfg.sweep.default_settings_first)
