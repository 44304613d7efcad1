"""``blueprint-tune validate``: a package or manifest, read and judged, running none of its code."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from blueprint_tune.errors import ConfigError, ManifestError
from blueprint_tune.packages.findings import Finding
from blueprint_tune.packages.model import Place

HELP = """\
blueprint-tune validate PACKAGE|MANIFEST [--json]

Read a task package of BlueprintPipeline (its folder scenes/<id>/isaac_lab, also as gs://… or s3://…) or a
scene manifest, and say what is wrong with it. None of the package's code is run.

Each finding names file and line, what it means where the package is run as it is (Isaac Lab 2.3), and what
this program does about it. Every reward component is told to be live, constant zero, raising or of a wrong
shape in the scene that the package describes.

  --json         one JSON object on standard output

Exit status: 0 usable, 1 usable with adaptations, 2 not usable."""

_NARROWEST = 100


def run(words: Sequence[str]) -> None:
    """Print what was found and leave with 0, 1 or 2. Raises ConfigError and TaskPackageError."""
    flags = [word for word in words if word.startswith("--")]
    paths = [word for word in words if not word.startswith("--")]
    if unknown := sorted(set(flags) - {"--json"}):
        raise ConfigError(f"validate has no option {unknown[0]}. blueprint-tune validate --help lists them.")
    if len(paths) != 1:
        raise ConfigError("validate takes one package or manifest: blueprint-tune validate PACKAGE")
    as_json = "--json" in flags
    status = _manifest(paths[0], as_json) if paths[0].endswith(".json") else _package(paths[0], as_json)
    if status:
        raise SystemExit(status)


def _package(path: str, as_json: bool) -> int:
    from rich.console import Console

    from blueprint_tune.packages.fetch import local_package
    from blueprint_tune.packages.reader import read_package
    from blueprint_tune.packages.validate import examine
    from blueprint_tune.validating import text

    with tempfile.TemporaryDirectory() as cache:
        report = examine(read_package(local_package(path, Path(cache))))
        report = replace(report, findings=(*_of_manifest(report.package.path), *report.findings))
    if as_json:
        print(json.dumps(text.as_json(report, path), indent=2))
    else:
        console = Console()
        if console.width < _NARROWEST:
            console = Console(width=_NARROWEST)
        text.print_report(report, path, console)
    return report.status


def _of_manifest(package: Path) -> list[Finding]:
    """What is wrong with the scene manifest beside a package, if it is there."""
    from blueprint_tune.packages.check_files import manifest_beside
    from blueprint_tune.tasks.manifest import read_manifest

    file = manifest_beside(package.absolute())
    if not file.is_file():
        return []
    place = Place("../assets/scene_manifest.json", 0)
    try:
        scene = read_manifest(file)
    except ManifestError as error:
        what = str(error).removeprefix(f"{file}: ")
        return [
            Finding("bad-manifest", "fatal", place, what, "", "correct it, or name another: scene.manifest=…")
        ]
    if not scene.guesses:
        return []
    what = f"lacks {len(scene.guesses)} measurements of {len(scene.entities)} entities"
    return [
        Finding("guesses", "note", place, what, "", "defaults of their classes; the report lists those used")
    ]


def _manifest(path: str, as_json: bool) -> int:
    """The notes about a scene manifest."""
    from blueprint_tune.tasks.manifest import read_manifest

    scene = read_manifest(path)
    guesses = [guess.text for guess in scene.guesses]
    if as_json:
        document = {
            "path": path,
            "scene": scene.id,
            "status": int(bool(guesses)),
            "entities": len(scene.entities),
        }
        print(json.dumps({**document, "notes": list(scene.notes), "guesses": guesses}, indent=2))
    else:
        print(f"{path}: scene '{scene.id}', {len(scene.entities)} entities")
        for note in scene.notes:
            print(f"  {'guess' if note in guesses else 'note '}  {note}")
    return int(bool(guesses))
