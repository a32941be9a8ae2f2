"""What every backend is: how it makes artifacts, and how its models are asked.

The plain data of its work is in `job.py`; who is paid for it, in `provider.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from motools_build.account import Account
from motools_build.backends.asking import Answerer, Ask
from motools_build.backends.job import Given, Made, Report, ReportOf, StageJob
from motools_build.backends.prices import Prices
from motools_build.backends.provider import Health, Provider, What
from motools_build.errors import ArtifactError, EvalFailed, MotoolsError
from motools_build.keys import digest_bytes
from motools_build.params import AskParams, RowsParams

if TYPE_CHECKING:
    from inspect_ai.model import Model


CHECKPOINTS = "checkpoints.json"
"""Payload of a model whose backend keeps checkpoints: step and model of each."""


@dataclass(frozen=True)
class Together:
    """Jobs that wait for the network rather than work."""

    queue: str
    """Name of their queue: the account. One Inspect call of a queue runs at a time."""
    call: str
    """What jobs must have in common to share a call."""


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

    async def make(self, job: StageJob, report: Report) -> Made:
        raise TypeError(f"{type(self).__name__} makes no {job.kind} on the host")

    def provider(self, job: StageJob) -> Provider:
        raise TypeError(f"{type(self).__name__} pays nobody for {job.kind}")

    async def close(self) -> None:
        """End what the backend holds open."""

    def prepare(self, job: StageJob) -> None:
        """Import and load what jobs like this one share, once a worker: its own, and
        evals that ask its models."""

    def work(self, job: StageJob, report: Report) -> Made:
        raise TypeError(f"{type(self).__name__} makes no {job.kind} in a worker")

    def together(self, job: StageJob) -> Together | None:
        """With which others the job may be worked on; None if it is to be alone."""
        return None

    def work_together(
        self, jobs: Sequence[StageJob], folder: str, report: ReportOf
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


def planned_bytes(job: StageJob) -> bytes:
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


def checkpoint_of(job: StageJob, model: Given) -> str:
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
