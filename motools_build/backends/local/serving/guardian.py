"""A process that starts a server of vLLM, and ends it when nobody needs it.

`python -m motools_build.backends.local.serving.guardian FOLDER`. It has a session of
its own: it outlives the eval that needed the server first, but no run that may use it.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from motools_build.backends.flocks import hold_at_once, is_held
from motools_build.backends.local import devices
from motools_build.backends.local.serving.places import (
    ADDRESS,
    ALIVE,
    FAILED,
    LOG,
    START,
    TIE,
    USE,
    WANTED,
    Address,
)

LOOK = 0.3
"""Seconds between two looks at the server and at who needs it."""

GRACE = 20.0
"""Seconds that a server has to end by itself."""

PR_SET_PDEATHSIG = 1
"""Linux: the signal that a process gets when the one that started it ends."""


class _Unneeded(Exception):
    """Nobody needs the server any more."""


class _Failure(Exception):
    """The server cannot be started; says why."""


def main(folder: Path) -> None:
    """Start the server that `wanted.json` describes, and keep it until it dies, until
    all runs that may use it have ended, or until its GPU is wanted while nobody asks
    it."""
    alive = next(filter(None, _tries(folder / ALIVE)), None)
    if alive is None:  # the folder has a guardian
        return
    order = json.loads((folder / WANTED).read_bytes())
    server: subprocess.Popen[bytes] | None = None
    try:
        cards = _gpus(folder, order)
        server, address = _started(folder, order, cards)
        _wait_until_ready(folder, order, server, address)
        address.write(folder)
        _keep(folder, server)
    except _Unneeded:
        pass
    except _Failure as failure:
        (folder / FAILED).write_text(str(failure))
    finally:
        (folder / ADDRESS).unlink(missing_ok=True)
        if server is not None:
            _end(server)


def _tries(path: Path) -> Iterator[int | None]:
    """Attempts at a lock, which is also held for an instant by who looks whether it is
    held."""
    for _ in range(20):
        yield hold_at_once(path)
        time.sleep(0.05)


def _gpus(folder: Path, order: dict[str, Any]) -> list[str]:
    """The names of the server's GPUs, which this process holds until it ends."""
    if not order["cards"]:
        return []
    until = time.monotonic() + order["patience"] if order["patience"] else None

    def meanwhile() -> None:
        if not is_held(folder / TIE):
            raise _Unneeded
        if until is not None and time.monotonic() > until:
            raise _Failure(
                "no GPU was free for it, and this eval asks another server already, "
                "whose GPU it keeps"
            )

    held = devices.hold(order["cards"], order["count"], meanwhile=meanwhile)
    return [order["cards"][index] for index, _ in held]


def _started(
    folder: Path, order: dict[str, Any], cards: list[str]
) -> tuple[subprocess.Popen[bytes], Address]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = Address(
        f"http://127.0.0.1:{port}/v1",
        secrets.token_hex(16),
        order["model"],
        str(folder / LOG),
    )
    environ = {
        **os.environ,
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_API_KEY": address.key,
        **({devices.VISIBLE: ",".join(cards)} if cards else {}),
    }
    command = [*order["command"], "--host", "127.0.0.1", "--port", str(port)]
    with open(folder / LOG, "ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        try:
            server = subprocess.Popen(
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=_die_with_parent,
            )
        except OSError as error:
            raise _Failure(f"{command[0]} cannot be started: {error}") from error
    return server, address


def _die_with_parent() -> None:
    """Have the operating system kill the server if this process is killed. Only Linux
    can; elsewhere a guardian that is killed leaves its server behind."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_until_ready(
    folder: Path,
    order: dict[str, Any],
    server: subprocess.Popen[bytes],
    address: Address,
) -> None:
    health = f"{address.url.removesuffix('/v1')}/health"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + order["ready_seconds"]
    while True:
        with suppress(OSError), direct.open(health, timeout=5) as answer:
            if answer.status == 200:
                return
        if server.poll() is not None:
            raise _Failure(f"it ended with exit code {server.returncode}")
        if not is_held(folder / TIE):
            raise _Unneeded
        if time.monotonic() > until:
            raise _Failure(f"it was not ready after {order['ready_seconds']:.0f} s")
        time.sleep(LOOK)


def _keep(folder: Path, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        time.sleep(LOOK)
        if not _is_unneeded(folder):
            continue
        start = hold_at_once(folder / START)
        if start is None:  # somebody begins to use it
            continue
        # `start` is held until this process ends, so that whoever comes now starts
        # another server once this one is gone
        if _is_unneeded(folder):
            raise _Unneeded
        os.close(start)


def _is_unneeded(folder: Path) -> bool:
    if not is_held(folder / TIE):
        return True
    return not is_held(folder / USE) and devices.wanted()


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server's whole process group, and wait for it."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(GRACE)
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
