"""``blueprint-tune export``: the bundle again, from an experiment's best checkpoint, and proven again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from blueprint_tune.stages.experiment import COMMON_HELP, Evaluated, Words, evaluated, parse

if TYPE_CHECKING:
    from blueprint_tune.tuning.workers import Finalist

HELP = f"""\
blueprint-tune export EXPERIMENT [--torch-export] [--torchscript]

Write the bundle again from the best checkpoint: the policy plays the benchmark, every exported file is
compared with it on what it saw there, and the ONNX graph plays the benchmark in its place. A bundle that
differs or succeeds less often is not kept, and the one before stays. Nothing is trained.

{COMMON_HELP}
  --torch-export     policy.pt2 too (torch.export); export.formats=[torch_export] does so in a run
  --torchscript      policy.ts too"""

_FLAGS = {"--torch-export": "torch_export", "--torchscript": "torchscript"}
_STAGES = (
    ("prepare", "building the scene and loading the policy"),
    ("benchmark", "playing the benchmark with the trained policy"),
    ("export", "exporting"),
    ("onnx_benchmark", "playing the benchmark with the ONNX policy"),
)


def run(words: Sequence[str]) -> None:
    """Export and say what came of it. Raises ConfigError, StorageError and ExportMismatch."""
    request = parse("export", words, list(_FLAGS))
    with evaluated(request, "export", bundle=False) as found:
        measured = _export(found, request)
    bundle = found.dossier.folder.bundle
    print(f"\n  bundle      {bundle}")
    print(f"  files       {', '.join(sorted(file.name for file in bundle.iterdir()))}")
    print(f"  difference  {measured['onnx_difference']:.1e} at most on recorded observations")
    trained, exported = measured["success_rate"], measured["onnx_success_rate"]
    print(f"  success     {trained:.2f}, of the ONNX policy {exported:.2f}")
    print(f"\nReport and storage still have the bundle before:  blueprint-tune report {request.experiment}")
    print(f"{'':<50}blueprint-tune publish {request.experiment}")


def _export(found: Evaluated, request: Words) -> dict[str, Any]:
    """Prove and write a bundle beside the old one, then put it in its place."""
    from blueprint_tune.export.bundle import replace_folder
    from blueprint_tune.tuning.records import write_json
    from blueprint_tune.tuning.session import available_cpus
    from blueprint_tune.tuning.workers import Finalist

    dossier = found.dossier.undamaged(found.progress.note)
    wanted = {*dossier.cfg.export.formats, *(_FLAGS[flag] for flag in request.flags)}
    new = dossier.folder.path / "bundle.new"
    job = dossier.job(max(1, int(available_cpus())))
    config = {**job.config, "export": {"formats": sorted(wanted)}}
    measured = _prove(Finalist(replace(job, config=config, bundle_dir=str(new))), found)
    replace_folder(new, dossier.folder.bundle)
    found.outcome.update({k: measured[k] for k in ("onnx_difference", "onnx_success_rate")})
    write_json(dossier.outcome_file, found.outcome)
    return measured


def _prove(finalist: Finalist, found: Evaluated) -> dict[str, Any]:
    measured: dict[str, Any] = {}
    for method, text in _STAGES:
        found.progress.stage(text)
        measured |= getattr(finalist, method)()
    before, now = found.outcome["success_rate"], measured["success_rate"]
    if now != before:
        found.progress.note(
            f"The policy now succeeds in {now:.0%} of the benchmark's episodes, when it was evaluated in "
            f"{before:.0%}: the program, a library or the processor is another."
        )
    return measured
