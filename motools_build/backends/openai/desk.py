"""One account at one server: its client, its limits, and its errors translated."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic_core import from_json

from motools_build.account import Account
from motools_build.backends.openai.silence import Silence
from motools_build.backends.openai.slots import Slots
from motools_build.backends.openai.waits import retry_after, too_long
from motools_build.errors import (
    LONGEST_PARKING,
    LONGEST_PAUSE,
    Ambiguous,
    MotoolsError,
    Parked,
    RateLimited,
    Refused,
    Unreachable,
)
from motools_build.text.scrub import scrub

if TYPE_CHECKING:
    import openai

T = TypeVar("T")

AT_ONCE = 8
"""Largest number of concurrent requests, for reads and writes separately: the HTTP
pool's own work grows with the square of its connections."""

IDLE = 2
"""A shared request is repeated no sooner than IDLE times the last one's duration after
it ended: a thousand jobs that settle one after another must not each list all jobs."""

PAUSE = 5.0
"""Seconds to wait after a 429 response that names no time."""

NO_ANSWER = "did not answer as the OpenAI API does; is it the right base URL?"

TOO_EARLY = frozenset({408, 409})
"""HTTP status codes of client errors after which the request may have taken effect."""


class Desk:
    """What all requests of an account share: client, limits, and whether the server
    answers. One per account and process; must not be used across a fork."""

    def __init__(self, account: Account) -> None:
        import openai

        self.account = account
        self._openai = openai
        self.client = openai.AsyncOpenAI(
            api_key=account.key(),
            base_url=account.base_url,
            organization=account.organization or None,
            project=account.project or None,
            max_retries=3,
            timeout=openai.Timeout(60, connect=10),
        )
        # a request that creates something is never retried; the SDK would, three times
        self.once = self.client.with_options(
            max_retries=0, timeout=openai.Timeout(600, connect=10)
        )
        self._sending = asyncio.Semaphore(AT_ONCE)
        self._asking = asyncio.Semaphore(AT_ONCE)
        self.uploading = asyncio.Semaphore(account.uploads_at_once)
        self._slots = (
            Slots(account.name, account.concurrent_jobs)
            if account.concurrent_jobs
            else None
        )
        self._silence = Silence(account.name)
        self._next = 0.0
        """Earliest time (monotonic seconds) of the next request, by the account's
        requests_a_minute."""

    async def ask(
        self,
        question: Callable[[openai.AsyncOpenAI], Awaitable[T]],
        *,
        at_once: bool = False,
    ) -> T:
        """The response to a read-only request, which the SDK retries by itself.

        With `at_once` the request skips the queue of AT_ONCE reads, as one that many
        jobs wait for. Raises Unreachable, RateLimited or Refused; GivenUp if the server
        is given up in this run.
        """
        async with nullcontext() if at_once else self._asking:
            await self._pace()
            self._silence.check()
            try:
                answer = await self._answer(question(self.client), Unreachable)
            except Unreachable as error:
                self._silence.goes_on(error)
                raise
            except MotoolsError:
                self._silence.broken()
                raise
            self._silence.broken()
            return answer

    async def ask_json(
        self,
        question: Callable[[openai.AsyncOpenAI], Awaitable[Any]],
        *,
        at_once: bool = False,
    ) -> dict[str, Any]:
        """The JSON object in the response to a read-only request made with
        `with_raw_response`; errors as `ask`. For a page of jobs, this takes a tenth of
        the time of the SDK's own classes."""
        answer = await self.ask(question, at_once=at_once)
        return self._object(answer, Unreachable)

    def no_answer(self) -> Unreachable:
        """The error to raise for a response that does not follow the API."""
        return Unreachable(f"{self.account.base_url} {NO_ANSWER}")

    def odd(self, what: str) -> Refused:
        """The error to raise for an unreadable response about a job or file of ours."""
        return Refused(
            f"{what} ({self.account.base_url}); nothing was decided and nothing sent: "
            "run again, or ask the server's owner"
        )

    def _object(self, answer: Any, otherwise: type[MotoolsError]) -> dict[str, Any]:
        try:
            found = from_json(answer.content)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise otherwise(f"{self.account.base_url} {NO_ANSWER}")
        return found

    async def send(self, request: Callable[[openai.AsyncOpenAI], Awaitable[T]]) -> T:
        """The response to a request that creates something, sent once, without retries.
        The caller holds a `window`.

        Raises Ambiguous if it is not known whether the request took effect;
        RateLimited, Parked or Refused if it surely did not.
        """
        self._silence.check()
        return await self._answer(request(self.once), Ambiguous)

    async def send_json(
        self, request: Callable[[openai.AsyncOpenAI], Awaitable[Any]]
    ) -> str:
        """As `send`, for a request made with `with_raw_response`: the ID of the created
        object."""
        made = self._object(await self.send(request), Ambiguous).get("id")
        if not isinstance(made, str):
            raise Ambiguous(f"{self.account.base_url} {NO_ANSWER}")
        return made

    @asynccontextmanager
    async def window(self) -> AsyncIterator[None]:
        """Waits until a request that creates something may be sent, and holds one of
        the AT_ONCE places for it."""
        async with self._sending:
            await self._pace()
            yield

    def slot(self, *, bound: bool, wait: bool) -> AbstractAsyncContextManager[None]:
        """A slot for one of the account's concurrent_jobs; see `Slots.turn`."""
        if self._slots is None:
            return nullcontext()
        return self._slots.turn(bound=bound, wait=wait)

    async def close(self) -> None:
        await self.client.close()

    async def _pace(self) -> None:
        if self.account.requests_a_minute:
            at = max(self._next, time.monotonic())
            self._next = at + 60 / self.account.requests_a_minute
            await asyncio.sleep(at - time.monotonic())

    async def _answer(self, request: Awaitable[T], otherwise: type[MotoolsError]) -> T:
        """The response, if it follows the API. Else raises an error of motools_build:
        `otherwise`, unless the response says that nothing was done."""
        try:
            answer = await request
        except self._openai.OpenAIError as error:
            raise self._in_our_words(error, otherwise) from error
        except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
            # the SDK reads a page of a list without checking the response's form
            raise otherwise(f"{self.account.base_url} {NO_ANSWER}") from error
        # the SDK returns a web page as text, other JSON as an object without its fields
        if isinstance(answer, str) or None in _essence(answer):
            raise otherwise(f"{self.account.base_url} {NO_ANSWER}")
        return answer

    def _in_our_words(
        self, error: openai.OpenAIError, otherwise: type[MotoolsError]
    ) -> MotoolsError:
        """The SDK's error as one of ours; `otherwise` if the outcome is not known."""
        account, where = self.account, self.account.base_url
        if not isinstance(error, self._openai.APIStatusError):
            cause = error.__cause__ or error
            said = f"{type(cause).__name__}: {cause}".rstrip(": ")
            return otherwise(
                f"{where} cannot be reached, or gave no whole answer ({said}); look at "
                "the network and at the base URL"
            )
        status, said = error.status_code, _message(error)
        if status == 429:
            return self._limited(error, said)
        if status >= 500 or status in TOO_EARLY:
            return otherwise(f"{where} answered {status}: {said}")
        if status == 401:
            return Refused(
                f"account {account.name}: {where} does not accept the key in "
                f"{account.key_variable} (401: {said}); mend the variable"
            )
        if status == 403:
            return Refused(
                f"account {account.name} may not do this at {where} (403: {said}); ask "
                "its owner, or use another account (account=NAME)"
            )
        return Refused(f"{where} refused the request ({status}: {said})")

    def _limited(self, error: openai.APIStatusError, said: str) -> MotoolsError:
        """The error for a 429: Refused without credit, Parked at a daily limit, else
        RateLimited."""
        code = f"{error.code} {error.type}"
        if "insufficient_quota" in code:
            return Refused(
                f"account {self.account.name} has no quota left (429: {said}); nothing "
                "was made: add credit, or use another account (account=NAME)"
            )
        seconds = retry_after(error.response.headers.get("retry-after"), said)
        if "daily_rate_limit" in code:
            said = f"429: {said}{too_long(seconds, LONGEST_PARKING)}"
            # without a named time, try again every hour until the daily limit ends
            return Parked(said, time.time() + (seconds or 3600))
        said = f"429: {said}{too_long(seconds, LONGEST_PAUSE)}"
        return RateLimited(said, seconds or PAUSE)


