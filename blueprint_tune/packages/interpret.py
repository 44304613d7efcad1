"""Running a term's function on paper: does it earn anything, and what breaks it.

The function's syntax tree is walked with values that know only whether they are None, zero, negative or of a
wrong shape, against what the scene and the environment provide. Nothing of the package is executed.
"""

from __future__ import annotations

import ast
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from blueprint_tune.packages.knowledge import ENV_ATTRIBUTES, is_asset_data
from blueprint_tune.packages.static import UNKNOWN, constant, dotted, keywords
from blueprint_tune.packages.values import (
    ANY,
    Known,
    Raised,
    Tensor,
    Thing,
    Value,
    add,
    as_tensor,
    either,
    multiply,
    negate,
)

Kind = Literal["live", "zero", "raises", "shape", "unknown"]
_MOST_STEPS = 20_000
"""Of one function."""
_KEEPS_ZERO = frozenset(
    ("float", "bool", "int", "clone", "abs", "tanh", "sqrt", "square", "sum", "mean", "norm", "clamp",
     "unsqueeze", "squeeze")
)  # fmt: skip
_SIGNLESS = frozenset({"abs", "norm", "exp", "sigmoid", "square"})
_FACTORIES = {"zeros": True, "zeros_like": True, "ones": False, "ones_like": False}


@dataclass
class Steps:
    """What following the functions of one package may cost altogether: each of its terms takes from it."""

    left: int = 200_000


class _TooMuch(Exception):
    """A function, or what was followed before it, has used up its steps."""


@dataclass(frozen=True)
class Verdict:
    """What a function does at run time.

    Attributes:
        kind: live, zero (always), raises, shape (of another shape than (N,)), or unknown.
        why: what is missing or wrong, '' when live. line: where. negative: it never returns more than zero.
    """

    kind: Kind
    why: str = ""
    line: int = 0
    negative: bool = False


def judge(
    function: ast.FunctionDef,
    params: Mapping[str, Any],
    entities: Container[str],
    names: Mapping[str, Any],
    generous: bool = False,
    steps: Steps | None = None,
) -> Verdict:
    """The verdict on ``function(env, **params)``.

    ``entities``: what the scene provides. ``names``: the module's constants. ``generous``: as if scene and
    environment provided whatever is asked for. ``env.scene.get`` is taken to exist, which Isaac Lab lacks.
    ``steps``: what is left for it and those that come after.
    """
    try:
        result, line = _Walk(function, params, entities, names, generous, steps or Steps()).run()
    except _TooMuch:
        return Verdict("unknown", "it is too much to be followed", function.lineno)
    except Raised as error:
        return Verdict("raises", error.text, error.line)
    except RecursionError:
        return Verdict("unknown", "it is too deep to be followed", function.lineno)
    if result is None:
        return Verdict("unknown", "it could not be followed to a return", function.lineno)
    tensor = as_tensor(result)
    if tensor.zero:
        return Verdict("zero", tensor.why, line)
    if tensor.extra:
        text = f"its shape is {tensor.extra}: find_bodies()[0] is a list, so it adds a dimension"
        return Verdict("shape", text, line, tensor.negative)
    return Verdict("live", "", line, tensor.negative)


