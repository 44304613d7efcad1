"""What Ray writes down about a search, kept so that a kill -9 at any moment leaves a whole copy.

Ray writes its record to a staging folder and copies it into place file by file, in the background: a
process killed meanwhile leaves a torn file, or files of two moments. :class:`RayState` puts every record
into one file as soon as it is staged, and :func:`mend` hands that to Ray before it restores.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import tune

from blueprint_tune.errors import BlueprintTuneError

KEPT = "ray_state.zip"
"""Beside Ray's own files, which end in .json and .pkl."""
TORN = ".torn"
_RECORD = "experiment_state-*.json"
_STATES = (_RECORD, "basic-variant-state-*.json")


class RayState(tune.Callback):
    """Keeps each record that Ray has staged. The thread that writes them calls this, so they are whole."""

    def __init__(self, trials_dir: Path) -> None:
        self._kept = trials_dir / KEPT
        self._last: dict[str, int] = {}

    def on_step_end(self, iteration: int, trials: Sequence[Any], **info: Any) -> None:
        """Keep what the step has staged; a copy that cannot be written ends no search."""
        with contextlib.suppress(OSError):
            self._keep(trials)

    def on_experiment_end(self, trials: Sequence[Any], **info: Any) -> None:
        """Keep the last record, which follows the last step."""
        with contextlib.suppress(OSError):
            self._keep(trials)

    def _keep(self, trials: Sequence[Any]) -> None:
        if not trials:
            return
        staging = Path(trials[0].storage.experiment_driver_staging_path)
        files = sorted(path for path in staging.glob("[!.]*") if path.suffix in (".json", ".pkl"))
        # What begins with a dot is being written by Ray, and gone the next moment.
        changed = {path.name: path.stat().st_mtime_ns for path in files}
        if changed == self._last or not any(staging.glob(_RECORD)):
            return
        partial = self._kept.with_name(f"{KEPT}.partial")
        with zipfile.ZipFile(partial, "w") as archive:
            for path in files:
                archive.write(path, path.name)
        partial.replace(self._kept)
        self._last = changed


def mend(trials: Path) -> None:
    """Put the kept record in place of Ray's files; without one, put torn files aside.

    Raises BlueprintTuneError if that leaves nothing to go on from.
    """
    kept = trials / KEPT
    if kept.exists():
        with zipfile.ZipFile(kept) as archive:
            for name in archive.namelist():
                with archive.open(name) as source, (trials / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
        return
    torn = [path for pattern in _STATES for path in trials.glob(pattern) if not _whole(path)]
    for path in torn:
        path.rename(path.with_name(path.name + TORN))
    if torn and not any(trials.glob(_RECORD)):
        raise BlueprintTuneError(
            f"Ray's record of this search is torn, because it was killed while writing it: {torn[0]}{TORN}\n"
            f"The search cannot go on. Reports and checkpoints of its trials are in {trials}: copy what you "
            "want to keep; the same command again starts the search anew."
        )


def _whole(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True
