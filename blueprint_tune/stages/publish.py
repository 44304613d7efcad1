"""``blueprint-tune publish``: copy a finished experiment to storage, again or elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from blueprint_tune.config.compose import apply_overrides, compose
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import ConfigError
from blueprint_tune.stages.experiment import COMMON_HELP, evaluated, parse
from blueprint_tune.tuning.folder import anchored

HELP = f"""\
blueprint-tune publish EXPERIMENT [storage.root=FOLDER]

Copy an experiment's checkpoints, curves, bundle, evaluation and report to storage, the markers last. What is
there already is replaced. Bundle and checkpoints are verified first. Nothing is trained or measured.

{COMMON_HELP}
  storage=NAME       another kind of storage (conf/storage)
  storage.root=…     and any other setting of it; without, where the experiment was set to publish"""


def run(words: Sequence[str]) -> None:
    """Publish and say where it is. Raises ConfigError, and StorageError where storage refuses."""
    from blueprint_tune.pipeline import finish, publish

    request = parse("publish", words, settings="storage")
    with evaluated(request, "publish", bound=False) as found:
        dossier = found.dossier
        if not dossier.folder.report.exists():
            raise ConfigError(
                f"{dossier.folder.name} has no report. Write it:  blueprint-tune report {dossier.folder.path}"
            )
        elsewhere = replace(dossier, cfg=_stored(dossier.cfg, request.settings))
        published = publish(elsewhere, found.outcome, found.progress)
        if dossier.folder.state() != "finished":  # publishing was all that it lacked
            finish(elsewhere, found.outcome, published, found.progress.elapsed_s)
    print(f"\n  policy    {published.policy}/policy.onnx\n  report    {published.report}")


def _stored(cfg: ExperimentConfig, settings: Mapping[str, str]) -> ExperimentConfig:
    """The config with the storage that was typed: a kind by its name, and settings of it."""
    if "storage" in settings:
        words = [f"{key}={value}" for key, value in settings.items()]
        return anchored(replace(cfg, storage=compose(["+scene=kitchen_001", *words]).storage))
    return anchored(apply_overrides(cfg, settings))
