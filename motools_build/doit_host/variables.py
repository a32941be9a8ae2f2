"""`name=value` of the command line: what changes a plan, the same for all commands."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from motools_build.errors import VariableError
from motools_build.specs import Setting
from motools_build.specs.models import known

PLAN_VARIABLES = {
    "model": "base models instead of the setting's: model=dummy/echo",
    "seeds": "seeds instead of the setting's: seeds=0,1,2",
}


def check_variables(given: Mapping[str, str], users_own: tuple[str, ...]) -> None:
    """Raises VariableError for a name that means nothing, before anything runs."""
    for name in given:
        if name not in PLAN_VARIABLES and name not in users_own:
            raise VariableError(
                f"unknown variable {name}={given[name]}; "
                + known(name, (*PLAN_VARIABLES, *users_own))
                + " (for tasks of your own, list theirs in pyproject.toml: "
                "[tool.motools_build] variables = [...])"
            )


def overridden(setting: Setting, variables: Mapping[str, str]) -> Setting:
    """The setting with the command line's values. Raises VariableError."""
    fields: dict[str, object] = {}
    if "model" in variables:
        fields["models"] = _split("model", variables["model"])
    if "seeds" in variables:
        words = _split("seeds", variables["seeds"])
        if not all(word.isascii() and word.isdigit() for word in words):
            raise VariableError(
                f"seeds={variables['seeds']}: seeds are whole numbers, as in "
                "seeds=0,1,2"
            )
        fields["seeds"] = [int(word) for word in words]
    if not fields:
        return setting
    try:
        return Setting.model_validate({**dict(setting), **fields})
    except ValidationError as error:
        reasons = [item["msg"].removeprefix("Value error, ") for item in error.errors()]
        given = " ".join(f"{n}={v}" for n, v in variables.items())
        raise VariableError(f"{given}: {'; '.join(reasons)}") from error


def _split(name: str, text: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise VariableError(f"{name}={text}: a value is empty")
    return words
