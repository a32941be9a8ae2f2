"""Finds the files of datasets and evals, and their digests, for planning.

User modules are parsed to find what they import and read. They are never executed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import JsonValue

from motools_build.errors import DatasetError, EvalError, InputError
from motools_build.keys import Digest, DigestMemo, digest_bytes
from motools_build.params import Trainer
from motools_build.planning.commands import declared, scripts
from motools_build.planning.evals import Sources
from motools_build.specs import Dataset, Eval, ModelName
from motools_build.task_code import shipped
from motools_build.task_code.packages import provided_by
from motools_build.task_code.reads import declared_files
from motools_build.task_code.scan import SCAN, may_be_a_path, module_files, scanned
from motools_build.task_code.signatures import check

Derive = Callable[[Dataset, "Resolver"], Sources]
"""Function that makes a derived dataset, or recalls the digest of its rows."""


class Resolver:
    """The `resolve` function of `plan`. It looks up each file once per process.

    Files are named by their path from the project's root, which is the working
    directory. Files of `motools_build.evals` are named as in `task_code/shipped.py`.
    """

    def __init__(self, memo: DigestMemo, derive: Derive | None = None) -> None:
        self.memo = memo
        self._derive = derive
        self._datasets: dict[str, Sources] = {}
        self._derived: dict[Dataset, Sources] = {}
        self._evals: dict[tuple[str, ...], Sources] = {}
        self._models: dict[ModelName, Sources] = {}
        self._trainers: dict[Trainer, Sources] = {}

    def __call__(self, spec: Dataset | Eval | ModelName | Trainer) -> Sources:
        """The files and digests of a spec or a command, and the digest of a model on
        disk.

        Raises InputError for what is missing: a file, a package, a model, or a task
        that its file does not define.
        """
        if isinstance(spec, ModelName):
            if spec not in self._models:
                pinned = spec.facts.pinned(spec.model, self.memo)
                self._models[spec] = Sources({"weights": pinned}, ())
            return self._models[spec]
        if isinstance(spec, Trainer):
            if spec not in self._trainers:
                self._trainers[spec] = self._trainer(spec)
            return self._trainers[spec]
        if isinstance(spec, Dataset):
            if (spec.step or spec.fetched) and self._derive is not None:
                if spec not in self._derived:
                    self._derived[spec] = self._derive(spec, self)
                return self._derived[spec]
            if spec.path not in self._datasets:
                self._datasets[spec.path] = self._dataset(spec)
            return self._datasets[spec.path]
        if spec.backend == "dummy":
            return Sources({}, ())
        sources = self._code(spec, "task", spec.task, spec.data, spec.args)
        if spec.scorer is None:
            return sources
        scoring = self._code(spec, "scorer", spec.scorer, (), spec.scorer_args)
        return replace(sources, scoring=scoring)

    def _code(
        self,
        spec: Eval,
        kind: str,
        place: str,
        data: tuple[str, ...],
        args: dict[str, JsonValue],
    ) -> Sources:
        """The files of a task or scorer (`kind`), given as
        `path/to/file.py@function` or as a package's task."""
        named = tuple(text for text in _strings(args) if may_be_a_path(text))
        known_as = (kind, place, *data, "", *named, "", *args)
        if known_as not in self._evals:
            self._evals[known_as] = (
                self._of_package(spec, spec.package)
                if kind == "task" and spec.package
                else self._found(spec, kind, place, data, named, args)
            )
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

    def _found(
        self,
        spec: Eval,
        kind: str,
        place: str,
        data: tuple[str, ...],
        named: tuple[str, ...],
        args: dict[str, JsonValue],
    ) -> Sources:
        file, _, function = place.partition("@")
        file = os.path.normpath(file)
        inputs: dict[str, Digest] = {kind: self._digest(spec, file)}
        files = [file]
        declares = self._scan(file, inputs[kind])[f"{kind}s"]
        try:
            check(declares, kind, f"{file}@{function}", args)
        except EvalError as error:
            raise EvalError(f"eval {spec.name}: {error}") from error
        found = self._used(spec, file, named)
        for path in declared_files(data, f"eval {spec.name}: data"):
            found.setdefault(f"file:{path}", path)
        for role, path in found.items():
            inputs[role] = self._digest(spec, path)
            files.append(path)
        return Sources(inputs, tuple(dict.fromkeys(files)))

    def function(self, spec: Dataset, file: str) -> Sources:
        """The module of a dataset's function (`map`, `filter`), with the modules and
        data files that it uses.

        Raises DatasetError for a file that cannot be read or is not valid Python.
        """
        try:
            inputs = {"module": self._digest(spec, file)}
            used = self._used(spec, file)
            inputs |= {role: self._digest(spec, path) for role, path in used.items()}
        except EvalError as error:
            raise DatasetError(f"dataset {spec.name}: {error}") from error
        return Sources(inputs, tuple(dict.fromkeys([file, *used.values()])))

    def _trainer(self, spec: Trainer) -> Sources:
        """A command's line, and the files in its key: those that the line and the
        declaration name, and the modules that its scripts import. Files that a script
        names are left out, because it may write them. Raises InputError."""
        inputs = {"command": digest_bytes(spec.run.encode())}
        found: dict[str, str] = {}
        for path in (*scripts(spec.run), *declared(spec)):
            found.setdefault(f"file:{path}", os.path.normpath(path))
        for path in [*found.values()]:
            if path.endswith(".py"):
                used = self._used(spec, path)
                found |= {r: p for r, p in used.items() if r.startswith("module:")}
        inputs |= {role: self._digest(spec, path) for role, path in found.items()}
        return Sources(inputs, tuple(dict.fromkeys(found.values())))

    def _used(
        self, spec: Dataset | Eval | Trainer, file: str, named: tuple[str, ...] = ()
    ) -> dict[str, str]:
        """Role -> path of all modules and data files that a module uses, directly or
        through other modules."""
        found: dict[str, str] = {}
        waiting = [file]
        while waiting:
            path = waiting.pop()
            scan = self._scan(path, self._digest(spec, path))
            if path == file:
                scan = {**scan, "literals": [*scan["literals"], *named]}
            for role, used in self._used_by(path, scan, PurePosixPath(file).parent):
                if used == file or used in found.values():
                    continue
                while role in found:  # two folders may each have a rows.jsonl
                    role += "'"
                found[role] = used
                if role.startswith("module:"):
                    waiting.append(used)
        return found

    def _of_package(self, spec: Eval, package: str) -> Sources:
        """The sources of an installed package's task: the package's version replaces
        the digests of its code, and files are those of `Eval(data=...)`."""
        provider = provided_by(package)
        if provider is None:
            raise EvalError(
                f"eval {spec.name}: no installed package has Inspect tasks called "
                f"{package}/...: pip install {package.replace('_', '-')} (a task in a "
                f"file is path/to/file.py@{spec.function})"
            )
        inputs = {f"package:{provider}": digest_bytes(provider.encode())}
        data = tuple(declared_files(spec.data, f"eval {spec.name}: data"))
        for path in data:
            inputs[f"file:{path}"] = self._digest(spec, path)
        return Sources(inputs, tuple(dict.fromkeys(data)))

    def _digest(self, spec: Dataset | Eval | Trainer, path: str) -> Digest:
        try:
            return self.memo.digest(shipped.place_of(path))
        except OSError as error:
            said = f"{path} cannot be read ({error.strerror or error})"
            if isinstance(spec, Dataset):
                raise DatasetError(f"dataset {spec.name}: {said}") from error
            if isinstance(spec, Trainer):
                raise InputError(f"command {spec.name}: {said}") from error
            raise EvalError(f"eval {spec.name}: {said}") from error

    def _scan(self, path: str, digest: Digest) -> dict[str, Any]:
        """Imports, tasks, scorers and literals of a module; cached by its digest."""

        def scan() -> dict[str, Any]:
            source = Path(shipped.place_of(path)).read_bytes()
            if digest_bytes(source) != digest:
                raise EvalError(f"{path} was edited just now; run again")
            return scanned(source, path)

        notes: dict[str, Any] = self.memo.note(SCAN, digest, scan)
        return notes

    def _used_by(
        self, path: str, scan: dict[str, Any], task: PurePosixPath
    ) -> Iterator[tuple[str, str]]:
        """Role and path of each local module and data file that a module names.

        Python searches for modules in the project's root and in the task's folder. A
        relative file path depends on the working directory, which is not known here.
        So every existing file that a name could mean counts as used.
        """
        here = PurePosixPath(path).parent
        places = tuple(dict.fromkeys((here, task, PurePosixPath())))
        if path.startswith(shipped.NAMES):  # this package's modules name no data files
            places, scan = places[1:], {**scan, "literals": []}
        for name in scan["imports"]:
            dots = len(name) - len(name.lstrip("."))
            words = name.lstrip(".").split(".")
            if dots:
                above = [here, *here.parents]
                roots: tuple[PurePosixPath, ...] = tuple(above[dots - 1 : dots])
            elif words[0] == "motools_build":
                yield from shipped.modules(words)
                continue
            else:
                roots = places
            for module in module_files(roots, words):
                yield f"module:{module.with_suffix('').name}:{name}", str(module)
        for literal in scan["literals"]:
            for place in places:
                file = os.path.normpath(place / literal)
                there = os.path.isfile(shipped.place_of(file))
                if there and not file.startswith(".."):
                    yield f"file:{literal}", file


def _strings(value: JsonValue) -> Iterator[str]:
    """Every string of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
