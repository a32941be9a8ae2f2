"""The options of the executor `slurm`, `[tool.motools_build.executor.slurm]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from motools_build.errors import InputError
from motools_build.spec import Spec
from motools_build.text.similar import known

WHERE = "tool.motools_build.executor.slurm"

OF_KINDS = ("model", "samples", "eval", "dataset")
"""Kinds of stages that may have options of their own."""


class SlurmOptions(Spec):
    """What is asked of Slurm for one job, in the words of `sbatch`. A field that is
    None is left to Slurm's own default."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    gres: str | None = None
    """Generic resources: `gpu:1`."""
    time: str | None = None
    """The time limit: `8:00:00`, or a number of minutes."""
    memory: str | None = None
    """Memory of the node: `64G`."""
    cpus: int | None = Field(default=None, ge=1)
    """CPUs of the job."""
    setup: tuple[str, ...] = ()
    """Lines of shell that go before the work: `module load cuda`."""
    python: str | None = None
    """The interpreter on the nodes; by default the path of the present one."""

    @property
    def words(self) -> list[str]:
        """The options for sbatch's command line."""
        given = {
            "--partition": self.partition,
            "--account": self.account,
            "--qos": self.qos,
            "--gres": self.gres,
            "--time": self.time,
            "--mem": self.memory,
            "--cpus-per-task": self.cpus,
        }
        return [f"{name}={value}" for name, value in given.items() if value is not None]


def options_of(table: Mapping[str, Any], kind: str) -> SlurmOptions:
    """The options for stages of a kind: the table's own, with those of its table for
    the kind in their place. Raises InputError for an unknown or wrong field."""
    own = {name: value for name, value in table.items() if name not in OF_KINDS}
    made = _checked(own, f"[{WHERE}]")
    for name in OF_KINDS:
        if name in table:
            place = f"[{WHERE}.{name}]"
            if not isinstance(table[name], Mapping):
                raise InputError(
                    f"pyproject.toml: {place} is a table, not {table[name]!r}"
                )
            _checked(table[name], place)  # also the tables that are not needed now
    more = table.get(kind, {})
    return _checked({**own, **more}, f"[{WHERE}.{kind}]") if more else made


def _checked(fields: Mapping[str, Any], place: str) -> SlurmOptions:
    try:
        return SlurmOptions(**fields)
    except ValidationError as error:
        told = []
        for item in error.errors(include_url=False):
            field = ".".join(map(str, item["loc"]))
            if item["type"] == "extra_forbidden":
                names = (*SlurmOptions.model_fields, *OF_KINDS)
                told.append(f"{place} has no {field!r}; {known(field, names)}")
            else:
                what = item["msg"].removeprefix("Value error, ")
                told.append(f"{place} {field}: {what}, not {item['input']!r:.80}")
        raise InputError(f"pyproject.toml: {'; '.join(told)}") from error
