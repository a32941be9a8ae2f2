"""The state machine of paid effects, against a toy provider that loses answers."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from motools_build.account import Account
from motools_build.backends.job import Made, Progress, StageJob
from motools_build.backends.provider import Found, FoundBy, Standing, Status
from motools_build.errors import (
    Ambiguous,
    ArtifactError,
    Deferred,
    GivenUp,
    JobFailed,
    MotoolsError,
    NewerFormat,
    OverBudget,
    Parked,
    RateLimited,
    Refused,
    Unreachable,
)
from motools_build.keys import Key
from motools_build.project.config import settle_seconds
from motools_build.running import effects, exchange, pay_once
from motools_build.running.budget import Budget
from motools_build.running.exchange import Exchange
from motools_build.running.pay_once import PayOnce
from motools_build.store.ledger import Ledger
from motools_build.store.records import Paid, Record, _sealed
from motools_build.store.state import States

pytestmark = pytest.mark.anyio

KEY = Key("0" * 32)
SETTLE = 0.2


class Death(BaseException):
    """What a SIGKILL is to the machine: nothing after it is done."""


@dataclass
class Toy:
    """A provider in memory. `answers` are how the next submissions end, in turn:
    "lost" (made, then no answer), "drop" (not made, no answer), or an error."""

    found_by: FoundBy = "tagged"
    charges: bool = True
    answers: list[str | MotoolsError] = field(default_factory=list)
    lag: float = 0.0
    """Seconds until a listing shows a new job."""
    ends: list[tuple[Status, str]] = field(default_factory=list)
    """How polls end, in turn; then `succeeded`."""
    unknown: list[bool] = field(default_factory=list)
    """Whether polls are answered by a 404, in turn; then they are not."""
    price: float | None = 1.0
    jobs: dict[str, Found] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    submissions: int = 0
    polls: int = 0
    _born: dict[str, float] = field(default_factory=dict)

    def add(self, attempt: int, nonce: str, created: float | None = None) -> str:
        at = asyncio.get_running_loop().time()
        id = f"job-{len(self.jobs)}"
        when = pay_once.time.time() if created is None else created
        self.jobs[id] = Found(id, attempt, nonce, when)
        self._born[id] = at
        return id

    async def find(self, job: StageJob) -> list[Found]:
        at = asyncio.get_running_loop().time()
        return [j for j in self.jobs.values() if self._born[j.id] + self.lag <= at]

    @asynccontextmanager
    async def sending(self, job: StageJob) -> AsyncIterator[None]:
        yield

    async def submit(self, job: StageJob, attempt: int, nonce: str) -> str:
        self.submissions += 1
        how = self.answers.pop(0) if self.answers else ""
        if isinstance(how, MotoolsError):
            raise how
        if how == "drop":
            raise Ambiguous("the connection broke")
        id = self.add(attempt, "" if self.found_by == "untagged" else nonce)
        if how == "lost":
            raise Ambiguous("the connection broke")
        return id

    async def poll(self, job: StageJob, id: str) -> Standing:
        self.polls += 1
        await asyncio.sleep(0.01)
        if id in self.cancelled:
            return Standing("cancelled")
        if id not in self.jobs or (self.unknown and self.unknown.pop(0)):
            return Standing("gone", "no such job")
        status, message = self.ends.pop(0) if self.ends else ("succeeded", "")
        if message == "network":
            raise Unreachable("no route to the host")
        return Standing(status, message)

    async def cancel(self, id: str) -> None:
        self.cancelled.append(id)

    async def collect(self, job: StageJob, id: str) -> Made:
        return Made(f"model of {id}", {"cost": self.price})

    def cost(self, job: StageJob) -> float | None:
        return self.price

    @asynccontextmanager
    async def turn(
        self, job: StageJob, *, bound: bool, wait: bool
    ) -> AsyncIterator[None]:
        yield


@dataclass
class Folder:
    """One artifacts/ folder: what survives the death of its process."""

    root: Path
    said: list[str] = field(default_factory=list)

    @property
    def states(self) -> States:
        return States(self.root)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.root / "ledger.jsonl")

    def paid(self) -> Paid:
        paid = self.states.paid(KEY)
        assert paid is not None
        return paid

    def made(self) -> None:
        """What the store does once the artifact is there."""
        self.states.clear(KEY)

    async def run(self, toy: Toy, *, wait: bool = True, **options: object) -> Made:
        machine = PayOnce(
            self.states, self.ledger, wait=wait, **{"settle": SETTLE, **options}
        )
        return await machine.make(a_job(), toy, self._say)

    def _say(self, progress: Progress) -> None:
        self.said.append(progress.note)


def a_job(**account: Any) -> StageJob:
    lab = Account(**{"name": "lab", **account})
    return StageJob(
        "model", "toy", KEY, "model:s/d/m/seed0", None, work="", account=lab
    )


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def die_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Die when the machine passes a point."""

    def order(point: str) -> None:
        def passing(passed: str) -> None:
            if passed == point:
                raise Death(point)

        monkeypatch.setattr(effects, "passing", passing)

    return order


