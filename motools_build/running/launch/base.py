"""The protocol of launchers: who starts workers, and talks with them.

A launcher decides on which machine a worker runs and how lines reach it; it knows
neither stages nor the store. Which jobs run at once, and what is tried again, is the
pool's business; which evals share a call of Inspect is that of `running/batches.py`.

A worker is `python -m motools_build.running.worker`, with `worker_environment`: it
reads requests from its standard input and writes messages to its standard output.

How a launcher for a cluster would use the protocol, taking Slurm as the example:

- `start` only makes an object. `send` writes the request and its inputs to a folder of
  its own on the shared disk, and submits `worker < request > messages` with `sbatch`,
  under a name made of the jobs' keys. A `send` after that submits another.
- `receive` follows the file of messages; `squeue` says whether more will come. Before
  it hands on a `Done`, it copies what the job left to the job's work folder on the
  host, which the run emptied when it began. No message and no job left: `Ended`.
- `end` is `scancel`.
- `find` asks `squeue` for the name, and looks for the folder. Slurm's job outlives a
  host that died; the run that comes next finds it so, and follows its messages from
  the first one on, instead of doing the work twice.
- A request that is not for the cluster can be handed to a `LocalLauncher` of its own.
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
"""Variables for one thread a matrix product. The engine itself runs threads over
examples, and threads within threads cost up to ten times on a busy machine."""


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a worker: nothing in it changes results unseen.

    Inspect takes its model, limits and much else from INSPECT_* and from a `.env` of
    any folder above; what an eval is made with is in its key, or it is not used.
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
    """One worker. It does one request at a time, and may be sent another after it."""

    async def send(self, request: Request) -> None:
        """Begin a request. `receive` says so if the worker is dead; this does not."""
        ...

    async def receive(self) -> Message:
        """The next message of the request; the last one is `Ended`."""
        ...

    async def end(self) -> None:
        """End the worker, its jobs and whatever they started, and wait for its end."""
        ...


class Launcher(Protocol):
    """Starts workers. Made with the table `[tool.motools_build.launchers.NAME]`, which
    it checks: it raises InputError for an option that it does not have."""

    async def start(self, log: Path) -> Worker:
        """A new worker. What it prints before it has a job is appended to the log.

        Raises OSError if none can be started.
        """
        ...

    async def find(self, request: Request) -> Worker | None:
        """The worker that has been sent these very jobs by a host that is no more, and
        has not been told to end: its messages can be received. None if there is none;
        always so where workers die with their host.
        """
        ...
