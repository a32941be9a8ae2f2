"""The tables of backends in pyproject.toml, `[tool.motools_build.NAME]`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from motools_build.errors import InputError
from motools_build.spec import Spec
from motools_build.specs.backends import backend_names, facts_of, is_backend
from motools_build.text.similar import known

SERVES = "local"
"""The backend whose table has the field that the variable `serve` replaces."""


def table(where: str, name: str, value: Any, fields: Iterable[str]) -> Spec:
    """The table of the backend `name`, checked. `where` begins messages, as in
    `pyproject.toml: [tool.motools_build`; `fields` are the names of that section which
    are not backends.

    Raises InputError if no backend of that name has a table, or for a wrong field.
    """
    kind = facts_of(name).table if is_backend(name) else None
    if kind is None:
        having = (n for n in backend_names() if facts_of(n).table)
        raise InputError(f"{where}] has no {name!r}; {known(name, (*fields, *having))}")
    place = f"{where}.{name}]"
    if not isinstance(value, dict):
        raise InputError(f"{place} is a table, not {value!r}")
    try:
        return kind(**value)
    except ValidationError as error:
        raise InputError(_said(place, error, kind)) from error


def tables(
    written: Mapping[str, Spec], variables: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Backend name -> the fields of its table as JSON, with the variables' values in
    place of those that are written."""
    found = {name: spec.model_dump(mode="json") for name, spec in written.items()}
    if "serve" in variables:
        kind = facts_of(SERVES).table
        assert kind is not None
        usual = found.get(SERVES) or kind().model_dump(mode="json")
        found[SERVES] = {**usual, "serve": variables["serve"]}
    return found


def _said(place: str, error: ValidationError, kind: type[Spec]) -> str:
    """The problem of each wrong field of a table."""
    reasons = []
    for item in error.errors(include_url=False):
        field = ".".join(map(str, item["loc"]))
        if item["type"] == "extra_forbidden":
            reasons.append(
                f"{place} has no {field!r}; {known(field, kind.model_fields)}"
            )
        else:
            message = item["msg"].removeprefix("Value error, ")
            # what a check of the spec's own refuses may be a secret in the wrong place
            given = (
                "" if item["type"] == "value_error" else f", not {item['input']!r:.80}"
            )
            reasons.append(" ".join((place, field)).rstrip() + f": {message}{given}")
    return "; ".join(reasons)
