"""Finds installed packages with Inspect tasks. Planning imports none of them."""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterator
from importlib.metadata import (
    Distribution,
    EntryPoint,
    PackageNotFoundError,
    distribution,
)
from importlib.metadata import distributions as installed

from motools_build.errors import in_words

GROUP = "inspect_ai"
"""The entry point group by which Inspect finds a package's tasks."""

NONE_FOUND = "No inspect tasks were found"
"""Part of Inspect's error message for an unknown task."""

OF_THE_NETWORK = ("ConnectError", "LocalEntryNotFoundError", "MaxRetryError")
"""Names of network errors in HTTP libraries that do not derive from Python's
ConnectionError."""


@functools.cache
def provided_by(package: str) -> str | None:
    """The name and version of the distribution that provides an Inspect package:
    `inspect-evals 0.26.0`. None if no installed distribution does.

    For an installation from a repository, the commit is appended.
    """
    found = _found(package)
    if found is None:
        return None
    name = re.sub(r"[-_.]+", "-", found[0].name).lower()  # one spelling, as in PEP 503
    origin = json.loads(found[0].read_text("direct_url.json") or "{}")
    commit = origin.get("vcs_info", {}).get("commit_id", "")
    return f"{name} {found[0].version} {commit}".strip()


def explained(task: str, error: BaseException) -> str:
    """The error message for a package's task that could not be loaded. For an unknown
    task, this imports the package to suggest similar names."""
    if NONE_FOUND in str(error):
        return _no_such_task(task)
    said = f"{task}: {in_words(error)}"
    if any(map(_of_the_network, _chain(error))):
        said += (
            "; the task reads what is not on this machine: run again when the network "
            "is there (HF_HUB_OFFLINE=1 makes such a task fail at once)"
        )
    return said


def _no_such_task(task: str) -> str:
    package, _, name = task.partition("/")
    found = _found(package)
    if found is None:
        return f"{task}: {package} is not installed any more; install it, and run again"
    try:
        module = found[1].load()
    except Exception as error:  # noqa: BLE001 - the package's code may raise anything
        return (
            f"{task}: {package} cannot be imported ({in_words(error)}); "
            "install what it lacks, or another version of it"
        )
    near = difflib.get_close_matches(name, set(dir(module)) - {name}, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else "see its documentation"
    return f"{package} has no task {name!r}; {hint}"


def _found(package: str) -> tuple[Distribution, EntryPoint] | None:
    try:
        usual = [distribution(package)]  # ten times faster than a search of them all
    except PackageNotFoundError:
        usual = []
    for found in (*usual, *installed()):
        for entry in found.entry_points.select(group=GROUP):
            if entry.name == package:
                return found, entry
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_the_network(error: BaseException) -> bool:
    return isinstance(error, ConnectionError) or type(error).__name__ in OF_THE_NETWORK
