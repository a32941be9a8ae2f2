"""The `name=value` variables of the command line, the same for all commands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pydantic import ValidationError

from motools_build.errors import SelectionError, VariableError, cut
from motools_build.project.executing import executor_of
from motools_build.specs import Eval, Setting
from motools_build.specs.smoke import smoked
from motools_build.text.scrub import remember
from motools_build.text.similar import known

if TYPE_CHECKING:
    from motools_build.report.until import Until

PLAN_VARIABLES = {
    "model": "base models instead of the setting's: model=dummy/echo",
    "seeds": "seeds instead of the setting's: seeds=0,1,2",
    "account": "who pays, instead of the setting's accounts: account=NAME,NAME",
    "smoke": "a small variant, under keys of its own: smoke=yes",
    "checkpoint": "evaluate this checkpoint of each model: checkpoint=-2",
    "until": "add seeds until intervals are narrow: until=half:0.15, with max_seeds=",
    "max_seeds": "the most seeds that until= may come to: max_seeds=10",
}

RUN_VARIABLES = {
    "wait": "wait=no submits jobs and returns",
    "executor": "who does heavy work: executor=slurm, executor=ray, or executor=here",
    "max_spend": "USD that a run may cost: max_spend=50, or max_spend=no",
    "serve": "who answers for local/ models: serve=vllm, or serve=torch",
    "snapshots": "snapshots=no keeps no copies of rows and code",
    "offline": "offline=pay pays while the shared store does not answer",
    "notify": "who is told at the end: notify=env:NAME, an Apprise URL, or notify=no",
}

SERVE = ("torch", "vllm")
"""Values of the variable `serve`."""


def check_variables(given: Mapping[str, str], users_own: tuple[str, ...]) -> None:
    """Raises VariableError for an unknown name, or for a wrong value of `wait`,
    `snapshots`, `smoke`, `max_spend`, `executor`, `serve`, `until` or
    `max_seeds`."""
    ours = (*PLAN_VARIABLES, *RUN_VARIABLES)
    for name in given:
        if name not in ours and name not in users_own:
            raise VariableError(
                f"unknown variable {name}={given[name]}; "
                + known(name, (*ours, *users_own))
                + " (for tasks of your own, list theirs in pyproject.toml: "
                "[tool.motools_build] variables = [...])"
            )
    for url in told_at_the_end(given, ()):
        remember(url)  # it may hold a token
    waits(given)
    keeps_snapshots(given)
    is_smoke(given)
    most_spent(given)
    executor_of(given, {})
    if (word := given.get("serve", SERVE[0])) not in SERVE:
        raise VariableError(f"serve={cut(word)}: write serve=vllm or serve=torch")
    pays_offline(given)
    until_of(given)


def as_words(variables: Mapping[str, object]) -> dict[str, str]:
    """Python values in the form of the command line: `[0, 1]` becomes `0,1`, and True
    becomes `yes`. A variable with the value None is left out."""
    return {name: _word(v) for name, v in variables.items() if v is not None}


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | range):
        return ",".join(map(_word, value))
    return str(value)


def of_plans(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that change a plan, and with it which stage a name refers to."""
    return {name: v for name, v in variables.items() if name in PLAN_VARIABLES}


