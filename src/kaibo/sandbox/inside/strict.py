"""A test whose comparisons tell a bool from a number: its syntax tree with `==`, `!=`, `in` and `not in` replaced."""

import ast
import operator
from collections.abc import Callable
from typing import Any

from kaibo.sandbox.inside.plain import Handle
from kaibo.sandbox.inside.sameness import same

PLAIN = (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset, type(None), Handle)


def equal(one: Any, other: Any) -> Any:
    """What `==` gives in a test: strict for plain values, False for an object of the sample's, else Python's own."""
    if isinstance(one, Handle) or isinstance(other, Handle):
        return False
    return same(one, other) if isinstance(one, PLAIN) and isinstance(other, PLAIN) else one == other


def _unequal(one: Any, other: Any) -> Any:
    plain = isinstance(one, PLAIN) and isinstance(other, PLAIN)
    return not equal(one, other) if plain else one != other


def _within(one: Any, other: Any) -> Any:
    if isinstance(other, list | tuple | set | frozenset | dict):
        return any(equal(one, each) for each in other)
    return one in other


COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: equal,
    ast.NotEq: _unequal,
    ast.In: _within,
    ast.NotIn: lambda one, other: not _within(one, other),
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
NAMES = {kind.__name__: compared for kind, compared in COMPARED.items()}
REPLACED = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)


def _compared(names: tuple[str, ...], *values: Any) -> Any:
    """What `values[0] names[0] values[1] names[1] …` gives."""
    found: Any = True
    for name, one, other in zip(names, values[:-1], values[1:], strict=True):
        found = NAMES[name](one, other)
        if not found:
            break
    return found


STRICT: dict[str, Any] = {"__kaibo_compared__": _compared}
"""What a strict test finds among its names."""


class _Strict(ast.NodeTransformer):
    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if not any(isinstance(each, REPLACED) for each in node.ops):
            return node
        names = ast.Tuple([ast.Constant(type(each).__name__) for each in node.ops], ast.Load())
        called = ast.Name("__kaibo_compared__", ast.Load())
        return ast.copy_location(ast.Call(called, [names, node.left, *node.comparators], []), node)


def strict(tree: ast.Module) -> ast.Module:
    """The tree with its comparisons replaced."""
    replaced: ast.Module = _Strict().visit(tree)
    return ast.fix_missing_locations(replaced)


def top_names(code: str) -> set[str]:
    """The names that a piece of code binds at its top: functions, classes, imports, assignments, loop variables."""
    found: set[str] = set()
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            found.add(statement.name)
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.alias):
                found.add((node.asname or node.name).partition(".")[0])
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
    return found


def free_names(code: str) -> set[str]:
    """The names that a piece of code reads and that nothing in it binds as an argument or a variable."""
    nodes = list(ast.walk(ast.parse(code)))
    bound = {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)} - bound
