"""A paid effect under way: whom it asks, what it tells, what is written of it."""

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
    """Named moments of the machine; the crash tests put a death in its place."""


@dataclass
class Effect:
    """A paid effect that is under way, and who is told of it."""

    job: StageJob
    provider: Provider
    report: Report
    reserved: float | None = None
    doubts: int = 0
    """How often the provider listed a job that it did not know when asked for it."""
    others: Sequence[Found] = ()
    """Jobs of the key and attempt, not of this folder, that came later than the
    elected one, and that their machine should take back."""

    @property
    def elects(self) -> bool:
        """Whether two machines may have made it, and the later one must give way."""
        return self.provider.charges and self.provider.found_by != "named"

    @property
    def account(self) -> str:
        return self.job.account.name if self.job.account else ""

    @property
    def made_of(self) -> str:
        """Digest of the rows, where the key does not say which."""
        return self.job.made_of

    def blank(self, at: float) -> Paid:
        return Paid(
            phase="absent",
            stage=self.job.name,
            kind=self.job.kind,
            backend=self.job.backend,
            account=self.account,
            since=at,
        )

    async def cancel(self, id: str) -> None:
        """Cancel a job, unless it has ended meanwhile."""
        try:
            await self.provider.cancel(id)
        except Refused as error:
            self.say(str(error))

    def say(self, note: str) -> None:
        self.report(Progress(0, 1, "", note))

    async def poll(self, id: str) -> Standing:
        return await self.provider.poll(self.job, id)


def ended(paid: Paid) -> JobFailed:
    """What a stage whose job ended without a result is told, in this run or a later."""
    said = f": {paid.message.rstrip('.')}" if paid.message else ""
    return JobFailed(
        f"{paid.id or 'what was parked'} {ENDED[paid.phase]}{said}; it is never paid "
        f"for again by itself: {hints.command('retry', paid.stage)}"
    )


def of_other_rows(paid: Paid) -> JobFailed:
    """What a stage is told whose teacher wrote other rows since its job was sent."""
    return JobFailed(
        f"{paid.id or 'a request whose answer got lost'} is of other rows than its "
        "teacher's present ones; to pay for a job on these: "
        f"{hints.command('retry', paid.stage)}"
    )


def elsewhere(paid: Paid, effect: Effect) -> Refused:
    """What another account left, and this one cannot see."""
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
    """The ledger's line for something that happened to a paid effect."""
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
    """What the ledger tells of a key, where its state file is gone."""
    told = [e for e in entries if e.id or e.event in ("intent", "refused", "retry")]
    told = [entry for entry in told if entry.event != "duplicate"]
    if not told:
        return None
    last = told[-1]
    phase: Phase = "bound" if last.id else "absent"
    if last.event in ("intent", "failed", "cancelled", "gone"):
        phase = last.event
    ours = [e for e in told if e.event == "intent" and e.attempt == last.attempt]
    # the ledger tells whole seconds; one that is cut off must not shorten the wait
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
    """The attempt to look for: the state's; where all state is lost, the last one."""
    if paid and (paid.attempt > 1 or paid.nonces):
        return paid.attempt
    return max((job.attempt for job in found), default=1)


def elected(found: list[Found], attempt: int) -> Found | None:
    """The earliest of the attempt: all machines that see the same list agree."""
    alike = [job for job in found if job.attempt == attempt]
    return min(alike, key=lambda job: (job.created, job.id), default=None)
