"""One payer in a team: a claim in the shared store before each paid request.

    no claim, or the last one was released   claim, and send
    the last claim is bound to a job         take up that job
    claimed, and no ID told                  wait for the ID; if none comes in the time
                                             that a request may take, look at the
                                             provider, and only then claim the next link

No claim expires by itself: what pays again is the provider's word that there is no job.
A holder sends its request at once, or not at all (`check`), so that a claim of which
nothing is heard for `takeover` seconds is one of a process that died.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

from motools_build.errors import (
    Deferred,
    GivenUp,
    RateLimited,
    Refused,
    StoreError,
    StoreUnreachable,
)
from motools_build.running import LOGGER, effects
from motools_build.running.effects import Effect, elsewhere, ended, of_other_rows
from motools_build.store.records import Paid
from motools_build.store.runs import now
from motools_build.store.shared.claims import Claim, Claims, Phase, host, writer_of
from motools_build.store.state import States
from motools_build.text import hints

T = TypeVar("T")

POLL = 5.0
"""Longest time between two looks at another's claim, in seconds."""


@dataclass
class _Seen:
    """What this process knows of one chain."""

    number: int = 0
    """Of the last link that was read without an ID."""
    since: float = 0.0
    """When it was read first, by the monotonic clock."""
    looked: int = 0
    """Number of the link for which the time has passed: the provider is asked next."""
    next: int = 1
    """Number of the link that may be claimed."""
    held: Claim | None = None
    began: float = 0.0
    """When the claim that is held was begun, by the monotonic clock."""