POINTS = (
    *("before intent", "after intent", "after the answer"),
    *("between ledger and state", "after bind", "before collecting"),
    "before the record",
)


@pytest.mark.parametrize(
    ("lost", "point"),
    [
        *(("", point) for point in POINTS),
        *(("lost", point) for point in POINTS if point != "after the answer"),
        ("lost", "after a lost answer"),
    ],
)
async def test_a_death_at_any_point_pays_once(
    folder: Folder, die_at: Callable[[str], None], point: str, lost: str
) -> None:
    toy = Toy(lag=SETTLE / 10, answers=[lost])  # the rest is for a slow disk
    die_at(point)
    with pytest.raises(Death):
        await folder.run(toy)
    die_at("nowhere")
    made = await folder.run(toy)
    assert len(toy.jobs) == 1
    assert made.output == "model of job-0"
    bound = [e for e in folder.ledger.of(KEY) if e.event == "bound"]
    assert {entry.id for entry in bound} == {"job-0"}


async def test_a_request_that_never_arrived_is_sent_again_after_the_settle_time(
    folder: Folder,
) -> None:
    toy = Toy(answers=["drop"])
    before = asyncio.get_running_loop().time()
    made = await folder.run(toy)
    assert asyncio.get_running_loop().time() - before >= SETTLE
    assert (toy.submissions, len(toy.jobs), made.output) == (2, 1, "model of job-0")


async def test_an_answer_that_got_lost_is_found_again(folder: Folder) -> None:
    toy = Toy(answers=["lost"], lag=SETTLE / 2)
    await folder.run(toy)
    assert (toy.submissions, len(toy.jobs)) == (1, 1)
    assert not folder.ledger.of(KEY)[0].adopted  # it is this folder's own


async def test_a_provider_that_never_answers_is_given_up_but_not_forgotten(
    folder: Folder,
) -> None:
    toy = Toy(answers=["drop"] * pay_once.ATTEMPTS_LOST)
    with pytest.raises(Refused, match="5 times in a row"):
        await folder.run(toy, settle=0.02)
    assert folder.paid().phase == "intent"
    await folder.run(toy)
    assert len(toy.jobs) == 1


async def test_a_definite_no_leaves_nothing_to_reconcile(folder: Folder) -> None:
    toy = Toy(answers=[Refused("400: no such model")])
    with pytest.raises(Refused, match="no such model"):
        await folder.run(toy)
    assert folder.paid().phase == "absent"
    told = [e.event for e in folder.ledger.of(KEY)]
    assert told == ["intent", "refused"]
    folder.states.clear(KEY)  # even without its state nothing is waited for
    await asyncio.wait_for(folder.run(toy, settle=0.1), 10)
    assert len(toy.jobs) == 1


async def test_a_rate_limit_is_waited_for_and_shown(folder: Folder) -> None:
    toy = Toy(answers=[RateLimited("429: slow down", 0.05)] * 3)
    await folder.run(toy)
    assert (toy.submissions, len(toy.jobs)) == (4, 1)
    assert "429: slow down; again in 0 s" in folder.said


