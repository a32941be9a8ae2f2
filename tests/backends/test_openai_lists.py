"""Lists of the openai backend: whole, or an error; odd jobs; waits that end."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motools_build.backends.job import StageJob
from motools_build.backends.openai import silence, watch
from motools_build.backends.openai.fine_tuning import Jobs
from motools_build.backends.openai.paging import Incomplete, pages
from motools_build.backends.openai.silence import Silence
from motools_build.backends.openai.slots import Slots
from motools_build.backends.openai.waits import retry_after
from motools_build.backends.openai.watch import Watch
from motools_build.backends.prices import Prices
from motools_build.errors import (
    LONGEST_PARKING,
    LONGEST_PAUSE,
    Deferred,
    GivenUp,
    Parked,
    RateLimited,
    Refused,
    Unreachable,
)

LIMIT = 3

Answer = Callable[[list[dict[str, Any]], str | None], dict[str, Any]]


def items(number: int) -> list[dict[str, Any]]:
    return [{"id": f"job-{n}"} for n in range(number)]


def cursor(all: list[dict[str, Any]], after: str | None, size: int = LIMIT) -> Any:
    """As the API pages: items, and whether there are more."""
    ids = [each["id"] for each in all]
    start = ids.index(after) + 1 if after else 0
    return all[start : start + size], start + size < len(all)


def said(all: list[dict[str, Any]], after: str | None) -> dict[str, Any]:
    data, more = cursor(all, after)
    return {"data": data, "has_more": more}


def unsaid(all: list[dict[str, Any]], after: str | None) -> dict[str, Any]:
    return {"data": cursor(all, after)[0]}


def smaller(all: list[dict[str, Any]], after: str | None) -> dict[str, Any]:
    return {"data": cursor(all, after, 2)[0], "has_more": None}


def everything(all: list[dict[str, Any]], after: str | None) -> dict[str, Any]:
    return {"data": all}


def everything_said(all: list[dict[str, Any]], after: str | None) -> dict[str, Any]:
    return {"data": all, "has_more": False}


def first_page(all: list[dict[str, Any]], after: str | None) -> dict[str, Any]:
    return said(all, None)


def first_page_unsaid(all: list[dict[str, Any]], after: str | None) -> dict[str, Any]:
    return unsaid(all, None)


def endless(all: list[dict[str, Any]], after: str | None) -> dict[str, Any]:
    return {**said(all, after), "has_more": True}


def stuck(all: list[dict[str, Any]], after: str | None) -> dict[str, Any]:
    """New items before a cursor that does not move."""
    made = [{"id": f"new-{after}"}, all[-1]]
    return {"data": made, "has_more": True}


def listed(answer: Answer, number: int) -> list[str]:
    all = items(number)

    async def ask(after: str | None) -> dict[str, Any]:
        return answer(all, after)

    async def collect() -> list[Any]:
        return [i async for page in pages(ask, LIMIT, "http://x") for i in page]

    return [item["id"] for item in asyncio.run(collect())]


class TestPages:
    @pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 6, 7])
    @pytest.mark.parametrize("answer", [said, unsaid, smaller, everything_said])
    def test_a_list_that_leads_to_its_end_is_whole(
        self, answer: Answer, number: int
    ) -> None:
        assert listed(answer, number) == [each["id"] for each in items(number)]

    @pytest.mark.parametrize("number", [0, 1, 2])
    def test_one_answer_with_less_than_was_asked_for_is_whole(
        self, number: int
    ) -> None:
        assert len(listed(everything, number)) == number

    @pytest.mark.parametrize(
        ("answer", "number"),
        [
            (everything, 3),
            (everything, 9),
            (first_page, 4),
            (first_page_unsaid, 4),
            (endless, 0),
            (endless, 2),
            (endless, 6),
            (stuck, 2),
            (lambda all, after: {"data": None, "has_more": False}, 1),
            (lambda all, after: {"status": "ok"}, 1),
            (lambda all, after: {"data": [{"id": None}], "has_more": True}, 1),
            (lambda all, after: {"data": ["x"], "has_more": True}, 1),
        ],
    )
    def test_a_list_that_may_lack_something_is_an_error(
        self, answer: Answer, number: int
    ) -> None:
        with pytest.raises(Incomplete):
            listed(answer, number)

    def test_a_list_without_an_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("motools_build.backends.openai.paging.MOST_PAGES", 5)
        count = iter(range(1000))
        with pytest.raises(Incomplete, match="without an end"):
            listed(
                lambda a, b: {"data": [{"id": f"{next(count)}"}], "has_more": True}, 1
            )


OURS = {"motools": "1", "motools_key": "k", "motools_attempt": "1"}

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)


@dataclass
class Desk:
    """A desk whose server shows these jobs, in one page."""

    jobs: list[Any]
    account: Any = field(
        default_factory=lambda: SimpleNamespace(base_url="http://x", name="lab")
    )

    async def ask_json(
        self,
        question: Callable[[Any], Awaitable[Any]],
        *,
        at_once: bool = False,
    ) -> dict[str, Any]:
        def show(**_: Any) -> dict[str, Any]:
            return {"data": self.jobs, "has_more": False}

        def one(id: str) -> Any:
            return next(j for j in self.jobs if isinstance(j, dict) and j["id"] == id)

        raw = SimpleNamespace(list=show, retrieve=one)
        jobs = SimpleNamespace(with_raw_response=raw)
        found: Any = question(SimpleNamespace(fine_tuning=SimpleNamespace(jobs=jobs)))
        return found  # type: ignore[no-any-return]

    def no_answer(self) -> Unreachable:
        return Unreachable("no answer")

    def odd(self, what: str) -> Refused:
        return Refused(what)


def a_job(**fields: Any) -> dict[str, Any]:
    usual = {"id": "ours", "status": "running", "created_at": 1, "metadata": OURS}
    return {**usual, **fields}


def found(*shown: Any) -> list[str]:
    desk: Any = Desk(list(shown))
    job = StageJob("model", "openai", "k", "model:x", None, "")
    provider = Jobs(desk, Watch(desk), Prices())
    return [each.id for each in asyncio.run(provider.find(job))]


class TestOddJobs:
    @settings(deadline=None)  # the first one imports the SDK
    @given(
        st.lists(
            ODD
            | st.fixed_dictionaries(
                {"id": ODD, "metadata": ODD},
                optional={"status": ODD, "created_at": ODD},
            ),
            max_size=5,
        )
    )
    def test_other_peoples_are_passed_over(self, theirs: list[Any]) -> None:
        assert found(*theirs, a_job()) == ["ours"]

    @pytest.mark.parametrize(
        "odd",
        [
            {"created_at": None},
            {"created_at": "yesterday"},
            {"created_at": math.nan},
            {"created_at": 1e300},
            {"metadata": {**OURS, "motools_attempt": "first"}},
            {"metadata": {**OURS, "motools_attempt": None}},
        ],
    )
    def test_ones_own_is_told_and_not_taken_for_none(self, odd: dict[str, Any]) -> None:
        with pytest.raises(Refused, match=r"ours carries this stage's key"):
            found(a_job(**odd))

    def test_numbers_may_be_texts_and_a_status_may_be_new(self) -> None:
        tags = {**OURS, "motools_attempt": 1, "motools_nonce": None}
        assert found(a_job(metadata=tags, status="dreaming")) == ["ours"]


class TestEveryWaitEnds:
    @pytest.mark.parametrize(
        "raises",
        [TypeError("odd"), KeyError("id"), OverflowError(), RuntimeError("loop")],
    )
    def test_whatever_a_round_meets(
        self, monkeypatch: pytest.MonkeyPatch, raises: Exception
    ) -> None:
        monkeypatch.setattr(watch, "SOONEST", 0.0)
        desk: Any = Desk([])

        async def broken(*_: Any, **__: Any) -> Any:
            raise raises

        desk.ask_json = broken

        async def five() -> list[Any]:
            jobs = Watch(desk)
            waits = (jobs.job(f"ftjob-{n}") for n in range(5))
            return await asyncio.gather(*waits, return_exceptions=True)

        answers = asyncio.run(asyncio.wait_for(five(), 10))
        assert [type(answer) for answer in answers] == [Refused] * 5
        assert type(raises).__name__ in str(answers[0])

    def test_a_status_that_is_no_word(self) -> None:
        desk: Any = Desk([a_job(status=None)])
        provider = Jobs(desk, Watch(desk), Prices())
        job = StageJob("model", "openai", "k", "model:x", None, "")
        with pytest.raises(Refused, match="a status that is no word"):
            asyncio.run(asyncio.wait_for(provider.poll(job, "ours"), 10))


class TestWaitsThatAServerNames:
    @pytest.mark.parametrize(
        ("header", "said"),
        [
            ("1e19", ""),
            ("inf", ""),
            ("nan", ""),
            ("-3", ""),
            ("-inf", ""),
            ("0", ""),
            ("soon", ""),
            ("Fri, 31 Dec 9999 23:59:59 GMT", ""),
            ("Fri, 31 Dec 99999 23:59:59 GMT", ""),
            ("Fri, 32 Xyz 2020 23:59:59", ""),
            (None, "Please try again in 99999999999999999999d"),
            (None, "Please try again in 1.2.3s"),
            (None, "Please try again in ...s"),
            ("", "Please try again in 0s"),
        ],
    )
    def test_all_are_numbers_within_bounds(self, header: str | None, said: str) -> None:
        seconds = retry_after(header, said)
        assert seconds is None or seconds >= 0.1
        assert 0 < RateLimited("", seconds or 5).seconds <= LONGEST_PAUSE
        until = Parked("", time.time() + (seconds or 3600)).until
        assert 0 < until - time.time() <= LONGEST_PARKING

    @given(st.floats())
    def test_an_error_holds_no_other(self, seconds: float) -> None:
        assert 0 < RateLimited("", seconds).seconds <= LONGEST_PAUSE
        assert -1 < Parked("", seconds).until - time.time() <= LONGEST_PARKING

    def test_plain_ones_are_as_named(self) -> None:
        assert retry_after("2.5", "try again in 3s") == 2.5
        assert retry_after(None, "try again in 2h3m4s") == 7384
        assert retry_after("nan", "try again in 20ms") == 0.1
        in_a_minute = retry_after(formatdate(time.time() + 60, usegmt=True), "")
        assert in_a_minute == pytest.approx(60, abs=2)


class TestSilence:
    def test_who_never_answered_is_given_up_at_once(self) -> None:
        server = Silence("lab")
        with pytest.raises(GivenUp, match="account lab is given up"):
            server.goes_on(Unreachable("no route"))
        with pytest.raises(GivenUp, match="no route"):
            server.check()

    def test_who_falls_silent_has_some_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = Silence("lab")
        server.broken()
        server.goes_on(Unreachable("one"))
        server.check()
        monkeypatch.setattr(silence, "SILENCE", 0.0)
        with pytest.raises(GivenUp) as first:
            server.goes_on(Unreachable("two"))
        with pytest.raises(GivenUp) as second:
            server.goes_on(Unreachable("three"))
        assert str(first.value) == str(second.value), "the same words for all stages"


class TestSlots:
    def test_who_does_not_wait_still_gets_a_slot_that_becomes_free(self) -> None:
        async def run() -> list[str]:
            slots, log, go = Slots("lab", 1), [], asyncio.Event()

            async def finished() -> None:
                async with slots.turn(bound=True, wait=False):
                    await go.wait()
                    log.append("collected")

            async def next_one() -> None:
                async with slots.turn(bound=False, wait=False):
                    log.append("sent")

            first = asyncio.create_task(finished())
            await asyncio.sleep(0)
            second = asyncio.create_task(next_one())
            await asyncio.sleep(0)
            go.set()
            await asyncio.wait_for(asyncio.gather(first, second), 10)
            return log

        assert asyncio.run(run()) == ["collected", "sent"]

    def test_a_job_that_runs_on_keeps_its_slot(self) -> None:
        async def run() -> None:
            slots = Slots("lab", 1)
            with pytest.raises(Deferred, match="running"):
                async with slots.turn(bound=True, wait=False):
                    raise Deferred("running", under_way=True)
            with pytest.raises(Deferred, match="concurrent_jobs"):
                async with slots.turn(bound=False, wait=False):
                    pass

        asyncio.run(asyncio.wait_for(run(), 10))
