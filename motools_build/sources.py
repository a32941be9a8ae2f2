"""What of the disk a spec stands for: the digests that a plan is made from.

Nothing here imports the code it looks at: modules are parsed, never run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from motools_build.errors import DatasetError, EvalError
from motools_build.keys import Digest, DigestMemo
from motools_build.plan import Sources
from motools_build.specs import Dataset, Eval
from motools_build.specs.models import known

SCAN = "python-1"
"""Name of the notes about a module's source; changes with what `_scan` notes."""


class Resolver:
    """`plan`'s `resolve`, backed by a memo; one look per file and process.

    Paths are relative to the project's root, which is the working directory.
    """

    def __init__(self, memo: DigestMemo) -> None:
        self.memo = memo
        self._datasets: dict[str, Sources] = {}
        self._evals: dict[tuple[str, tuple[str, ...]], Sources] = {}

    def __call__(self, spec: Dataset | Eval) -> Sources:
        """Raises DatasetError or EvalError for a file that is not there, or a task
        that its file does not hold."""
        if isinstance(spec, Dataset):
            if spec.path not in self._datasets:
                self._datasets[spec.path] = self._dataset(spec)
            return self._datasets[spec.path]
        if spec.file is None:
            return Sources({}, ())
        known_as = (spec.task, spec.data)
        if known_as not in self._evals:
            self._evals[known_as] = self._eval(spec, spec.file)
        return self._evals[known_as]

    def _dataset(self, spec: Dataset) -> Sources:
        try:
            digest = self.memo.digest(spec.path)
        except OSError as error:
            raise DatasetError(
                f"dataset {spec.name}: {spec.path} cannot be read "
                f"({error.strerror or error}); the path is relative to the "
                "project's root"
            ) from error
        return Sources({"dataset": digest}, (spec.path,))

    def _eval(self, spec: Eval, file: str) -> Sources:
        inputs: dict[str, Digest] = {"task": self._digest(spec, file)}
        files = [file]
        scan = self._scan(file, inputs["task"])
        if spec.function not in scan["tasks"]:
            raise EvalError(
                f"eval {spec.name}: {file} has no @task {spec.function!r}; "
                + known(spec.function, scan["tasks"])
            )
        found: dict[str, str] = {}
        waiting = [file]
        while waiting:
            path = waiting.pop()
            scan = self._scan(path, self._digest(spec, path))
            for role, used in self._used_by(path, scan):
                if used == file or used in found.values():
                    continue
                while role in found:  # two folders may each have a rows.jsonl
                    role += "'"
                found[role] = used
                if role.startswith("module:"):
                    waiting.append(used)
        for literal in spec.data:
            found.setdefault(f"file:{literal}", literal)
        for role, path in found.items():
            inputs[role] = self._digest(spec, path)
            files.append(path)
        return Sources(inputs, tuple(dict.fromkeys(files)))

    def _digest(self, spec: Eval, path: str) -> Digest:
        try:
            return self.memo.digest(path)
        except OSError as error:
            raise EvalError(
                f"eval {spec.name}: {path} cannot be read ({error.strerror or error})"
            ) from error

    def _scan(self, path: str, digest: Digest) -> dict[str, list[str]]:
        """Imports, tasks and string literals of a module, remembered by its bytes."""

        def scan() -> dict[str, list[str]]:
            try:
                tree = ast.parse(Path(path).read_bytes())
            except SyntaxError as error:
                raise EvalError(
                    f"{path}:{error.lineno}: not valid Python ({error.msg})"
                ) from error
            return {
                "imports": sorted(set(_imports(tree))),
                "tasks": sorted(set(_tasks(tree))),
                "literals": sorted(set(_literals(tree))),
            }

        notes: dict[str, list[str]] = self.memo.note(SCAN, digest, scan)
        return notes

    def _used_by(
        self, path: str, scan: dict[str, list[str]]
    ) -> Iterator[tuple[str, str]]:
        """Role and path of each local module and data file that a module names.

        Inspect puts a task file's folder on the import path; the project's root is
        there too.
        """
        here = PurePosixPath(path).parent
        places = (here, PurePosixPath())
        for name in scan["imports"]:
            dots = len(name) - len(name.lstrip("."))
            words = name.lstrip(".").split(".")
            if dots:
                roots: tuple[PurePosixPath, ...] = ([here, *here.parents][dots - 1],)
            elif words[0] == "motools_build":
                continue
            else:
                roots = places
            for module in _module_files(roots, words):
                yield f"module:{module.with_suffix('').name}:{name}", str(module)
        for literal in scan["literals"]:
            for place in places:
                file = place / literal
                if ".." not in file.parts and Path(file).is_file():
                    yield f"file:{literal}", str(file)
                    break


def _module_files(
    roots: tuple[PurePosixPath, ...], words: list[str]
) -> Iterator[PurePosixPath]:
    """The files that importing a dotted name runs, the packages above it included."""
    for root in roots:
        found = []
        for depth in range(1, len(words) + 1):
            stem = root.joinpath(*words[:depth])
            candidates = (stem / "__init__.py", stem.with_name(stem.name + ".py"))
            found += [c for c in candidates if Path(c).is_file()]
        if found:
            yield from found
            return


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


def _tasks(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in node.decorator_list:
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if getattr(call, "id", getattr(call, "attr", None)) == "task":
                yield node.name


def _literals(tree: ast.AST) -> Iterator[str]:
    """Strings that may name a data file: with a dot, and no character that no one
    puts into a file's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            value: Any = node.value
            if isinstance(value, str) and _may_be_a_path(value):
                yield value


def _may_be_a_path(text: str) -> bool:
    return (
        1 < len(text) < 200
        and "." in text[:-1]
        and not text.startswith(("/", "."))
        and not set(text) & set("\n\t:*?<>|{}")
    )
