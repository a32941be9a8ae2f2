"""What the source of a user's module imports, declares and names. It is not run."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from motools_build.errors import EvalError
from motools_build.task_code.signatures import declared

SCAN = "python-4"
"""Name of the memo's notes on module sources; changes with what `scanned` returns."""


def scanned(source: bytes, path: str) -> dict[str, Any]:
    """Imports, tasks, scorers and string literals of a module. Raises EvalError, with
    file and line, for a source that is not valid Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise EvalError(
            f"{path}:{getattr(error, 'lineno', None) or 1}: not valid Python "
            f"({getattr(error, 'msg', error)})"
        ) from error
    return {
        "imports": sorted(set(_imports(tree))),
        "tasks": declared(tree, "task"),
        "scorers": declared(tree, "scorer"),
        "literals": sorted(set(_literals(tree))),
    }


def module_files(
    roots: tuple[PurePosixPath, ...], words: list[str]
) -> Iterator[PurePosixPath]:
    """The files that an import of a dotted name may execute, including the
    `__init__.py` of its parent packages."""
    for root in roots:
        for depth in range(1, len(words) + 1):
            stem = root.joinpath(*filter(None, words[:depth]))
            candidates = [stem / "__init__.py"]
            if stem.name:
                candidates.append(stem.with_name(stem.name + ".py"))
            yield from (c for c in candidates if os.path.isfile(c))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (node.module or "")
            if node.module:
                yield prefix
            for alias in node.names:  # each name may be a module
                dot = "." if node.module else ""
                yield f"{prefix}{dot}{alias.name}"


def _literals(tree: ast.AST) -> Iterator[str]:
    """String literals that may be the path of a data file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            value: Any = node.value
            if isinstance(value, str) and may_be_a_path(value):
                yield value


def may_be_a_path(text: str) -> bool:
    """Whether a text may be a relative path: short, and without characters that are
    unusual in file names."""
    return (
        0 < len(text.encode(errors="replace")) < 200
        and not text.startswith("/")
        and not set(text) & set("\0\n\t:*?<>|{}")
    )
