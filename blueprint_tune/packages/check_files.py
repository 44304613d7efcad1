"""What a package's files say about themselves: damage, identity, validation, settings that are traps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from blueprint_tune.packages.findings import Finding, Level
from blueprint_tune.packages.knowledge import FALLBACKS, LARGEST_ROLLOUT, POLICIES, ROBOTS
from blueprint_tune.packages.model import Package, Place
from blueprint_tune.packages.reader import ENV, MARKER, METADATA, TRAIN

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def file_findings(package: Package) -> Iterator[Finding]:
    """About whole files."""
    yield from _damage(package)
    yield from _identity(package)
    yield from _validation(package)
    yield from _training(package)
    yield from _manifest(package)


def _damage(package: Package) -> Iterator[Finding]:
    for problem in package.problems:
        level: Level = "fatal" if problem.file == ENV else "adapted" if problem.file else "note"
        yield Finding(
            "unreadable", level, Place(problem.file or str(package.path), problem.line), problem.text,
            "Python, YAML or JSON would refuse it, or worse, accept it",
            "counts as not there" if problem.file != ENV else "nothing can be trained from it",
        )  # fmt: skip
    damaged = {problem.file for problem in package.problems}
    for name in (ENV, TRAIN):
        if name not in package.names and name not in damaged:
            here = "this program's own settings" if name == TRAIN else "nothing can be trained from it"
            yield Finding(
                "missing-file", "fatal" if name == ENV else "adapted", Place(name, 0), "is missing",
                "the package cannot be loaded", here,
            )  # fmt: skip


def policy_of(package: Package) -> str | None:
    """The policy type of the 14 that the package is for, or None."""
    if package.policy in POLICIES:
        return package.policy
    return FALLBACKS.get(package.policy or "")


def robot_of(package: Package) -> str | None:
    """The robot of this program that the package is for, or None."""
    return ROBOTS.get(re.sub(r"[- ]", "_", (package.robot or "").lower()))


def _identity(package: Package) -> Iterator[Finding]:
    policy, robot = policy_of(package), robot_of(package)
    place = Place(package.sources.get("policy", METADATA), 0)
    if policy is None:
        said = f"policy {package.policy[:60]!r}" if package.policy else "no policy is named"
        yield Finding(
            "unknown-policy", "fatal", place, said, "none of upstream's 14 policy types",
            "nothing: add policy=… to the command to say what is to be learned",
        )  # fmt: skip
    elif policy != package.policy:
        yield Finding(
            "fallback-policy", "adapted", place, f"policy '{package.policy}'",
            "an id that upstream's job falls back to, without rewards of its own", f"trained as {policy}",
        )  # fmt: skip
    place = Place(package.sources.get("robot", METADATA), 0)
    if robot is None:
        said = f"robot {package.robot[:60]!r}" if package.robot else "no robot is named"
        yield Finding(
            "unknown-robot", "fatal", place, said, "upstream has more robots than ship with this program",
            "nothing: add robot=… or robot.model=… to the command",
        )  # fmt: skip
    elif robot != package.robot:
        yield Finding("robot-alias", "note", place, f"robot '{package.robot}'", "an alias", f"robot={robot}")
    if package.scene_id is not None and not _SAFE.fullmatch(package.scene_id):
        yield Finding(
            "unsafe-id", "adapted", Place(package.sources["scene_id"], 0),
            f"scene_id {package.scene_id[:60]!r}",
            "results are stored under it", "other characters are replaced by _",
        )  # fmt: skip


def _validation(package: Package) -> Iterator[Finding]:
    metadata, marker = package.metadata or {}, package.marker
    if marker is None:
        yield Finding(
            "no-marker", "note", Place(MARKER, 0), "is missing", "the package may be half written",
            "read as it is; watch waits for the marker",
        )  # fmt: skip
    elif marker.get("status", "complete") != "complete":
        yield Finding(
            "not-complete", "adapted", Place(MARKER, 0), f"status is {str(marker.get('status'))[:40]!r}",
            "the package may be half written", "read as it is",
        )  # fmt: skip
    if package.shape == "real":
        yield Finding(
            "no-validation-block", "note", Place(METADATA, 0), "has no 'validation' (specification 5.2.3)",
            "the specification's loader refuses it", "both shapes of metadata are read",
        )  # fmt: skip
    yield from _result(package)
    if _stale(metadata, marker or {}):
        yield Finding(
            "stale-validation", "adapted", Place(MARKER, 0), f"was written before {METADATA}",
            "it speaks of an earlier package", "static checks are what counts here",
        )  # fmt: skip


def _result(package: Package) -> Iterator[Finding]:
    metadata, marker = package.metadata or {}, package.marker or {}
    result = metadata.get("runtime_validation")
    block = metadata.get("validation")
    said = [
        result.get("is_valid") if isinstance(result, dict) else None,
        block.get("runtime_validated") if isinstance(block, dict) else None,
        marker.get("runtime_validated"),
    ]
    place = Place(METADATA if package.metadata is not None else MARKER, 0)
    errors = marker.get("validation_errors") or (result.get("errors") if isinstance(result, dict) else None)
    why = f": {str(errors[0])[:80]}" if isinstance(errors, list) and errors else ""
    if False in said:
        yield Finding(
            "validation-failed", "adapted", place, f"runtime validation failed{why}",
            "upstream writes its marker all the same", "static checks are what counts here",
        )  # fmt: skip
    elif True not in said:
        yield Finding(
            "never-validated", "adapted", place, "was never validated at run time", "it may not run",
            "static checks are what counts here",
        )  # fmt: skip


def _stale(metadata: dict[str, object], marker: dict[str, object]) -> bool:
    done = _time(marker.get("completed_at") or marker.get("timestamp"))
    made = [_time(metadata.get(key)) for key in ("generated_at", "refresh_generated_at")]
    other = any(
        metadata.get(key) and marker.get(key) and metadata[key] != marker[key]
        for key in ("policy_id", "task_name", "scene_id")
    )
    return other or (done is not None and any(time is not None and time > done for time in made))


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value.removesuffix("Z")).replace(tzinfo=None)
    except ValueError:
        return None


def _training(package: Package) -> Iterator[Finding]:
    steps, envs = package.setting("algo.rollout_steps"), package.setting("env.num_envs")
    if isinstance(steps, int) and isinstance(envs, int) and steps * envs > LARGEST_ROLLOUT:
        yield Finding(
            "rollout-too-large", "adapted", package.train_place("algo.rollout_steps"),
            f"rollout_steps {steps} × num_envs {envs} = {steps * envs:,} env steps an update"[:120],
            "a memory trap, and one update learns from a whole episode of everything",
            "agent.rollouts of this program's agent file",
        )  # fmt: skip
    yield from _episode(package)
    for key in ("algo.max_kl", "runner.checkpoint_path"):
        if package.setting(key) is not None:
            yield Finding(
                "setting-without-counterpart", "note", package.train_place(key), f"{key} is set", "",
                "has no counterpart and is left out",
            )  # fmt: skip


def _episode(package: Package) -> Iterator[Finding]:
    length, field = package.setting("env.episode_length"), package.env_fields.get("episode_length_s")
    step_s = control_step_s(package)
    if field is None or step_s is None or not isinstance(length, int) or not _positive(field.value):
        return
    steps = math.ceil(field.value / step_s)
    if steps != length:
        yield Finding(
            "episode-lengths-differ", "adapted", field.place,
            f"episode_length_s {field.value:g} is {steps} control steps, {TRAIN} says {length}",
            "episodes last longer than the training expects",
            f"{TRAIN}'s length, unless a preset is named",
        )  # fmt: skip


def control_step_s(package: Package) -> float | None:
    """Seconds between two actions as the package means it, dt × substeps; None where it does not say."""
    dt, substeps = (package.sim.get(key) for key in ("sim.dt", "sim.substeps"))
    if dt is None or substeps is None or not (_positive(dt.value) and _positive(substeps.value)):
        return None
    return float(dt.value * substeps.value)


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 1e-6 < value < 1e6


def manifest_beside(package: Path) -> Path:
    """Where a package's scene manifest is looked for."""
    return package.parent / "assets" / "scene_manifest.json"


def _manifest(package: Package) -> Iterator[Finding]:
    place = manifest_beside(package.path.absolute())
    if not place.is_file():
        yield Finding(
            "no-manifest", "adapted", Place("../assets/scene_manifest.json", 0), "is missing",
            "sizes, places and joints of objects are unknown",
            "entities come from SCENE_ENTITY_MAP with sizes of their classes, each a listed guess; "
            "scene.manifest=… names the manifest",
        )  # fmt: skip