class Shared(Generic[T]):
    """A request whose response is shared by all callers that asked before it was
    sent."""

    def __init__(self, question: Callable[[], Awaitable[T]]) -> None:
        self._question = question
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[T] | None = None
        self._not_before = 0.0

    async def answer(self) -> T:
        """The response to a request that is sent after this call, never before it."""
        if self._next is None:
            self._next = asyncio.create_task(self._ask())
        return await asyncio.shield(self._next)

    async def _ask(self) -> T:
        async with self._one_at_a_time:
            await asyncio.sleep(self._not_before - time.monotonic())
            self._next = None  # callers from here on share the following request
            began = time.monotonic()
            try:
                return await self._question()
            finally:
                took = time.monotonic() - began
                self._not_before = began + took + IDLE * took


def _essence(answer: object) -> tuple[object, ...]:
    """The fields that every API response has: an object's ID, a list's items."""
    return getattr(answer, "id", ""), getattr(answer, "data", "")


def _message(error: openai.APIStatusError) -> str:
    """The provider's error message, on one line, with anything like a key removed."""
    body = error.body
    said = body.get("message") if isinstance(body, dict) else None
    if not isinstance(said, str):
        said = f"{scrub(error.response.text)[:100]!r} is no error of the OpenAI API; "
        said += "is it the right base URL?"
    text = scrub(" ".join(said.split()))[:400]
    return re.sub(r"sk-[\w*-]{4,}", "sk-...", text)
