"""Slurm's queue as a run sees it: one listing for all of its jobs, and the words for a
job's state."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from motools_build.errors import Refused, Unreachable
from motools_build.running.executors import slurm_commands
from motools_build.running.executors.slurm_commands import Listed
from motools_build.running.executors.slurm_options import WHERE, SlurmOptions
from motools_build.store.jobs import JobFolder

INTERVAL = 2.5
"""Seconds between two listings, whatever the number of jobs: at most 24 a minute."""

ENDED = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED"}
    | {"NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"}
)
"""Slurm's states of a job that does nothing more. All others, unknown ones included,
are of jobs that are at work or will be: PREEMPTED and REQUEUED, too."""


@dataclass(frozen=True)
class Seen:
    """The outcome of one listing."""

    jobs: Mapping[str, Listed] = field(default_factory=dict)
    """Nonce -> job."""
    error: str = ""
    """Why there is no listing; empty if there is one."""
    silent_for: float = 0.0
    """Seconds since the last listing that succeeded."""


class Queue:
    """Lists the user's jobs, again and again, as long as someone waits for that."""

    def __init__(
        self,
        interval: float = INTERVAL,
        listing: Callable[[], dict[str, Listed]] = slurm_commands.listing,
    ) -> None:
        self._interval = interval
        self._listing = listing
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Condition()
        self._answered = time.monotonic()
        self._began = 0
        """The number of listings that have begun."""
        self._ended = 0
        self.latest = Seen()

    async def next(self) -> Seen:
        """A listing that begins after this call."""
        wanted = self._began + 1
        self._begin()
        async with self._news:
            await self._news.wait_for(lambda: self._ended >= wanted)
        return self.latest

    async def after(self, seen: Seen, seconds: float) -> Seen:
        """The latest listing, as soon as it is another one than `seen`, or after some
        seconds."""
        self._begin()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: self.latest is not seen)
        return self.latest

    async def close(self) -> None:
        """List no more."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _begin(self) -> None:
        if self._task is None:
            self._answered = time.monotonic()
            self._task = asyncio.create_task(self._list())

    async def _list(self) -> None:
        while True:
            began = time.monotonic()
            self._began += 1
            try:
                seen = Seen(await asyncio.to_thread(self._listing))
                self._answered = began
            except Exception as error:  # noqa: BLE001 - whoever waits hears of it
                told = isinstance(error, Unreachable | Refused)
                said = str(error) if told else f"squeue cannot be read ({error!r})"
                seen = Seen(error=said, silent_for=began - self._answered)
            async with self._news:
                self.latest, self._ended = seen, self._began
                self._news.notify_all()
            await asyncio.sleep(max(0.0, began + self._interval - time.monotonic()))


def in_words(listed: Listed) -> str:
    """The state of a job that has not ended, for the display."""
    state = listed.state.lower().replace("_", " ")
    nodes = f" on {listed.nodes}" if listed.nodes else ""
    waits = listed.reason not in ("", "None") and not listed.nodes
    return f"Slurm job {listed.id} is {state}{nodes}" + (
        f" ({listed.reason})" if waits else ""
    )


def ended(
    id: str, listed: Listed | None, folder: JobFolder, kind: str, options: SlurmOptions
) -> str:
    """Why a job ended without a result, and what to do."""
    state = listed.state if listed else "unknown"
    place = f"[{WHERE}.{kind}]"
    job = f"Slurm job {id}"
    again = "what it saved is kept, and the next run goes on from there"
    if state == "TIMEOUT":
        limit = options.time or "the partition's default"
        return (
            f'{job} reached its time limit ({limit}): ask for more, time = "..." in '
            f"{place} of pyproject.toml; {again}"
        )
    if state == "OUT_OF_MEMORY":
        limit = options.memory or "the partition's default"
        return (
            f"{job} needed more memory than it had ({limit}): ask for more, memory = "
            f'"..." in {place} of pyproject.toml; {again}'
        )
    if state in ("NODE_FAIL", "BOOT_FAIL"):
        return f"the node of {job} failed, and Slurm did not queue it again; {again}"
    if state == "CANCELLED":
        return (
            f"{job} was cancelled (doit cancel, scancel, or an administrator); {again}"
        )
    if state == "DEADLINE":
        return f"{job} could not end before its deadline; {again}"
    how = "Slurm does not know it any more" if listed is None else f"it is {state}"
    said = _last_line(folder)
    told = f"; its script said last: {said}" if said else ""
    return f"{job} ended without a result ({how}){told}; {again}"


def _last_line(folder: JobFolder) -> str:
    """The last line that the job's script printed."""
    try:
        lines = folder.log.read_text(errors="replace").split("\n")
    except FileNotFoundError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
