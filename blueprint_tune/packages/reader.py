"""From a folder to a :class:`~blueprint_tune.packages.model.Package`, executing nothing."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from blueprint_tune.errors import TaskPackageError, printable
from blueprint_tune.packages.files import Folder, Problem, never_a_traceback
from blueprint_tune.packages.knowledge import NAMESPACES
from blueprint_tune.packages.model import Module, Package, Place, SceneItem, Setting, Term
from blueprint_tune.packages.static import (
    UNKNOWN,
    assignments,
    constant,
    constants,
    dotted,
    is_number,
    keywords,
)

ENV, REWARDS, EVENTS, TRAIN = "env_cfg.py", "reward_functions.py", "randomizations.py", "train_cfg.yaml"
METADATA, MARKER = "generation_metadata.json", ".isaac_lab_complete"
_TASK = re.compile(r"task_(\w+)\.py")
_GROUPS = {
    "rewards": "RewardsCfg",
    "actions": "ActionsCfg",
    "events": "EventsCfg",
    "terminations": "TerminationsCfg",
}
_MOST_TERMS = 200
"""Of rewards, of observations, …; the generator writes a dozen."""


def read_package(path: str | Path) -> Package:
    """Read the task package in a folder.

    Raises TaskPackageError only where there is no package at all; whatever else is wrong with it is in
    ``Package.problems``.
    """
    with never_a_traceback(path):
        return _read(path)


def _read(path: str | Path) -> Package:
    folder = Folder(Path(path))
    _check_folder(folder)
    names = folder.names()
    if not {ENV, TRAIN, METADATA, MARKER} & set(names):
        raise TaskPackageError(
            f"{path}: is not a task package: it holds none of {ENV}, {TRAIN}, {METADATA}. "
            "Give upstream's folder scenes/<id>/isaac_lab."
        )
    package = Package(Path(path), "", tuple(names), folder.problems)
    python = [ENV, REWARDS, EVENTS, "__init__.py", *sorted(filter(_TASK.fullmatch, names))[:1]]
    for name in python:
        if (tree := folder.python(name)) is not None:
            package.modules[name] = _module(name, tree)
    if (found := folder.yaml(TRAIN)) is not None:
        package.train, package.train_lines = found
    package.metadata, package.marker = folder.json(METADATA), folder.json(MARKER)
    if (env := package.modules.get(ENV)) is not None:
        _read_env(env, package)
    _identify(package, names)
    package.digest = _digest(folder, [*python, TRAIN])
    return package


def _check_folder(folder: Folder) -> None:
    try:
        exists, is_folder = folder.path.exists(), folder.path.is_dir()
    except (OSError, ValueError) as error:
        raise TaskPackageError(f"{str(folder.path)!r}: cannot be read: {error}.") from error
    if not exists:
        raise TaskPackageError(f"{folder.path}: no such folder. Give a task package, scenes/<id>/isaac_lab.")
    if not is_folder:
        raise TaskPackageError(f"{folder.path}: is not a folder. Give the folder that holds {ENV}.")


def _digest(folder: Folder, names: list[str]) -> str:
    """Of the files that say what is trained; when and how the package was generated is not among them."""
    digest = hashlib.sha256()
    for name in sorted(names):
        content = folder.content.get(name)
        digest.update(f"{name}\0{-1 if content is None else len(content)}\0".encode() + (content or b""))
    return digest.hexdigest()


def _module(name: str, tree: ast.Module) -> Module:
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    return Module(name, tree, functions, classes, constants(tree), tuple(ast.walk(tree)))


def _read_env(env: Module, package: Package) -> None:
    package.namespace = _namespace(env.tree)
    package.entities = _entities(env)
    if (scene := env.classes.get("SceneCfg")) is not None:
        package.scene = _scene(scene, env)
    package.env_class = next(
        (node for name, node in env.classes.items() if name.endswith("EnvCfg") and node.bases), None
    )
    if package.env_class is not None:
        package.env_fields, package.sim = _env_settings(package.env_class, env)
    for group, name in _GROUPS.items():
        setattr(package, group, _terms([env.classes[name]] if name in env.classes else [], env, package))
    observations = env.classes.get("ObservationsCfg")
    inner = [node for node in observations.body if isinstance(node, ast.ClassDef)] if observations else []
    package.observations = _terms(inner, env, package)


def _namespace(tree: ast.Module) -> str | None:
    for node in tree.body:
        imported = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        imported += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in imported:
            for namespace in NAMESPACES:
                if name == namespace or name.startswith(f"{namespace}."):
                    return namespace
    return None


def _entities(env: Module) -> dict[str, Setting]:
    for target, value in assignments(env.tree.body):
        if isinstance(target, ast.Name) and target.id == "SCENE_ENTITY_MAP" and isinstance(value, ast.Dict):
            return {
                key.value: Setting(constant(item, env.constants), Place(ENV, key.lineno))
                for key, item in zip(value.keys, value.values, strict=True)
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            }
    return {}


def _scene(scene: ast.ClassDef, env: Module) -> dict[str, SceneItem]:
    found = {}
    for target, value in assignments(scene.body):
        if not isinstance(target, ast.Name) or not isinstance(value, ast.Call):
            continue
        given = keywords(value)
        spawn, state = given.get("spawn"), given.get("init_state")
        spawned = keywords(spawn) if isinstance(spawn, ast.Call) else {}
        posture = keywords(state).get("joint_pos") if isinstance(state, ast.Call) else None
        joints = constant(posture, env.constants)
        usd = spawned.get("usd_path")
        found[target.id] = SceneItem(
            target.id,
            dotted(value.func).rpartition(".")[2],
            Place(ENV, target.lineno),
            _text(constant(given.get("prim_path"), env.constants)),
            _text(constant(usd, env.constants)),
            usd.lineno if usd is not None else 0,
            tuple(map(str, joints)) if isinstance(joints, dict) else (),
            frozenset(given),
        )
    return found


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _env_settings(node: ast.ClassDef, env: Module) -> tuple[dict[str, Setting], dict[str, Setting]]:
    """The class's own fields, and what its ``__post_init__`` assigns below ``self``."""
    fields, settings = {}, {}
    for target, value in assignments(node.body):
        if isinstance(target, ast.Name):
            fields[target.id] = Setting(constant(value, env.constants), Place(ENV, target.lineno))
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__post_init__":
            for target, value in assignments(method.body):
                if (name := dotted(target)).startswith("self."):
                    known = constant(value, env.constants)
                    settings[name.removeprefix("self.")] = Setting(known, Place(ENV, target.lineno))
    return fields, settings