async def test_a_daily_limit_parks_the_job(folder: Folder) -> None:
    later = pay_once.time.time() + 7200
    toy = Toy(answers=[Parked("429: your jobs of the day are used up", later)])
    with pytest.raises(Deferred, match=r"parked until .*used up"):
        await folder.run(toy)
    assert folder.paid().until == later
    with pytest.raises(Deferred, match="parked until"):
        await folder.run(toy)  # too early: nothing is even asked
    assert toy.submissions == 1
    await folder.run(toy, clock=lambda: pay_once.time.time() + 7201)
    assert len(toy.jobs) == 1


async def test_a_short_parking_is_waited_for(folder: Folder) -> None:
    soon = pay_once.time.time() + 1
    toy = Toy(answers=[Parked("429: wait", soon)])
    await folder.run(toy)
    assert any("parked until" in said for said in folder.said)


async def test_a_failed_job_is_remembered_and_not_paid_for_again(
    folder: Folder,
) -> None:
    toy = Toy(ends=[("failed", "moderation: the usage policy")])
    for _ in range(2):
        with pytest.raises(JobFailed, match=r"moderation.*doit retry model:s/d/m/s"):
            await folder.run(toy)
    folder.states.clean(KEY)  # `doit clean` forgets the failure, not that it was paid
    toy.ends = [("failed", "moderation: the usage policy")]
    with pytest.raises(JobFailed):
        await folder.run(toy)
    assert (toy.submissions, toy.polls) == (1, 2)


async def test_a_retry_makes_the_next_attempt_and_never_takes_up_the_failed_one(
    folder: Folder,
) -> None:
    toy = Toy(ends=[("failed", "moderation")])
    with pytest.raises(JobFailed):
        await folder.run(toy)
    failed = folder.paid()
    again = replace(failed, phase="absent", attempt=2, nonces=(), id="")
    folder.states.save_paid(KEY, again)
    made = await folder.run(toy)
    assert (made.output, made.details["attempt"]) == ("model of job-1", 2)
    folder.made()
    assert (await folder.run(toy)).output == "model of job-1"
    assert toy.submissions == 2


async def test_a_job_that_vanished_is_not_paid_for_again(folder: Folder) -> None:
    toy = Toy()
    with pytest.raises(Deferred):
        await folder.run(toy, wait=False)
    toy.jobs.clear()
    with pytest.raises(JobFailed, match="is gone from the provider"):
        await folder.run(toy)
    with pytest.raises(JobFailed, match="doit retry"):
        await folder.run(toy)
    assert toy.submissions == 1


async def test_a_404_that_passes_loses_nothing(folder: Folder) -> None:
    toy = Toy(unknown=[True] * 3 + [False] + [True] * 2)
    made = await folder.run(toy)
    assert (made.output, toy.submissions) == ("model of job-0", 1)
    assert "gone" not in {entry.event for entry in folder.ledger.of(KEY)}
    assert any("that may pass" in said for said in folder.said)


async def test_a_404_that_passes_without_waiting_for_it(folder: Folder) -> None:
    toy = Toy(unknown=[True])
    with pytest.raises(Deferred, match="submitted"):
        await folder.run(toy, wait=False)
    with pytest.raises(Deferred, match="asked again by the next run"):
        await folder.run(toy, wait=False)
    assert folder.paid().missing > 0
    await asyncio.sleep(SETTLE)
    assert (await folder.run(toy, wait=False)).output == "model of job-0"
    assert toy.submissions == 1


async def test_a_404_of_what_is_listed_decides_nothing(folder: Folder) -> None:
    toy = Toy(unknown=[True] * 1000)
    with pytest.raises(Refused, match="is listed, and not known"):
        await folder.run(toy, settle=0.05)
    assert (folder.paid().phase, folder.paid().id) == ("bound", "job-0")
    toy.unknown.clear()
    assert (await folder.run(toy)).output == "model of job-0"
    assert toy.submissions == 1


async def test_what_was_wrongly_taken_for_gone_is_looked_for_again(
    folder: Folder,
) -> None:
    toy = Toy()
    with pytest.raises(Deferred):
        await folder.run(toy, wait=False)
    gone = replace(folder.paid(), phase="gone", since=1.0)
    for lost_ledger in (False, True):
        folder.states.save_paid(KEY, gone)
        if lost_ledger:
            (folder.root / "ledger.jsonl").unlink()
        assert (await folder.run(toy)).output == "model of job-0"
    assert toy.submissions == 1


