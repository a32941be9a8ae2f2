"""The interface of a provider (a paid service), and the plain data of its answers."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from motools_build.backends.job import Made, Progress, StageJob

Status = Literal["running", "succeeded", "failed", "cancelled", "gone"]

BY_HAND = "model:"
"""Prefix of a job's ID for a model adopted by hand, which no job of ours made."""

FoundBy = Literal["named", "tagged", "untagged", "local"]
"""How something at a provider is recognised as ours. `named`: by a name that we chose,
so that there cannot be two. `tagged`: by metadata that we wrote, nonces included.
`untagged`: by what it was made of; only the ledger tells whether it is ours. `local`:
it is on this machine, and recognised by its artifact."""

SILENCE = 600.0
"""Seconds without an answer after which a run gives a provider up. Jobs at the provider
go on, and the next run asks again."""

Health = Literal["alive", "expiring", "gone", "forbidden", "unknown"]

What = Literal["file", "job", "model"]
"""The kinds of things at a provider that a record names."""


@dataclass(frozen=True)
class Found:
    """A job of the wanted key, as the provider's list shows it."""

    id: str
    attempt: int
    nonce: str
    """The nonce of the intent under which the job was sent; empty if it carries
    none."""
    created: float
    """Creation time by the provider's clock, in seconds since the epoch."""
    over: bool = False
    """True if the job surely makes nothing more: it was cancelled, or it failed."""


@dataclass(frozen=True)
class Standing:
    """The status of a job."""

    status: Status
    message: str = ""
    """The provider's reason, if the job ended without a result; else empty."""
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):  # it would be polled for ever
            raise TypeError(
                f"a job's status is one of {', '.join(get_args(Status))}, not "
                f"{self.status!r}; mend the backend's `poll`"
            )


class Provider(Protocol):
    """A paid service. Each method is one question, or one attempt at an effect; the
    core (`pay_once`) decides what comes next.

    All raise Unreachable if a question got no answer, and Refused for a definite no
    (a bad key, a wrong request).
    """

    found_by: FoundBy
    """How the things that it made are recognised later."""
    charges: bool
    """Whether a request costs money. A free request is repeated without asking the
    user, and if two machines both send it, no harm is done."""

    async def find(self, job: StageJob) -> list[Found]:
        """Everything of this key that the provider still shows, of every attempt."""
        ...

    def sending(self, job: StageJob) -> AbstractAsyncContextManager[None]:
        """Entered before a request is recorded and sent, left once it is answered.
        Entering waits for other requests, and for the account's rate limit."""
        ...

    async def submit(self, job: StageJob, attempt: int, nonce: str) -> str:
        """Send one request, without retries; returns the ID of the job or file it made.

        Raises Refused, RateLimited or Parked if surely nothing was made, Ambiguous if
        that is not known.
        """
        ...

    async def poll(self, job: StageJob, id: str) -> Standing:
        """The status of a job. Returns when there may be news, which can take a
        while."""
        ...

    async def cancel(self, id: str) -> None: ...

    async def collect(self, job: StageJob, id: str) -> Made:
        """The result of a job that succeeded; its files go to `job.work`."""
        ...

    def cost(self, job: StageJob) -> float | None:
        """The estimated cost of `submit` in USD; None if it is not known."""
        ...

    def turn(
        self, job: StageJob, *, bound: bool, wait: bool
    ) -> AbstractAsyncContextManager[None]:
        """Takes one of the account's slots for unfinished jobs, until the job has
        ended.

        A `bound` job was sent earlier and takes its slot at once. Otherwise, while no
        slot is free, entering waits, or raises Deferred if `wait` is false.
        """
        ...
