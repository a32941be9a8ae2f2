"""The section `[tool.motools_build]` of pyproject.toml: reading and checking it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.errors import InputError
from motools_build.project.executing import checked_executor
from motools_build.pyproject import PYPROJECT, document
from motools_build.running.launch import LOCAL

if TYPE_CHECKING:
    from motools_build.running.launch.base import Launcher
    from motools_build.spec import Spec

WHERE = "tool.motools_build"

TRACKERS = ("wandb", "mlflow", "trackio")
"""Values of `track`."""

SETTLE_SECONDS = 60.0
"""Default time, in seconds, that a new job may take to appear in a provider's lists."""

MOST_SETTLING = 1e6
"""Upper bound of a settle time, in seconds; a settle time must be less."""


@dataclass(frozen=True)
class Config:
    """The section's values. All are checked here except accounts, prices and commands,
    which are checked when they are first needed."""

    default: tuple[str, ...] = ()
    """Names of the settings that `doit run` makes if it is given no name."""
    variables: tuple[str, ...] = ()
    """Names of the `name=value` variables that the user's own tasks read."""
    workers: int = 1
    """Number of worker processes, 1 or more. A single training or eval of an embedded
    model uses all cores already."""
    launcher: str = LOCAL
    """Name of the launcher that starts workers: `local`, or an entry point of
    `motools_build.launchers`."""
    launchers: Mapping[str, Any] = field(default_factory=dict)
    """Launcher name -> its options."""
    executor: Mapping[str, Any] = field(default_factory=dict)
    """Who does heavy work: `default`, a name, and executor name -> its options."""
    settle_seconds: float | None = None
    """Time that a new job may take to appear in its provider's lists, in seconds. None
    means `SETTLE_SECONDS`."""
    max_spend: float | None = None
    """USD that a run may cost, unless the command line gives another amount. None means
    no limit."""
    snapshots: bool = True
    """Whether runs keep the bytes of the files that stages are made of."""
    accounts: Mapping[str, Any] = field(default_factory=dict)
    """Account name -> its declaration, unchecked; see `Accounts`."""
    prices: Mapping[str, Any] = field(default_factory=dict)
    """Declared prices, unchecked; see `Prices`."""
    commands: Mapping[str, Any] = field(default_factory=dict)
    """Command name -> its declaration, which the backend `command` reads and checks
    itself."""
    notify: tuple[str, ...] = ()
    """Apprise URLs that messages about runs are sent to, or `env:NAME`; unchecked."""
    notify_after: float = 60.0
    """Seconds that a run must have taken for a message."""
    store: str = ""
    """Address of the shared store of a team; empty for none."""
    track: tuple[str, ...] = ()
    """Names of the trackers that curves and results are mirrored to."""
    backends: Mapping[str, Spec] = field(default_factory=dict)
    """Backend name -> its table `[tool.motools_build.NAME]`."""

    @classmethod
    def read(cls, path: Path = Path(PYPROJECT)) -> Config:
        """The section of the file at `path`. Raises InputError for an unknown field or
        a value of the wrong type."""
        section = _table(document(path), "tool").get("motools_build", {})
        if not isinstance(section, dict):
            raise InputError(f"{path}: [{WHERE}] is a table, not {section}")
        own = {n: _checked(path, n, v) for n, v in section.items() if n in FIELDS}
        others = {n: v for n, v in section.items() if n not in FIELDS}
        if not others:
            return cls(**own)
        from motools_build.project.tables import table

        where = f"{path}: [{WHERE}"
        tables = {n: table(where, n, v, FIELDS) for n, v in others.items()}
        return cls(**own, backends=tables)


FIELDS = Config.__annotations__.keys() - {"backends"}
"""Names in the section that are not those of backends."""


def is_project(document: Mapping[str, Any]) -> bool:
    """Whether a parsed pyproject.toml belongs to a project: it tells doit to use this
    package's loader."""
    return _table(_table(document, "tool"), "doit").get("loader") == "motools"


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The document's table of that name; an empty one if there is none."""
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def _checked(path: Path, name: str, value: Any) -> Any:
    if name == "workers":
        if type(value) is not int or value < 1:
            raise InputError(f"{path}: workers is 1 or more, not {value!r}")
        return value
    if name == "settle_seconds":
        given = value
        if isinstance(value, bool) or not isinstance(value, int | float):
            value = -1
        if not 0 <= value < MOST_SETTLING:
            raise InputError(f"{path}: settle_seconds is 0 or more, not {given!r}")
        return float(value)
    if name == "snapshots":
        if not isinstance(value, bool):
            raise InputError(f"{path}: snapshots is true or false, not {value!r}")
        return value
    if name == "notify_after":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value < 1e9:
            raise InputError(f"{path}: notify_after is in seconds, not {value!r}")
        return float(value)
    if name == "max_spend":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value < 1e9:
            raise InputError(f"{path}: max_spend is an amount in USD, not {value!r}")
        return float(value)
    if name == "executor":
        return checked_executor(path, value)
    if name == "store":
        if not isinstance(value, str):  # and its text may hold a credential
            raise InputError(f"{path}: store is an address: s3://bucket/prefix")
        return value
    if name == "launcher":
        if not isinstance(value, str) or not value:
            raise InputError(f"{path}: launcher is a name, not {value!r}")
        return value
    if name in ("accounts", "prices", "launchers", "commands"):
        if not isinstance(value, dict):
            raise InputError(f"{path}: [{WHERE}.{name}] is a table, not {value!r}")
        return value
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(
        isinstance(item, str) and item for item in names
    ):
        told = "" if name == "notify" else f", not {value!r}"  # a URL has a token
        raise InputError(f"{path}: {name} is a list of names{told}")
    return tuple(names)


def settle_seconds(declared: float | None) -> float:
    """The settle time in seconds: `MOTOOLS_SETTLE_SECONDS` of the environment, else the
    project's, else `SETTLE_SECONDS`.

    Raises InputError if the environment's value is not a valid number of seconds.
    """
    given = os.environ.get("MOTOOLS_SETTLE_SECONDS")
    if given is None:
        return SETTLE_SECONDS if declared is None else declared
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < MOST_SETTLING:  # also refuses NaN
        raise InputError(
            f"MOTOOLS_SETTLE_SECONDS={given}: write a number of seconds, 0 or more"
        )
    return seconds


def launcher(config: Config) -> Launcher:
    """The launcher that starts workers: the one named by `MOTOOLS_LAUNCHER` of the
    environment, else the project's, else `local`.

    Raises InputError for an unknown launcher, and for wrong options.
    """
    name = os.environ.get("MOTOOLS_LAUNCHER") or config.launcher
    options = config.launchers.get(name, {})
    if not isinstance(options, dict):
        raise InputError(
            f"pyproject.toml: [{WHERE}.launchers.{name}] is a table, not {options!r}"
        )
    from motools_build.running.launch import registry  # imports asyncio

    return registry.get(name, options)
