"""The data of a paid effect (a request to a provider, and the job that it starts), and
its ledger lines and errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from motools_build.backends.job import Progress, Report, StageJob
from motools_build.backends.provider import Found, Provider, Standing
from motools_build.errors import JobFailed, Refused
from motools_build.keys import Key
from motools_build.store.records import Entry, Event, Paid, Phase
from motools_build.store.runs import now, seconds_of
from motools_build.text import hints

ENDED = {
    "failed": "failed at the provider",
    "cancelled": "was cancelled",
    "gone": "is gone from the provider",
}


def passing(point: str) -> None:
    """Called at named points of the state machine. It does nothing; the crash tests
    replace it by a function that kills the process."""


@dataclass
class Effect:
    """A paid effect in progress, with its provider and its progress callback."""

    job: StageJob
    provider: Provider
    report: Report
    reserved: float | None = None
    """USD reserved for the job; None if nothing is reserved."""
    doubts: int = 0
    """How often the provider listed a job and answered 404 for it."""
    others: Sequence[Found] = ()
    """Jobs of other folders with the same key and attempt that are later than the
    elected job. The machines that submitted them should cancel them."""

    @property
    def elects(self) -> bool:
        """Whether two machines may have submitted the same job, so that the later job
        must be cancelled."""
        return self.provider.charges and self.provider.found_by != "named"

    @property
    def account(self) -> str:
        return self.job.account.name if self.job.account else ""

    @property
    def made_of(self) -> str:
        """Digest of the rows that a teacher wrote; empty if the key has the digest."""
        return self.job.made_of

    def blank(self, at: float) -> Paid:
        """The state before anything was sent; `at` is in seconds since the epoch."""
        return Paid(
            phase="absent",
            stage=self.job.name,
            kind=self.job.kind,
            backend=self.job.backend,
            account=self.account,
            since=at,
        )

    async def cancel(self, id: str) -> None:
        """Cancel a job. A refusal, as for a job that has ended meanwhile, is only
        reported."""
        try:
            await self.provider.cancel(id)
        except Refused as error:
            self.say(str(error))

    def say(self, note: str) -> None:
        self.report(Progress(0, 1, "", note))

    async def poll(self, id: str) -> Standing:
        return await self.provider.poll(self.job, id)


def ended(paid: Paid) -> JobFailed:
    """The error of a stage whose job ended without a result, in this run or an earlier
    one."""
    said = f": {paid.message.rstrip('.')}" if paid.message else ""
    return JobFailed(
        f"{paid.id or 'what was parked'} {ENDED[paid.phase]}{said}; it is never paid "
        f"for again by itself: {hints.command('retry', paid.stage)}"
    )


def of_other_rows(paid: Paid) -> JobFailed:
    """The error of a stage whose job was submitted with earlier rows of its teacher."""
    return JobFailed(
        f"{paid.id or 'a request whose answer got lost'} is of other rows than its "
        "teacher's present ones; to pay for a job on these: "
        f"{hints.command('retry', paid.stage)}"
    )


def elsewhere(paid: Paid, effect: Effect) -> Refused:
    """The error of a stage whose job another account submitted, which the present
    account cannot access."""
    what = paid.id or "a request whose answer got lost"
    return Refused(
        f"{what} belongs to account {paid.account}, and account {effect.account} "
        f"cannot see it; run with account={paid.account}, which takes it up"
    )


def entry_of(
    key: Key,
    paid: Paid,
    event: Event,
    *,
    message: str = "",
    cost: float | None = None,
    nonce: str = "",
) -> Entry:
    """The ledger's line for an event of a paid effect. `cost` is in USD."""
    return Entry(
        event=event,
        time=now(),
        key=key,
        attempt=paid.attempt,
        stage=paid.stage,
        kind=paid.kind,
        backend=paid.backend,
        account=paid.account,
        id=paid.id,
        adopted=paid.adopted,
        cost=cost,
        message=message,
        made_of=paid.made_of,
        nonce=nonce,
    )


def paid_of(entries: Sequence[Entry]) -> Paid | None:
    """The state of a paid effect, from the ledger's lines of its key, for use when the
    state file is missing. None if the lines show no job and no request."""
    told = [e for e in entries if e.id or e.event in ("intent", "refused", "retry")]
    told = [entry for entry in told if entry.event != "duplicate"]
    if not told:
        return None
    last = told[-1]
    phase: Phase = "bound" if last.id else "absent"
    if last.event in ("intent", "failed", "cancelled", "gone"):
        phase = last.event
    ours = [e for e in told if e.event == "intent" and e.attempt == last.attempt]
    # the ledger has whole seconds: rounding down must not shorten the settle time
    cut = 1.0 if phase == "intent" else 0.0
    return Paid(
        phase=phase,
        stage=last.stage,
        kind=last.kind,
        backend=last.backend,
        account=last.account,
        attempt=last.attempt,
        nonces=tuple(entry.nonce for entry in ours),
        since=seconds_of(last.time) + cut,
        id=last.id,
        adopted=last.adopted or last.event == "succeeded",
        message=last.message,
        made_of=last.made_of,
    )


def attempt_of(paid: Paid | None, found: list[Found]) -> int:
    """Number of the attempt to look for: the state's, or the latest of the found jobs
    if the state is lost."""
    if paid and (paid.attempt > 1 or paid.nonces):
        return paid.attempt
    return max((job.attempt for job in found), default=1)


def elected(found: list[Found], attempt: int) -> Found | None:
    """The earliest job of the attempt; None if there is none. All machines that see the
    same list elect the same job."""
    alike = [job for job in found if job.attempt == attempt]
    return min(alike, key=lambda job: (job.created, job.id), default=None)
