"""From a job's ID to its end: poll it, elect one job if several machines submitted it,
and collect the result or record the failure."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from motools_build.backends.job import Made
from motools_build.backends.provider import BY_HAND, Found, Standing
from motools_build.errors import Deferred, JobFailed, Refused
from motools_build.running import effects
from motools_build.running.effects import (
    ENDED,
    Effect,
    elected,
    elsewhere,
    ended,
    paid_of,
)
from motools_build.running.exchange import Exchange
from motools_build.store.records import Paid

DOUBTS = 5
"""Limit of repeated checks: of a job that is listed but answers 404 (one settle time
apart), and of a cancelled job that has not ended."""


class Settlement:
    """The second half of the state machine: a job whose ID is known. The first half is
    `pay_once.PayOnce`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.duplicates: dict[str, str] = {}
        """Job ID -> message for the end of the run, of jobs that were paid for twice
        and could not be cancelled."""

    async def settle(self, effect: Effect, paid: Paid) -> Made:
        """Poll a job until it ends, and collect its result. Once the settle time has
        passed and the provider's list must show all jobs, elect one of them.

        Raises JobFailed if the job ended without a result, Refused, or Deferred.
        """
        # a model that a user named by hand has no competing jobs
        decided = not effect.elects or paid.id.startswith(BY_HAND)
        while True:
            told = await self._exchange.ask(effect, paid, partial(effect.poll, paid.id))
            if told.status == "gone":
                paid = await self._missed(effect, paid, told)
                continue
            if paid.missing:
                paid = replace(paid, missing=0.0)
                await self._exchange.save(effect, paid)
            left = paid.since + self._exchange.settle_time - self._exchange.now()
            if (left <= 0 and not decided) or told.status == "cancelled":
                winner = await self._elect(effect, paid)
                if winner and winner.id != paid.id:
                    paid = await self._exchange.adopt(effect, paid, winner)
                    continue
                decided = True
            if told.status in ENDED:
                raise await self._end(effect, paid, told)
            if told.status == "succeeded" and decided:
                await self._tell_duplicates(effect, paid)
                effects.passing("before collecting")
                return await self._collect(effect, paid)
            if not self._exchange.wait:
                runs = told.status != "succeeded"
                raise Deferred(f"{paid.id} {_why(told, left)}", under_way=runs)
            if told.status == "succeeded":
                effect.say("done; looks whether another machine made it too")
                await asyncio.sleep(max(0.01, min(left, self._exchange.settle_time)))
            elif told.progress:
                effect.report(told.progress)

    async def _missed(self, effect: Effect, paid: Paid, told: Standing) -> Paid:
        """Handle a 404 for a job, and return the state to continue with. The job is
        polled again until the settle time has passed; then the provider's list decides.

        Raises JobFailed if the job is gone, Refused if that remains unclear, Deferred
        if the run does not wait.
        """
        if paid.account != effect.account:
            raise elsewhere(paid, effect)
        now = self._exchange.now()
        if not 0 < paid.missing <= now:
            paid = replace(paid, missing=now)
            await self._exchange.save(effect, paid)
        left = paid.missing + self._exchange.settle_time - now
        if left >= 0:
            again = f"{paid.id}: {told.message}; that may pass, and is asked again"
            if not self._exchange.wait:
                raise Deferred(f"{again} by the next run", under_way=True)
            effect.say(f"{again} for {left:.0f} s")
            await asyncio.sleep(
                min(left + 0.01, max(self._exchange.settle_time / 10, 0.1))
            )
            return paid
        found = await self._exchange.ask(
            effect, paid, lambda: effect.provider.find(effect.job)
        )
        if paid.id in {job.id for job in found}:
            effect.doubts += 1
            doubt = f"{paid.id} is listed, and not known when it is asked for"
            if effect.doubts == DOUBTS:
                raise Refused(f"{doubt}; nothing was decided: run again later")
            paid = replace(paid, missing=now)
            await self._exchange.save(effect, paid)
            if not self._exchange.wait:
                raise Deferred(f"{doubt}; run again", under_way=True)
            return paid
        other = elected(found, paid.attempt)
        if other:
            return await self._exchange.adopt(effect, paid, other)
        raise await self._end(effect, paid, told)

    async def _collect(self, effect: Effect, paid: Paid) -> Made:
        """The result of a job that succeeded; its cost is noted in the ledger."""
        made = await self._exchange.ask(
            effect, paid, lambda: effect.provider.collect(effect.job, paid.id)
        )
        cost = made.details.get("cost")
        await self._exchange.note(effect, paid, "succeeded", cost=cost)
        effects.passing("before the record")
        details = {**made.details, "attempt": paid.attempt, "adopted": paid.adopted}
        return replace(made, details=details)

    async def _elect(self, effect: Effect, paid: Paid) -> Found | None:
        """The earliest job of the key and attempt, or None. Later jobs that this folder
        submitted are cancelled."""
        found = await self._exchange.ask(
            effect, paid, lambda: effect.provider.find(effect.job)
        )
        winner = elected(found, paid.attempt)
        told = self._exchange.ledger.of(effect.job.key)
        over = {e.id for e in told if e.event not in ("bound", "duplicate")}
        # if the state and its nonces are lost, the ledger tells this folder's jobs
        made = {e.id for e in told if e.event == "bound" and not e.adopted}
        nonces = {*paid.nonces, *(e.nonce for e in told if e.event == "intent")}
        for job in found:
            own = job.nonce in nonces or job.id in made
            alike = job.attempt == paid.attempt and job.id not in over
            if winner and own and alike and job.id != winner.id:
                await self._give_way(effect, paid, job, winner)
        effect.others = [
            job
            for job in found
            if (job.attempt == paid.attempt and winner and job.id != winner.id)
            and not (job.over or job.nonce in nonces or job.id in made | over)
        ]
        return winner

    async def _give_way(
        self, effect: Effect, paid: Paid, job: Found, winner: Found
    ) -> None:
        """Cancel a later job of this folder, and check that it ended. If it did not, it
        becomes one of the `duplicates`."""
        effect.say(f"{winner.id} came first; cancels its own {job.id}")
        message = f"{winner.id} came first"
        loser = replace(paid, id=job.id, adopted=False)
        for _ in range(DOUBTS):
            effects.passing("before giving way")
            await self._exchange.ask(effect, paid, partial(effect.cancel, job.id))
            stands = await self._exchange.ask(
                effect, paid, partial(effect.poll, job.id)
            )
            # a job that ended before it was cancelled was charged: note that as well
            if stands.status in ("cancelled", "succeeded", "failed"):
                await self._exchange.note(effect, loser, stands.status, message=message)
                return
            await asyncio.sleep(min(self._exchange.settle_time, 10) / 10)
        self.duplicates[job.id] = (
            f"{job.id} of {effect.job.name}: {message}, and it could not be cancelled "
            f"(it is {stands.status}); look at it in the provider's own pages"
        )

    async def _tell_duplicates(self, effect: Effect, paid: Paid) -> None:
        """Report each duplicate job that another machine submitted and did not cancel.
        It has one settle time to notice the duplicate, and another one to cancel it."""
        for job in effect.others:
            left = (
                job.created + 2 * self._exchange.settle_time + 1 - self._exchange.now()
            )
            if self._exchange.wait and left > 0:
                effect.say(f"{job.id} of another machine came later; may be taken back")
                await asyncio.sleep(min(left, self._exchange.settle_time + 1))
            stands = await self._exchange.ask(
                effect, paid, partial(effect.poll, job.id)
            )
            if stands.status in ENDED:
                continue
            message = (
                f"another machine's job of the same key and attempt as {paid.id}, "
                f"which came first; it is {stands.status} and charged for, too"
            )
            self.duplicates[job.id] = f"{job.id} of {effect.job.name}: {message}"
            told = self._exchange.ledger.of(effect.job.key)
            if not any((e.event, e.id) == ("duplicate", job.id) for e in told):
                theirs = replace(paid, id=job.id, adopted=True)
                await self._exchange.note(effect, theirs, "duplicate", message=message)

    async def _end(
        self, effect: Effect, paid: Paid, told: Standing
    ) -> JobFailed | Refused:
        """Record that a job ended without a result, and return the error to raise. The
        failure of a free upload is not recorded: it may simply be repeated."""
        phase = told.status
        assert phase in ("failed", "cancelled", "gone")
        if not effect.provider.charges:
            await self._exchange.save(effect, effect.blank(self._exchange.now()))
            return Refused(f"{paid.id} {ENDED[phase]}: {told.message}")
        over = replace(
            paid, phase=phase, message=told.message, since=self._exchange.now()
        )
        last = paid_of(self._exchange.ledger.of(effect.job.key))
        if last is None or (last.phase, last.id) != (phase, paid.id):
            await self._exchange.note(effect, over, phase, message=told.message)
        await self._exchange.save(effect, over)
        return ended(over)


def _why(told: Standing, left: float) -> str:
    """Why a run that does not wait leaves a job to a later run; `left` is in
    seconds."""
    if told.status == "succeeded":
        return (
            f"is done; another machine's earlier job may show for {max(left, 1):.0f} s "
            "more, and then a run collects it"
        )
    return f"is {told.status}; run again"