class _Walk:
    def __init__(
        self,
        function: ast.FunctionDef,
        params: Mapping[str, Any],
        entities: Container[str],
        names: Mapping[str, Any],
        generous: bool,
        steps: Steps,
    ) -> None:
        self.function, self.entities, self.names = function, entities, names
        self.steps, self.until = steps, max(0, steps.left - _MOST_STEPS)
        self.generous, self.missing = generous, ""
        self.scope: dict[str, Value] = {}
        arguments = function.args.args
        defaults = function.args.defaults
        for argument, default in zip(arguments[len(arguments) - len(defaults) :], defaults):
            self.scope[argument.arg] = self.evaluate(default)
        for name, given in params.items():
            self.scope[name] = self.evaluate(given) if isinstance(given, ast.expr) else Known(given)
        if arguments:
            self.scope[arguments[0].arg] = Thing("env")

    def spend(self, steps: int) -> None:
        self.steps.left -= steps
        if self.steps.left < self.until:
            raise _TooMuch

    def run(self) -> tuple[Value | None, int]:
        """What the function returns and on which line; None where that cannot be told."""
        return self.block(self.function.body) or (None, 0)

    def block(self, body: Sequence[ast.stmt]) -> tuple[Value, int] | None:
        for statement in body:
            if (returned := self.statement(statement)) is not None:
                return returned
        return None

    def statement(self, node: ast.stmt) -> tuple[Value, int] | None:
        self.spend(1)
        match node:
            case ast.Return():
                value = Known(None) if node.value is None else self.evaluate(node.value)
                return self._reasoned(value), node.lineno
            case ast.Assign(targets=targets, value=value):
                result = self.evaluate(value)
                for target in targets:
                    self._assign(target, result)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, self.evaluate(value))
            case ast.AugAssign(target=target, value=value):
                self._assign(target, add(self.evaluate(_loaded(target)), self.evaluate(value)))
            case ast.If():
                return self._if(node)
            case ast.Try(body=body):
                return self.block(body)
            case ast.With(body=body):
                return self.block(body)
            case ast.Expr(value=value):
                self.evaluate(value)
        return None

    def _if(self, node: ast.If) -> tuple[Value, int] | None:
        test = self.truth(self.evaluate(node.test))
        if test is not None:
            return self.block(node.body if test else node.orelse)
        self.spend(len(self.scope))
        before = dict(self.scope)
        for body in (
            node.body,
            node.orelse,
        ):  # whichever it is, a return does not end the walk
            self.block(body)
        self.scope = {name: either(before.get(name, value), value) for name, value in self.scope.items()}
        return None

    def _assign(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self.scope[target.id] = value
        elif isinstance(target, ast.Tuple):
            for item in target.elts:
                self._assign(item, ANY)

    def _reasoned(self, value: Value) -> Value:
        if isinstance(value, Tensor) and value.zero and not value.why:
            return Tensor(True, why=self.missing)
        return value

    def truth(self, value: Value) -> bool | None:
        """True, False, or None where it depends."""
        if isinstance(value, Known):
            return bool(value.value)
        return True if isinstance(value, Thing) else None

    def evaluate(self, node: ast.expr) -> Value:
        self.spend(1)
        match node:
            case ast.Name(id=name):
                if name in self.scope:
                    return self.scope[name]
                known = self.names.get(name, UNKNOWN)
                return Thing("module", name) if known is UNKNOWN else Known(known)
            case ast.Attribute():
                return self._attribute(self.evaluate(node.value), node.attr, node.lineno)
            case ast.Subscript():
                return self._subscript(node)
            case ast.Call():
                return self._call(node)
            case ast.BinOp():
                return self._binary(node)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._minus(self.evaluate(operand))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                test = self.truth(self.evaluate(operand))
                return ANY if test is None else Known(not test)
            case ast.BoolOp():
                return self._boolean(node)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._compare(left, op, right)
            case ast.IfExp():
                test = self.truth(self.evaluate(node.test))
                if test is not None:
                    return self.evaluate(node.body if test else node.orelse)
                return either(self.evaluate(node.body), self.evaluate(node.orelse))
        self.spend(sum(1 for _ in ast.walk(node)))
        known = constant(node, self.names)
        return ANY if known is UNKNOWN else Known(known)

    def _minus(self, value: Value) -> Value:
        if isinstance(value, Known) and isinstance(value.value, int | float):
            return Known(-value.value)
        return negate(value)

    def _boolean(self, node: ast.BoolOp) -> Value:
        ends = isinstance(node.op, ast.Or)
        result: Value = Known(not ends)
        for part in node.values:
            result = self.evaluate(part)
            if self.truth(result) is ends:
                return result
        return result

    def _compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Value:
        one, other = self.evaluate(left), self.evaluate(right)
        if isinstance(op, ast.Is | ast.IsNot) and other == Known(None):
            return Known((one == Known(None)) is isinstance(op, ast.Is))
        return Tensor(extra=as_tensor(one).extra or as_tensor(other).extra)

    def _binary(self, node: ast.BinOp) -> Value:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        match node.op:
            case ast.Add():
                return add(left, right)
            case ast.Sub():
                return add(left, negate(right))
            case ast.Mult() | ast.Div() | ast.BitAnd():
                return multiply(left, right)
            case ast.Pow():
                return Tensor(as_tensor(left).zero, extra=as_tensor(left).extra, why=as_tensor(left).why)
        return Tensor(extra=as_tensor(left).extra or as_tensor(right).extra)

    def _attribute(self, base: Value, name: str, line: int) -> Value:
        match base:
            case Known(value=None):
                raise Raised(
                    f"'{name}' is read from None{f' ({self.missing})' if self.missing else ''}", line
                )
            case Thing(kind="env"):
                if name == "scene":
                    return Thing("scene")
                if not self._has(base, name):
                    raise Raised(f"the environment has no '{name}'", line)
            case Thing(kind="entity", name=entity):
                return Thing("data", entity) if name == "data" else ANY
            case Thing(kind="data", name=entity):
                if not self._has(base, name):
                    raise Raised(f"the data of '{entity}' has no '{name}' in Isaac Lab 2.3", line)
            case Thing(kind="reference", name=entity):
                return Known(entity) if name == "name" else ANY
            case Thing(kind="module", name=module):
                return Thing("module", f"{module}.{name}")
            case Tensor():
                return Tensor(base.zero, base.negative, base.extra, base.why)
        return ANY

    def _subscript(self, node: ast.Subscript) -> Value:
        base = self.evaluate(node.value)
        if base == Thing("scene"):
            name = self.evaluate(node.slice)
            if isinstance(name, Known) and not self._provides(name):
                raise Raised(f"the scene has no entity '{name.value}'", node.lineno)
            return Thing("entity", str(name.value)) if isinstance(name, Known) else ANY
        if base == Thing("found"):
            return Thing("ids")
        if base == Known(None):
            raise Raised("None is indexed", node.lineno)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        inner = [self.evaluate(part) for part in parts if not isinstance(part, ast.Slice)]
        tensor = as_tensor(base)
        extra = "(N, 1)" if Thing("ids") in inner else tensor.extra
        return Tensor(tensor.zero, tensor.negative, extra, tensor.why)

    def _call(self, node: ast.Call) -> Value:
        function = dotted(node.func)
        match function:
            case "getattr" if len(node.args) in (2, 3):
                return self._getattr(node)
            case "hasattr" if len(node.args) == 2:
                return self._hasattr(node)
            case "SceneEntityCfg" | "resolve_scene_entity" if node.args:
                name = self.evaluate(node.args[0])
                return Thing("reference", str(name.value)) if isinstance(name, Known) else ANY
        arguments = [self.evaluate(argument) for argument in node.args]
        arguments += [self.evaluate(argument) for argument in keywords(node).values()]
        last = function.rpartition(".")[2] if function else ""
        if isinstance(node.func, ast.Attribute):
            base = self.evaluate(node.func.value)
            if base == Thing("scene") and node.func.attr == "get":
                return self._entity(arguments)
            if isinstance(base, Thing) and node.func.attr == "find_bodies":
                return Thing("found")
            if not (isinstance(base, Thing) and base.kind == "module"):
                self._attribute(base, node.func.attr, node.lineno)
                arguments, last = [base, *arguments], node.func.attr
        return self._computed(last, arguments)

    def _computed(self, name: str, arguments: list[Value]) -> Value:
        """The result of a function of PyTorch or of a method of a tensor."""
        if name in _FACTORIES:
            return Tensor(zero=_FACTORIES[name])
        if name == "where" and len(arguments) == 3:
            chosen = as_tensor(either(arguments[1], arguments[2]))
            extra = chosen.extra or as_tensor(arguments[0]).extra
            return Tensor(chosen.zero, chosen.negative, extra, chosen.why)
        first = as_tensor(arguments[0]) if arguments else ANY
        zero = first.zero and name in _KEEPS_ZERO
        return Tensor(zero, first.negative and name not in _SIGNLESS, first.extra, first.why if zero else "")

    def _entity(self, arguments: list[Value]) -> Value:
        name = arguments[0] if arguments else ANY
        if not isinstance(name, Known):
            return ANY
        if self._provides(name):
            return Thing("entity", str(name.value))
        self.missing = self.missing or f"the scene has no entity '{name.value}'"
        return Known(None)

    def _getattr(self, node: ast.Call) -> Value:
        base, name = self.evaluate(node.args[0]), self.evaluate(node.args[1])
        if not (isinstance(name, Known) and isinstance(name.value, str)):
            return ANY
        if len(node.args) == 2 or self._has(base, name.value):
            return self._attribute(base, name.value, node.lineno)
        default = self.evaluate(node.args[2])
        if default == Known(None) or as_tensor(default).zero:
            owner = "the environment" if base == Thing("env") else "it"
            self.missing = self.missing or f"{owner} has no '{name.value}'"
        return default

    def _hasattr(self, node: ast.Call) -> Value:
        base, name = self.evaluate(node.args[0]), self.evaluate(node.args[1])
        if not (isinstance(name, Known) and isinstance(name.value, str)):
            return ANY
        has = self._has(base, name.value)
        if not has and isinstance(base, Thing) and base.kind == "data":
            self.missing = self.missing or f"the data of '{base.name}' has no '{name.value}' in Isaac Lab 2.3"
        return Known(has)

    def _provides(self, entity: Known) -> bool:
        return self.generous or (isinstance(entity.value, str) and entity.value in self.entities)

    def _has(self, base: Value, name: str) -> bool:
        if self.generous:
            return base != Known(None)
        match base:
            case Thing(kind="env"):
                return name in ENV_ATTRIBUTES
            case Thing(kind="data"):
                return is_asset_data(name)
        return base != Known(None)


def _loaded(target: ast.expr) -> ast.expr:
    """The target of ``x += 1`` as something to be read."""
    return ast.Name(target.id, ast.Load()) if isinstance(target, ast.Name) else ast.Constant(1)
