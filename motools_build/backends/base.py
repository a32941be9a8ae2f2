"""The interface of a backend: how it makes artifacts, and how its models are asked.

`job.py` has the data that goes in and comes out; `provider.py` has the interface of
the paid service behind a remote backend.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.account import Account
from motools_build.backends.asking import Answerer, Ask
from motools_build.backends.job import Given, Made, Report, ReportOf, StageJob
from motools_build.backends.prices import Prices
from motools_build.backends.provider import Health, Provider, What
from motools_build.errors import (
    ArtifactError,
    EvalFailed,
    InputError,
    MotoolsError,
)
from motools_build.keys import digest_bytes
from motools_build.params import AskParams, Recipe, RowsParams

if TYPE_CHECKING:
    from inspect_ai.model import Model, ModelAPI


Piece = tuple[str, bool]
"""A part of a chat's text, and whether it is learned."""

CHECKPOINTS = "checkpoints.json"
"""Payload file of a model whose backend keeps checkpoints: a JSON list of objects, each
with the `step` and the `model` of a checkpoint."""


@dataclass(frozen=True)
class Together:
    """The group of a job that waits for the network: its jobs may share one call."""

    queue: str
    """Queue name (the account). One Inspect call per queue runs at a time."""
    call: str
    """Digest of what jobs must have in common to share one Inspect call."""


class Backend:
    """Makes artifacts of one or more kinds, each in one attempt.

    Its methods raise StageFailed or another MotoolsError, whose message says what
    happened and what to do about it.
    """

    paid: frozenset[str] = frozenset()
    """Kinds of stage that a provider makes, under pay-once; see `provider`."""

    in_worker: frozenset[str] = frozenset()
    """Kinds of stage whose work is heavy: `work` makes them, in a worker process.
    `make` makes all others, on the event loop of the main process."""

    serves: frozenset[str] = frozenset()
    """What requests to the models that this machine serves may ask for beyond a text:
    `LOGPROBS` and `TEMPLATE_ARGUMENTS` of `asking.py`. Anything else is refused."""

    def __init__(self, prices: Prices | None = None) -> None:
        self.prices = prices or Prices()

    def local_file(self, output: str) -> Path | None:
        """The file on this machine with the digest `output`; None if it is not here.

        For artifacts that `make` made with `local` in their details: their payload
        stays outside the store, because it is large (15 GB) or shared by all projects
        of a user. The file is not read here; whoever uses it checks the digest.
        """
        return None

    async def make(self, job: StageJob, report: Report) -> Made:
        raise TypeError(f"{type(self).__name__} makes no {job.kind} on the host")

    def provider(self, job: StageJob) -> Provider:
        raise TypeError(f"{type(self).__name__} pays nobody for {job.kind}")

    async def close(self) -> None:
        """Close the backend's open connections."""

    def prepare(self, job: StageJob) -> None:
        """Import and load what all jobs like this one need, once per worker: jobs of
        this backend, and evals that ask its models."""

    def keeps(self, job: StageJob) -> str | None:
        """What a worker that did this job has at hand for the next one: the weights of
        a base model, or a server of it. Evals for which it is equal are better done one
        after another by one worker than by a worker each. None if there is nothing."""
        return None

    def work(self, job: StageJob, report: Report) -> Made:
        raise TypeError(f"{type(self).__name__} makes no {job.kind} in a worker")

    def together(self, job: StageJob) -> Together | None:
        """The group of jobs that may run in one call with this one; None if it must run
        alone."""
        return None

    def work_together(
        self, jobs: Sequence[StageJob], folder: str, report: ReportOf
    ) -> dict[str, Made | MotoolsError]:
        """Do several jobs of one group (equal `together`), with `folder` as their
        common work folder. Returns the result or the error of each job, by stage
        key."""
        raise TypeError(f"{type(self).__name__} does one thing at a time")

    # ---- models, which Inspect asks in a worker

    def weights(self, model: str, base: Given | None) -> str | None:
        """What `answerer` loads the base model `model` from; by default the payload of
        its artifact. None if the backend is to find it."""
        return base.path if base else None

    def asked(self, ask: Ask) -> Model | None:
        """The Inspect model to send requests to; None if this machine serves the model
        (see `answerer`). Raises AccountError if the account has no key."""
        return None

    def answerer(self, weights: str | None, folder: str | None) -> Answerer:
        """Load a model that this machine serves.

        `weights` is what the method `weights` returns, None if the backend is to find
        the base model; `folder` is the payload of the fine-tune, or of one of its
        checkpoints; None for the base model.
        """
        raise TypeError(f"{type(self).__name__} serves no models")

    def at_server(
        self,
        model: str,
        weights: str | None,
        folder: str | None,
        table: Mapping[str, Any],
    ) -> ModelAPI | None:
        """Inspect's provider for a model that this machine serves, if a server of this
        machine or its network answers instead of `answerer`. Blocks until the server is
        ready.

        `model` is the base model's name, `weights` and `folder` are those of
        `answerer`, `table` is the backend's table in pyproject.toml. None if `answerer`
        answers.
        """
        return None

    def as_trained(
        self, model: str, recipe: Recipe, row: Mapping[str, Any]
    ) -> list[list[Piece]]:
        """The chats of a row as the base model `model` is trained on them: one for SFT,
        two for DPO. Raises InputError if the backend cannot tell."""
        raise InputError(
            f"{model}: its backend cannot show a row as trained; local/ models can be "
            "shown: model=local/./path"
        )

    def export(self, payload: str, model: str, folder: Path, merge: bool) -> None:
        """Write a fine-tune into a new folder, as Hugging Face's libraries read it.

        `payload` is the fine-tune's, `model` the name of its base model. With `merge`,
        an adapter becomes part of the base model's weights. Raises InputError if the
        backend cannot do that.
        """
        raise InputError(f"{model}: its backend has no weights to export")

    # ---- what commands ask a provider

    async def health(self, account: Account, what: What, id: str) -> tuple[Health, str]:
        """Whether a file, job or model still exists at the provider, with a remark."""
        return "unknown", "this backend has no health check"

    async def shutdowns(self, account: Account) -> dict[str, str]:
        """Model -> its shutdown date (`2027-01-14`), for the models of which the
        provider names one."""
        return {}


def planned_bytes(job: StageJob) -> bytes:
    """The bytes of the job's dataset. Raises ArtifactError if the file cannot be read
    or was edited since the run was planned."""
    rows = RowsParams.of(job)
    return unedited(rows.rows_path, rows.rows_digest)


def unedited(path: str, planned: str) -> bytes:
    """The bytes of a file whose digest was planned with. Raises ArtifactError if it
    cannot be read or was edited since."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error})") from error
    if digest_bytes(data) != planned:
        raise ArtifactError(
            f"{path} was edited after this run was planned; nothing was made of it: "
            "run again"
        )
    return data


def checkpoint_of(job: StageJob, model: Given) -> str:
    """The ID of the checkpoint that the eval names; the model's own ID if it names
    none.

    `Eval.checkpoint` is a step, or a negative index that counts from the last
    checkpoint. Raises EvalFailed if the model has no such checkpoint.
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
