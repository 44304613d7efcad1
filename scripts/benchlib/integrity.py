"""``scripts/bench integrity``: whether damage to a checkpoint or a bundle is always noticed."""

from __future__ import annotations

import argparse
import io
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

import blueprint_tune
from benchlib.record import Document, progress
from blueprint_tune.errors import CheckpointDamaged, StorageError
from blueprint_tune.export.loading import load_bundle
from blueprint_tune.learning.checkpoint import read_checkpoint
from blueprint_tune.tuning.checkpoints import newest, read_reached
from blueprint_tune.tuning.records import CHECKPOINT_FILE

EXPERIMENT = ["+scene=kitchen_001", "policy=dexterous_pick_place", "preset=smoke", "evaluation.video=false"]
FORMATS = "export.formats=[torch_export,torchscript]"
Damage = Callable[[bytes, random.Random], bytes | None]
"""What becomes of a file's content; None = the file is removed."""


def _flip(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    changed[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _replace(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    changed[draw.randrange(len(content))] ^= draw.randrange(1, 256)
    return bytes(changed)


def _cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def _remove(content: bytes, draw: random.Random) -> None:
    return None


DAMAGES: dict[str, Damage] = {
    "one bit flipped": _flip,
    "one byte replaced": _replace,
    "cut off": _cut,
    "removed": _remove,
}


@dataclass
class Tally:
    """What happened to one file, by kind of damage."""

    tried: Counter[str] = field(default_factory=Counter)
    noticed: Counter[str] = field(default_factory=Counter)
    named: int = 0
    stood_in: int = 0
    torch_alone: Counter[str] = field(default_factory=Counter)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sizes; the defaults are what is published."""
    parser.add_argument("--flips", type=int, default=1000, help="of one bit, over all files")
    parser.add_argument("--others", type=int, default=200, help="of each other kind of damage")
    parser.add_argument("overrides", nargs="*", help="more overrides of the experiment")


def run(options: argparse.Namespace, command: list[str]) -> None:
    """Damage the files of a real experiment, one at a time, and write ``integrity.md``."""
    with tempfile.TemporaryDirectory() as folder:
        words = [*EXPERIMENT, FORMATS, f"output_dir={folder}/out", f"storage.root={folder}/store"]
        path = blueprint_tune.run([*words, *options.overrides]).path
        checkpoint = sorted(path.glob("trials/*/checkpoint_*"))[-1]
        files = [*sorted(checkpoint.iterdir()), *sorted((path / "bundle").iterdir())]
        found = {file: Tally() for file in files}
        draw = random.Random(0)
        for kind, damage in DAMAGES.items():
            for number in range(options.flips if kind == "one bit flipped" else options.others):
                file = files[number % len(files)]
                _try(file, kind, damage, draw, found[file], checkpoint)
            tried = sum(tally.tried[kind] for tally in found.values())
            progress(kind, noticed=f"{sum(t.noticed[kind] for t in found.values())} of {tried}")
        _write(options, command, found, checkpoint)


def _try(file: Path, kind: str, damage: Damage, draw: random.Random, tally: Tally, checkpoint: Path) -> None:
    whole = file.read_bytes()
    content = damage(whole, draw)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    tally.tried[kind] += 1
    try:
        if file.parent == checkpoint:
            _check_torch(file, content, kind, tally)
            tally.stood_in += newest(checkpoint, read_checkpoint)[0] != checkpoint
            read_reached(checkpoint)
            read_checkpoint(checkpoint / CHECKPOINT_FILE)
        else:
            load_bundle(file.parent)
    except (CheckpointDamaged, StorageError) as error:
        tally.noticed[kind] += 1
        tally.named += file.name in str(error)
    finally:
        file.write_bytes(whole)


def _check_torch(file: Path, content: bytes | None, kind: str, tally: Tally) -> None:
    """Whether torch.load refuses the file by itself, for comparison."""
    if file.name != CHECKPOINT_FILE or content is None:
        return
    try:
        torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # torch raises many kinds for a damaged file
        tally.torch_alone[kind] += 1


def _write(
    options: argparse.Namespace, command: list[str], found: dict[Path, Tally], checkpoint: Path
) -> None:
    document = Document("integrity", "Damage to checkpoints and bundles", command)
    total = [sum((getattr(t, name) for t in found.values()), Counter()) for name in ("tried", "noticed")]
    document.text(
        f"{sum(total[1].values())} of {sum(total[0].values())} damages were noticed when the checkpoint or "
        f"the bundle was loaded, and {sum(t.named for t in found.values())} messages name the file. "
        "One file is damaged at a time, at a random place, then put back."
    )
    rows = [[kind, str(total[0][kind]), str(total[1][kind])] for kind in DAMAGES]
    document.table(["damage", "tried", "noticed"], rows)
    rows = []
    for file, tally in found.items():
        where = "checkpoint" if file.parent == checkpoint else "bundle"
        tried, noticed = sum(tally.tried.values()), sum(tally.noticed.values())
        rows.append([f"{where}/{file.name}", f"{file.stat().st_size:,}", str(tried), str(noticed)])
    document.table(["file", "bytes", "tried", "noticed"], rows)
    own = next(tally for file, tally in found.items() if file == checkpoint / CHECKPOINT_FILE)
    ours = [tally for file, tally in found.items() if file.parent == checkpoint]
    document.text(
        f"In {sum(t.stood_in for t in ours)} of {sum(sum(t.tried.values()) for t in ours)} cases of a "
        "damaged checkpoint the one before it stood in for it.",
        f"torch.load alone refuses {own.torch_alone['one bit flipped']} of {own.tried['one bit flipped']} "
        "checkpoints with one bit flipped: it does not compare the checksums in its archive, so a flipped "
        "bit of a weight is another weight.",
    )
    document.write(Path(options.results))
