"""The options of a cluster's jobs, `[tool.motools_build.executor.NAME]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from motools_build.errors import InputError
from motools_build.spec import Spec
from motools_build.text.similar import known

WHERE = "tool.motools_build.executor"

OF_KINDS = ("model", "samples", "eval", "dataset")
"""Kinds of stages that may have options of their own."""

TOGETHER = 4
"""How many evals of one base model one job does by default. Three of four times that
the model would be loaded, or its server started, are saved; and the evals of 40 seeds
are ten jobs still, so that eight GPUs have work."""

MOST_TOGETHER = 100

Options = TypeVar("Options", bound=Spec)


def options_of(
    options: type[Options],
    name: str,
    table: Mapping[str, Any],
    kind: str,
    also: Sequence[str] = (),
) -> Options:
    """The options for stages of a kind: those of the executor's table, with those of
    its table for the kind in their place. `also` are fields of the executor's table
    that are no options of a job, and not in `table`. Raises InputError for an unknown
    or wrong field."""
    place = f"{WHERE}.{name}"
    own = {field: value for field, value in table.items() if field not in OF_KINDS}
    made = _checked(options, own, f"[{place}]", also)
    for each in OF_KINDS:
        if each in table:
            if not isinstance(table[each], Mapping):
                raise InputError(
                    f"pyproject.toml: [{place}.{each}] is a table, not {table[each]!r}"
                )
            # also the tables that are not needed now
            _checked(options, table[each], f"[{place}.{each}]")
    more = table.get(kind, {})
    return _checked(options, {**own, **more}, f"[{place}.{kind}]") if more else made


def _checked(
    options: type[Options],
    fields: Mapping[str, Any],
    place: str,
    also: Sequence[str] = (),
) -> Options:
    try:
        return options(**fields)
    except ValidationError as error:
        told = []
        for item in error.errors(include_url=False):
            field = ".".join(map(str, item["loc"]))
            if item["type"] == "extra_forbidden":
                names = (*also, *options.model_fields, *OF_KINDS)
                told.append(f"{place} has no {field!r}; {known(field, names)}")
            else:
                what = item["msg"].removeprefix("Value error, ")
                told.append(f"{place} {field}: {what}, not {item['input']!r:.80}")
        raise InputError(f"pyproject.toml: {'; '.join(told)}") from error
