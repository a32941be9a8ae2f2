"""`doit` in a process that has its imports behind it, and may die where it is told.

Such a process is forked from a server that imported everything once, so that hundreds
of deaths take minutes. Nothing else differs from `python -m doit`.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import openai.resources.fine_tuning  # noqa: F401

import motools_build.backends.openai.backend
import motools_build.doit_host.commands
import motools_build.doit_host.dependencies
import motools_build.doit_host.loading
import motools_build.doit_host.reporter
import motools_build.doit_host.runner  # noqa: F401
from motools_build.doit import run
from motools_build.running import effects


@dataclass(frozen=True)
class Die:
    """SIGKILL at the n-th passing of a point."""

    point: str
    nth: int = 1

    def __call__(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Meet:
    """Wait at the n-th passing of a point until another process is there too."""

    point: str
    nth: int
    folder: Path

    def __call__(self) -> None:
        (self.folder / str(os.getpid())).touch()
        end = time.monotonic() + 60
        while len(list(self.folder.iterdir())) < 2 and time.monotonic() < end:
            time.sleep(0.005)


Act = Die | Meet


@dataclass
class Running:
    """A process that was started."""

    process: ForkServerProcess
    log: Path

    @property
    def out(self) -> str:
        return self.log.read_text()

    def ended(self) -> bool:
        return not self.process.is_alive()

    def kill(self) -> None:
        self.process.kill()

    def wait(self) -> int:
        """Its exit code; -9 if it was killed."""
        self.process.join(120)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise AssertionError(f"a run did not end in 120 s: {self.out}")
        code = self.process.exitcode
        self.process.close()
        return code


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


CONTEXT = _context()


def start(
    target: Callable[..., int], root: Path, environ: Mapping[str, str], *args: object
) -> Running:
    """`target(*args)` in a process of its own, in that folder."""
    number = len(list(root.glob("out-*.txt")))
    log = root / f"out-{number}.txt"
    log.touch()
    given = (target, root, dict(environ), log, args)
    process = CONTEXT.Process(target=_begin, args=given, daemon=True)
    process.start()
    return Running(process, log)


def _begin(
    target: Callable[..., int],
    root: Path,
    environ: dict[str, str],
    log: Path,
    args: tuple[object, ...],
) -> None:
    warnings.simplefilter("error")
    out = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.environ.update(environ)
    os.chdir(root)
    sys.exit(target(*args))


def doit(args: tuple[str, ...], act: Act | None) -> int:
    """`doit ARGS`, which does something where it passes a point."""
    passed = 0

    def passing(point: str) -> None:
        nonlocal passed
        if act and point == act.point:
            passed += 1
            if passed == act.nth:
                act()

    effects.passing = passing
    return run(args)
