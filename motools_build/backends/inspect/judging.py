"""Prevents the model under test from judging itself by accident.

If no model is given for a role, Inspect's `get_model(role="grader")` returns the model
under test: it would grade its own answers, and the results would not show it.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from motools_build.errors import EvalFailed


class JudgesItself(EvalFailed):
    """No model is given for a role, so the model under test would take it."""

    def __init__(self, role: str) -> None:
        super().__init__(
            f"no model is given for the role {role!r}, so the model under test would "
            f'take it, and judge itself; name one: Eval(..., roles={{"{role}": '
            '"openai/..."}), or the task\'s own Task(model_roles={...}), where '
            "get_model() is the model itself"
        )

    @property
    def message(self) -> str:
        """The text that Inspect logs for the exception, instead of its `repr`."""
        return str(self)


def no_judge_by_default() -> None:
    """Patch `get_model`, wherever it was imported, to raise JudgesItself for a role
    without a model. Call it before a task's code is loaded, so that the task imports
    the patched function."""
    from inspect_ai.model import _model

    known = vars(_model)["get_model"]
    original = getattr(known, "__wrapped__", known)
    strict = known if known is not original else _strict(original)
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        if names.get("get_model") is original:
            names["get_model"] = strict


def _strict(get_model: Callable[..., Any]) -> Callable[..., Any]:
    from inspect_ai.model._model import model_roles

    @functools.wraps(get_model)
    def strict(
        model: Any = None, *, role: str | None = None, default: Any = None, **more: Any
    ) -> Any:
        falls_back = model is None and default is None
        if role is not None and falls_back and not model_roles().get(role):
            raise JudgesItself(role)
        return get_model(model, role=role, default=default, **more)

    return strict


def roles_unset(scorer: Any, roles: Mapping[str, Any]) -> Iterator[JudgesItself]:
    """An error for each role that the scorer looks up for every answer, but that has no
    model in `roles`. It reads the scorer's source code; a conditional look-up may never
    run, so it is not reported here."""
    scorer = inspect.unwrap(scorer)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(scorer)))
        closed = inspect.getclosurevars(scorer)
    except (OSError, TypeError, ValueError, SyntaxError):  # not a function of a file
        return
    names = {**closed.globals, **closed.nonlocals}
    for node in _always(tree):
        if not isinstance(node, ast.Call) or node.args:
            continue
        called = getattr(node.func, "id", getattr(node.func, "attr", None))
        words = {word.arg: word.value for word in node.keywords}
        if (
            called != "get_model"
            or "role" not in words
            or {"model", "default"} & {*words}
        ):
            continue
        role = _role(words["role"], names)
        if role is not None and not roles.get(role):
            yield JudgesItself(role)


def _always(tree: ast.Module) -> Iterator[ast.AST]:
    """The syntax nodes of a function that run on every call, so none under a condition,
    in a loop or in an inner function."""
    conditional = (
        *(ast.If, ast.IfExp, ast.BoolOp, ast.Try, ast.For, ast.AsyncFor, ast.While),
        *(ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Match),
    )
    waiting: list[ast.AST] = list(getattr(tree.body[0], "body", ()))
    while waiting:
        node = waiting.pop(0)
        if not isinstance(node, conditional):
            yield node
            waiting.extend(ast.iter_child_nodes(node))


def _role(node: ast.expr, names: Mapping[str, Any]) -> str | None:
    """The role name that an expression stands for: a literal, a variable of the scorer,
    or an attribute of one; None if it cannot be determined."""
    if isinstance(node, ast.Constant):
        value: Any = node.value
    elif isinstance(node, ast.Name):
        value = names.get(node.id)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        value = getattr(names.get(node.value.id), node.attr, None)
    else:
        return None
    return value if isinstance(value, str) else None
