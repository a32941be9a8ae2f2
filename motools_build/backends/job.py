"""What a backend gets (`StageJob`) and gives back (`Made`, `Progress`): plain data,
which is sent to and from worker processes as JSON."""

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
    """An artifact that a job has as an input."""

    output: str
    """The artifact's output: a digest (of weights, for example) or a provider's ID."""
    path: str
    """Path of the payload on this machine: a folder, or the file of a base model."""
    details: Mapping[str, Any]
    model: str = ""
    """Key of the fine-tuned model that the artifact is, or whose answers it holds;
    empty if there is none."""


@dataclass(frozen=True)
class StageJob:
    """One stage to be made, as a backend sees it; sent to a worker as JSON.

    A provider's fine-tuning job is another thing, and only an ID here: to make a model,
    the core submits such a job, or adopts one that exists (`Found`).
    """

    kind: str
    backend: str
    key: str
    name: str
    params: Params | None
    """The stage's params; None if the stage is known only from the ledger."""
    work: str
    """A folder, empty but for `RESUME`; every file left there becomes the artifact's
    payload."""
    given: Mapping[str, Given] = field(default_factory=dict)
    """The artifacts that the job uses, by role: `base`, `upload`, `model` and so on;
    `base:MODEL` for a judge that is another model than the one under test."""
    files: Mapping[str, str] = field(default_factory=dict)
    """For an eval, or a training by a command of the project: path -> digest of each
    file in its key. The task's own code reads these files, so the worker checks each
    one as it is read."""
    account: Account | None = None
    """The account that pays for the model that is trained or asked; None if free."""
    judges: Mapping[str, Account] = field(default_factory=dict)
    """Role -> the account that pays for the judge; only judges at a provider."""
    made_of: str = ""
    """Digest of the rows if a teacher wrote them, as the key leaves it out; else
    empty."""
    only_load: bool = False
    """True to check only that the eval can be loaded; no model is asked. If there is a
    work folder, the task's questions are written there."""
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Backend -> the fields of its table in pyproject.toml (`BackendFacts.table`), for
    backends that have one. Only jobs in workers have them."""

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
        """All accounts that pay for the job, for its model and its judges, each
        once."""
        return payers(self.account, self.judges)


@dataclass(frozen=True)
class Made:
    """The result of a job, besides the files in its work folder."""

    output: str
    details: Mapping[str, Any]
    seconds: float | None = None
    """Wall time of the work in seconds, set by the worker; None if none was used."""
    folder: str = ""
    """The folder with the files, set by an executor that has them elsewhere than in the
    job's work folder; else empty."""
    executor: Mapping[str, str] = field(default_factory=dict)
    """Which cluster did the job, for the record: `name`, and the cluster's `id` of the
    job. Empty for this machine."""


@dataclass(frozen=True)
class Progress:
    """How far a running job has come: `done` of `total`."""

    done: int
    total: int
    unit: str
    """The unit of `done` and `total`: `steps`, `samples`."""
    note: str = ""
    """A remark for people, such as the current loss."""


Report = Callable[[Progress], None]

ReportOf = Callable[[str, Progress], None]
"""A callback for several jobs at once, called with a stage key and its progress."""
