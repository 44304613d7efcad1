"""What the processes around a training know of its task, whether it is bound to a scene or brings its own."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from blueprint_tune.config.backend_schema import BackendConfig
from blueprint_tune.config.own_task import read_signal
from blueprint_tune.config.schema import ExperimentConfig
from blueprint_tune.errors import TaskPackageError
from blueprint_tune.packages.env_package import install, installed, read_env_package
from blueprint_tune.tasks.spec import TaskSpec, bind_task

ENV_FOLDER = "env_package"
"""Of an experiment: what ``backend.env_package`` was installed in."""


@dataclass(frozen=True)
class Asked:
    """A task as far as it is known without a simulator.

    Attributes:
        digest: of what it is made of. notes: all there is to tell about how it was read, a sentence each.
    """

    digest: str
    notes: tuple[str, ...]


def ask(cfg: ExperimentConfig) -> Asked:
    """Read the task. Raises ConfigError, ManifestError, TaskPackageError or StorageError."""
    if cfg.backend.own_task:
        return _own(cfg)
    return of_scene(bind_task(cfg), cfg)


def of_scene(task: TaskSpec, cfg: ExperimentConfig) -> Asked:
    """The same for a task that is bound."""
    return Asked(task.scene.digest, (*task.notes, *inexact(cfg)))


def inexact(cfg: ExperimentConfig) -> tuple[str, ...]:
    """What a resume cannot do where the backend cannot restore all of its state."""
    if cfg.backend.exact_state:
        return ()
    what = "its running episodes begin anew" if cfg.backend.own_task else "its episodes go on approximately"
    return (
        f"backend '{cfg.backend.name}' cannot save all of its state: a resumed training learns on from its"
        f" checkpoint, but {what}, so it ends otherwise than an uninterrupted one.",
    )


def with_env_package(cfg: ExperimentConfig, folder: Path, digest: str | None = None) -> ExperimentConfig:
    """``cfg`` with ``backend.env_package`` installed in a folder below ``folder``, where that is asked for.

    ``digest``: of the task, as it was asked for before; None: whatever the package is by now.
    Raises TaskPackageError where it cannot be installed or has changed, StorageError where it cannot be
    fetched.
    """
    found = with_installed(cfg, folder)
    if found.backend.env_package is None or found.backend.env_path is not None:
        return found
    package = read_env_package(found.backend.env_package, cfg.storage.endpoint)
    if digest is not None and _own_digest(cfg, package.digest) != digest:
        raise TaskPackageError(
            f"backend.env_package={package.place} has changed since the experiment in {folder} was started"
            " with it. Put the old one back, or start a new experiment."
        )
    install(package, folder.absolute() / ENV_FOLDER)
    return with_installed(cfg, folder)


def with_installed(cfg: ExperimentConfig, folder: Path) -> ExperimentConfig:
    """The same as far as it was installed there before: where it came from may be gone."""
    if _holds(cfg.backend) is not None:
        return cfg
    here = replace(cfg.backend, env_path=str(folder.absolute() / ENV_FOLDER))
    return replace(cfg, backend=here if _holds(here) is not None else replace(here, env_path=None))


def _holds(backend: BackendConfig) -> str | None:
    """Digest of what is installed in ``env_path``, if it is ``env_package``: another may be asked for."""
    there = installed(Path(backend.env_path)) if backend.env_path is not None else None
    return there[1] if there is not None and there[0] == backend.env_package else None


def _env_digest(cfg: ExperimentConfig) -> str | None:
    """Of ``backend.env_package``: as it is installed, else as it is where it comes from."""
    backend = cfg.backend
    if backend.env_package is None:
        return None
    return _holds(backend) or read_env_package(backend.env_package, cfg.storage.endpoint).digest


def _own(cfg: ExperimentConfig) -> Asked:
    package = _env_digest(cfg)
    notes = (*cfg.scene.adaptations, *_own_notes(cfg, package), *inexact(cfg))
    return Asked(_own_digest(cfg, package), notes)


def _own_digest(cfg: ExperimentConfig, package: str | None) -> str:
    """Of the task's name and the code that is named with it; ``package``: digest of ``env_package``."""
    parts = {
        "task": cfg.backend.task,
        "env_package": package,
        "package": cfg.scene.package and _code_digest(Path(cfg.scene.package)),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _own_notes(cfg: ExperimentConfig, package: str | None) -> Iterator[str]:
    name = cfg.backend.task or cfg.scene.package
    yield (
        f"'{name}' brings its own environment: what is observed, done, rewarded and randomised is the task's;"
        " policy, robot and physics of this program do not apply, and are told by name only."
    )
    yield f"success: {read_signal(cfg.backend.success or '').sentence}."
    yield (
        "starts follow from seed and number of environments together, as far as the task draws them from the"
        " generators that it is seeded with; figures are comparable with the same backend.num_envs only."
    )
    if package is not None:
        where = cfg.backend.env_package
        yield f"backend.env_package={where} (content {package}) was installed and its code run."
    if cfg.scene.package is not None:
        yield f"code of the package {cfg.scene.package} was run (backend.trust_package_code)."


def _code_digest(folder: Path) -> str:
    """Of all files of a package whose code is run. Raises TaskPackageError where they cannot be read."""
    digest = hashlib.sha256()
    try:
        for root, folders, files in os.walk(folder):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(files):
                file = Path(root, name)
                digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    except OSError as error:
        raise TaskPackageError(f"{folder}: the package cannot be read: {error}.") from error
    return digest.hexdigest()
