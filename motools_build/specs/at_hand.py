"""A derived dataset without a store: made in a folder, for a look at its rows."""

from __future__ import annotations

from pathlib import Path

from motools_build.data import DATA
from motools_build.data.fetching import fetch
from motools_build.data.source import Source
from motools_build.data.transforms.make import make
from motools_build.errors import DatasetError
from motools_build.keys import digest_file
from motools_build.specs.dataset import Dataset


def made_in(dataset: Dataset, folder: Path) -> Source:
    """The dataset's file, all that it is made of included."""
    if dataset.fetched:
        file = folder / DATA
        pins = (dataset.digest, file, dataset.sha256, dataset.largest)
        try:
            fetch(dataset.path, *pins)
        except DatasetError as error:
            raise DatasetError(f"dataset {dataset.name}: {error}") from error
        digest = digest_file(file)
        return Source(str(file), digest, paths={digest: dataset.path})
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
        make(dataset.step, sources, folder)
    except DatasetError as error:
        raise DatasetError(f"dataset {dataset.name}: {error}") from error
    return derived(dataset.name, folder, digest_file(folder / DATA), sources)


def derived(name: str, folder: Path, digest: str, sources: list[Source]) -> Source:
    """What a step made, as the source of another."""
    paths = {d: path for source in sources for d, path in source.paths.items()}
    return Source(str(folder / DATA), digest, name, derived=True, paths=paths)
