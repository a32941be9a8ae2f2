"""Finds the tasks and scorers that a module declares, and their parameters, by parsing.

Tasks that a function creates, or that are imported, cannot be found this way. If a
module may have such tasks, no name is refused here, and the load check decides.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from motools_build.errors import EvalError
from motools_build.text.similar import known

INSPECT = "inspect_ai"


@dataclass
class Declared:
    """The tasks, or the scorers, of a module. All fields are JSON values, so that the
    digest memo can keep them."""

    there: dict[str, list[str] | None] = field(default_factory=dict)
    """Name -> parameter names; None if the parameters are unknown. A task declared with
    `name=` is listed under that name and under its function's."""
    bound: list[str] = field(default_factory=list)
    """Other names in the module that may be bound to a task."""
    more: bool = False
    """Whether the module may create further tasks, of any name."""


def check(notes: Mapping[str, Any], kind: str, place: str, args: Iterable[str]) -> None:
    """Raises EvalError for a task, or an argument of it, that the file certainly does
    not have. `notes` are the result of `declared`; `place` is `file.py@task`."""
    declares = Declared(**notes)
    file, _, name = place.partition("@")
    if name not in declares.there and name not in declares.bound and not declares.more:
        raise EvalError(
            f"{file} has no @{kind} {name!r}; {known(name, declares.there)}"
        )
    parameters = declares.there.get(name)
    if parameters is None:
        return
    for arg in args:
        if arg not in parameters:
            field = "args" if kind == "task" else "scorer_args"
            raise EvalError(
                f"{field}: {place} has no parameter {arg!r}; {known(arg, parameters)}"
            )


def declared(tree: ast.Module, word: str) -> dict[str, Any]:
    """The `Declared` of a module as a dict, for the decorator `word` (`task` or
    `scorer`)."""
    found = Declared()
    words = {word, *_other_names(tree, word)}
    functions: dict[str, list[str] | None] = {}
    seen: set[int] = set()
    for node in _outside_functions(tree):
        for decorator in getattr(node, "decorator_list", ()):
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if not _is(call, words):
                continue
            seen.update(id(part) for part in ast.walk(decorator))
            parameters = _parameters(node)
            functions[node.name] = parameters  # type: ignore[attr-defined]
            name = _given_name(decorator)
            if name is None:  # the name is an expression
                found.more = True
            elif name:
                found.there[name] = parameters
    for name, parameters in functions.items():
        found.there.setdefault(name, parameters)
    found.bound = sorted({*_bound(tree)} - {*found.there})
    # the decorator may be used within a function, or called like a function
    found.more |= any(
        _is(node, words) and id(node) not in seen
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
    )
    found.more |= _calls_what_it_imports(tree)
    return asdict(found)


def _is(node: ast.expr, words: set[str]) -> bool:
    """Whether a name, or the last part of a dotted name, is one of the words."""
    return getattr(node, "id", getattr(node, "attr", None)) in words


def _outside_functions(tree: ast.Module) -> Iterator[ast.AST]:
    """The nodes that are executed when the module is imported, including those within
    `if` and `try`."""
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def _other_names(tree: ast.Module, word: str) -> Iterator[str]:
    """Aliases of the decorator, as in `from inspect_ai import task as t`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(INSPECT):
            yield from (a.asname for a in node.names if a.name == word and a.asname)


def _given_name(decorator: ast.expr) -> str | None:
    """The `name=` of the decorator; empty if there is none, None if it is not a
    literal."""
    if not isinstance(decorator, ast.Call):
        return ""
    for keyword in decorator.keywords:
        if keyword.arg is None:
            return None
        if keyword.arg == "name":
            value = keyword.value
            return str(value.value) if isinstance(value, ast.Constant) else None
    return ""


def _parameters(node: Any) -> list[str] | None:
    """The parameter names of a function. None if they are unknown: for a class, for
    `**kwargs`, and with a second decorator, which may change them."""
    if isinstance(node, ast.ClassDef) or len(node.decorator_list) > 1:
        return None
    if node.args.kwarg is not None:
        return None
    args = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    return [arg.arg for arg in args]


def _bound(tree: ast.Module) -> Iterator[str]:
    """Names in a module that may be bound to a task: `gen_a = make("a")`, and imports
    from modules other than Inspect's and Python's."""
    for node in _outside_functions(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            yield from (t.id for t in node.targets if isinstance(t, ast.Name))
        elif isinstance(node, ast.ImportFrom) and _may_bring_tasks(node):
            yield from (alias.asname or alias.name for alias in node.names)


def _may_bring_tasks(node: ast.ImportFrom) -> bool:
    top = (node.module or "").split(".")[0]
    return bool(node.level) or (top != INSPECT and top not in sys.stdlib_module_names)


def _calls_what_it_imports(tree: ast.Module) -> bool:
    """Whether importing the module calls a function of another module, which may create
    tasks, or imports all names of another module (`import *`)."""
    imported: set[str] = set()
    for node in _outside_functions(tree):
        if isinstance(node, ast.ImportFrom) and _may_bring_tasks(node):
            imported |= {alias.asname or alias.name for alias in node.names}
    called = {
        node.func.id
        for node in _outside_functions(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return "*" in imported or bool(imported & called)
