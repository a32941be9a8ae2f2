"""Finds or starts the server of vLLM for a base model, on this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from motools_build.backends.flocks import hold, is_held, locked
from motools_build.backends.local import devices
from motools_build.backends.local.folders import files_of
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
    end_of_log,
    folder_of,
)
from motools_build.errors import EngineError, MissingExtra
from motools_build.keys import canonical, digest_bytes

READY_SECONDS = 1800.0
"""Seconds that a server may take until it is ready: it loads and compiles the model."""

PATIENCE = 60.0
"""Seconds that a server waits for a GPU if its eval asks another one already. Two such
evals could otherwise wait for each other for ever."""

RANK = 64
"""The largest rank of adapters that a server takes, unless an adapter has a larger
one."""

RANKS = (128, 256, 320, 512)
"""The larger values of vLLM's `--max-lora-rank`."""

MOST_RANK = "--max-lora-rank"

PARALLEL = ("--tensor-parallel-size", "-tp", "--pipeline-parallel-size", "-pp")
"""Arguments whose product is the number of GPUs of a server."""

EXTRA = "serve='vllm' needs vLLM: pip install 'motools_build[vllm]'"

_used: dict[Path, int] = {}
"""Folder of each server that this process asks -> its lock `use`."""

_expected: dict[Path, int] = {}
"""Folder of a base model -> the rank of the adapter of it that the job asks."""

_guardians: list[subprocess.Popen[bytes]] = []
"""The guardians that this process has started."""

_tied: dict[Path, int] = {}
"""Folder of each server that the run of this process may use -> its lock `tie`."""


@dataclass(frozen=True)
class Order:
    """A server to be started, as its guardian reads it."""

    command: list[str]
    """The command line, without host and port."""
    model: str
    """The name of the base model in requests."""
    cards: list[str]
    """The GPUs that it may use; empty if there are none."""
    count: int
    """How many GPUs it needs."""
    patience: float | None
    """Seconds that it may wait for GPUs; None for as long as it takes."""
    ready_seconds: float


@dataclass(frozen=True)
class Server:
    """A server of vLLM for a base model, which runs or is to be started. Equal servers
    are shared by all runs of this user on this machine."""

    base: Path
    """The base model's folder."""
    rank: int
    """The largest rank of its adapters."""
    arguments: tuple[str, ...] = ()
    """Further arguments of `vllm serve`."""

    @classmethod
    def for_model(cls, base: Path, rank: int, arguments: Sequence[str]) -> Server:
        """The server for a base model, or for an adapter of it that has this rank (0
        for the base model, which has the same server as the job's adapter). Raises
        EngineError if no server takes such an adapter."""
        base = base.resolve()
        rank = max(rank, _expected.get(base, 0))
        given = _number(arguments, MOST_RANK)
        usual = next((r for r in (RANK, *RANKS) if r >= rank), RANKS[-1])
        most = given or usual
        if rank > most:
            limit, remedy = "vLLM takes up to", "ask by torch: serve='torch'"
            if given:
                limit = f"[tool.motools_build.local] vllm says {MOST_RANK}"
                remedy = "raise it"
            raise EngineError(
                f"an adapter has rank {rank}, and {limit} {most}; {remedy}"
            )
        return cls(base, most, tuple(arguments))

    @property
    def digest(self) -> str:
        """What tells it from other servers: the model's files, as far as can be told
        without reading them, and how it is started."""
        stats = {n: path.stat() for n, path in files_of(self.base).items()}
        files = {n: [s.st_size, str(s.st_mtime_ns)] for n, s in stats.items()}
        visible = os.environ.get(devices.VISIBLE, "")
        how: list[object] = [str(self.base), files, self.rank, list(self.arguments)]
        return digest_bytes(canonical([*how, visible, executable()]))

    def tie(self) -> None:
        """Keep the server until this process ends, as it belongs to a run that may use
        the server. Nothing is started."""
        folder = folder_of(self.digest)
        if folder not in _tied:
            _tied[folder] = hold(folder / TIE)

    def address(self) -> Address:
        """The server, which is started if it does not run yet, and kept until this
        process ends. Blocks until it is ready, which may take minutes, and longer if
        no GPU is free. Raises EngineError, with its log, if it does not get ready."""
        folder = folder_of(self.digest)
        self.tie()
        with locked(folder / START):
            found = self._ready(folder)
            if folder not in _used:
                _used[folder] = hold(folder / USE)
        return found

    def _ready(self, folder: Path) -> Address:
        started: subprocess.Popen[bytes] | None = None
        while True:
            if started is None and not is_held(folder / ALIVE):
                started = self._start(folder)
            over = started is not None and started.poll() is not None
            found = Address.read(folder)
            if found is not None and not over:
                return found
            if over:
                raise EngineError(self._failure(folder))
            time.sleep(0.2)

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start a guardian, which starts the server."""
        order = self._order(folder)
        for name in (ADDRESS, FAILED):
            (folder / name).unlink(missing_ok=True)
        (folder / WANTED).write_text(json.dumps(asdict(order)))
        with open(folder / LOG, "ab") as log:
            guardian = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.guardian", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _guardians.append(guardian)
        return guardian

    def _order(self, folder: Path) -> Order:
        name = f"motools-{folder.name}"
        cards = devices.cards()
        count = 1
        for argument in PARALLEL:
            count *= _number(self.arguments, argument) or 1
        if cards and count > len(cards):
            raise EngineError(
                f"a server for {self.base} needs {count} GPUs by its arguments, and "
                f"there are {len(cards)}; change [tool.motools_build.local] vllm or "
                "devices"
            )
        command = [
            *(executable(), "serve", str(self.base), "--served-model-name", name),
            *("--enable-lora", "--trust-request-chat-template"),
            *(MOST_RANK, str(self.rank)),
            *self.arguments,
        ]
        patience = PATIENCE if _used.keys() - {folder} else None
        return Order(command, name, cards, count, patience, READY_SECONDS)

    def _failure(self, folder: Path) -> str:
        try:
            why = (folder / FAILED).read_text()
        except FileNotFoundError:
            why = "what watches it ended"
        return (
            f"the server of vLLM for {self.base} did not start: {why}; its log is "
            f"{folder / LOG}, which ends: {end_of_log(folder / LOG)}"
        )


def expect(base: Path | None, rank: int = 0) -> None:
    """Note the rank of the job's adapter, with its base model's folder, in place of
    what was noted for the job before; None if it has no adapter."""
    _expected.clear()
    if base is not None:
        _expected[base.resolve()] = rank


def executable() -> str:
    """The path of the command `vllm`: the first on PATH, else that of this Python's
    environment. Raises MissingExtra if there is none."""
    beside = Path(sys.executable).parent / "vllm"
    found = shutil.which("vllm") or (str(beside) if os.access(beside, os.X_OK) else "")
    if not found:
        raise MissingExtra(EXTRA)
    return found


def _number(arguments: Sequence[str], name: str) -> int | None:
    """The value of an argument, given as `--name value` or as `--name=value`; None if
    it is not given. Raises EngineError if it is no number above 0."""
    for index, argument in enumerate(arguments):
        given, equals, value = argument.partition("=")
        if given.replace("_", "-") == name:
            word = value if equals else "".join(arguments[index + 1 : index + 2])
            if not re.fullmatch(r"[1-9]\d{0,5}", word, re.ASCII):
                raise EngineError(
                    f"[tool.motools_build.local] vllm: {name} is a number, not {word!r}"
                )
            return int(word)
    return None
