"""The live display, in a pseudo-terminal whose screen is drawn by pyte."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyte
import pytest

from tests.conftest import Project

pytestmark = pytest.mark.real_process

NAME = "a_setting_of_a_long_name"

TASKS = """
import time

def chatter():
    for n in range(40):
        print(f"said by a task of the user's own {n}", flush=True)
        time.sleep(0.02)

def task_chatter():
    return {"actions": [chatter], "verbosity": 2}
"""


class Screen:
    """A run on a terminal of some size."""

    def __init__(
        self, columns: int, lines: int, process: subprocess.Popen[bytes], fd: int
    ):
        self.screen = pyte.HistoryScreen(columns, lines, history=5000, ratio=0.5)
        self._stream = pyte.ByteStream(self.screen)
        self.process, self._fd = process, fd
        self.raw = b""

    def read(self, seconds: float = 0.1) -> bool:
        """Draw what was written meanwhile, up to a moment at which nothing is, as a
        frame is then whole; False at its end."""
        end = time.monotonic() + seconds
        while True:
            left = max(end - time.monotonic(), 0.05)
            if not select.select([self._fd], [], [], left)[0]:
                return True
            try:
                data = os.read(self._fd, 1 << 16)
            except OSError:
                return False
            if not data:
                return False
            self.raw += data
            self._stream.feed(data)
        return True

    def until(self, holds: Callable[[], bool], seconds: float = 300) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, "\n".join(self.screen.display)
            if not self.read():
                assert holds(), "\n".join(self.screen.display)
                return

    def finish(self, seconds: float = 300) -> int:
        end = time.monotonic() + seconds
        while self.read():
            assert time.monotonic() < end, "\n".join(self.screen.display)
        return self.process.wait(timeout=seconds)

    def resize(self, columns: int, lines: int) -> None:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, size)
        self.screen.resize(lines, columns)

    @property
    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def all(self) -> list[str]:
        """Every line, with those that left the screen at its top."""
        above = [
            "".join(line[column].data for column in range(self.screen.columns))
            for line in self.screen.history.top
        ]
        return [line.rstrip() for line in (*above, *self.screen.display)]


@contextmanager
def terminal(
    project: Project, columns: int, lines: int, *args: str, **environ: str
) -> Iterator[Screen]:
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    given = project._environ({"TERM": "xterm-256color", **environ})
    for name in ("COLUMNS", "LINES", "CI", "NO_COLOR"):
        if name not in environ:
            given.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "doit", *args],
        cwd=project.root,
        env=given,
        stdin=child,
        stdout=child,
        stderr=child,
    )
    os.close(child)
    try:
        yield Screen(columns, lines, process, parent)
    finally:
        process.kill()
        process.wait()
        os.close(parent)


@pytest.fixture
def sweep(project: Project) -> Project:
    project.dataset(NAME)
    project.setting(NAME, seeds="range(30)")
    return project


def head(screen: Screen) -> list[int]:
    """The rows that hold the display's head line."""
    return [
        row
        for row, line in enumerate(screen.shown)
        if re.match(r"\d+:\d\d  models \d+/30", line)
    ]


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 25), (40, 12)])
def test_it_fits_and_leaves_nothing(sweep: Project, columns: int, lines: int) -> None:
    delay = {"MOTOOLS_DUMMY_DELAY": "90"}
    with terminal(sweep, columns, lines, "run", NAME, **delay) as screen:
        screen.until(lambda: bool(head(screen)) and screen.shown[-1].startswith("   …"))
        for _ in range(8):
            screen.read(0.2)
            (row,) = head(screen)
            shown = screen.shown
            live = shown[row:]
            assert len(live) <= lines - 1
            assert re.fullmatch(r"   … and \d+ more running", live[-1]), live
            names = [line.split()[0] for line in live[1:-1]]
            assert len(set(names)) == len(names), live
            assert all(re.match(r"(model|eval):\S*\d", n) for n in names[1:]), live
            said = "0/1 jobs, wa" if columns == 40 else "0/1 jobs, waits 90 s"
            assert all(said in line for line in live[1:-1]), live
        screen.process.send_signal(signal.SIGINT)
        assert screen.finish() == 130
        assert not screen.screen.cursor.hidden
        assert not head(screen)
        assert "interrupted; what is made is kept" in " ".join(screen.shown)


def test_it_is_resized(sweep: Project) -> None:
    delay = {"MOTOOLS_DUMMY_DELAY": "90"}  # it is ended long before
    with terminal(sweep, 80, 24, "run", NAME, **delay) as screen:
        screen.until(lambda: bool(head(screen)))
        for columns, lines in ((200, 25), (100, 14), (60, 22)):
            screen.resize(columns, lines)
            screen.read(1.2)
            live = screen.shown[head(screen)[-1] :]
            assert len(live) <= lines - 1
            assert re.fullmatch(r"   … and \d+ more running", live[-1]), live
            assert max(map(len, live)) < columns
            assert max(map(len, live)) > columns - 12  # it uses the width
        screen.process.terminate()
        assert screen.finish() == 143
        assert not screen.screen.cursor.hidden


def test_what_others_write_is_not_torn(sweep: Project) -> None:
    sweep.write("dodo.py", (sweep.root / "dodo.py").read_text() + TASKS)
    delay = {"MOTOOLS_DUMMY_DELAY": "3"}
    with terminal(sweep, 120, 24, "run", NAME, "chatter", **delay) as screen:
        assert screen.finish() == 0
        lines = screen.all()
        for n in range(40):
            said = f"said by a task of the user's own {n}"
            assert lines.count(said) == 1, [line for line in lines if "said" in line]
        assert not any(re.match(r"\d+:\d\d  models", line) for line in lines)
        made = [
            line for line in lines if re.search(r"seed\d+  made in [\d.]+ s$", line)
        ]
        assert len(made) == 30
        assert b"\x1b[?25l" in screen.raw  # there was a display
        assert not screen.screen.cursor.hidden


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"CI": "true"}])
def test_no_display_where_none_is_wanted(
    sweep: Project, environ: dict[str, str]
) -> None:
    given = {"MOTOOLS_DUMMY_DELAY": "1", **environ}
    with terminal(sweep, 80, 24, "run", NAME, **given) as screen:
        assert screen.finish() == 0
        assert b"\x1b[?25l" not in screen.raw
        assert re.search(rb"made in [\d.]+ s  \d\d:\d\d:\d\d\r\n", screen.raw)


def test_a_terminal_without_colours(sweep: Project) -> None:
    given = {"MOTOOLS_DUMMY_DELAY": "1.5", "NO_COLOR": "1"}
    with terminal(sweep, 80, 24, "run", NAME, **given) as screen:
        assert screen.finish() == 0
        assert b"\x1b[?25l" in screen.raw
        assert not re.search(rb"\x1b\[[\d;]*3[0-7]m", screen.raw)


def test_a_file_gets_no_control_characters_and_no_flood(sweep: Project) -> None:
    ran = sweep.doit("run", NAME, MOTOOLS_DUMMY_DELAY="1.5")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", ran.out)
    events = [
        line for line in ran.out.splitlines() if re.search(r"\d\d:\d\d:\d\d$", line)
    ]
    begun = [line for line in events if line.startswith(".  ")]
    assert len([line for line in events if " made in " in line]) == len(begun)
    assert len(events) <= 2 * len(begun) + 10
