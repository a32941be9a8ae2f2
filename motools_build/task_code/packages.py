"""Installed packages that bring Inspect tasks; a plan imports none of them."""

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
"""The entry points by which Inspect finds a package's tasks."""

NONE_FOUND = "No inspect tasks were found"
"""What Inspect says of a name that it does not know."""

OF_THE_NETWORK = ("ConnectError", "LocalEntryNotFoundError", "MaxRetryError")
"""Errors of HTTP libraries that are not Python's own ConnectionError."""


@functools.cache
def provided_by(package: str) -> str | None:
    """The distribution behind Inspect's `package/task`, with its version:
    `inspect-evals 0.26.0`; None if none is installed.

    One installed from a repository is named with its commit, too.
    """
    found = _found(package)
    if found is None:
        return None
    name = re.sub(r"[-_.]+", "-", found[0].name).lower()  # one spelling, as in PEP 503
    origin = json.loads(found[0].read_text("direct_url.json") or "{}")
    commit = origin.get("vcs_info", {}).get("commit_id", "")
    return f"{name} {found[0].version} {commit}".strip()


def explained(task: str, error: BaseException) -> str:
    """What to say of a package's task that could not be begun. Imports the package."""
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
    except Exception as error:  # noqa: BLE001 - its own code ran, so anything may come
        return (
            f"{task}: {package} cannot be imported ({in_words(error)}); "
            "install what it lacks, or another version of it"
        )
    near = difflib.get_close_matches(name, set(dir(module)) - {name}, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else "see its documentation"
    return f"{package} has no task {name!r}; {hint}"


def _found(package: str) -> tuple[Distribution, EntryPoint] | None:
    try:
        usual = [distribution(package)]  # a tenth of the time that a look at all takes
    except PackageNotFoundError:
        usual = []
    for found in (*usual, *installed()):
        for entry in found.entry_points.select(group=GROUP):
            if entry.name == package:
                return found, entry
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_the_network(error: BaseException) -> bool:
    return isinstance(error, ConnectionError) or type(error).__name__ in OF_THE_NETWORK