def of_runs(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that say who does the work of a run."""
    return {name: v for name, v in variables.items() if name in ("executor", "serve")}


def waits(variables: Mapping[str, str]) -> bool:
    """Whether a run waits for the jobs that it submits; yes by default. Raises
    VariableError for a value other than yes or no."""
    return _yes("wait", variables, "yes")


def keeps_snapshots(variables: Mapping[str, str], usual: bool = True) -> bool:
    """Whether a run keeps the bytes of the files that stages are made of; `usual` if
    the variable is not given. Raises VariableError for a value other than yes or
    no."""
    return _yes("snapshots", variables, "yes" if usual else "no")


def pays_offline(variables: Mapping[str, str]) -> bool:
    """Whether a run pays for jobs while the shared store does not answer; no by
    default. Raises VariableError for a value other than pay or refuse."""
    word = variables.get("offline", "refuse")
    if word not in ("pay", "refuse"):
        raise VariableError(f"offline={cut(word)}: write offline=pay or offline=refuse")
    return word == "pay"


def is_smoke(variables: Mapping[str, str]) -> bool:
    """Whether the smoke variant of settings is asked for; no by default. Raises
    VariableError for a value other than yes or no."""
    return _yes("smoke", variables, "no")


def _yes(name: str, variables: Mapping[str, str], usual: str) -> bool:
    word = variables.get(name, usual)
    if word not in ("yes", "no"):
        raise VariableError(f"{name}={word}: write {name}=yes or {name}=no")
    return word == "yes"


def most_spent(
    variables: Mapping[str, str], usual: float | None = None
) -> float | None:
    """USD that a run may cost; `usual` if the variable is not given, None for no limit.
    Raises VariableError for a value that is not an amount."""
    word = variables.get("max_spend")
    if word is None:
        return usual
    if word == "no":
        return None
    try:
        amount = float(word.removeprefix("$"))
    except ValueError:
        amount = -1.0
    if not 0 <= amount < 1e9:
        raise VariableError(
            f"max_spend={word}: write an amount in USD, max_spend=50, or "
            "max_spend=no for no limit"
        )
    return amount


def until_of(variables: Mapping[str, str]) -> Until | None:
    """What `until=` and `max_seeds=` ask for; None without them. Raises VariableError
    for values that cannot be meant."""
    if not variables.keys() & {"until", "max_seeds"}:
        return None
    from motools_build.report.until import Until

    return Until.parse(variables)


def told_at_the_end(
    variables: Mapping[str, str], usual: tuple[str, ...]
) -> tuple[str, ...]:
    """The URLs that messages about a run are sent to, or `env:NAME`; `usual` if the
    variable is not given, none for `notify=no`."""
    word = variables.get("notify")
    if word is None:
        return usual
    return () if word == "no" else tuple(filter(None, word.replace(",", " ").split()))


def overridden(setting: Setting, variables: Mapping[str, str]) -> Setting:
    """The setting with the variables' values in place of its own. Raises VariableError
    for values that make no valid setting."""
    if is_smoke(variables):
        setting = smoked(setting)
    fields: dict[str, object] = {}
    if "model" in variables:
        fields["models"] = _split("model", variables["model"])
        fields["bare"] = ()
        fields["arms"] = [
            arm.model_copy(update={"models": None}) for arm in setting.arms
        ]
    if "seeds" in variables:
        words = _split("seeds", variables["seeds"])
        if not all(re.fullmatch(r"[0-9]{1,10}", word) for word in words):
            raise VariableError(
                f"seeds={cut(variables['seeds'])}: seeds are whole numbers below "
                "2**32, as in seeds=0,1,2"
            )
        fields["seeds"] = [int(word) for word in words]
    if "account" in variables:
        fields["account"] = _split("account", variables["account"])
    if "checkpoint" in variables:
        fields["evals"] = _at_checkpoint(setting, variables["checkpoint"])
    if not fields:
        return setting
    try:
        return Setting.model_validate({**dict(setting), **fields})
    except ValidationError as error:
        reasons = [item["msg"].removeprefix("Value error, ") for item in error.errors()]
        given = " ".join(f"{n}={v}" for n, v in variables.items())
        raise VariableError(f"{given}: {'; '.join(reasons)}") from error


def _at_checkpoint(setting: Setting, word: str) -> list[Eval]:
    if not re.fullmatch(r"-?[0-9]{1,9}", word):
        raise VariableError(f"checkpoint={cut(word)}: write a step, or -1 for the last")
    step = int(word)
    return [e.model_copy(update={"checkpoint": step}) for e in setting.evals]


def _split(name: str, text: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise VariableError(f"{name}={text}: a value is empty")
    return words


def rest(setting: Setting, variables: Mapping[str, str]) -> Iterator[Setting]:
    """What variables leave out of a setting, as settings: after seeds=1, that with the
    other seeds; after model=..., that with the other models. Raises VariableError like
    `overridden`."""
    for name, value in of_plans(variables).items():
        chosen = overridden(setting, {name: value})
        if chosen == setting:
            continue
        if name == "seeds":
            seeds = [seed for seed in setting.seeds if seed not in chosen.seeds]
            if seeds:
                yield overridden(setting, {name: ",".join(map(str, seeds))})
        elif name == "model":
            models = [one for one in setting.models if one not in chosen.models]
            if models:
                yield overridden(setting, {name: ",".join(models)})
        else:
            yield setting


def checked_names(words: tuple[str, ...]) -> tuple[str, ...]:
    """Words of a call from Python, where names of settings and stages are expected.
    Raises SelectionError for an option or a variable."""
    for word in words:
        if word.startswith("-") or "=" in word:
            raise SelectionError(
                f"{word!r} is no name of a setting or stage; variables are given by "
                "name: run('simple_math', seeds=[0, 1])"
            )
    return words
