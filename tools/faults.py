"""Faults: the small changes that make mutants of source files.

========== ==================================================================================
kind       change
========== ==================================================================================
comparison ``<`` to ``<=`` and ``>=``, ``==`` to ``!=``, ``in`` to ``not in``, and so on
number     a whole number to the one above and the one below
condition  ``and`` to ``or``, ``True`` to ``False``, ``not x`` to ``x``, ``if x`` to ``if not x``
operation  ``+`` to ``-``, ``*`` to ``/``, ``-x`` to ``x``, and so on
statement  a call, raise, break, continue, del or ``x += y`` left out; ``return x`` to None
min or max min to max, any to all, and the like
slice      either bound to the one above and the one below
========== ==================================================================================

Imports, annotations, docstrings, decorators and the parts of f-strings stay as they are.
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPERATIONS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
_NAMES = {"min": "max", "minimum": "maximum", "any": "all"}
_NAMES |= {new: old for old, new in _NAMES.items()}
_STATEMENTS = ast.Raise | ast.AugAssign | ast.Break | ast.Continue | ast.Delete


@dataclass(frozen=True)
class Mutant:
    """A fault: in a file, the bytes ``begin..end`` give way to `text`.

    `first` and `last` are the lines of the statement around it, or of its head; `everywhere` says
    that these run at import, or once for many.
    """

    path: str
    kind: str
    begin: int
    end: int
    text: str
    first: int
    last: int
    everywhere: bool

    @property
    def name(self) -> str:
        """What tells it from all others."""
        return f"{self.path}:{self.begin}-{self.end}:{self.text}"


class _Finder:
    """Finds the mutants of a file, in the order of the source."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path, self.source, self.found = path, source, list[Mutant]()
        self.lines = [0]
        for line in source.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))
        self.place = 1, 1, True
        self.body(ast.parse(source).body, True)

    def add(self, kind: str, old: ast.AST, new: ast.AST | str) -> None:
        begin, end = self.span(old)
        text = new if isinstance(new, str) else ast.unparse(new)
        if isinstance(new, ast.expr) and not isinstance(new, ast.Constant | ast.Name):
            text = f"({text})"
        self.found.append(Mutant(self.path, kind, begin, end, text, *self.place))

    def span(self, node: Any) -> tuple[int, int]:
        begin = self.lines[node.lineno - 1] + node.col_offset
        return begin, self.lines[node.end_lineno - 1] + node.end_col_offset

    def body(self, statements: list[ast.stmt], everywhere: bool) -> None:
        for statement in statements:
            self.statement(statement, everywhere)

    def statement(self, node: ast.stmt, everywhere: bool) -> None:
        inner = getattr(node, "body", [])
        last = max(node.lineno, inner[0].lineno - 1) if inner else node.end_lineno or node.lineno
        self.place = node.lineno, last, everywhere
        match node:
            case ast.Assign(targets=[ast.Name("__all__")]) | ast.Import() | ast.ImportFrom():
                return
            case ast.If(test=ast.Name("TYPE_CHECKING")):
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for default in (*node.args.defaults, *node.args.kw_defaults):
                    if default is not None:
                        self.expression(default)
                self.body(inner, any("cache" in ast.unparse(d) for d in node.decorator_list))
                return
            case ast.ClassDef():
                self.body(inner, True)
                return
            case ast.Expr(ast.Constant()):  # a docstring
                return
            case ast.Expr(ast.Call()):
                self.add("statement", node, "pass")
            case ast.Return(value) if value is not None and not _is_none(value):
                self.add("statement", node, "return None")
            case ast.If(test) | ast.While(test):
                self.condition(test)
        if isinstance(node, _STATEMENTS):
            self.add("statement", node, "pass")
        if isinstance(node, ast.AugAssign) and type(node.op) in _OPERATIONS:
            new = copy.copy(node)
            new.op = _OPERATIONS[type(node.op)]()
            self.add("operation", node, ast.unparse(new))
        blocks = []
        for name, value in ast.iter_fields(node):
            if name in ("body", "orelse", "finalbody", "handlers", "cases"):
                blocks.append(value)
            elif name != "annotation":
                for part in value if isinstance(value, list) else [value]:
                    self.anything(part)
        for block in blocks:
            for part in block:
                if isinstance(part, ast.stmt):
                    self.statement(part, everywhere)
                else:  # of except or case
                    if getattr(part, "guard", None) is not None:
                        self.anything(part.guard)
                    self.body(part.body, everywhere)

    def anything(self, node: object) -> None:
        if isinstance(node, ast.expr):
            self.expression(node)
        elif isinstance(node, ast.AST):
            for part in ast.iter_child_nodes(node):
                self.anything(part)

    def condition(self, test: ast.expr) -> None:
        if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant):
            self.add("condition", test, ast.UnaryOp(ast.Not(), test))

    def expression(self, node: ast.expr) -> None:
        match node:
            case ast.JoinedStr():  # Python 3.11 does not know where its parts are
                return
            case ast.Compare():
                for at, op in enumerate(node.ops):
                    for other in _COMPARISONS[type(op)]:
                        ops = [*node.ops[:at], other(), *node.ops[at + 1 :]]
                        self.add("comparison", node, ast.Compare(node.left, ops, node.comparators))
            case ast.Constant(bool() as value):
                self.add("condition", node, ast.Constant(not value))
            case ast.Constant(int() as value):
                self.add("number", node, ast.Constant(value + 1))
                self.add("number", node, f"({value - 1})" if value < 1 else str(value - 1))
            case ast.BoolOp(op, values):
                self.add("condition", node, ast.BoolOp(_flipped(op), values))
            case ast.UnaryOp(ast.Not(), operand):
                self.add("condition", node, operand)
            case ast.UnaryOp(ast.USub() | ast.Invert(), operand):
                self.add("operation", node, operand)
            case ast.BinOp(left, op, right) if type(op) in _OPERATIONS:
                self.add("operation", node, ast.BinOp(left, _OPERATIONS[type(op)](), right))
            case ast.IfExp():
                self.condition(node.test)
            case ast.Call(func=ast.Name(name) as called) if name in _NAMES:
                self.add("min or max", called, _NAMES[name])
            case ast.Call(func=ast.Attribute(of, name) as called) if name in _NAMES:
                self.add("min or max", called, f"{ast.unparse(of)}.{_NAMES[name]}")
            case ast.Slice(lower, upper):
                for bound in (lower, upper):
                    if bound is not None and not isinstance(bound, ast.Constant):
                        self.add("slice", bound, ast.BinOp(bound, ast.Add(), ast.Constant(1)))
                        self.add("slice", bound, ast.BinOp(bound, ast.Sub(), ast.Constant(1)))
        for part in ast.iter_child_nodes(node):
            self.anything(part)


def _flipped(op: ast.boolop) -> ast.boolop:
    return ast.Or() if isinstance(op, ast.And) else ast.And()


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def mutated(source: bytes, mutant: Mutant) -> bytes:
    """Return the source of a mutant's file, with its fault."""
    return source[: mutant.begin] + mutant.text.encode() + source[mutant.end :]


def mutants(paths: list[Path], root: Path) -> list[Mutant]:
    """Return all mutants of Python files and folders of them, each once."""
    files = {f for path in paths for f in (path.rglob("*.py") if path.is_dir() else [path])}
    found: dict[str, Mutant] = {}
    for file in sorted(files):
        source = file.read_bytes()
        tree = ast.dump(ast.parse(source))
        for mutant in _Finder(file.relative_to(root).as_posix(), source).found:
            if ast.dump(ast.parse(mutated(source, mutant))) != tree:
                found.setdefault(mutant.name, mutant)
    return list(found.values())
