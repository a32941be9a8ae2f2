"""Faults to order.

A rule names a fault, the requests that it is for and how often it strikes:

    lost         the request is carried out, then the connection closed unanswered
    error        the request is carried out, then answered with 500
    slow         the request is carried out, then answered `value` seconds later
    rate         429 rate_limit_exceeded, retry-after `value` (1); not carried out
    daily        429 daily_rate_limit_exceeded for `value` seconds (7380); nor this
    quota        429 insufficient_quota; nor this
    forbidden    403; nor this
    echo         400, with the request's headers and the key among them; nor this
    file_gone    404, as of a deleted file
    model_gone   404, as of a deleted model
    job_gone     404, as of a job that nobody knows
    cut          the answer is cut in the middle
    no_has_more  a list does not say whether it goes on
    endless      a list says that it goes on, whether it does or not
    no_after     a list begins at its beginning, whatever is asked for
    moderation   the job is trained and then fails, as against the usage policy
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

from aiohttp import web

from motools_build.errors import InputError
from motools_build.rehearsal.refused import Refused

CREATION = "POST /v1/fine_tuning/jobs$"
ON = {
    "lost": "POST /v1/",
    "error": "POST /v1/",
    "slow": "POST /v1/",
    "rate": "POST /v1/",
    "daily": CREATION,
    "quota": CREATION,
    "forbidden": CREATION,
    "moderation": CREATION,
    "echo": "POST /v1/",
    "file_gone": "GET /v1/files/",
    "model_gone": "GET /v1/models/ft:",
    "job_gone": "GET /v1/fine_tuning/jobs/",
    "cut": "GET /v1/",
    "no_has_more": "GET /v1/",
    "endless": "GET /v1/",
    "no_after": "GET /v1/",
}
"""Fault -> the requests that it strikes, unless its rule names others."""

GONE = ("file_gone", "model_gone", "job_gone")
REFUSALS = ("rate", "daily", "quota", "forbidden", "echo", *GONE)
"""Faults that refuse a request before it is carried out."""
BEFORE = ("no_after",)
"""Faults that change the request."""
SPOILS = frozenset({"cut", "no_has_more", "endless"})
"""Faults that change the body of the response."""
AFTERWARDS = ("slow", "error", "lost", *sorted(SPOILS))
"""Faults that strike after a request was carried out."""


@dataclass(frozen=True)
class Rule:
    """One fault, with the requests that it strikes and how often."""

    fault: str
    on: str = ""
    """The beginning of `METHOD /v1/path`; all of it if this ends with `$`."""
    probability: float = 1.0
    times: int | None = None
    """The most times that it strikes; None for no limit."""
    skip: int = 0
    """Number of its requests that pass before it may strike."""
    value: float | None = None
    """Seconds, for slow, rate and daily; None for the fault's default."""
    match: str | None = None
    """For moderation: a text in the job's suffix, seed or metadata; None matches any
    job."""

    @staticmethod
    def of(given: Any) -> Rule:
        """A rule from its JSON object. Raises InputError."""
        if not isinstance(given, dict):
            raise InputError(f"a fault is an object with a field fault, not {given!r}")
        known = {field.name for field in fields(Rule)}
        for name in given:
            if name not in known:
                raise InputError(
                    f"fault: no field {name!r}; there are {', '.join(sorted(known))}"
                )
        fault = given.get("fault")
        if fault not in ON:
            raise InputError(f"fault: {fault!r} is none; there are {', '.join(ON)}")
        wanted = {
            "on": str,
            "match": str,
            "times": int,
            "skip": int,
            "probability": (int, float),
            "value": (int, float),
        }
        plain = {name: value for name, value in given.items() if value is not None}
        for name, kind in wanted.items():
            value = plain.get(name, 0 if kind is not str else "")
            if not isinstance(value, kind) or isinstance(value, bool):  # type: ignore[arg-type]
                raise InputError(f"fault {fault}: {name} cannot be {value!r}")
            if not isinstance(value, str) and value < 0:
                raise InputError(f"fault {fault}: {name} cannot be below 0")
        return Rule(**{"on": ON[fault], **plain})

    @staticmethod
    def parse(text: str) -> Rule:
        """A rule from `lost:on=POST /v1/files:probability=0.15`. Raises InputError."""
        names = "|".join(field.name for field in fields(Rule))
        fault, *settings = re.split(rf":(?=(?:{names})=)", text)
        given: dict[str, Any] = {"fault": fault}
        for setting in settings:
            name, _, value = setting.partition("=")
            try:
                if name in ("times", "skip"):
                    given[name] = int(value)
                elif name in ("probability", "value"):
                    given[name] = float(value)
                else:
                    given[name] = value
            except ValueError:
                raise InputError(
                    f"--fault {text}: {name}={value} is not a number"
                ) from None
        return Rule.of(given)

    def concerns(self, call: str, texts: Iterable[str]) -> bool:
        """Whether the rule is for a request. `call` is like `POST /v1/files`; `texts`
        are those of the job, for `match`."""
        if self.on.endswith("$"):
            if call != self.on[:-1]:
                return False
        elif not call.startswith(self.on):
            return False
        return self.match is None or any(self.match in text for text in texts)


