"""From a marker to the command that trains its package."""

from __future__ import annotations

from collections.abc import Sequence

from blueprint_tune.config.package_train import quoted
from blueprint_tune.service.marker import Marker
from blueprint_tune.service.settings import WatchSettings
from blueprint_tune.storage.path import StoragePath
from blueprint_tune.tuning.session import available_cpus


def overrides_of(marker: Marker, root: StoragePath) -> list[str]:
    """The overrides that a package stands for; the user's own come after them and win.

    Policy type and robot are up to the package, whose reader knows the marker too. Results go where the
    package lies, whatever scene it names.
    """
    package = root / "scenes" / marker.scene_id / "isaac_lab"
    return ["+scene=package", f"scene.package={quoted(str(package))}", f"scene.id={marker.scene_id}"]


def command_of(marker: Marker, root: StoragePath, words: Sequence[str], settings: WatchSettings) -> list[str]:
    """Everything a job is told. Where several run at once, each gets its share of the machine's CPUs."""
    share = []
    if settings.jobs_at_once > 1 and not any(word.lstrip("+~").startswith("cluster.") for word in words):
        share = [f"cluster.num_cpus={max(1, available_cpus() // settings.jobs_at_once)}"]
    return [*overrides_of(marker, root), *share, *words]
