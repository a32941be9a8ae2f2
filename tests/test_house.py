"""The shape of the source: small modules, small functions, no circles of imports.

The import contract in pyproject.toml holds the rooms of the package in order; these
tests hold what it does not see.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

import motools_build

PACKAGE = Path(motools_build.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
BENCHMARKS = sorted((PACKAGE.parent / "benchmarks").glob("*.py"))

MODULE_LINES = 300
FUNCTION_LINES = 60


def named(path: Path) -> str:
    return str(path.relative_to(PACKAGE.parent))


@pytest.mark.parametrize("path", SOURCES + BENCHMARKS, ids=named)
def test_a_module_and_its_functions_are_short(path: Path) -> None:
    source = path.read_text()
    lines = len(source.splitlines())
    assert lines <= MODULE_LINES, f"{named(path)} has {lines} lines"
    long = {
        f"{node.name} (line {node.lineno})": length
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    }
    assert not long, f"{named(path)}: functions of more than {FUNCTION_LINES} lines"


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Not for types alone either: two modules that name each other are one."""
    graph = grimp.build_graph("motools_build", exclude_type_checking_imports=False)
    imports = {
        module: graph.find_modules_directly_imported_by(module)
        for module in graph.modules
    }
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")
