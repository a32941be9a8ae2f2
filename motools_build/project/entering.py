"""Running a call inside a project's folder, from a process that works elsewhere.

Paths in settings, keys and records are relative to the project's folder. A command
runs in that folder, in a process of its own. A notebook runs anywhere, and expects its
process unchanged after the call: working directory, environment, modules.
"""

from __future__ import annotations

import contextvars
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")

DODO = "dodo"
"""The module in which doit looks for tasks."""

_LOCK = threading.Lock()
"""Held during a call, because the working directory, the environment and doit's module
globals exist once for each process."""


def in_folder(
    folder: Path, call: Callable[[], T], end: Callable[[], None] | None = None
) -> T:
    """Run `call` with the project's folder as working directory; return what it returns
    and raise what it raises.

    The call runs on a thread of its own, so that it can start an event loop even if the
    caller's thread runs one already. One call runs at a time in a process; others wait.
    On a KeyboardInterrupt, `end` is called, which should end the call early; the
    interrupt is raised when the call has ended.
    """
    told: Future[T] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            with _LOCK, _entered(folder):
                result = context.run(call)
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            told.set_exception(error)
        else:
            told.set_result(result)

    thread = threading.Thread(target=work, name="motools")
    thread.start()
    try:
        return told.result()
    except KeyboardInterrupt:
        if end is not None and thread.is_alive():
            end()
        thread.join()
        raise


@contextmanager
def _entered(folder: Path) -> Iterator[None]:
    """Make the folder the working directory, and import its modules anew. On exit, the
    working directory, modules, import path and environment are restored. The
    environment is restored because the .env of the next project may hold another
    account's key."""
    before, environ, path = os.getcwd(), dict(os.environ), [*sys.path]
    aside = _modules_of(folder)
    for name in aside:
        del sys.modules[name]
    try:
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        yield
    finally:
        for name in _modules_of(folder):
            del sys.modules[name]
        sys.modules.update(aside)
        sys.path[:] = path
        for name in os.environ.keys() - environ.keys():
            del os.environ[name]
        os.environ.update(environ)
        with suppress(FileNotFoundError):  # the earlier folder was removed meanwhile
            os.chdir(before)


def _modules_of(folder: Path) -> dict[str, ModuleType]:
    """The imported modules whose files are in the folder and are the user's own: not
    this package, and nothing of a virtual environment inside the folder. Also a `dodo`
    of another folder: doit imports it by name, and would take that one."""
    begin, installed = f"{folder}{os.sep}", (sys.prefix, sys.base_prefix)
    return {
        name: module
        for name, module in sys.modules.copy().items()  # others may import meanwhile
        if (file := getattr(module, "__file__", None))
        and isinstance(file, str)
        and (file.startswith(begin) or name == DODO)
        and not file.startswith(tuple(f"{place}{os.sep}" for place in installed))
        and name.partition(".")[0] not in ("__main__", "motools_build")
    }