async def test_what_is_gone_is_noted_once(folder: Folder) -> None:
    toy = Toy()
    with pytest.raises(Deferred):
        await folder.run(toy, wait=False)
    toy.jobs.clear()
    for _ in range(3):
        with pytest.raises(JobFailed, match="is gone"):
            await folder.run(toy)
    assert [e.event for e in folder.ledger.of(KEY)] == ["intent", "bound", "gone"]


async def test_a_file_that_vanished_is_sent_again(folder: Folder) -> None:
    toy = Toy(charges=False)
    await folder.run(toy)
    folder.made()
    toy.jobs.clear()
    await folder.run(toy)
    assert toy.submissions == 2


async def test_what_the_ledger_tells_of_another_account_is_not_gone(
    folder: Folder,
) -> None:
    """After a clean, an account that cannot see the job writes nothing down of it."""
    toy = Toy()
    await folder.run(toy)
    folder.made()
    machine = PayOnce(folder.states, folder.ledger, settle=SETTLE)
    with pytest.raises(Refused, match="belongs to account lab"):
        await machine.make(a_job(name="other"), Toy(), folder._say)
    assert "gone" not in {entry.event for entry in folder.ledger.of(KEY)}
    assert (await folder.run(toy)).output == "model of job-0"
    assert toy.submissions == 1


async def test_the_ledger_is_enough_to_adopt(folder: Folder) -> None:
    toy = Toy()
    await folder.run(toy)
    folder.made()
    toy.lag = 1e9  # not even in the listings any more
    assert (await folder.run(toy)).output == "model of job-0"
    assert toy.submissions == 1


async def test_the_provider_is_enough_to_adopt(folder: Folder, tmp_path: Path) -> None:
    toy = Toy()
    await folder.run(toy)
    made = await Folder(tmp_path / "other").run(toy)
    assert (made.output, made.details["adopted"]) == ("model of job-0", True)
    assert toy.submissions == 1


async def test_without_any_state_the_last_attempt_is_adopted(folder: Folder) -> None:
    toy = Toy()
    toy.add(1, "a", 1.0)
    toy.add(2, "b", 2.0)
    assert (await folder.run(toy)).output == "model of job-1"
    assert toy.submissions == 0


async def at_once(first: Folder, second: Folder, toy: Toy) -> list[Made]:
    """What two machines make, the second of which begins a little later."""

    async def a_little_later() -> Made:
        await asyncio.sleep(SETTLE / 4)
        return await second.run(toy)

    return await asyncio.gather(first.run(toy), a_little_later())


async def test_two_machines_converge_on_the_earlier_job(tmp_path: Path) -> None:
    """Neither sees the other's job in time; the later one cancels its own."""
    toy = Toy(lag=SETTLE * 0.9)
    first, second = Folder(tmp_path / "1"), Folder(tmp_path / "2")
    made = await at_once(first, second, toy)
    assert [m.output for m in made] == ["model of job-0"] * 2
    assert (len(toy.jobs), toy.cancelled) == (2, ["job-1"])
    assert [m.details["adopted"] for m in made] == [False, True]
    told = [(e.event, e.id) for e in second.ledger.of(KEY)]
    assert ("cancelled", "job-1") in told
    assert all(event != "cancelled" for event, _ in told[-1:])


async def test_what_has_a_name_of_ones_own_choice_is_not_elected(
    folder: Folder,
) -> None:
    """There cannot be two, so that no settle time is waited for."""
    toy = Toy(found_by="named")
    await asyncio.wait_for(folder.run(toy, settle=3600.0), 10)
    toy = Toy(found_by="named", ends=[("failed", "moderation")])
    other = Folder(folder.root / "other")
    for _ in range(2):
        with pytest.raises(JobFailed):  # it charges, so it is remembered
            await other.run(toy)
    assert toy.submissions == 1


async def test_an_untagged_job_is_ones_own_by_the_ledger(tmp_path: Path) -> None:
    """No nonce comes back; still each cancels only what it made."""
    toy = Toy(found_by="untagged", lag=SETTLE * 0.9)
    first, second = Folder(tmp_path / "1"), Folder(tmp_path / "2")
    made = await at_once(first, second, toy)
    assert [m.output for m in made] == ["model of job-0"] * 2
    assert toy.cancelled == ["job-1"]


