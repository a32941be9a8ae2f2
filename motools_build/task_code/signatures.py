"""Tasks and scorers that a module declares, and their parameters, from its source.

What is made by a function, or imported, cannot be seen here: then nothing is refused,
and loading it decides.
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
    """What a module declares with one decorator. JSON-like, as a note."""

    there: dict[str, list[str] | None] = field(default_factory=dict)
    """Name -> its parameters; None where they cannot be told. A task that is given a
    name of its own is there by both."""
    bound: list[str] = field(default_factory=list)
    """Other names of the module, which may stand for one."""
    more: bool = False
    """Whether the module may make any others."""


def check(notes: Mapping[str, Any], kind: str, place: str, args: Iterable[str]) -> None:
    """Refuse a task, or an argument of it, that its file surely does not have: `notes`
    are `declared`'s. Raises EvalError."""
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
    """`Declared` of a module, as JSON, for the decorator `task` or `scorer`."""
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
            if name is None:  # of an expression
                found.more = True
            elif name:
                found.there[name] = parameters
    for name, parameters in functions.items():
        found.there.setdefault(name, parameters)
    found.bound = sorted({*_bound(tree)} - {*found.there})
    # the decorator in a function, or called as one
    found.more |= any(
        _is(node, words) and id(node) not in seen
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
    )
    found.more |= _calls_what_it_imports(tree)
    return asdict(found)


def _is(node: ast.expr, words: set[str]) -> bool:
    return getattr(node, "id", getattr(node, "attr", None)) in words


def _outside_functions(tree: ast.Module) -> Iterator[ast.AST]:
    """What runs when the module is imported: below `if` and `try`, too."""
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))


def _other_names(tree: ast.Module, word: str) -> Iterator[str]:
    """`from inspect_ai import task as t`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(INSPECT):
            yield from (a.asname for a in node.names if a.name == word and a.asname)


def _given_name(decorator: ast.expr) -> str | None:
    """The name that the decorator gives; empty if none, None if it cannot be told."""
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
    """None for a class, for `**kwargs`, and where another decorator may change them."""
    if isinstance(node, ast.ClassDef) or len(node.decorator_list) > 1:
        return None
    if node.args.kwarg is not None:
        return None
    args = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    return [arg.arg for arg in args]


def _bound(tree: ast.Module) -> Iterator[str]:
    """Names of a module that may stand for a task: `gen_a = make("a")`, and what is
    imported from elsewhere than Inspect and Python."""
    for node in _outside_functions(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            yield from (t.id for t in node.targets if isinstance(t, ast.Name))
        elif isinstance(node, ast.ImportFrom) and _may_bring_tasks(node):
            yield from (alias.asname or alias.name for alias in node.names)


def _may_bring_tasks(node: ast.ImportFrom) -> bool:
    top = (node.module or "").split(".")[0]
    return bool(node.level) or (top != INSPECT and top not in sys.stdlib_module_names)


def _calls_what_it_imports(tree: ast.Module) -> bool:
    """Whether a function of another module is called when this one is imported, which
    may make tasks; or all of another module is imported."""
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
