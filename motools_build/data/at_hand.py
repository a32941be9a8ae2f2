"""The rows of a dataset outside of a run: made in a temporary folder, and read there.

`Declared` stands for `specs.Dataset`, which this room cannot import, since it lies
below the specs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

from motools_build.data import DATA
from motools_build.data.fetching import fetch
from motools_build.data.rows.checks import Rules
from motools_build.data.source import Source
from motools_build.data.transforms.blame import check_source
from motools_build.data.transforms.files import Rows
from motools_build.errors import DatasetError
from motools_build.keys import digest_file


class Declared(Protocol):
    """The attributes of a declared dataset that are used here; see `specs.Dataset`."""

    @property
    def path(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def step(self) -> Any: ...
    @property
    def parts(self) -> Sequence[Declared]: ...
    @property
    def digest(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def largest(self) -> int: ...
    @property
    def fetched(self) -> bool: ...


def rows_of(dataset: Declared) -> Iterator[dict[str, Any]]:
    """The rows of a dataset, one by one. Raises DatasetError."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        rows = Rows(made_in(dataset, Path(folder)), stack)
        for index in range(len(rows)):
            yield rows.row(index)


def check(dataset: Declared, format: str, rules: Rules) -> None:
    """Raises DatasetError with the first rows of a dataset that break the rules."""
    with tempfile.TemporaryDirectory() as folder:
        check_source(made_in(dataset, Path(folder)), format, rules)


def made_in(dataset: Declared, folder: Path) -> Source:
    """The file with a dataset's rows. A derived or fetched dataset is made in `folder`,
    along with the datasets that it is derived from; others keep their own file. Raises
    DatasetError, with the dataset's name."""
    if dataset.fetched:
        return _fetched(dataset, folder / DATA)
    if dataset.step is None:
        try:
            digest = digest_file(dataset.path)
        except OSError as error:
            raise DatasetError(
                f"dataset {dataset.name}: {dataset.path} cannot be read "
                f"({error.strerror or error}); the path is relative to the "
                "project's root"
            ) from error
        return Source(dataset.path, digest, paths={digest: dataset.path})
    sources = []
    for number, part in enumerate(dataset.parts):
        inner = folder / str(number)
        inner.mkdir()
        sources.append(made_in(part, inner))
    try:
        dataset.step.run(sources, folder)
    except DatasetError as error:
        raise DatasetError(f"dataset {dataset.name}: {error}") from error
    paths = {d: path for source in sources for d, path in source.paths.items()}
    digest = digest_file(folder / DATA)
    return Source(str(folder / DATA), digest, dataset.name, derived=True, paths=paths)


def _fetched(dataset: Declared, file: Path) -> Source:
    pins = (dataset.digest, file, dataset.sha256, dataset.largest)
    try:
        fetch(dataset.path, *pins)
    except DatasetError as error:
        raise DatasetError(f"dataset {dataset.name}: {error}") from error
    digest = digest_file(file)
    return Source(str(file), digest, paths={digest: dataset.path})
