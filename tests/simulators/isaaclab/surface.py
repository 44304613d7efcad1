"""What Python packages offer, read from their sources without importing them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

PROPERTY_MAKERS = {"property", "buffered", "part"}
"""Decorators and calls that make properties; the latter two are the double's own."""


@dataclass(frozen=True)
class Parameter:
    """One parameter; ``kind``: "" , "*" or "**"."""

    name: str
    kind: str = ""
    has_default: bool = False

    def __str__(self) -> str:
        return self.kind + self.name + ("=…" if self.has_default else "")


@dataclass
class Class:
    """A class with everything that it inherits from classes that can be read.

    Attributes:
        methods: name -> parameters without self. values: properties, fields and attributes -> whether the
            value may be left out when it is a config's field. inner: classes inside it.
        outside: bases that cannot be read.
    """

    methods: dict[str, list[Parameter]] = field(default_factory=dict)
    values: dict[str, bool | None] = field(default_factory=dict)
    inner: dict[str, Class] = field(default_factory=dict)
    is_config: bool = False
    outside: list[str] = field(default_factory=list)


class Sources:
    """Packages below some folders."""

    def __init__(self, *roots: Path) -> None:
        self.roots = roots
        self.tree = lru_cache(None)(self._tree)
        self.resolve = lru_cache(None)(self._resolve)

    def path(self, module: str) -> Path | None:
        """The file of a module."""
        for root in self.roots:
            base = root.joinpath(*module.split("."))
            for candidate in (base / "__init__.py", base.with_suffix(".py")):
                if candidate.is_file():
                    return candidate
        return None

    def _tree(self, module: str) -> ast.Module | None:
        path = self.path(module)
        return ast.parse(path.read_text()) if path else None

    def _resolve(self, module: str, name: str) -> tuple[str, ast.stmt] | str | None:
        """Where a name of a module is made: module and statement; an import's text if out of sight."""
        tree = self.tree(module)
        if tree is None:
            return None
        stars = []
        for node in _statements(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                return module, node
            if isinstance(node, ast.Assign | ast.AnnAssign) and name in _assigned(node):
                return module, node
            if isinstance(node, ast.ImportFrom):
                source = self._absolute(module, node)
                for alias in node.names:
                    if alias.name == "*":
                        stars.append(source)
                    elif (alias.asname or alias.name) == name:
                        found = self.resolve(source, alias.name)
                        return found or (source if self.path(f"{source}.{alias.name}") else ast.unparse(node))
        for source in stars:
            if not name.startswith("_") and (found := self.resolve(source, name)):
                return found
        return None

    def _absolute(self, module: str, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        path = self.path(module)
        package = module.split(".") if path and path.name == "__init__.py" else module.split(".")[:-1]
        return ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])

    def read_class(self, module: str, node: ast.ClassDef) -> Class:
        """A class, its bases included."""
        found = Class(is_config=any("configclass" in ast.unparse(d) for d in node.decorator_list))
        for base in reversed(node.bases):
            self._inherit(found, module, ast.unparse(base))
        for item in node.body:
            if isinstance(item, ast.ClassDef):
                found.inner[item.name] = self.read_class(module, item)
            elif isinstance(item, ast.FunctionDef):
                self._read_function(found, item)
            elif isinstance(item, ast.AnnAssign | ast.Assign):
                left_out = item.value is not None and ast.unparse(item.value) != "MISSING"
                found.values |= dict.fromkeys(_assigned(item), left_out)
        return found

    def _inherit(self, found: Class, module: str, base: str) -> None:
        outer, _, inner = base.partition(".")
        where = self.resolve(module, outer)
        if not isinstance(where, tuple) or not isinstance(where[1], ast.ClassDef):
            found.outside.append(base)
            return
        above = self.read_class(where[0], where[1])
        above = above.inner[inner] if inner else above
        found.methods |= above.methods
        found.values |= above.values
        found.inner |= above.inner
        found.outside += above.outside

    def _read_function(self, found: Class, node: ast.FunctionDef) -> None:
        if any(ast.unparse(decorator) in PROPERTY_MAKERS for decorator in node.decorator_list):
            found.values[node.name] = None
            return
        static = any(ast.unparse(decorator) == "staticmethod" for decorator in node.decorator_list)
        found.methods[node.name] = parameters(node)[0 if static else 1 :]
        for inside in ast.walk(node):
            if isinstance(inside, ast.Assign | ast.AnnAssign):
                targets = inside.targets if isinstance(inside, ast.Assign) else [inside.target]
                for target in targets:
                    if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                        found.values.setdefault(target.attr, None)


def parameters(node: ast.FunctionDef) -> list[Parameter]:
    """Of a function, in their order."""
    args = node.args
    plain = [*args.posonlyargs, *args.args]
    required = len(plain) - len(args.defaults)
    found = [Parameter(a.arg, has_default=i >= required) for i, a in enumerate(plain)]
    if args.vararg:
        found.append(Parameter(args.vararg.arg, "*"))
    found += [
        Parameter(a.arg, has_default=d is not None)
        for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True)
    ]
    return [*found, Parameter(args.kwarg.arg, "**")] if args.kwarg else found


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Top-level statements, those behind ``if`` and ``with`` included."""
    for node in tree.body:
        yield node
        if isinstance(node, ast.If | ast.With):
            yield from node.body


def _assigned(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]
