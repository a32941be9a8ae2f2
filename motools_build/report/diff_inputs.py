"""The inputs in which two sets of results differ: what models were made of, and what
evals ask and how they score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from motools_build.report.explain import flat
from motools_build.report.lineage import model_of
from motools_build.report.results import Result
from motools_build.stages import Stage

DRAWN = ("spec.seed", "spec.replicate")
"""Fields in which the models of one group differ."""

MADE_OF = ("model", "samples")
"""Roles of inputs that are keys of other stages, whose own inputs are compared."""

UNKNOWN = "not known"
"""A field of groups of which a model's artifact is gone."""


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


def models_differ(
    name: str, first: Sequence[Result], second: Sequence[Result]
) -> Iterator[Input]:
    """What differs in the models of a group called `name`."""
    a, b = _of_models(first), _of_models(second)
    if UNKNOWN in a or UNKNOWN in b:  # their records are gone, with what they say
        known = [() if UNKNOWN in of else ("known",) for of in (a, b)]
        yield Input(name, "what its models were made of", known[0], known[1])
        a, b = ({"seeds": of.get("seeds", set())} for of in (a, b))
    yield from _fields_that_differ(name, a, b)


def _of_models(found: Sequence[Result]) -> dict[str, set[str]]:
    """Field -> its values in the models of a group, by what their keys were made of."""
    fields: dict[str, set[str]] = {}
    for result in found:
        model = model_of(result.cell.stage)
        if result.cell.seed is not None:
            fields.setdefault("seeds", set()).add(str(result.cell.seed))
            of = model.preimage if model else {}
            if not of:
                fields[UNKNOWN] = set()
        else:
            of = {"model": result.cell.model}
        for name, value in flat(of).items():
            if name not in DRAWN:
                fields.setdefault(name, set()).add(str(value))
    return fields


def evals_differ(first: Sequence[Result], second: Sequence[Result]) -> Iterator[Input]:
    """What differs in the evals that both have."""
    a, b = evals_of(first), evals_of(second)
    for name in a:
        if name in b:
            yield from _fields_that_differ(f"eval {name}", a[name], b[name])


def evals_of(found: Sequence[Result]) -> dict[str, dict[str, set[str]]]:
    """Eval -> field -> its values, over all models that it asks."""
    evals: dict[str, dict[str, set[str]]] = {}
    for result in found:
        fields = evals.setdefault(result.cell.eval, {})
        for name, value in asked(result.cell.stage).items():
            fields.setdefault(name, set()).add(value)
    return evals


def asked(stage: Stage) -> dict[str, str]:
    """Field -> value of what an eval asks and how it scores, whatever the model."""
    fields = {}
    blocks = [used for used in stage.upstream if used.kind == "samples"]
    for one in (*blocks, stage):
        for name, value in flat(one.preimage).items():
            role = name.removeprefix("inputs.").partition(":")[0]
            if role == name or role not in MADE_OF:
                fields[name] = str(value)
    return fields


def _fields_that_differ(
    subject: str, first: Mapping[str, set[str]], second: Mapping[str, set[str]]
) -> Iterator[Input]:
    for name in dict.fromkeys((*first, *second)):
        a, b = first.get(name, set()), second.get(name, set())
        if a != b:
            yield Input(subject, name, tuple(sorted(a)), tuple(sorted(b)))
