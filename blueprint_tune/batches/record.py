"""A batch's folder, and what is written down about its experiments."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from blueprint_tune.dossier import now
from blueprint_tune.errors import ConfigError
from blueprint_tune.tuning.records import replace_text

BATCHES = "batches"
"""In the output folder, beside the experiments."""
RECORD_FILE, BOARD_FILE, PAGE_FILE = "batch.yaml", "leaderboard.json", "leaderboard.html"
State = Literal["waiting", "running", "finished", "failed", "interrupted"]


@dataclass
class Item:
    """One experiment of a batch.

    Attributes:
        name: the experiment's. overrides: the command that makes it. axes: what of it varies in the batch.
        place: its scene, policy, robot, sweep and seed. path: its folder, relative to the batch's.
        input_hash: of its question.
        state: as the batch left it. reason: why it failed. offered: it was finished before.
    """

    name: str
    overrides: list[str]
    axes: dict[str, str]
    place: dict[str, Any]
    path: str
    input_hash: str
    state: State = "waiting"
    reason: str | None = None
    offered: bool = False


@dataclass
class Refused:
    """A combination that cannot run. ``named``: the user asked for just this, not for all there are."""

    overrides: list[str]
    axes: dict[str, str]
    reason: str
    named: bool


@dataclass
class BatchRecord:
    """What ``batch.yaml`` holds. ``ended`` is None until every experiment has been tried."""

    name: str
    command: list[str]
    experiments: list[Item]
    refused: list[Refused]
    created: str = field(default_factory=now)
    ended: str | None = None

    @property
    def digest(self) -> str:
        """The same for the same experiments."""
        return digest([item.name for item in self.experiments])

    @property
    def good(self) -> bool:
        """Whether everything that was asked for has finished."""
        named = any(refused.named for refused in self.refused)
        return not named and all(item.state == "finished" for item in self.experiments)


@dataclass(frozen=True)
class BatchFolder:
    """``{output_dir}/batches/{name}/``."""

    path: Path

    @property
    def document(self) -> Path:
        """The record."""
        return self.path / RECORD_FILE

    @property
    def log(self) -> Path:
        """What the batch's own Ray had to say."""
        return self.path / "ray.log"

    @property
    def page(self) -> Path:
        """The leaderboard to look at."""
        return self.path / PAGE_FILE

    @property
    def board(self) -> Path:
        """The leaderboard to read by programs, and by the next batch."""
        return self.path / BOARD_FILE

    def experiment_log(self, name: str) -> Path:
        """What an experiment printed."""
        return self.path / "logs" / f"{name}.log"

    def experiment(self, item: Item) -> Path:
        """Where an experiment of this batch is."""
        return Path(os.path.normpath(self.path / item.path))

    def read(self) -> BatchRecord:
        """The record. Raises ConfigError if there is none."""
        try:
            return _from_tree(yaml.safe_load(self.document.read_text()))
        except OSError as error:
            raise ConfigError(f"{self.path} is not a batch: it holds no {RECORD_FILE}.") from error
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise ConfigError(f"{self.document} cannot be read: {error}") from error

    def write(self, record: BatchRecord) -> None:
        """Write the record, whole or not at all."""
        tree = yaml.safe_dump(dataclasses.asdict(record), sort_keys=False, width=110, allow_unicode=True)
        replace_text(self.document, tree)


def _from_tree(tree: Mapping[str, Any]) -> BatchRecord:
    experiments = [Item(**item) for item in tree["experiments"]]
    refused = [Refused(**item) for item in tree["refused"]]
    return BatchRecord(**{**tree, "experiments": experiments, "refused": refused})


def digest(names: Sequence[str]) -> str:
    """8 hex digits of a set of experiments."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:8]


def batches(output_dir: Path) -> list[tuple[BatchFolder, BatchRecord]]:
    """All batches of an output folder, the oldest first; what cannot be read is left out."""
    found = []
    for document in sorted((output_dir / BATCHES).glob(f"*/{RECORD_FILE}")):
        folder = BatchFolder(document.parent)
        try:
            found.append((folder, folder.read()))
        except ConfigError:
            continue
    return sorted(found, key=lambda batch: batch[1].created)


def open_batch(output_dir: Path, name: str | None, record: BatchRecord) -> tuple[BatchFolder, BatchRecord]:
    """The folder of a new batch, or of one with the same experiments that was not ended.

    ``name`` as the user gave it. Raises ConfigError for a name that another batch has, and where nothing can
    be written.
    """
    for folder, known in batches(output_dir):
        if known.digest != record.digest:
            if folder.path.name == name:
                raise ConfigError(
                    f"The name '{name}' is taken: {folder.path} is a batch of other experiments. "
                    "Choose another name=…, or leave name out."
                )
        elif folder.path.name == name or (name is None and known.ended is None):
            again = dataclasses.replace(record, name=known.name, created=known.created)
            return folder, again
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    record.name = name or f"{stamp}-{record.digest}"
    folder = BatchFolder(output_dir / BATCHES / record.name)
    try:
        (folder.path / "logs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"output_dir={output_dir}: {folder.path} cannot be written ({error.strerror or error}). "
            "Choose a folder you may write to: output_dir=…"
        ) from error
    return folder, record
