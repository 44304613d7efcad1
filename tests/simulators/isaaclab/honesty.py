"""Where a test double offers what the real package does not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.simulators.isaaclab.surface import Class, Sources, parameters


def modules(root: Path, package: str) -> list[str]:
    """Names of a package's modules."""
    paths = sorted((root / package).rglob("*.py"))
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names]


def lies(double: Sources, real: Sources, module: str, calls: str) -> Iterator[str]:
    """Each thing that a module of the double offers and the real one does not, or otherwise.

    ``calls``: all of the real sources, in which a member of a class that lies outside of them must be used.
    """
    tree = double.tree(module)
    if real.path(module) is None:
        yield f"{module}: there is no such module"
        return
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            if not node.name.startswith("_"):
                yield from _lies_of(double, real, module, node, calls)
        elif isinstance(node, ast.Assign):
            for name in ast.unparse(node.targets[0]).split(","):
                if not name.startswith("_") and real.resolve(module, name) is None:
                    yield f"{module}.{name}: there is no such name"


def _lies_of(
    double: Sources, real: Sources, module: str, node: ast.FunctionDef | ast.ClassDef, calls: str
) -> Iterator[str]:
    where = f"{module}.{node.name}"
    found = real.resolve(module, node.name)
    if found is None:
        yield f"{where}: there is no such name"
    elif isinstance(found, str):  # imported from packages that are not in the wheel
        if isinstance(node, ast.ClassDef):
            mine = double.read_class(module, node)
            yield from (f"{where}.{n}: never used" for n in _public(mine) if not _used(n, calls))
    elif type(found[1]) is not type(node):
        yield f"{where}: it is a {type(found[1]).__name__}, not a {type(node).__name__}"
    elif isinstance(node, ast.FunctionDef):
        yield from _other_parameters(where, parameters(node), parameters(found[1]))
    else:
        yield from class_lies(
            where, double.read_class(module, node), real.read_class(found[0], found[1]), calls
        )


def class_lies(where: str, mine: Class, theirs: Class, calls: str) -> Iterator[str]:
    """The same for a class."""
    for name in _public(mine):
        known = name in theirs.methods or name in theirs.values or name in theirs.inner
        if not known:
            if not (theirs.outside and _used(name, calls)):
                yield f"{where}.{name}: there is no such member"
        elif (name in mine.methods) != (name in theirs.methods):
            yield f"{where}.{name}: a method here, a value there, or the other way round"
    for name, own in mine.methods.items():
        if name in theirs.methods and (name == "__init__" or not name.startswith("_")):
            yield from _other_parameters(f"{where}.{name}", own, theirs.methods[name])
    for name, inner in mine.inner.items():
        if name in theirs.inner:
            yield from class_lies(f"{where}.{name}", inner, theirs.inner[name], calls)
    if mine.is_config:
        for name, left_out in mine.values.items():
            if name in theirs.values and theirs.values[name] != left_out:
                yield f"{where}({name}=…): may be left out in one of the two only"


def _public(found: Class) -> list[str]:
    return [n for n in {**found.methods, **found.values, **found.inner} if not n.startswith("_")]


def _used(name: str, calls: str) -> bool:
    return re.search(rf"\.{name}\b", calls) is not None


def _other_parameters(where: str, mine: list, theirs: list) -> Iterator[str]:
    if mine != theirs:
        yield f"{where}({', '.join(map(str, mine))}): it is ({', '.join(map(str, theirs))})"


def view_lies(view: ast.ClassDef, calls: list[ast.Call], uses: str) -> Iterator[str]:
    """Methods of a class of Isaac Sim that nobody calls so: that is not in the wheel, its callers are."""
    for method in view.body:
        if not isinstance(method, ast.FunctionDef) or method.name.startswith("_"):
            continue
        if method.decorator_list:
            if not _used(method.name, uses):
                yield f"{view.name}.{method.name}: never used"
            continue
        names = [p.name for p in parameters(method)][1:]
        ways = [
            call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == method.name
        ]
        if not any(_takes(names, call) for call in ways):
            yield f"{view.name}.{method.name}({', '.join(names)}): never called so"


def _takes(names: list[str], call: ast.Call) -> bool:
    keywords = {keyword.arg for keyword in call.keywords}
    positional = names[: len(call.args)]
    return len(call.args) + len(keywords) == len(names) and keywords == set(names) - set(positional)


def wanted(path: Path, package: str) -> Iterator[tuple[str, str]]:
    """(module, name) of everything that a file takes from a package, attributes of its modules included."""
    tree = ast.parse(path.read_text())
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == package:
                    aliases[alias.asname or alias.name] = alias.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in aliases:
            yield aliases[ast.unparse(node.value)], node.attr
