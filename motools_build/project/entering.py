"""Working in a project's folder for the time of a call, in a process of another's.

A command runs in the project's folder, in a process of its own; paths in settings, keys
and records are relative to that folder. A notebook runs anywhere, and must find its
process as it was.
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

_LOCK = threading.Lock()
"""The working directory, the environment and doit's own names are the process's."""


def in_folder(
    folder: Path, call: Callable[[], T], end: Callable[[], None] | None = None
) -> T:
    """What `call` returns or raises, called in a project's folder.

    It runs on a thread of its own, so that it may begin an event loop where one runs
    already. One call at a time runs in a process; others wait. A KeyboardInterrupt
    calls `end`, which should end the call early, and is raised when the call has ended.
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
    """The working directory is the folder, and its modules are imported anew; the
    process is left as it was, with the environment that it had: another project's .env
    may name another account's key."""
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
        with suppress(FileNotFoundError):  # it was removed meanwhile
            os.chdir(before)


def _modules_of(folder: Path) -> dict[str, ModuleType]:
    """The modules that lie in the folder and are the user's: none of this package, nor
    of an environment that lies there, too."""
    begin, installed = f"{folder}{os.sep}", (sys.prefix, sys.base_prefix)
    return {
        name: module
        for name, module in [*sys.modules.items()]
        if (file := getattr(module, "__file__", None))
        and isinstance(file, str)
        and file.startswith(begin)
        and not file.startswith(tuple(f"{place}{os.sep}" for place in installed))
        and name.partition(".")[0] not in ("__main__", "motools_build")
    }
