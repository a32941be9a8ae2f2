"""Transforms by a user's own function: filter and map.

The function runs in a separate process: `apart.py` starts it; it runs `child.py`, which
calls `run_here`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import field_validator

from motools_build.data.rows.checks import Row
from motools_build.data.source import Source
from motools_build.data.transforms.apart import run_apart
from motools_build.data.transforms.files import Out, Rows, written
from motools_build.data.transforms.step import Step, counts, opened, write
from motools_build.errors import DatasetError

FUNCTION = re.compile(
    r"^(?P<module>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*)$"
)


class ByFunction(Step):
    """A transform that calls a function of the project."""

    function: str
    """`module:function`. Only the function's name enters the key of the dataset by this
    field. The bytes of its file, and of the files it imports, enter as inputs."""

    @field_validator("function")
    @classmethod
    def _is_named(cls, function: str) -> str:
        if not FUNCTION.match(function):
            raise ValueError(
                f"{function!r} names no function: write module:function, as in "
                "helpers.rows:is_short for a function of helpers/rows.py"
            )
        return function

    @property
    def module(self) -> str:
        return self.function.partition(":")[0]

    @property
    def called(self) -> str:
        """The function's name within its module."""
        return self.function.partition(":")[2]

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "function": self.called}

    def file(self) -> str:
        """The function's file, relative to the project's root: `helpers/rows.py` for
        `helpers.rows:is_short`. Raises DatasetError if there is no such file."""
        stem = self.module.replace(".", "/")
        for path in (f"{stem}.py", f"{stem}/__init__.py"):
            if os.path.isfile(path):
                return path
        raise DatasetError(
            f"{self.WORD}({self.function!r}): there is no {stem}.py below the "
            "project's root; name a function as module:function"
        )

    def run(self, sources: Sequence[Source], folder: Path) -> dict[str, Any]:
        fields = self.model_dump(mode="json")
        return run_apart(self.WORD, fields, self.file(), sources, folder)

    def run_here(
        self, function: Callable[[Row], Any], sources: Sequence[Source], folder: Path
    ) -> dict[str, Any]:
        """Do what `run` does, in the process that has imported the function. Raises
        DatasetError if the function fails, or keeps no row."""
        with opened(sources, folder) as ((rows,), out):
            for index in range(len(rows)):
                self.take(rows, out, index, self._answer(function, rows, index))
            if not out.rows:
                raise DatasetError(
                    f"{self.function} keeps none of {len(rows)} rows of {rows.source}"
                )
            return counts(out)

    def take(self, rows: Rows, out: Out, index: int, answer: Any) -> None:
        """Write the row at `index` as the function's answer asks, or leave it out."""
        raise NotImplementedError(self.WORD)

    def _answer(self, function: Callable[[Row], Any], rows: Rows, index: int) -> Any:
        row = rows.row(index)
        try:
            return function(row)
        except DatasetError:
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            problem = rows.problem(index, f"{self.function} failed: {said}")
            raise DatasetError(problem) from error


class Filter(ByFunction):
    """See `Dataset.filter`."""

    WORD: ClassVar[str] = "filter"

    def take(self, rows: Rows, out: Out, index: int, answer: Any) -> None:
        if not isinstance(answer, bool):
            problem = f"{self.function} answers {answer!r:.60}, not True or False"
            rows.refuse(index, problem)
        if answer:
            out.carry(rows, index)


class Map(ByFunction):
    """See `Dataset.map`."""

    WORD: ClassVar[str] = "map"

    def take(self, rows: Rows, out: Out, index: int, answer: Any) -> None:
        if not isinstance(answer, dict):
            rows.refuse(index, f"{self.function} answers {answer!r:.60}, no row")
        same = _reads_the_same(answer, rows.row(index))
        write(rows, out, index, self.WORD, answer, same=same)


def _reads_the_same(answer: Row, row: Row) -> bool:
    """Whether two rows are the same as JSON. Python's `==` does not suffice: it takes
    1, 1.0 and True as equal."""
    try:
        return written(answer) == written(row)
    except (TypeError, ValueError, RecursionError):
        return False
