"""Constants of a Python file, worked out from its syntax tree: nothing is executed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

UNKNOWN = object()
"""Not a constant."""
_MAX_DEPTH = 40
LARGEST = 2**63
"""Larger whole numbers are no constants: nobody means them, and they cannot always be printed."""


def constant(node: ast.expr | None, names: Mapping[str, Any], depth: int = 0) -> Any:
    """The value of a literal, of a constant's name, or of ``CONSTANT.get(key, default)``; else UNKNOWN."""
    if depth > _MAX_DEPTH:
        return UNKNOWN
    match node:
        case ast.Constant():
            return UNKNOWN if isinstance(node.value, int) and abs(node.value) > LARGEST else node.value
        case ast.Name():
            known = names.get(node.id, UNKNOWN)
            return (
                UNKNOWN if depth and isinstance(known, list | dict) else known
            )  # shared parts would multiply
        case ast.UnaryOp(op=ast.USub()):
            value = constant(node.operand, names, depth + 1)
            return -value if isinstance(value, int | float) else UNKNOWN
        case ast.Tuple() | ast.List():
            values = [constant(item, names, depth + 1) for item in node.elts]
            return UNKNOWN if UNKNOWN in values else values
        case ast.Dict():
            return _dictionary(node, names, depth)
        case ast.Call(func=ast.Attribute(attr="get"), args=[_, *_], keywords=[]):
            return _get(node, names, depth)
    return UNKNOWN


def _dictionary(node: ast.Dict, names: Mapping[str, Any], depth: int) -> Any:
    found = {}
    for key, value in zip(node.keys, node.values, strict=True):
        name = constant(key, names, depth + 1)
        if not isinstance(name, str | int | float | bool):
            return UNKNOWN
        found[name] = constant(value, names, depth + 1)
    return UNKNOWN if UNKNOWN in found.values() else found


def _get(node: ast.Call, names: Mapping[str, Any], depth: int) -> Any:
    assert isinstance(node.func, ast.Attribute)  # as matched
    table = names.get(node.func.value.id) if isinstance(node.func.value, ast.Name) else None
    key = constant(node.args[0], names, depth + 1)
    default = constant(node.args[1], names, depth + 1) if len(node.args) > 1 else None
    if not isinstance(table, dict) or not isinstance(key, str | int):
        return UNKNOWN
    found = table.get(key, default)
    return UNKNOWN if isinstance(found, list | dict) else found  # shared parts would multiply


def constants(tree: ast.Module) -> dict[str, Any]:
    """Module-level names that are constants."""
    found: dict[str, Any] = {}
    for target, value in assignments(tree.body):
        if isinstance(target, ast.Name) and (known := constant(value, found)) is not UNKNOWN:
            found[target.id] = known
    return found


def assignments(body: list[ast.stmt]) -> Iterator[tuple[ast.expr, ast.expr]]:
    """(target, value) of the assignments of a block and of the ``if`` blocks in it, however many ``elif``."""
    left = body[::-1]
    while left:
        match left.pop():
            case ast.Assign(targets=targets, value=value):
                yield from ((target, value) for target in targets)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield target, value
            case ast.If(body=inner, orelse=others):
                left += [*others[::-1], *inner[::-1]]


def dotted(node: ast.expr | None) -> str:
    """``a.b.c`` of a chain of names; '' for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])


def is_number(value: object) -> bool:
    """Whether a constant is a number that a setting can be: finite, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def keywords(call: ast.Call) -> dict[str, ast.expr]:
    """Keyword arguments of a call by name."""
    return {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}