class Faults:
    """The rules in force, and how often each has struck."""

    def __init__(self, rules: Iterable[Rule], seed: int) -> None:
        self._random = random.Random(seed)
        self.struck: Counter[str] = Counter()
        self.replace(rules)

    def replace(self, rules: Iterable[Rule]) -> None:
        """Replace the rules; the counts for `skip` and `times` begin again at 0."""
        self.rules = list(rules)
        self._seen = [0] * len(self.rules)
        self._done = [0] * len(self.rules)

    def to_json(self) -> list[dict[str, Any]]:
        return [asdict(rule) for rule in self.rules]

    def striking(
        self, faults: Iterable[str], call: str, texts: Iterable[str] = ()
    ) -> Iterator[Rule]:
        """Yield the rules for these faults that strike this request, and count them."""
        texts = tuple(texts)
        for index, rule in enumerate(self.rules):
            if rule.fault not in faults or not rule.concerns(call, texts):
                continue
            self._seen[index] += 1
            if self._seen[index] <= rule.skip:
                continue
            if rule.times is not None and self._done[index] >= rule.times:
                continue
            if rule.probability < 1 and self._random.random() >= rule.probability:
                continue
            self._done[index] += 1
            self.struck[rule.fault] += 1
            yield rule


def refusal(rule: Rule, request: web.Request) -> Refused:
    """The error response to a request that a rule refuses."""
    name = request.path.rsplit("/", 1)[-1]
    if rule.fault == "rate":
        wait = 1.0 if rule.value is None else rule.value
        return Refused(
            429,
            f"Rate limit reached for requests. Please try again in {duration(wait)}.",
            "rate_limit_exceeded",
            kind="requests",
            headers={"retry-after": f"{wait:g}"},
        )
    if rule.fault == "daily":
        wait = 7380.0 if rule.value is None else rule.value
        return Refused(
            429,
            "This organization has reached its limit of fine-tuning jobs a day. "
            f"Please try again in {duration(wait)}.",
            "daily_rate_limit_exceeded",
            headers={"retry-after": f"{wait:.0f}"},
        )
    if rule.fault == "quota":
        return Refused(
            429,
            "You exceeded your current quota, please check your plan and billing "
            "details.",
            "insufficient_quota",
            kind="insufficient_quota",
        )
    if rule.fault == "forbidden":
        return Refused(
            403,
            "You have insufficient permissions for this operation. Missing scopes: "
            "api.fine_tuning.jobs.write.",
            "insufficient_permissions",
        )
    if rule.fault == "job_gone":
        return Refused(404, f"Could not find fine tune: {name}", "not_found", "id")
    if rule.fault == "echo":
        headers = "; ".join(f"{name}: {v}" for name, v in request.headers.items())
        return Refused(400, f"We could not read your request ({headers}).")
    if rule.fault == "file_gone":
        return Refused(404, f"No such File object: {name}", "not_found", "id")
    return Refused(
        404, f"The model '{name}' does not exist", "model_not_found", "model"
    )


def spoilt(data: bytes, faults: Collection[str]) -> bytes:
    """The body of a JSON response, changed by faults of `SPOILS`."""
    found = json.loads(data)
    if isinstance(found, dict) and "has_more" in found:
        if "endless" in faults:
            found["has_more"] = True
        if "no_has_more" in faults:
            del found["has_more"]
        data = json.dumps(found).encode()
    return data[: len(data) // 2] if "cut" in faults else data


def duration(seconds: float) -> str:
    """A duration as OpenAI writes it: 7380 seconds are `2h3m`."""
    whole = int(seconds)
    if whole != seconds and whole < 60:
        return f"{seconds:g}s"
    hours, rest = divmod(whole, 3600)
    minutes, last = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "m"), (last, "s")]
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