@dataclass
class Claiming:
    """The claims of a run. Without a shared store, every method lets pass."""

    claims: Claims | None
    states: States
    settle: float
    wait: bool
    pays_offline: bool = False
    """Whether to pay although the store does not answer (`offline=pay`)."""
    _seen: dict[tuple[str, int], _Seen] = field(default_factory=dict)
    _threads: ThreadPoolExecutor | None = None

    def applies(self, effect: Effect) -> bool:
        """Whether a request needs a claim: what is free may be sent twice."""
        return self.claims is not None and effect.provider.charges

    @property
    def takeover(self) -> float:
        """Seconds after which a claim without an ID is taken for one of a process that
        died: a settle time until its request went out (`check`), one until the provider
        carried it out, and one until lists show the job."""
        return 3 * self.settle

    async def turn(self, effect: Effect, paid: Paid) -> Claim | bool | None:
        """Wait until it is known what to do: the claim whose job is to be taken up;
        True to claim and send; False to look at the provider first, and ask again.

        Raises GivenUp if the store does not answer; Deferred if the run does not wait;
        Refused for another account's job, or if a person must decide.
        """
        if not self.applies(effect):
            return True
        seen = self._of(effect, paid)
        while True:
            chain = await self._ask(effect, self._chain, effect.job.key, paid.attempt)
            if chain is None:  # offline, and told to pay
                return True
            head, seen.next = (chain[-1] if chain else None), len(chain) + 1
            if head is None or head.phase == "released":
                return True
            if head.phase == "bound":
                return self._checked(effect, paid, head)
            is_own = head.writer == self._writer
            if seen.looked == len(chain) or (is_own and head.nonce in paid.nonces):
                return True  # the provider was searched after the settle time
            if seen.number != len(chain):
                seen.number, seen.since = len(chain), time.monotonic()
            # one's own claim is of a process that is dead: it held the key's lock
            wait = self.settle + 0.01 if is_own else self.takeover
            left = seen.since + wait - time.monotonic()
            if left <= 0:
                self._check_can_find(effect, paid, head)
                seen.looked = len(chain)
                return False
            await self._wait_for(effect, head, left)

    async def _wait_for(self, effect: Effect, head: Claim, left: float) -> None:
        whose = f"{head.host} has claimed {effect.job.name} (at {head.time})"
        if not self.wait:
            raise Deferred(f"{whose} and told no job yet; run again", under_way=True)
        effect.say(f"{whose}; waits for its job's ID, {left:.0f} s at most")
        await asyncio.sleep(min(left + 0.01, max(self.settle / 10, 0.1), POLL))

    async def take(self, effect: Effect, paid: Paid, nonce: str) -> bool:
        """Claim the sending of one request. False if another machine was faster. Raises
        as `turn`."""
        if not self.applies(effect):
            return True
        seen = self._of(effect, paid)
        claim = self._claim(effect, "claimed", nonce)
        seen.held, seen.began = None, time.monotonic()
        effects.passing("before claim")
        given = effect.job.key, paid.attempt, seen.next, claim
        made = await self._ask(effect, self._add, *given)
        effects.passing("after claim")
        if made is None:
            return True
        seen.held = claim if made else None
        return made

    def check(self, effect: Effect, paid: Paid) -> None:
        """Called right before the request is sent. Raises RateLimited, so that it is
        claimed anew, if the claim took so long that others may take it for dead."""
        seen = self._of(effect, paid)
        if seen.held and time.monotonic() - seen.began > self.settle:
            raise RateLimited("to claim the job took too long; it is claimed anew", 0.1)

    async def release(self, effect: Effect, paid: Paid) -> None:
        """Tell that the request certainly made nothing."""
        seen = self._of(effect, paid)
        if seen.held:
            await self._tell(effect, paid, "released", seen.held.nonce)
            seen.held = None

    async def publish(self, effect: Effect, paid: Paid) -> None:
        """Tell the job's ID, unless the chain's end tells one."""
        if self.applies(effect):
            await self._tell(effect, paid, "bound", "", paid.id)

    async def _tell(
        self, effect: Effect, paid: Paid, phase: Phase, nonce: str, id: str = ""
    ) -> None:
        """Add to a chain. If the store does not answer, only others must wait for it,
        or look at the provider; so that is no failure of the stage."""
        claim = self._claim(effect, phase, nonce, id)
        key, attempt = effect.job.key, paid.attempt

        def add() -> None:
            assert self.claims
            while True:
                chain = self.claims.chain(key, attempt)
                if chain and chain[-1].phase == "bound":
                    return
                held = phase == "bound" or (chain and chain[-1].nonce == nonce)
                if not held or self.claims.add(key, attempt, len(chain) + 1, claim):
                    return

        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, add)
        except StoreError as error:
            LOGGER.warning("not told %s %s: %s", effect.job.name, phase, error)
            effect.say(f"{error}; the others look at the provider for this job")

    async def _ask(
        self, effect: Effect, call: Callable[..., T], *args: object
    ) -> T | None:
        """The answer of a call in a thread. None if the store does not answer and the
        run pays all the same."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, call, *args)
        except StoreUnreachable as error:
            if self.pays_offline:
                effect.say(f"{error}; offline=pay: pays without a claim")
                return None
            raise GivenUp(
                f"{error}, and without it another machine might pay for the same job: "
                "run again when it does; to pay all the same: offline=pay"
            ) from error
        except StoreError as error:
            raise Refused(f"{error}; nothing was sent") from error

    def _chain(self, key: str, attempt: int) -> list[Claim]:
        assert self.claims
        if not self.claims.objects.creates_once:
            raise StoreError(
                f"the shared store {self.claims.objects.address} ignores conditional "
                "writes (If-None-Match), so two machines might pay for one job: use a "
                "store that has them, or take `store` out of pyproject.toml"
            )
        return self.claims.chain(key, attempt)

    def _add(self, key: str, attempt: int, number: int, claim: Claim) -> bool:
        assert self.claims
        return self.claims.add(key, attempt, number, claim)

    @property
    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(16, "claims")
        return self._threads

    @property
    def _writer(self) -> str:
        return writer_of(self.states.folder.parent)

    def _of(self, effect: Effect, paid: Paid) -> _Seen:
        return self._seen.setdefault((effect.job.key, paid.attempt), _Seen())

    def _claim(self, effect: Effect, phase: Phase, nonce: str, id: str = "") -> Claim:
        return Claim(
            phase=phase,
            nonce=nonce,
            writer=self._writer,
            host=host(),
            time=now(),
            stage=effect.job.name,
            account=effect.account,
            made_of=effect.made_of,
            id=id,
        )

    def _checked(self, effect: Effect, paid: Paid, head: Claim) -> Claim:
        """A claim whose job can be taken up. Raises Refused or JobFailed if this stage
        cannot."""
        theirs = Paid(
            phase="bound",
            stage=effect.job.name,
            kind=effect.job.kind,
            backend=effect.job.backend,
            account=head.account,
            attempt=paid.attempt,
            id=head.id,
            made_of=head.made_of,
        )
        if head.account != effect.account:
            raise elsewhere(theirs, effect)
        if head.made_of != effect.made_of:
            raise of_other_rows(theirs)
        return head

    def _check_can_find(self, effect: Effect, paid: Paid, head: Claim) -> None:
        """Raises JobFailed if the provider cannot tell whether a claim's request went
        through, since it does not show whose a job is. A person must decide."""
        if effect.provider.found_by != "untagged":
            return
        name = effect.job.name
        over = replace(
            paid,
            phase="failed",
            message=f"{head.host} claimed {name} (at {head.time}) and told no job, and "
            "the provider does not show whose a job is: look there, and if it made "
            f"one: {hints.command('adopt', name, 'MODEL_ID')}",
        )
        self.states.save_paid(effect.job.key, over)
        raise ended(over)
