"""What of a package no run reaches: its task class, its randomisation hooks, its events' parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from blueprint_tune.packages.findings import FROM_POLICY, Finding, first_and_count, found_in
from blueprint_tune.packages.model import Module, Package, Place
from blueprint_tune.packages.reader import ENV, EVENTS, TRAIN
from blueprint_tune.packages.static import dotted

_HERE = "the policy file's events randomise"
_DELAYS = 'for delays: "+policy.events.delay={kind: action_delay, …}"'


def hook_findings(package: Package) -> Iterator[Finding]:
    """About the task class, randomizations.py and the events."""
    yield from _task_class(package)
    yield from _hooks(package)
    yield from _events(package)


def _task_class(package: Package) -> Iterator[Finding]:
    known = _names_in_env(package)
    for module in package.modules.values():
        classes = module.classes.items() if module.file.startswith("task_") else ()
        unused = [node for name, node in classes if name.endswith("Task") and name not in known]
        if unused:
            more = f" and {len(unused) - 1} more" if len(unused) > 1 else ""
            yield Finding(
                "task-class-unused", "note", Place(module.file, unused[0].lineno),
                f"class {unused[0].name}{more}",
                "no configuration refers to it, so its success flag reaches nobody", FROM_POLICY,
            )  # fmt: skip
    call = first_and_count(found_in(package, _is_compute_without_dt))
    if call:
        yield Finding(
            "compute-without-dt", "note", call[0], "reward_manager.compute() without dt",
            "TypeError; and its result is a tensor, not a dictionary of terms",
            "no code of the package is run",
        )  # fmt: skip


def _names_in_env(package: Package) -> set[str]:
    return {
        n.id for _, n in found_in(package, lambda n: isinstance(n, ast.Name), ENV) if isinstance(n, ast.Name)
    }


def _is_compute_without_dt(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and dotted(node.func).endswith("reward_manager.compute")
        and not (node.args or node.keywords)
    )


def _hooks(package: Package) -> Iterator[Finding]:
    module = package.modules.get(EVENTS)
    if module is None:
        return
    hooks = {name: f for name, f in module.functions.items() if name.startswith("randomize_")}
    used = {term.func.rpartition(".")[2].rpartition(":")[2] for term in package.events}
    unused = [name for name in hooks if name not in used]
    if unused:
        place = Place(EVENTS, hooks[unused[0]].lineno)
        yield Finding(
            "hooks-unused", "adapted", place, f"{unused[0]} and {len(unused) - 1} more are in no EventsCfg",
            "nothing is randomised by them", _HERE,
        )  # fmt: skip
    for name, function in hooks.items():
        yield from _hook(name, function)
    yield from _buffers(module, package)


def _hook(name: str, function: ast.FunctionDef) -> Iterator[Finding]:
    attributes = {node.attr: node.lineno for node in ast.walk(function) if isinstance(node, ast.Attribute)}
    if (
        "write_root_pose_to_sim" in attributes
        and "objects" in _words(function)
        and ("env_origins" not in attributes)
    ):
        yield Finding(
            "poses-ignore-origins", "note", Place(EVENTS, attributes["write_root_pose_to_sim"]),
            f"{name} writes poses without env_origins", "all environments' objects land in the first one",
            _HERE,
        )  # fmt: skip
    if "joint_limits" in attributes and not _indexes_by_env(function):
        yield Finding(
            "limits-of-all-environments", "note", Place(EVENTS, attributes["joint_limits"]),
            f"{name} clamps to joint_limits of all environments", "shapes differ unless all are reset", _HERE,
        )  # fmt: skip
    if "observation_manager" in attributes and "observation" in attributes:
        yield Finding(
            "no-such-attribute", "note", Place(EVENTS, attributes["observation"]),
            f"{name} reads observation_manager.observation", "AttributeError in Isaac Lab 2.3", _HERE,
        )  # fmt: skip


def _indexes_by_env(function: ast.FunctionDef) -> bool:
    """Whether ``joint_limits`` is ever indexed by ``env_ids``; an outer index holds those within it."""
    left: list[ast.AST] = [function]
    while left:
        node = left.pop()
        if not isinstance(node, ast.Subscript):
            left += ast.iter_child_nodes(node)
        elif "joint_limits" in (words := _words(node)) and "env_ids" in words:
            return True
    return False


def _words(root: ast.AST) -> str:
    """All names, attributes and strings below a node; of ``ast.dump``, deep code ends in a RecursionError."""
    fields = ("id", "attr", "arg", "name", "value")
    found = (getattr(node, name, None) for node in ast.walk(root) for name in fields)
    return " ".join(word for word in found if isinstance(word, str))


def _buffers(module: Module, package: Package) -> Iterator[Finding]:
    buffers = {name: node for name, node in module.classes.items() if name.endswith("Buffer")}
    if not buffers:
        return
    name, first = next(iter(buffers.items()))
    if not any(found_in(package, _is_push)):
        yield Finding(
            "delay-never-applied", "note", Place(EVENTS, first.lineno), f"{name}.push is never called",
            "delays are drawn and nothing is delayed", _DELAYS,
        )  # fmt: skip
    methods = (m for m in first.body if isinstance(m, ast.FunctionDef) and m.name == "set_delays")
    replaced = [node for method in methods for node in ast.walk(method) if _sets_delays(node)]
    if replaced:
        yield Finding(
            "delays-replaced", "note", Place(EVENTS, getattr(replaced[0], "lineno", 0)),
            f"{name}.set_delays replaces all delays",
            "a reset of some environments leaves a tensor of their number",
            _DELAYS,
        )  # fmt: skip


def _is_push(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "push"


def _sets_delays(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and any(dotted(target) == "self.delays" for target in node.targets)


def _events(package: Package) -> Iterator[Finding]:
    randomization = package.train.get("randomization")
    randomization = randomization if isinstance(randomization, dict) else {}
    dropped = [e["name"] for e in _entries(randomization.get("on_reset")) if e.get("params")]
    given = {term.name for term in package.events if term.params}
    dropped = [name for name in dropped if name not in given]
    if dropped and package.events:
        yield Finding(
            "event-params-dropped", "adapted", package.train_place("randomization.on_reset"),
            f"parameters of {', '.join(map(str, dropped[:4]))}", "env_cfg.py passes none of them on",
            "the policy file's events have their own ranges",
        )  # fmt: skip
    per_step = [str(entry["name"]) for entry in _entries(randomization.get("on_step"))]
    if per_step:
        yield Finding(
            "per-frame-events", "adapted", package.train_place("randomization.on_step"),
            f"on_step: {', '.join(per_step[:4])}", f"only {TRAIN} names them; nothing runs them",
            _HERE,
        )  # fmt: skip


def _entries(value: object) -> list[dict[str, object]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)]
