"""From a marker to the command that trains its package."""

from __future__ import annotations

from collections.abc import Sequence

from blueprint_tune.config import paths
from blueprint_tune.service.marker import Marker
from blueprint_tune.service.settings import WatchSettings
from blueprint_tune.storage.path import StoragePath
from blueprint_tune.tuning.session import available_cpus


def overrides_of(marker: Marker, root: StoragePath) -> list[str]:
    """The overrides that a package and its marker stand for; the user's own come after them and win."""
    scene = root / "scenes" / marker.scene_id
    if "package" in paths.group_options("scene"):
        words = ["+scene=package", f"scene.package={_quoted(str(scene / 'isaac_lab'))}"]
    else:
        words = ["+scene=manifest", f"scene.manifest={_quoted(str(scene / 'assets/scene_manifest.json'))}"]
    words.append(f"scene.id={marker.scene_id}")
    if marker.policy_id is not None:
        words.append(f"policy={marker.policy_id}")
    if marker.robot is not None:
        words.append(f"robot={marker.robot}")
    return words


def command_of(marker: Marker, root: StoragePath, words: Sequence[str], settings: WatchSettings) -> list[str]:
    """Everything a job is told. Where several run at once, each gets its share of the machine's CPUs."""
    share = []
    if settings.jobs_at_once > 1 and not any(word.startswith("cluster.") for word in words):
        share = [f"cluster.num_cpus={max(1, available_cpus() // settings.jobs_at_once)}"]
    return [*overrides_of(marker, root), *share, *words]


def _quoted(text: str) -> str:
    """As Hydra reads it back."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