async def test_whoever_adopted_a_loser_follows_to_the_winner(folder: Folder) -> None:
    toy = Toy()
    toy.add(1, "theirs", 20.0)
    toy.cancelled.append("job-0")  # a third machine gave way to another
    toy.add(1, "others", 10.0)
    assert (await folder.run(toy)).output == "model of job-1"
    assert toy.submissions == 0


async def test_an_own_job_that_shows_late_gives_way_too(folder: Folder) -> None:
    """The answer got lost, another machine's job is adopted, then one's own shows."""
    toy = Toy(answers=["lost"], lag=SETTLE / 2)
    theirs: list[str] = []

    async def other_machine() -> None:
        await asyncio.sleep(SETTLE / 4)
        theirs.append(toy.add(1, "theirs", 5.0))
        toy._born[theirs[0]] = 0.0  # it shows at once

    made, _ = await asyncio.gather(folder.run(toy), other_machine())
    assert made.output == f"model of {theirs[0]}"
    assert toy.cancelled == ["job-0"]


async def test_without_waiting_a_job_is_submitted_and_left(folder: Folder) -> None:
    toy = Toy(ends=[("running", "")])
    with pytest.raises(Deferred, match="submitted as job-0"):
        await folder.run(toy, wait=False)
    assert toy.polls == 0
    with pytest.raises(Deferred, match="job-0 is running"):
        await folder.run(toy, wait=False)
    await asyncio.sleep(SETTLE)
    assert (await folder.run(toy, wait=False)).output == "model of job-0"
    assert toy.submissions == 1


