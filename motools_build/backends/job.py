"""A stage as a backend sees it, and what it gives back. All of it may cross to a worker
as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from motools_build import params
from motools_build.account import Account
from motools_build.params import Params
from motools_build.stages import payers


@dataclass(frozen=True)
class Given:
    """An artifact that a job may use."""

    output: str
    """Identity of what it is: the digest of the weights, a provider's ID."""
    path: str
    """Where its payload lies on this machine: a folder, or a base model's file."""
    details: Mapping[str, Any]


@dataclass(frozen=True)
class StageJob:
    """One stage, as a backend sees it. It may cross to a worker, as JSON.

    A fine-tuning job of a provider is another thing, and no more than an ID here: one
    may be sent for it, or adopted (`Found`).
    """

    kind: str
    backend: str
    key: str
    name: str
    params: Params | None
    """Those of the stage; None where only the ledger tells of it."""
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
