"""Picks up the settings of zoo/. doit tasks of your own go below."""

from collections.abc import Iterator
from typing import Any

from motools_build.doit import zoo_tasks


def task_zoo() -> Iterator[Any] | None:
    """The settings of zoo/."""
    return zoo_tasks()
