"""`python -m tests.forking.server KIND SOCKET`: import once, fork for each request.

A request has the environment, folder and arguments of a process, and comes with three
descriptors for its standard streams. The answers are the process ID and, at the end,
the exit code. The server ends when its standard input is closed.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import runpy
import select
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from motools_build.specs import backends
from tests.forking import protocol

ROOT = Path(__file__).parents[2]

HOSTS = (
    *("openai.resources.files", "openai.resources.fine_tuning"),
    *("openai.resources.models", "anyio._backends._asyncio", "httpcore2", "truststore"),
    *("bpe_openai", "tiktoken", "numpy", "scipy.stats", "rich.table", "rich.progress"),
    *("rfc8785", "_strptime", "encodings.idna", "encodings.utf_8_sig"),
    *("IPython", "tests.forking.launcher", "motools_build.backends.local.facts"),
)
"""Other modules that commands usually import."""


def serve(listener: socket.socket, prepare: Callable[[], None]) -> dict[str, Any]:
    """Fork a process for each request. Returns only in the forked processes, with the
    request."""
    waker, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *about: None)
    running: dict[int, socket.socket] = {}
    prepared = False
    while True:
        ready, _, _ = select.select([0, listener, waker], [], [])
        if 0 in ready:
            os._exit(0)
        if waker in ready:
            os.read(waker, 512)
            _reap(running)
        if listener not in ready:
            continue
        if not prepared:
            prepare()
            gc.collect()
            gc.freeze()
            prepared = True
        client, _ = listener.accept()
        try:
            request, descriptors = protocol.received(client)
        except EOFError:
            client.close()
            continue
        if not protocol.as_here(request["environ"], ROOT):
            protocol.answer(client, refused=True)
            client.close()
        elif process := os.fork():
            running[process] = client
            protocol.answer(client, process=process)
        else:
            listener.close()
            client.close()
            for other in running.values():
                other.close()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (waker, wakes):
                os.close(descriptor)
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
                os.close(descriptor)
            return request
        for descriptor in descriptors:
            os.close(descriptor)


def _reap(running: dict[int, socket.socket]) -> None:
    """Send the exit code of each ended process to its client."""
    while running:
        process, status = os.waitpid(-1, os.WNOHANG)
        if not process:
            return
        with running.pop(process) as client:
            protocol.answer(client, code=os.waitstatus_to_exitcode(status))


def become(request: dict[str, Any]) -> None:
    """Set the folder and environment of this process as the request asks."""
    os.chdir(request["folder"])
    before = protocol.path_of(os.environ)
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    others = [name for name in sys.path[1:] if name not in before]
    sys.path[:] = [request["folder"], *protocol.path_of(os.environ), *others]
    importlib.invalidate_caches()
    backends._installed.cache_clear()


# ---- commands


def import_commands() -> None:
    """Import every module of the package that a command may import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some warn of what they import
        for module in HOSTS:
            with suppress(ImportError):  # other versions of the packages may lack it
                importlib.import_module(module)
    for file in sorted((ROOT / "motools_build").rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        if parts[1] in ("rehearsal", "serving") or parts[-1] == "__main__":
            continue
        if parts[1:3] in (("backends", "inspect"), ("running", "worker")):
            continue
        if parts[1:3] == ("backends", "local"):  # commands import only its facts
            continue
        importlib.import_module(".".join(parts).removesuffix(".__init__"))


def run_command(arguments: list[str]) -> None:
    """Run `doit` and exit with its code. Exit functions run, and garbage is collected
    so that Python warns of files left open. The interpreter is not torn down, because
    that would copy all memory shared with the server."""
    sys.argv = ["doit", *arguments]
    try:
        runpy.run_module("doit", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        gc.collect()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code or 0)


# ---- workers


def import_workers() -> None:
    """Import what a worker needs for evals of all kinds, by preparing one."""
    from motools_build.backends.inspect.backend import InspectBackend
    from motools_build.backends.job import StageJob
    from motools_build.params import EvalParams, EvalTask, Subject

    importlib.import_module("motools_build.running.worker.supervision")
    importlib.import_module("motools_build.backends.embedded.backend")
    subject = Subject("openai/none", "s/base/none", "s", "base", None)
    params = EvalParams(EvalTask("none", "none"), subject)
    InspectBackend().prepare(StageJob("eval", "inspect", "k", "eval:none", params, ""))
    # what Inspect loads with its first sample: 2 CPU seconds for anthropic alone
    with suppress(ImportError):
        importlib.import_module("inspect_ai.model._providers.anthropic")
    with suppress(ImportError):
        importlib.import_module("inspect_ai.model").get_model_info("openai/none")


def run_worker(arguments: list[str]) -> None:
    from motools_build.running.worker.supervision import main

    os.setsid()
    main(with_host="--with-host" in arguments)


KINDS = {
    "commands": (import_commands, run_command),
    "workers": (import_workers, run_worker),
}


def main() -> None:
    kind, path = sys.argv[1:]
    prepare, run = KINDS[kind]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    print("listening", flush=True)
    request = serve(listener, prepare)
    become(request)
    run(request["arguments"])


if __name__ == "__main__":
    main()
