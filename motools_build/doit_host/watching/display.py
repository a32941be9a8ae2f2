"""The live display on a terminal: a head line, and a line for each running stage.

Its width and height are read anew at each refresh. All that the process writes to the
terminal meanwhile appears above it: the streams that write there are led through it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from motools_build.doit_host.bars import LEFT_OUT, short_names, words
from motools_build.doit_host.watching.durations import clock
from motools_build.doit_host.watching.overall import overall
from motools_build.text.visible import Scrubbed, shown

if TYPE_CHECKING:
    from motools_build.doit_host.watching.state import Running, RunState

WIDE, NARROW = 120, 60
"""Columns from which a bar is 20 wide, and below which there is none."""

ETA = 9
"""Columns of the time that is left, or has passed."""


class Display:
    """The display of one run. The streams are led through it from its construction on,
    so that it never begins in the middle of a line; `refresh` shows it."""

    def __init__(
        self, run: RunState, file: IO[str], streams: Iterable[Scrubbed]
    ) -> None:
        """`file` is the terminal; `streams` are those of the process that write to
        it."""
        self._run = run
        self._console = Console(file=file, soft_wrap=True)
        self._live = Live(
            console=self._console,
            get_renderable=self._lines,
            auto_refresh=False,  # `refresh` is called by the run
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._led = [(stream, stream.stream) for stream in streams]
        for stream, own in self._led:
            stream.stream = Above(own, self._console)

    def refresh(self) -> None:
        """Draw the display, or draw it again."""
        if not self._live.is_started:
            self._live.start()
        self._live.refresh()

    def stop(self) -> None:
        """Remove the display, and give the streams back."""
        for stream, own in self._led:
            above, stream.stream = stream.stream, own
            if isinstance(above, Above):
                above.end()
        self._live.stop()

    def _lines(self) -> Group:
        width, height = self._console.size
        return Group(*self.drawn(width, height))

    def drawn(self, width: int, height: int) -> Iterator[Text]:
        """The lines for a terminal of that size; none is wider or wraps."""
        room = max(width - 1, 1)
        head = overall(self._run, room)
        yield _cut(Text(head, "bold"), room)
        running = sorted(self._run.running.values(), key=_first_to_show)
        most = max(height - 3, 0)
        if len(running) > most:
            running, more = running[:most], len(running) - most
        else:
            more = 0
        queue = self._run.queue()
        names = short_names([one.name for one in running], _widths(room)[0])
        for one, name in zip(running, names, strict=True):
            yield _cut(_row(one, name, room, queue.get(one.name)), room)
        if more:
            yield _cut(Text(f"   … and {more} more running", "dim"), room)


class Above:
    """A stream to the terminal whose lines appear above the display. A line is shown
    when it is complete."""

    def __init__(self, stream: Any, console: Console) -> None:
        self._stream, self._console = stream, console
        self._begun: dict[int, str] = {}
        """Thread -> the line that it has begun; `print` writes a line's end apart."""
        self._turn = threading.Lock()

    def write(self, text: str) -> int:
        thread = threading.get_ident()
        with self._turn:
            begun = self._begun.pop(thread, "")
            whole, newline, rest = (begun + text).rpartition("\n")
            if rest:
                self._begun[thread] = rest
            if newline:
                self._show(whole)
        return len(text)

    def end(self) -> None:
        """Show the lines that were begun."""
        with self._turn:
            while self._begun:
                self._show(self._begun.popitem()[1])

    def _show(self, text: str) -> None:
        # of a line that was written over and over, such as a bar, the last state counts
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
        self._console.print(
            Text.from_ansi("\n".join(lines)), soft_wrap=True, highlight=False
        )

    def flush(self) -> None:
        """Nothing: complete lines were shown at once."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _first_to_show(one: Running) -> tuple[bool, bool, float]:
    """Those that count come first, then those that wait for nothing."""
    counts = one.progress is not None and bool(one.progress.unit)
    return not counts, one.waits is not None, one.since


def _widths(room: int) -> tuple[int, int, int, int]:
    """The widths of a name, of a bar and of the words behind it, and of the indent.
    With `ETA` and a space between each two, they fill the room."""
    bar = 20 if room >= WIDE else 10 if room >= NARROW else 0
    indent = 3 if room >= NARROW else 1
    said = max(12, room // 3)
    between = 3 if bar else 2
    return max(room - indent - bar - said - ETA - between, 8), bar, said, indent


def _row(one: Running, name: str, room: int, queue: int | None) -> Text:
    width, bar, said, indent = _widths(room)
    told = one.progress
    if bar and told is not None and not told.unit:  # words alone have the bar's place
        bar, said = 0, said + bar + 1
    text = words(told) if told else ""
    if queue is not None:
        text = (
            f"waits for a worker, {queue} in line" if said > 33 else f"{queue} in line"
        )
    text = shown(text).replace("\n", " ")
    if cell_len(text) > said:
        text = set_cell_size(text, said - 1) + LEFT_OUT
    left = one.eta
    when = clock(one.passed) if left is None else f"{clock(left)} left"
    row = Text(" " * indent + set_cell_size(shown(name), width) + " ")
    if bar:
        counts = told is not None and bool(told.unit) and told.total > 0
        share = min(told.done / told.total, 1.0) if told and counts else 0.0
        full = round(share * bar)
        row.append("━" * full, "green")
        row.append("━" * (bar - full) + " ", "dim")
    row.append(set_cell_size(text, said) + " ")
    if room >= NARROW or left is not None:
        row.append(when.rjust(ETA), "cyan")
    else:
        row.append(when.rjust(ETA), "dim")
    return row


def _cut(text: Text, room: int) -> Text:
    text.truncate(room, overflow="ellipsis")
    text.no_wrap, text.end = True, "\n"
    return text
