"""The shutdown calendar: which models end, when, and which stages to run before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import NamedTuple

from motools_build.backends.shutdowns import Shutdowns
from motools_build.params import AskParams, ModelParams
from motools_build.specs import ModelName
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore

NAMED = 3
"""Most stages that a line names."""


class Ending(NamedTuple):
    """A model with a shutdown date."""

    day: date
    """The date of the shutdown, which may have passed."""
    model: str
    account: str
    before: tuple[str, ...]
    """Names of stale stages that ask the model."""

    def __str__(self) -> str:
        left = (self.day - datetime.now(UTC).date()).days
        when = f"ends on {self.day}, in {left} days" if left > 0 else "has ended"
        when = when if left > 0 else f"{when} ({self.day})"
        if not self.before:
            return f"{self.model} {when}"
        named = ", ".join(self.before[:NAMED])
        more = len(self.before) - NAMED
        others = f", and {more} more" if more > 0 else ""
        return f"{self.model} {when}; to run before: {named}{others}"


def endings(
    stages: Iterable[Stage], store: ArtifactStore, shutdowns: Shutdowns
) -> list[Ending]:
    """The base models, fine-tunes and judges of the stages that have a shutdown date,
    the earliest first."""
    found: dict[tuple[date, str, str], dict[str, None]] = defaultdict(dict)
    for stage in stages:
        for model, account in _models(stage):
            day = shutdowns.of(account, *model.facts.names_of(model.model))
            if day is None:
                continue
            before = found[day, model.model, account]
            if stage.backend == "inspect" and store.why_stale(stage) is not None:
                before[stage.name] = None
    return sorted(
        Ending(*place, before=tuple(before)) for place, before in found.items()
    )


def _models(stage: Stage) -> Iterator[tuple[ModelName, str]]:
    """The providers' models that a stage needs, each with the name of its account. A
    fine-tune is represented by its base model, because it has no name before it is
    made."""
    params = stage.params
    if isinstance(params, AskParams) and stage.account:
        yield ModelName.parse(params.subject.model), stage.account.name
    elif isinstance(params, ModelParams) and stage.account:
        yield ModelName.parse(params.model), stage.account.name
    for role, account in stage.judges.items():
        judge = AskParams.of(stage).task.roles[role]
        yield ModelName.parse(judge), account.name
