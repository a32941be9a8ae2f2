"""The protocol of launchers, which start workers and exchange messages with them.

A launcher decides on which machine a worker runs and how messages reach it. It knows
neither stages nor the store. The pool decides which jobs run at once and what is
retried, and `running/batches.py` decides which evals share a call of Inspect.

A worker is `python -m motools_build.running.worker`, with `worker_environment`: it
reads requests from its standard input and writes messages to its standard output.

Who has jobs done elsewhere is an executor (`running/executors/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from motools_build.running.launch.messages import Message, Request

SINGLE_THREADED = (
    *("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"),
)
"""Variables that limit matrix products to one thread. The engine itself runs threads
over examples, and nested threads are up to ten times slower on a busy machine."""


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of a worker, without those that could change results.

    Inspect reads its model, limits and much else from INSPECT_* and from a `.env` in
    any parent folder. They are disabled, since all settings of an eval must be in its
    key.
    """
    kept = {k: v for k, v in environ.items() if not k.startswith("INSPECT_")}
    return {
        **kept,
        **dict.fromkeys(SINGLE_THREADED, "1"),
        "OMP_WAIT_POLICY": "passive",
        "INSPECT_DISPLAY": "none",
        "PYTHON_DOTENV_DISABLED": "1",
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


class Worker(Protocol):
    """One worker. It does one request at a time; the next one may be sent after it."""

    async def send(self, request: Request) -> None:
        """Begin a request. It does not fail if the worker is dead; `receive` then
        returns `Ended`."""
        ...

    async def receive(self) -> Message:
        """Wait for the next message of the request; the last one is `Ended`."""
        ...

    async def end(self) -> None:
        """End the worker, its jobs and all processes that they started, and wait until
        it has ended."""
        ...


class Launcher(Protocol):
    """Starts workers. The constructor takes the options of the table
    `[tool.motools_build.launchers.NAME]`, and raises InputError for an unknown one."""

    async def start(self, log: Path) -> Worker:
        """Start a worker. What it prints before it has a job is appended to the log.

        Raises OSError if no worker can be started.
        """
        ...
