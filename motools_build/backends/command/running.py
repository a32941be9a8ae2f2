"""Runs a command in a worker: its environment, its output, its progress, its end."""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from motools_build.backends.flocks import hold_at_once
from motools_build.backends.job import Progress, Report
from motools_build.errors import StageFailed
from motools_build.params import Trainer
from motools_build.text.visible import visible

LOCK = "lock"

POLL = 0.5
"""Seconds between two looks whether a command, or an earlier one, has ended."""

TOLD, SAID = 1.0, 10.0
"""Least numbers of seconds between two reports of a count, and of a line of text."""

LONGEST = 1 << 16
"""Longest line in bytes that is looked at for progress."""

COUNT = re.compile(r"\b(\d{1,9})/(\d{1,9})\b")
"""A count as progress bars print it: `12/48`."""

OURS = (
    *("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"),
    *("VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"),
    *("INSPECT_DISPLAY", "PYTHON_DOTENV_DISABLED", "TOKENIZERS_PARALLELISM"),
)
"""Variables that a worker sets for its own jobs and that a command must not have."""


def environment(cards: Sequence[str] = ()) -> dict[str, str]:
    """The variables of a command. Programs of this Python's environment are found
    first: `python` is the one that runs this package."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    kept["PATH"] = os.pathsep.join(
        (os.path.dirname(sys.executable), kept.get("PATH", os.defpath))
    )
    if cards:
        kept["CUDA_VISIBLE_DEVICES"] = ",".join(cards)
    return kept


def check_there(trainer: Trainer) -> None:
    """Raises StageFailed if the command's program is not installed."""
    program = shlex.split(trainer.run)[0]
    if shutil.which(program, path=environment()["PATH"]) is None:
        raise StageFailed(
            f"the command {trainer.name} runs {program!r}, which is not installed or "
            "cannot be executed; install it, or correct run in "
            f"[tool.motools_build.commands.{trainer.name}]"
        )


@contextmanager
def alone(folder: Path, report: Report) -> Iterator[None]:
    """Wait until no process of an earlier attempt uses the folder. The command and its
    own processes inherit the lock, so that it lasts as long as they do."""
    folder.mkdir(parents=True, exist_ok=True)
    told = False
    while (lock := hold_at_once(folder / LOCK)) is None:
        if not told:
            report(Progress(0, 0, "", "waits for the end of an earlier attempt"))
            told = True
        time.sleep(POLL)
    try:
        os.set_inheritable(lock, True)
        yield
    finally:
        os.close(lock)


def run(name: str, words: Sequence[str], cards: Sequence[str], report: Report) -> None:
    """Run a command to its end. What it prints goes to standard output, which is the
    stage's log. Raises StageFailed unless it ends with 0."""
    print(f"$ {shlex.join(words)}", flush=True)
    report(Progress(0, 0, "", "runs"))
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(cards),
        close_fds=False,  # the lock is inherited; all others are not inheritable
    )
    heard = _Heard(report)
    for data in _output(process):
        heard.take(data)
    heard.end()
    code = process.wait()
    if code:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else ""
        last = f": {heard.last}" if heard.last else ""
        raise StageFailed(
            f"the command {name} {how or f'ended with exit code {code}'}{last}; all "
            "that it printed is in its log"
        )


def _output(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """What a process prints, until it has ended: processes that it leaves behind may
    keep its output open for ever."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    while True:
        over = process.poll() is not None
        ready, _, _ = select.select([pipe], [], [], 0 if over else POLL)
        data = os.read(pipe, LONGEST) if ready else b""
        if data:
            yield data
        elif ready or over:
            return


class _Heard:
    """Passes a command's output on, and reports the progress that it tells."""

    def __init__(self, report: Report) -> None:
        self.last = ""
        """The last line that was printed, without control characters."""
        self._report = report
        self._line = b""
        self._told = 0.0

    def take(self, data: bytes) -> None:
        """Pass on complete lines. Of a progress bar, which writes a line again and
        again, only the last state is passed on."""
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._write(line.rstrip(b"\r").rpartition(b"\r")[2])
        drawn = self._line.rstrip(b"\r")
        if drawn:
            self._look(drawn.rpartition(b"\r")[2])
        if len(self._line) > LONGEST:
            self._line = drawn.rpartition(b"\r")[2][-LONGEST:]

    def end(self) -> None:
        if self._line:
            self.take(b"\n")

    def _write(self, line: bytes) -> None:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
        self._look(line)

    def _look(self, line: bytes) -> None:
        text = visible(line.decode("utf-8", "replace").strip())[:200]
        if not text:
            return
        self.last = text
        count = COUNT.search(text)
        done, total = (int(count[1]), int(count[2])) if count else (0, 0)
        if not 0 < done <= total:
            done, total = 0, 0
        now = time.monotonic()
        if now - self._told < (TOLD if total else SAID):
            return
        self._told = now
        # what is counted, only the text says: weights that are loaded, or steps
        self._report(Progress(done, total, "", text))
