"""What pyproject.toml declares is what the package imports, and nothing more."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions

from tests.conftest import ROOT

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

RUN = {"pip", "vllm"}
"""Programs that are run, not imported."""

BROUGHT = {"boto3"}
"""What inspect-ai needs itself: see the comment at the extra `store`."""

SPELLED = {"mlflow": "mlflow-skinny"}
"""Modules that several distributions have, and the one that is declared."""

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements: list[str]) -> set[str]:
    return {one(re.split(r"[<>=!~;\[ ]", line)[0]) for line in requirements}


def one(name: str) -> str:
    """One spelling, as in PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


MODULES = packages_distributions()
"""Module -> the distributions that have it. To look takes seconds."""


def distribution(module: str) -> str:
    """What brings a module; its own name if it is not installed, as extras may be."""
    found = MODULES.get(module, [module])
    return one(SPELLED.get(module, found[0]))


ALWAYS = names(PROJECT["dependencies"])
EXTRAS = {
    extra: names(lines)
    for extra, lines in PROJECT["optional-dependencies"].items()
    if extra != "dev"
}


def imported() -> Iterator[tuple[str, bool, str]]:
    """Package, whether it is imported when its module is, and where."""
    for file in sorted((ROOT / "motools_build").rglob("*.py")):
        tree = ast.parse(file.read_bytes())
        at_once = {id(node) for node in outside(tree, FUNCTIONS)}
        for node in outside(tree, ()):
            found: list[str] = []
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found = [node.module]
            elif isinstance(node, ast.Call) and _name(node.func) == "import_module":
                found = [a.value for a in node.args if isinstance(a, ast.Constant)]
            for name in found:
                top = name.split(".")[0]
                if top not in sys.stdlib_module_names and top != "motools_build":
                    where = f"{file.relative_to(ROOT)}:{node.lineno}"
                    yield top, id(node) in at_once, where


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else ""


def outside(tree: ast.Module, kinds: tuple[type, ...]) -> Iterator[ast.AST]:
    """What runs, but for what stands in nodes of these kinds, and types alone."""
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, kinds):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


APART = "motools_build/backends/local/"
"""The folder whose modules are imported only where torch is to be used."""

LIGHT = {
    *("__init__.py", "backend.py", "facts.py", "folders.py", "loading.py"),
    *("devices.py", "table.py", "serving/guardian.py", "serving/places.py"),
    *("serving/asked.py", "serving/server.py", "serving/speaking.py"),
}
"""Modules of that folder that are imported without torch."""


def test_declared_is_what_is_imported() -> None:
    found = {distribution(top) for top, _, _ in imported()}
    declared = ALWAYS.union(*EXTRAS.values())
    assert (found - BROUGHT) | RUN == declared


def test_what_an_extra_brings_is_imported_when_it_is_used() -> None:
    for top, at_once, where in imported():
        file = where.partition(":")[0]
        if file.startswith(APART) and file.removeprefix(APART) not in LIGHT:
            continue
        if distribution(top) not in ALWAYS:
            assert not at_once, where


def test_each_extra_is_named_where_it_is_missing() -> None:
    """`pip install 'motools_build[language]'` stands beside the import."""
    text = "".join(p.read_text() for p in (ROOT / "motools_build").rglob("*.py"))
    for extra in EXTRAS:
        assert f"motools_build[{extra}]" in text, extra


def test_the_zoo_and_the_tests_have_all_that_they_need() -> None:
    """The README's `pip install -e '.[dev]'` brings every extra but torch, vLLM and the
    trackers, which are large; .ci/run installs them for the tests that need them."""
    (extras,) = re.findall(
        r"motools_build\[(.*?)\]", " ".join(PROJECT["optional-dependencies"]["dev"])
    )
    large = {"local", "vllm", "wandb", "mlflow", "trackio"}
    assert set(extras.split(",")) == set(EXTRAS) - large