async def test_a_network_that_is_down_is_no_answer(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = Toy(ends=[("running", "network")] * 3)
    assert (await folder.run(toy)).output == "model of job-0"
    assert "no route to the host; asks again" in folder.said


@pytest.mark.parametrize("found_by", ["tagged", "named"])
async def test_a_network_that_stays_down_is_given_up_and_nothing_lost(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, found_by: FoundBy
) -> None:
    monkeypatch.setattr(Exchange.ask, "__defaults__", (0.3,))
    toy = Toy(ends=[("running", "network")] * 1000, found_by=found_by)
    with pytest.raises(GivenUp, match=r"account lab: no route.*goes on: run again"):
        await asyncio.wait_for(folder.run(toy), 10)
    assert folder.paid().phase == "bound"
    toy.ends.clear()
    assert (await folder.run(toy)).output == "model of job-0"
    assert toy.submissions == 1


async def test_429s_that_do_not_end_are_given_up(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "PATIENCE", 0.2)
    monkeypatch.setattr(pay_once, "PATIENCE", 0.2)
    toy = Toy(answers=[RateLimited("429: slow down", 0.01) for _ in range(1000)])
    with pytest.raises(Deferred, match="slow down, for an hour"):
        await asyncio.wait_for(folder.run(toy), 10)
    assert not toy.jobs

    async def never(job: StageJob) -> list[Found]:
        raise RateLimited("429: slow down", 0.01)

    monkeypatch.setattr(toy, "find", never)
    with pytest.raises(Refused, match="slow down, for an hour"):
        await asyncio.wait_for(folder.run(toy), 10)


async def test_an_old_parking_without_an_end_is_over_after_a_day(
    folder: Folder,
) -> None:
    yesterday = pay_once.time.time() - 90_000
    for until in (1e19, float("inf"), float("nan")):
        state = Paid("parked", "s", "model", "toy", "lab", since=yesterday, until=until)
        folder.states.save_paid(KEY, state)
        toy = Toy()
        await asyncio.wait_for(folder.run(toy), 10)
        assert len(toy.jobs) == 1
        (folder.root / "ledger.jsonl").unlink()


async def test_without_waiting_an_open_question_is_left_too(folder: Folder) -> None:
    toy = Toy(answers=["lost"], lag=1e9)
    with pytest.raises(Deferred, match="not known whether the last request"):
        await asyncio.wait_for(folder.run(toy, wait=False, settle=60.0), 10)
    toy.lag = 0
    with pytest.raises(Deferred, match="is done; another machine's earlier job may"):
        await asyncio.wait_for(folder.run(toy, wait=False, settle=60.0), 10)
    await asyncio.sleep(SETTLE)
    assert (await folder.run(toy, wait=False)).output == "model of job-0"
    assert toy.submissions == 1


@pytest.mark.parametrize(
    ("point", "answer"),
    [
        ("after intent", ""),
        ("after the answer", ""),
        ("after a lost answer", "lost"),
        ("after a lost answer", "drop"),
        ("between ledger and state", ""),
    ],
)
async def test_without_state_ones_own_is_known_by_the_ledger(
    folder: Folder, die_at: Callable[[str], None], point: str, answer: str
) -> None:
    """The list lags, so that only the ledger can tell that a request was sent."""
    toy = Toy(lag=SETTLE / 10, answers=[answer])
    die_at(point)
    with pytest.raises(Death):
        await folder.run(toy)
    die_at("nowhere")
    sent = toy.submissions
    shutil.rmtree(folder.states.folder)
    began = asyncio.get_running_loop().time()
    await folder.run(toy)
    assert len(toy.jobs) == 1
    bound = [e for e in folder.ledger.of(KEY) if e.event == "bound"]
    assert not any(entry.adopted for entry in bound), "it is this folder's own"
    if not toy.jobs or answer == "drop" or not sent:
        assert asyncio.get_running_loop().time() - began >= SETTLE


async def test_an_own_loser_is_known_by_the_ledger_and_cancelled(
    folder: Folder, die_at: Callable[[str], None]
) -> None:
    toy = Toy(answers=["lost"])
    die_at("after a lost answer")
    with pytest.raises(Death):
        await folder.run(toy)
    die_at("nowhere")
    shutil.rmtree(folder.states.folder)
    winner = toy.add(1, "theirs", 5.0)
    assert (await folder.run(toy)).output == f"model of {winner}"
    assert toy.cancelled == ["job-0"]


async def test_a_duplicate_that_nobody_took_back_is_told(folder: Folder) -> None:
    toy = Toy()
    toy.add(1, "theirs", 10.0)
    toy.add(1, "others", 20.0)  # of a third machine that is gone
    machine = PayOnce(folder.states, folder.ledger, settle=SETTLE)
    assert (await machine.make(a_job(), toy, folder._say)).output == "model of job-0"
    assert list(machine.duplicates) == ["job-1"]
    assert "another machine's job" in machine.duplicates["job-1"]
    assert toy.cancelled == []
    told = [e for e in folder.ledger.of(KEY) if e.event == "duplicate"]
    assert [entry.id for entry in told] == ["job-1"]
    folder.made()
    assert (await folder.run(toy)).output == "model of job-0", "none of ours"
    again = [e.id for e in folder.ledger.of(KEY) if e.event == "duplicate"]
    assert again == ["job-1"], "once"


async def test_a_duplicate_that_is_taken_back_meanwhile_is_not_told(
    folder: Folder,
) -> None:
    toy = Toy()
    toy.add(1, "theirs", 10.0)
    toy.add(1, "others")
    machine = PayOnce(folder.states, folder.ledger, settle=SETTLE)

    async def gives_way() -> None:
        await asyncio.sleep(SETTLE)
        toy.cancelled.append("job-1")

    await asyncio.gather(machine.make(a_job(), toy, folder._say), gives_way())
    assert machine.duplicates == {}
    assert "duplicate" not in {e.event for e in folder.ledger.of(KEY)}


async def test_a_loser_that_cannot_be_cancelled_is_told(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = Toy(answers=["lost"], lag=SETTLE / 2, ends=[("running", "")] * 1000)

    async def refuses(id: str) -> None:
        raise Refused("404: no such job")

    async def poll(job: StageJob, id: str) -> Standing:
        return Standing("running" if id == "job-0" else "succeeded")

    monkeypatch.setattr(toy, "cancel", refuses)
    monkeypatch.setattr(toy, "poll", poll)
    machine = PayOnce(folder.states, folder.ledger, settle=SETTLE)
    theirs = toy.add(1, "theirs", 5.0)
    toy._born[theirs] = 0.0
    toy.jobs["job-0"], own = Found("job-0", 1, "n", 9.0), toy.jobs["job-0"]
    toy.jobs["job-1"] = replace(own, id="job-1")
    toy._born["job-1"] = 0.0
    state = Paid("intent", "s", "model", "toy", "lab", nonces=("n",))
    folder.states.save_paid(KEY, state)
    made = await machine.make(a_job(), toy, folder._say)
    assert made.output == "model of job-1"
    assert "could not be cancelled" in machine.duplicates["job-0"]
    assert "cancelled" not in {e.event for e in folder.ledger.of(KEY)}


class TestLaterVersions:
    """What a later version of the package wrote is neither damaged nor lost."""

    async def test_fields_that_are_not_known_are_kept(self, folder: Folder) -> None:
        toy = Toy(ends=[("running", "")])
        with pytest.raises(Deferred):
            await folder.run(toy, wait=False)
        file = folder.states.folder / f"{KEY}.json"
        state = json.loads(file.read_bytes())
        state["shared"] = {"with": "them"}
        state["paid"]["region"] = "eu"
        file.write_text(json.dumps(state))
        with pytest.raises(Deferred, match="is running"):
            await folder.run(toy, wait=False)
        folder.states.record_failure(KEY, "s", Refused("no"), None)
        folder.states.save_paid(KEY, replace(folder.paid(), since=2.0))
        kept = json.loads(file.read_bytes())
        assert (kept["shared"], kept["paid"]["region"]) == ({"with": "them"}, "eu")
        assert (kept["paid"]["since"], kept["format"]) == (2.0, 1)

    async def test_lines_of_the_ledger_tell_what_is_known_of_them(
        self, folder: Folder
    ) -> None:
        toy = Toy()
        await folder.run(toy)
        folder.made()
        file = folder.root / "ledger.jsonl"
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        bound = {**lines[1], "region": "eu", "event": "moved"}
        file.write_text(json.dumps(bound) + "\n")
        toy.lag = 1e9  # only the ledger knows
        assert (await folder.run(toy)).output == "model of job-0"
        assert toy.submissions == 1

    @pytest.mark.parametrize("where", ["state", "phase", "ledger", "whole ledger"])
    async def test_a_newer_format_stops_and_is_left_as_it_is(
        self, folder: Folder, where: str
    ) -> None:
        toy = Toy(ends=[("running", "")])
        with pytest.raises(Deferred):
            await folder.run(toy, wait=False)
        state = folder.states.folder / f"{KEY}.json"
        ledger = folder.root / "ledger.jsonl"
        if where == "state":
            state.write_text('{"format": 2, "effects": []}')
        elif where == "phase":
            state.write_text(state.read_text().replace('"bound"', '"on hold"'))
        else:
            state.unlink()
            key = f'"key": "{KEY}"' if where == "ledger" else '"keys": []'
            ledger.write_text(f'{{"format": 2, {key}}}\n')
        before = [p.read_bytes() for p in (state, ledger) if p.exists()]
        with pytest.raises(NewerFormat, match="upgrade motools_build"):
            await folder.run(toy)
        folder.states.record_failure(KEY, "s", Refused("no"), None)
        folder.states.clean(KEY)
        if where == "state":
            with pytest.raises(NewerFormat):
                folder.states.save_paid(KEY, a_blank())
            failure = folder.states.failure(KEY)
            assert failure
            assert "upgrade motools_build" in failure.message
        if where in ("state", "phase"):
            assert [state.read_bytes(), ledger.read_bytes()] == before
        assert ledger.read_bytes() == before[-1]
        assert toy.submissions == 1

    @pytest.mark.parametrize("sealed", [True, False])
    def test_records(self, sealed: bool) -> None:
        record = Record("model", "b", KEY, {}, "n", "o", {}, {}, {})
        assert Record.decode(record.encode()) == record
        fields = {**vars(record), "region": "eu"}
        assert Record.decode(_sealed(json.dumps(fields).encode())) == record
        newer = json.dumps({**fields, "format": 2}).encode()
        data = _sealed(newer) if sealed else b'{"seal": 9, "record": ' + newer + b"}"
        with pytest.raises(NewerFormat, match="upgrade motools_build"):
            Record.decode(data)
        assert Record.decode(record.encode()[:-9]) is None, "damaged is damaged"


def a_blank() -> Paid:
    return Paid("absent", "s", "model", "toy", "lab")


async def test_max_spend_stops_before_the_stage_that_would_pass_it(
    folder: Folder, tmp_path: Path
) -> None:
    toy, budget = Toy(price=3.0), Budget(5.0)
    await folder.run(toy, budget=budget)
    with pytest.raises(OverBudget, match=r"would cost \$3.00.* only \$2.00 is left"):
        await Folder(tmp_path / "2").run(Toy(price=3.0), budget=budget)
    with pytest.raises(OverBudget, match="is not known"):
        await Folder(tmp_path / "3").run(Toy(price=None), budget=budget)
    assert budget.reserved == 3.0
    refused = Toy(price=2.0, answers=[Refused("no")])
    with pytest.raises(Refused):
        await Folder(tmp_path / "4").run(refused, budget=budget)
    assert budget.reserved == 3.0  # what was refused costs nothing


async def test_jobs_a_day_are_counted_over_runs(tmp_path: Path) -> None:
    folder, toy = Folder(tmp_path), Toy()
    machine = PayOnce(folder.states, folder.ledger, settle=0.01)
    for n in range(2):
        job = replace(a_job(jobs_a_day=2), key=Key(f"{n:032}"))
        await machine.make(job, Toy(), folder._say)
    machine = PayOnce(folder.states, folder.ledger, settle=0.01)  # another run
    with pytest.raises(Deferred, match="2 jobs of a day"):
        await machine.make(
            replace(a_job(jobs_a_day=2), key=Key("9" * 32)), toy, folder._say
        )
    assert toy.submissions == 0


async def test_a_clock_that_was_set_back_is_no_reason_to_wait_long(
    folder: Folder,
) -> None:
    toy = Toy(answers=["drop"])
    future = pay_once.time.time() + 86400
    folder.states.save_paid(
        KEY, Paid("intent", "s", "model", "toy", "lab", since=future, nonces=("x",))
    )
    await asyncio.wait_for(folder.run(toy), 20 * SETTLE)
    assert len(toy.jobs) == 1


async def test_a_damaged_state_is_never_taken_for_none(folder: Folder) -> None:
    toy = Toy()
    folder.states.folder.mkdir(parents=True)
    (folder.states.folder / f"{KEY}.json").write_text('{"paid": {"phase": "bo')
    with pytest.raises(MotoolsError, match="may tell of a job that was paid for"):
        await folder.run(toy)
    assert toy.submissions == 0


@pytest.mark.parametrize(
    "odd",
    [
        {"since": "long ago"},
        {"since": float("nan")},
        {"since": 10**400},
        {"missing": float("inf")},
        {"until": None},
        {"attempt": "1"},
        {"id": 7},
        {"nonces": "x"},
        {"phase": []},
    ],
)
async def test_a_state_of_odd_values_is_damaged_and_no_endless_wait(
    folder: Folder, odd: dict[str, object]
) -> None:
    toy = Toy()
    state = {**vars(a_blank()), "phase": "intent", "nonces": ["x"], **odd}
    folder.states.folder.mkdir(parents=True)
    file = folder.states.folder / f"{KEY}.json"
    file.write_text(json.dumps({"failure": None, "paid": state}))
    with pytest.raises(ArtifactError, match="is damaged"):
        await asyncio.wait_for(folder.run(toy), 10)
    assert toy.submissions == 0


def test_a_torn_line_of_the_ledger_is_passed_over(folder: Folder) -> None:
    toy = Toy()
    asyncio.run(folder.run(toy))
    with open(folder.root / "ledger.jsonl", "a") as file:
        file.write('{"event": "bou')
    asyncio.run(folder.run(toy))
    events = [e.event for e in folder.ledger.of(KEY)]
    assert events[:3] == ["intent", "bound", "succeeded"]


def test_the_settle_time_is_declared_or_ordered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MOTOOLS_SETTLE_SECONDS", raising=False)
    assert (settle_seconds(None), settle_seconds(5.0)) == (60.0, 5.0)
    monkeypatch.setenv("MOTOOLS_SETTLE_SECONDS", "0.5")
    assert settle_seconds(5.0) == 0.5
