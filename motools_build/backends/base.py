"""The protocol of all backends, and the plain data that crosses it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from motools_build import params
from motools_build.account import Account
from motools_build.backends.asking import Answerer, Ask
from motools_build.backends.prices import Prices
from motools_build.errors import ArtifactError, EvalFailed, MotoolsError
from motools_build.keys import digest_bytes
from motools_build.params import AskParams, Params, RowsParams
from motools_build.stages import payers

if TYPE_CHECKING:
    from inspect_ai.model import Model


@dataclass(frozen=True)
class Given:
    """An artifact that a job may use."""

    output: str
    """Identity of what it is: the digest of the weights, a provider's ID."""
    path: str
    """Where its payload lies on this machine: a folder, or a base model's file."""
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """One stage, as a backend sees it. It may cross to a worker, as JSON."""

    kind: str
    backend: str
    key: str
    name: str
    params: Params | None
    """The stage's; None where only the ledger tells of it."""
    work: str
    """An empty folder; every file left there becomes the artifact's payload."""
    given: Mapping[str, Given] = field(default_factory=dict)
    """By kind: the base, upload or model that the job uses."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Of an eval: path -> digest of each file in its key. Its own code reads them, so
    that the worker checks them as they are read."""
    account: Account | None = None
    """Who pays for the model that it trains or asks."""
    judges: Mapping[str, Account] = field(default_factory=dict)
    """By role: who pays for a judge that is a provider's model."""
    made_of: str = ""
    """Digest of the rows, where the key does not say which: a teacher wrote them."""
    only_load: bool = False
    """Whether the eval is only loaded, to see whether it can be."""

    def to_json(self) -> dict[str, Any]:
        """The job as a JSON object."""
        return {**asdict(self), "params": self.params and params.to_json(self.params)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        given = {role: Given(**one) for role, one in told["given"].items()}
        its = told["params"] and params.from_json(told["params"])
        account = told["account"] and Account(**told["account"])
        judges = {role: Account(**one) for role, one in told["judges"].items()}
        accounts = {"account": account, "judges": judges}
        return cls(**{**told, "given": given, "params": its, **accounts})

    @property
    def accounts(self) -> tuple[Account, ...]:
        """All who pay for it, each once: for the model, and for its judges."""
        return payers(self.account, self.judges)


@dataclass(frozen=True)
class Made:
    """What a job made, besides the files in its work folder."""

    output: str
    details: Mapping[str, Any]
    seconds: float | None = None
    """Wall time of the work itself; set by the worker that did it."""


@dataclass(frozen=True)
class Progress:
    """How far a running job is."""

    done: int
    total: int
    unit: str
    """What is counted: steps, samples."""
    note: str = ""
    """A few words more: the present loss."""


Report = Callable[[Progress], None]

ReportOf = Callable[[str, Progress], None]
"""Of several jobs at once: key, progress."""


Status = Literal["running", "succeeded", "failed", "cancelled", "gone"]

BY_HAND = "model:"
"""Before the ID of a model that was adopted by hand: no job of ours made it."""

CHECKPOINTS = "checkpoints.json"
"""Payload of a model whose backend keeps checkpoints: step and model of each."""

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

    async def find(self, job: Job) -> list[Found]:
        """All that this key ever made there and can still be seen, every attempt."""
        ...

    def sending(self, job: Job) -> AbstractAsyncContextManager[None]:
        """Entered before a request is written down and sent, left once it is answered.
        Whoever waits for other requests, or for the pace of the account, waits here."""
        ...

    async def submit(self, job: Job, attempt: int, nonce: str) -> str:
        """One request, never sent again by itself; the ID of what it made.

        Raises Refused, RateLimited or Parked if surely nothing was made, Ambiguous if
        that is not known.
        """
        ...

    async def poll(self, job: Job, id: str) -> Standing:
        """How it is doing; returns when there may be news, not at once."""
        ...

    async def cancel(self, id: str) -> None: ...

    async def collect(self, job: Job, id: str) -> Made:
        """What a job that succeeded made."""
        ...

    def cost(self, job: Job) -> float | None:
        """USD that `submit` will cost; None where it is not known."""
        ...

    def turn(
        self, job: Job, *, bound: bool, wait: bool
    ) -> AbstractAsyncContextManager[None]:
        """Entered before a job is sent, or with `bound` for one that was; left when it
        has ended. While as many are unfinished as the account allows it waits, or
        raises Deferred if not told to `wait`."""
        ...


@dataclass(frozen=True)
class Together:
    """Jobs that wait for the network rather than work."""

    line: str
    """Whose they are: one call of a line is under way at a time."""
    call: str
    """What those of one call have in common."""


class Backend:
    """Makes artifacts of one or more kinds, each in one attempt.

    Raises StageFailed or another MotoolsError, with what happened and the remedy.
    """

    paid: frozenset[str] = frozenset()
    """Kinds that a provider makes: `provider` performs them, under pay-once."""

    in_worker: frozenset[str] = frozenset()
    """Kinds whose work is heavy: `work` does it, in a worker process; `make` does
    the others, on the host's event loop."""

    def __init__(self, prices: Prices | None = None) -> None:
        self.prices = prices or Prices()

    def local_file(self, output: str) -> Path | None:
        """The file of this machine whose digest is `output`, if it is here: the payload
        of what `make` made with `local` in its details, which has 15 GB or is shared by
        all projects of a user. It is not read for that; who uses it checks it."""
        return None

    async def make(self, job: Job, report: Report) -> Made:
        raise TypeError(f"{type(self).__name__} makes no {job.kind} on the host")

    def provider(self, job: Job) -> Provider:
        raise TypeError(f"{type(self).__name__} pays nobody for {job.kind}")

    async def close(self) -> None:
        """End what the backend holds open."""

    def prepare(self, job: Job) -> None:
        """Import and load what jobs like this one share, once a worker: its own, and
        evals that ask its models."""

    def work(self, job: Job, report: Report) -> Made:
        raise TypeError(f"{type(self).__name__} makes no {job.kind} in a worker")

    def together(self, job: Job) -> Together | None:
        """With which others the job may be worked on; None if it is to be alone."""
        return None

    def work_together(
        self, jobs: Sequence[Job], folder: str, report: ReportOf
    ) -> dict[str, Made | MotoolsError]:
        """Do jobs that have `together` in common; `folder` is theirs meanwhile. By key,
        what came of each."""
        raise TypeError(f"{type(self).__name__} does one thing at a time")

    # ---- its models, asked by Inspect, in a worker

    def asked(self, ask: Ask) -> Model | None:
        """The model as Inspect asks it; None if this machine serves it, by the
        `answerer`. Raises AccountError if there is no key."""
        return None

    def answerer(self, weights: str | None, folder: str | None) -> Answerer:
        """A model that this machine serves: the file of its base's weights, as far as
        that is known, and the payload of what was trained on it, if something was."""
        raise TypeError(f"{type(self).__name__} serves no models")

    # ---- questions of commands

    async def health(self, account: Account, what: What, id: str) -> tuple[Health, str]:
        """How a file, a job or a model of the provider's is, and a word on that."""
        return "unknown", "this backend has no health check"

    async def shutdowns(self, account: Account) -> dict[str, str]:
        """Model -> the day on which it ends (`2027-01-14`), where the provider names
        one."""
        return {}


def planned_bytes(job: Job) -> bytes:
    """The dataset's bytes. Raises ArtifactError if they are not the planned ones."""
    rows = RowsParams.of(job)
    path = rows.rows_path
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error})") from error
    if digest_bytes(data) != rows.rows_digest:
        raise ArtifactError(
            f"{path} was edited after this run was planned; nothing was made of it: "
            "run again"
        )
    return data


def checkpoint_of(job: Job, model: Given) -> str:
    """The ID of the checkpoint that the eval names, or of the model itself.

    Raises EvalFailed if there is none.
    """
    wanted = AskParams.of(job).task.checkpoint
    if wanted is None:
        return model.output
    kept = json.loads((Path(model.path) / CHECKPOINTS).read_bytes())
    by_step = {checkpoint["step"]: checkpoint["model"] for checkpoint in kept}
    steps = sorted(by_step)
    if wanted < 0 and -wanted <= len(steps):
        return str(by_step[steps[wanted]])
    if wanted in by_step:
        return str(by_step[wanted])
    raise EvalFailed(
        f"{model.output} has no checkpoint {wanted}; it has the steps "
        f"{', '.join(map(str, steps)) or 'none'}"
    )
