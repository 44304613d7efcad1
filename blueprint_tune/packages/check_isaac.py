"""What keeps a package's configuration from being loaded and built by Isaac Lab 2.3."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Iterator

from blueprint_tune.packages.findings import (
    FROM_MANIFEST,
    FROM_POLICY,
    FROM_ROBOT,
    Finding,
    first_and_count,
    found_in,
    is_call_of,
    times,
)
from blueprint_tune.packages.knowledge import NOT_IN_MDP, PHYSX_FIELDS, SIM_FIELDS, is_asset_data
from blueprint_tune.packages.model import Package, Place
from blueprint_tune.packages.reader import ENV
from blueprint_tune.packages.static import dotted, keywords

_UNREAD = "env_cfg.py is read, not imported"


def isaac_findings(package: Package) -> Iterator[Finding]:
    """In the order in which a run would meet them."""
    if package.modules.get(ENV) is None:
        return
    yield from _import(package)
    yield from _construction(package)
    yield from _names_of_functions(package)
    yield from _managers(package)
    yield from _scene(package)
    yield from _run_time_attributes(package)
    yield from _simulation(package)


def _import(package: Package) -> Iterator[Finding]:
    relative = first_and_count(
        found_in(package, lambda n: isinstance(n, ast.ImportFrom) and n.level > 0 and n.module is None, ENV)
    )
    if relative:
        yield Finding(
            "relative-import", "note", relative[0], "imports reward_functions from its own package",
            "a loader that executes env_cfg.py alone (specification 7.1) gets an ImportError", _UNREAD,
        )  # fmt: skip
    given = first_and_count(
        found_in(package, lambda n: is_call_of(n, "SceneEntityCfg") and "prim_path" in _given(n))
    )
    if given:
        yield Finding(
            "scene-entity-prim-path", "adapted", given[0], f"SceneEntityCfg(…, prim_path=…){times(given[1])}",
            "TypeError on import: SceneEntityCfg has no prim_path", _UNREAD,
        )  # fmt: skip


def _given(node: ast.AST) -> dict[str, ast.expr]:
    return keywords(node) if isinstance(node, ast.Call) else {}


def _construction(package: Package) -> Iterator[Finding]:
    env = package.env_class
    if env is None:
        yield Finding(
            "no-env-class", "adapted", Place(ENV, 0), "no class …EnvCfg", "nothing to construct", _UNREAD
        )
        return
    place = Place(ENV, env.lineno)
    bases = [dotted(base).rpartition(".")[2] for base in env.bases]
    if "ManagerBasedRLEnvCfg" not in bases:
        yield Finding(
            "not-an-rl-env", "adapted", place, f"{env.name} extends {', '.join(bases) or 'nothing known'}",
            "ManagerBasedEnv has no rewards and terminations, and its step returns two values",
            "this program's own environment computes rewards, success and time limits",
        )  # fmt: skip
    if "decimation" not in {**package.env_fields, **package.sim}:
        yield Finding(
            "no-decimation", "adapted", place, "decimation is not set",
            "TypeError when the configuration is validated", "substeps are taken for it (60 Hz control)",
        )  # fmt: skip
    for item in package.scene.values():
        if item.kind == "ArticulationCfg" and "actuators" not in item.fields:
            yield Finding(
                "no-actuators", "adapted", item.place, f"'{item.name}' has no actuators",
                "TypeError when the configuration is validated", FROM_ROBOT,
            )  # fmt: skip


def _names_of_functions(package: Package) -> Iterator[Finding]:
    for term in (*package.observations, *package.rewards, *package.terminations, *package.events):
        what = f"{term.name}: func={term.func!r}"
        inside = term.function is not None
        last = term.func.rpartition(".")[2]
        if last in NOT_IN_MDP and not inside:
            yield Finding(
                "not-in-mdp", "adapted", term.place, what,
                f"does not exist in Isaac Lab 2.3 (there is {NOT_IN_MDP[last]})", FROM_POLICY,
            )  # fmt: skip
        elif term.how == "string" and not inside and "." not in term.func:
            yield Finding(
                "undefined-function", "adapted", term.place, what,
                "ValueError: no file of the package defines it", FROM_POLICY,
            )  # fmt: skip
        elif term.how == "string" and ":" not in term.func:
            yield Finding(
                "unresolved-function", "adapted", term.place, what,
                'ValueError: function names are resolved as "module:function"', FROM_POLICY,
            )  # fmt: skip
        elif term.how == "name" and not inside and term.func.startswith("reward_functions."):
            yield Finding(
                "undefined-function", "adapted", term.place, what,
                "AttributeError on import: reward_functions.py does not define it",
                "this program's term of that name, if the policy type has one",
            )  # fmt: skip


def _managers(package: Package) -> Iterator[Finding]:
    for term in package.actions:
        if term.how != "dict":
            continue
        last = term.func.rpartition(".")[2]
        yield Finding(
            "action-is-a-dict", "adapted", term.place, f"{term.name} is a dictionary",
            "TypeError: ActionManager takes ActionTermCfg only", FROM_POLICY,
        )  # fmt: skip
        if last in NOT_IN_MDP:
            yield Finding(
                "not-in-mdp", "adapted", term.place, f"{term.name}: {term.func}",
                f"does not exist in Isaac Lab 2.3 (there is {NOT_IN_MDP[last]})", FROM_POLICY,
            )  # fmt: skip


def _scene(package: Package) -> Iterator[Finding]:
    for item in package.scene.values():
        path = item.prim_path
        if item.kind in ("ArticulationCfg", "RigidObjectCfg") and path and "{ENV_REGEX_NS}" not in path:
            yield Finding(
                "shared-prim", "adapted", item.place, f"'{item.name}' is at {path}",
                "one for all environments instead of one for each", FROM_MANIFEST,
            )  # fmt: skip
        if item.usd_path is not None and "{" in item.usd_path:
            yield Finding(
                "placeholder-usd", "adapted", Place(ENV, item.usd_line), f"usd_path is {item.usd_path!r}",
                "the placeholder is never filled in: FileNotFoundError", FROM_ROBOT,
            )  # fmt: skip
        elif item.usd_path is not None and item.usd_path.startswith("/"):
            yield Finding(
                "build-time-path", "adapted", Place(ENV, item.usd_line), f"usd_path is {item.usd_path}",
                "a path of the machine that generated the package", FROM_MANIFEST,
            )  # fmt: skip
        made_up = [name for name in item.joints if name.startswith("joint_") and name[6:].isdigit()]
        if made_up:
            yield Finding(
                "joint-names", "adapted", item.place, f"joint_pos names {made_up[0]} … {made_up[-1]}",
                "ValueError: no joint of the robot is called so", FROM_ROBOT,
            )  # fmt: skip
    yield from _ids(package)
    if package.entities:
        first = next(iter(package.entities.values())).place
        yield Finding(
            "prim-paths", "unchecked", first, "SCENE_ENTITY_MAP names prims of a USD stage",
            "upstream assembles its stage with other paths (/World/Objects/obj_<id>, y up)",
            f"cannot be checked without the USD; {FROM_MANIFEST}",
        )  # fmt: skip


def _ids(package: Package) -> Iterator[Finding]:
    for name, setting in package.entities.items():
        if not name.isidentifier() or keyword.iskeyword(name):
            yield Finding(
                "not-an-identifier", "adapted", setting.place,
                f"the id {name[:60]!r} is not a Python identifier",
                "as the primary target it would make env_cfg.py a SyntaxError",
                "ids are made safe when the manifest is read",
            )  # fmt: skip


def _run_time_attributes(package: Package) -> Iterator[Finding]:
    get = first_and_count(found_in(package, _is_scene_get))
    if get:
        yield Finding(
            "scene-get", "adapted", get[0], f"env.scene.get(…){times(get[1])}",
            "AttributeError: InteractiveScene has [] and keys(), no get", "no code of the package is run",
        )  # fmt: skip
    unknown: dict[str, list[Place]] = {}
    for module, node in found_in(package, _is_data_attribute):
        assert isinstance(node, ast.Attribute)  # as matched
        unknown.setdefault(node.attr, []).append(Place(module.file, node.lineno))
    for name, places in unknown.items():
        yield Finding(
            "no-such-data", "adapted", places[0], f"data.{name[:60]}{times(len(places))}",
            "no asset's data has it in Isaac Lab 2.3"
            + (" (ContactSensor.data.net_forces_w is what was meant)" if "contact" in name else ""),
            "no code of the package is run",
        )  # fmt: skip


def _is_scene_get(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func).endswith("scene.get")


def _is_data_attribute(node: ast.AST) -> bool:
    """An attribute of some asset's ``data`` that Isaac Lab lacks."""
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "data"
        and not is_asset_data(node.attr)
    )


def _simulation(package: Package) -> Iterator[Finding]:
    stray = [
        (name, setting.place)
        for name, setting in package.sim.items()
        if (name.startswith("sim.physx.") and not _is_physx(name.removeprefix("sim.physx.")))
        or (name.startswith("sim.") and name.count(".") == 1 and name[4:] not in SIM_FIELDS)
    ]
    if stray:
        names = ", ".join(name.removeprefix("sim.") for name, _ in stray[:6])
        yield Finding(
            "stray-sim-settings", "adapted", stray[0][1], f"sets {names}",
            "not fields of SimulationCfg or PhysxCfg: set on the object and read by nobody",
            "physics comes from the policy type's physics profile",
        )  # fmt: skip


def _is_physx(name: str) -> bool:
    return name in PHYSX_FIELDS or name.startswith("gpu_")