def _terms(nodes: Sequence[ast.ClassDef], env: Module, package: Package) -> tuple[Term, ...]:
    """The entries of the classes of one manager, ``_MOST_TERMS`` at most."""
    found: list[Term] = []
    for target, value in (item for node in nodes for item in assignments(node.body)):
        if len(found) == _MOST_TERMS:
            text = f"holds more than {_MOST_TERMS} terms of a kind; the rest is not looked at."
            package.problems.append(Problem(ENV, target.lineno, text))
            break
        if isinstance(target, ast.Name):
            if isinstance(value, ast.Call) and dotted(value.func).endswith("Cfg") and value.keywords:
                found.append(_term(target, value, env, package))
            elif isinstance(value, ast.Dict):
                table = constant(value, env.constants)
                params = table if isinstance(table, dict) else {}
                kind = _text(params.get("class_type")) or ""
                found.append(Term(target.id, kind, "dict", Place(ENV, target.lineno), params=params))
    return tuple(found)


def _term(target: ast.Name, call: ast.Call, env: Module, package: Package) -> Term:
    given = keywords(call)
    func, params = given.get("func"), given.get("params")
    written = constant(func, {})
    is_text = isinstance(written, str)
    name = written if is_text else dotted(func)
    module, function = _resolve(name, env, package)
    weight = constant(given.get("weight"), env.constants)
    mode = constant(given.get("mode"), env.constants)
    return Term(
        target.id,
        name,
        "string" if is_text else "name" if name else "none",
        Place(ENV, (func or target).lineno),
        module,
        function,
        _params(params, env),
        float(weight) if is_number(weight) else None,
        mode if isinstance(mode, str) else None,
    )


def _params(node: ast.expr | None, env: Module) -> dict[str, Any]:
    """Constant parameters; a scene entity's by the entity's name."""
    if not isinstance(node, ast.Dict):
        return {}
    found = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            known = constant(value, env.constants)
            found[key.value] = value if known is UNKNOWN else known
    return found


def _resolve(name: str, env: Module, package: Package) -> tuple[str | None, ast.FunctionDef | None]:
    """The function of the package that a dotted or bare name means."""
    module, _, function = name.rpartition(".")
    candidates = [f"{module}.py"] if module else [ENV, EVENTS]
    for file in candidates:
        known = env if file == ENV else package.modules.get(file)
        if known is not None and function in known.functions:
            return file, known.functions[function]
    return None, None


def _identify(package: Package, names: list[str]) -> None:
    """Policy type, robot, scene and environment, from the most to the least reliable place."""
    metadata, marker = package.metadata or {}, package.marker or {}
    if package.metadata is not None:
        package.shape = "specified" if "validation" in metadata else "real"
    stated: dict[str, list[tuple[Any, str]]] = {
        "policy": [
            (metadata.get("policy_id"), METADATA),
            (marker.get("policy_id"), MARKER),
            *((m.group(1), m.group(0)) for m in map(_TASK.fullmatch, names) if m),
        ],
        "robot": [
            (metadata.get("robot_type"), METADATA),
            (marker.get("robot_type"), MARKER),
            (_robot_of(package), ENV),
        ],
        "scene_id": [(metadata.get("scene_id"), METADATA), (marker.get("scene_id"), MARKER)],
        "environment": [
            (metadata.get("environment_type"), METADATA),
            (marker.get("environment_type"), MARKER),
        ],
        "task_name": [
            (metadata.get("task_name"), METADATA),
            (marker.get("task_name"), MARKER),
            (package.train.get("task_name"), TRAIN),
        ],
    }
    for name, places in stated.items():
        for value, place in places:
            if isinstance(value, str) and value:
                setattr(package, name, printable(value[:200]))
                package.sources[name] = place
                break


def _robot_of(package: Package) -> str | None:
    """The robot whose end effector env_cfg.py observes."""
    bodies = {"panda_hand": "franka", "tool0": "ur10", "gripper_link": "fetch"}
    found = {term.params.get("body_name") for term in package.observations}
    return next((robot for body, robot in bodies.items() if body in found), None)
