"""Who does a run's heavy work: this machine or a cluster, as the project says it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motools_build.errors import InputError, VariableError, cut
from motools_build.running.executors import CLUSTERS, EXECUTORS, HERE
from motools_build.text.similar import known

WHERE = "tool.motools_build.executor"


def checked_executor(path: Path, value: Any) -> Mapping[str, Any]:
    """The value of `executor`, a name or a table, as a table. Raises InputError."""
    table = {"default": value} if isinstance(value, str) else value
    if not isinstance(table, dict):
        raise InputError(f"{path}: executor is a name or a table, not {value!r}")
    for name in table:
        if name not in ("default", *CLUSTERS):
            raise InputError(
                f"{path}: [{WHERE}] has no {name!r}; "
                f"{known(name, ('default', *CLUSTERS))}"
            )
        if name != "default" and not isinstance(table[name], dict):
            raise InputError(
                f"{path}: [{WHERE}.{name}] is a table, not {table[name]!r}"
            )
    default = table.get("default", HERE)
    if default not in EXECUTORS:
        raise InputError(
            f"{path}: no executor is called {default!r}; {known(default, EXECUTORS)}"
        )
    for name in CLUSTERS:
        if name in table:
            from motools_build.running.executors.registry import cluster_of

            # the environment's part is checked by the runs that use it
            cluster_of(name, "as configured", table)
    return table


def executor_of(variables: Mapping[str, str], table: Mapping[str, Any]) -> str:
    """The name of the run's executor: the variable's, else the project's. Raises
    VariableError for an unknown name."""
    name = variables.get("executor", table.get("default", HERE))
    if name not in EXECUTORS:
        raise VariableError(f"executor={cut(name)}: {known(name, EXECUTORS)}")
    return str(name)


def check_cluster(
    variables: Mapping[str, str], table: Mapping[str, Any], store: str
) -> None:
    """Raise InputError if the run's executor is a cluster that cannot be addressed, or
    that needs a store of the team where there is none."""
    name = executor_of(variables, table)
    if name in CLUSTERS:
        from motools_build.running.executors.registry import cluster_of

        cluster_of(name, None, table, store)
