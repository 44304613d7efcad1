"""Code that is not this program's: packages that register tasks, and a task package's environment class.

Imported by the process that runs the environment, after the simulator has started, and by no other.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from blueprint_tune.errors import ConfigError, TaskPackageError
from blueprint_tune.packages.check_isaac import isaac_findings
from blueprint_tune.packages.reader import read_package
from blueprint_tune.simulators.isaaclab.tasks import said_by

_PACKAGE = "blueprint_tune_task_package"
_SHOWN = 8
"""Findings that a message repeats."""


def import_tasks(env_path: str | None, modules: Sequence[str]) -> None:
    """Import what registers tasks: ``modules``, or all that was installed in ``env_path``.

    Raises ConfigError for a module that is not there, TaskPackageError for one that fails.
    """
    if env_path is not None and env_path not in sys.path:
        sys.path.insert(0, env_path)  # what was asked for goes before another version that is installed
    importlib.invalidate_caches()
    for name in modules or _brought(env_path):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name.partition(".")[0]:
                raise TaskPackageError(_failed(name, error)) from error
            raise ConfigError(
                f"backend.imports: there is no module '{name}'."
                + (
                    f" backend.env_package brought {', '.join(_brought(env_path)) or 'none'}."
                    if env_path
                    else ""
                )
            ) from error
        except (Exception, SystemExit) as error:  # whatever the module does
            raise TaskPackageError(_failed(name, error)) from error


def _failed(name: str, error: BaseException) -> str:
    return f"importing '{name}', which registers tasks, failed: {said_by(error)}"


def _brought(env_path: str | None) -> list[str]:
    """Modules at the top of an installation."""
    if env_path is None:
        return []
    found = [path.stem for path in Path(env_path).glob("*.py")]
    found += [path.parent.name for path in Path(env_path).glob("*/__init__.py")]
    return sorted(name for name in found if name.isidentifier())


def package_env_cfg(folder: Path) -> Any:
    """The configuration that a task package's own class makes; its code runs.

    Raises whatever that raises, and TaskPackageError where there is no such class.
    """
    module = _load(folder, "env_cfg")
    classes = [
        value
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__ and name.endswith("EnvCfg")
    ]
    if len(classes) != 1:
        names = ", ".join(found.__name__ for found in classes) or "none"
        raise TaskPackageError(f"{folder}/env_cfg.py: expected one class …EnvCfg of its own, found {names}.")
    return classes[0]()


def _load(folder: Path, module: str) -> Any:
    """A module of a package that lies anywhere, under a name of ours: its relative imports work."""
    init = folder / "__init__.py"
    if init.is_file():
        spec = importlib.util.spec_from_file_location(
            _PACKAGE, init, submodule_search_locations=[str(folder)]
        )
    else:
        spec = importlib.machinery.ModuleSpec(_PACKAGE, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
    assert spec is not None
    for name in [name for name in sys.modules if name == _PACKAGE or name.startswith(f"{_PACKAGE}.")]:
        del sys.modules[name]
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    if spec.loader is not None:
        spec.loader.exec_module(package)
    return importlib.import_module(f"{_PACKAGE}.{module}")


def does_not_run(folder: Path, error: BaseException) -> TaskPackageError:
    """What to tell of a package whose environment cannot be built: the error, and what reading shows."""
    findings = [finding for finding in isaac_findings(read_package(folder)) if finding.level == "adapted"]
    lines = [f"  - {finding.place} {finding.what}: {finding.runs}" for finding in findings[:_SHOWN]]
    more = [f"  - and {len(findings) - _SHOWN} more"] if len(findings) > _SHOWN else []
    known = "\n".join(["What reading it shows (blueprint-tune validate has all):", *lines, *more])
    other = "Train its task with backend=mujoco, which runs none of its code, or correct it."
    return TaskPackageError(
        "\n".join(
            [
                f"{folder}: its environment class does not run on Isaac Lab: {said_by(error)}",
                *([known] if findings else []),
                other,
            ]
        )
    )
