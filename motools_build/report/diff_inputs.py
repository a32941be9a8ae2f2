"""The inputs in which two sets of results differ: what models were made of, and what
evals ask and how they score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from motools_build.report.explain import flat
from motools_build.report.lineage import model_of
from motools_build.report.results import Result
from motools_build.stages import Stage

DRAWN = ("spec.seed", "spec.replicate")
"""Fields in which the models of one group differ."""

MADE_OF = ("model", "samples")
"""Roles of inputs that are keys of other stages, whose own inputs are compared."""

UNKNOWN = "not known"
"""A field, and its value, where the record that would tell is gone."""


class Input(NamedTuple):
    """A field of the inputs that differs."""

    subject: str
    """The group of models, or `eval NAME`."""
    field: str
    """As in a preimage: `spec.epochs`, `inputs.dataset`; or `seeds`."""
    first: tuple[str, ...]
    second: tuple[str, ...]
    """The values, more than one if the models of a group differ; empty if there are
    none."""

    @property
    def is_known(self) -> bool:
        """Whether it differs, rather than that one of the two is not known."""
        return UNKNOWN not in (*self.first, *self.second)


class Inputs:
    """Compares what two sets of results were made from.

    A stage that both sets have is the same in both, though the record of one may be
    gone. One whose record is gone, and that no plan has, is not known.
    """

    def __init__(self, first: Sequence[Result], second: Sequence[Result]) -> None:
        self._known: dict[str, Mapping[str, Any]] = {}
        for stage in _stages((*second, *first)):
            if "kind" in stage.preimage:  # a record that is gone leaves none
                self._known.setdefault(stage.key, stage.preimage)

    def models_differ(
        self, name: str, first: Sequence[Result], second: Sequence[Result]
    ) -> Iterator[Input]:
        """What differs in the models of a group called `name`."""
        yield from _differ(name, self._of_models(first), self._of_models(second))

    def evals_differ(
        self, first: Sequence[Result], second: Sequence[Result]
    ) -> Iterator[Input]:
        """What differs in the evals that both have."""
        a, b = self.evals_of(first), self.evals_of(second)
        for name in a:
            if name in b:
                yield from _differ(f"eval {name}", a[name], b[name])

    def evals_of(self, found: Sequence[Result]) -> dict[str, dict[str, set[str]]]:
        """Eval -> field -> its values, over all models that it asks and of which that
        is known."""
        evals: dict[str, dict[str, set[str]]] = {}
        for result in found:
            fields = evals.setdefault(result.cell.eval, {})
            for name, value in self.asked(result.cell.stage).items():
                fields.setdefault(name, set()).add(value)
        for fields in evals.values():
            if len(fields) > 1:
                fields.pop(UNKNOWN, None)
        return evals

    def asked(self, stage: Stage) -> dict[str, str]:
        """Field -> value of what an eval asks and how it scores, whatever the model;
        `UNKNOWN` alone if that is not known."""
        fields = {}
        blocks = [used for used in stage.upstream if used.kind == "samples"]
        for one in (*blocks, stage):
            made_of = self._known.get(one.key)
            if made_of is None:
                return {UNKNOWN: UNKNOWN}
            for name, value in flat(made_of).items():
                role = name.removeprefix("inputs.").partition(":")[0]
                if role == name or role not in MADE_OF:
                    fields[name] = str(value)
        return fields

    def _of_models(self, found: Sequence[Result]) -> dict[str, set[str]]:
        """Field -> its values in the models of a group, by what their keys are of."""
        fields: dict[str, set[str]] = {}
        for result in found:
            of: Mapping[str, Any] = {"model": result.cell.model}
            if result.cell.seed is not None:
                fields.setdefault("seeds", set()).add(str(result.cell.seed))
                model = model_of(result.cell.stage)
                of = self._known.get(model.key if model else "") or {UNKNOWN: UNKNOWN}
            for name, value in flat(of).items():
                if name not in DRAWN:
                    fields.setdefault(name, set()).add(str(value))
        return fields


def _stages(found: Iterable[Result]) -> Iterator[Stage]:
    """The evals of results, and the stages that they are made from."""
    for result in found:
        stage = result.cell.stage
        yield stage
        for used in stage.upstream:
            yield used
            yield from used.upstream


def _differ(
    subject: str, first: Mapping[str, set[str]], second: Mapping[str, set[str]]
) -> Iterator[Input]:
    """The fields that differ. Where something is not known, that alone is told, and
    what differs in the seeds."""
    names = dict.fromkeys((*first, *second))
    if UNKNOWN in names:
        told = [(UNKNOWN,) if UNKNOWN in of else ("known",) for of in (first, second)]
        yield Input(subject, "what it was made of", told[0], told[1])
        names = {name: None for name in names if name == "seeds"}
    for name in names:
        a, b = first.get(name, set()), second.get(name, set())
        if a != b:
            yield Input(subject, name, tuple(sorted(a)), tuple(sorted(b)))
