"""Who is paid: what the core asks of a provider, and the plain data of its answers."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from motools_build.backends.job import Made, Progress, StageJob

Status = Literal["running", "succeeded", "failed", "cancelled", "gone"]

BY_HAND = "model:"
"""Before the ID of a model that was adopted by hand: no job of ours made it."""

FoundBy = Literal["named", "tagged", "untagged", "local"]
"""`named`: by a name that this side chose, so that there cannot be two. `tagged`: by
metadata that this side wrote, nonces included. `untagged`: by what it was made of; what
is one's own, only the ledger tells. `local`: on this machine, by its artifact."""

SILENCE = 600.0
"""Seconds without an answer after which whoever asks a provider gives up: jobs go on
there, and the next run asks again."""

Health = Literal["alive", "expiring", "gone", "forbidden", "unknown"]

What = Literal["file", "job", "model"]
"""What a record names of a provider's."""


@dataclass(frozen=True)
class Found:
    """A job of the wanted key, as a listing shows it."""

    id: str
    attempt: int
    nonce: str
    """Of the intent that made it."""
    created: float
    """By the provider's clock, in seconds since the epoch."""
    over: bool = False
    """Whether it surely makes nothing any more: it was cancelled, or has failed."""


@dataclass(frozen=True)
class Standing:
    """How a job is doing."""

    status: Status
    message: str = ""
    """Of an end without a result: the provider's words."""
    progress: Progress | None = None


class Provider(Protocol):
    """Who is paid. Each method is one question, or one attempt at an effect; the core
    (`pay_once`) decides what comes next.

    All raise Unreachable where a question got no answer, and Refused for a definite
    no (a bad key, a wrong request).
    """

    found_by: FoundBy
    """How what it made is known again."""
    charges: bool
    """Whether a request costs money. What is free is sent again without being asked,
    and where two machines made it twice, nobody is harmed."""

    async def find(self, job: StageJob) -> list[Found]:
        """All that this key ever made there and can still be seen, every attempt."""
        ...

    def sending(self, job: StageJob) -> AbstractAsyncContextManager[None]:
        """Entered before a request is written down and sent, left once it is answered.
        Whoever waits for other requests, or for the pace of the account, waits here."""
        ...

    async def submit(self, job: StageJob, attempt: int, nonce: str) -> str:
        """One request, never sent again by itself; the ID of what it made.

        Raises Refused, RateLimited or Parked if surely nothing was made, Ambiguous if
        that is not known.
        """
        ...

    async def poll(self, job: StageJob, id: str) -> Standing:
        """How it is doing; returns when there may be news, not at once."""
        ...

    async def cancel(self, id: str) -> None: ...

    async def collect(self, job: StageJob, id: str) -> Made:
        """What a job that succeeded made."""
        ...

    def cost(self, job: StageJob) -> float | None:
        """USD that `submit` will cost; None where it is not known."""
        ...

    def turn(
        self, job: StageJob, *, bound: bool, wait: bool
    ) -> AbstractAsyncContextManager[None]:
        """Entered before a job is sent, or with `bound` for one that was; left when it
        has ended. While as many are unfinished as the account allows it waits, or
        raises Deferred if not told to `wait`."""
        ...
