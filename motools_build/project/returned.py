"""What the methods of an open project return."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.project.project import Project
from motools_build.specs import Setting

if TYPE_CHECKING:
    import pandas

    from motools_build.report.table import Table
    from motools_build.store.records import Record


@dataclass(frozen=True)
class Artifact:
    """The stored output of a stage."""

    record: Record
    """The inputs, time, library versions and output of the stage."""
    folder: Path
    """The folder that holds the payload files and record.json."""


@dataclass(frozen=True)
class Ran:
    """The outcome of a run in which nothing failed."""

    made: tuple[str, ...]
    """Names of the stages that the run made, in the order in which they finished.
    Stages that were up to date are left out."""
    deferred: dict[str, str]
    """Name of each stage that is left to a later run (`wait=False`, or a provider's
    limit) -> why."""
    tables: tuple[Table, ...]
    """The results of each setting that the words named."""

    @property
    def results(self) -> pandas.DataFrame:
        """The results as one frame; see `OpenProject.results`."""
        from motools_build.report.frames import results_frame

        return results_frame(self.tables)


class Settings(Mapping[str, Setting]):
    """The settings of zoo/, by name. Only an access to a setting imports its module,
    anew each time; it raises SettingError if the module declares no setting."""

    def __init__(self, ask: Callable[[Callable[[Project], Any]], Any]) -> None:
        """`ask` calls a function with the project as it is now, and returns what the
        function returns."""
        self._ask = ask

    @property
    def _names(self) -> tuple[str, ...]:
        names: tuple[str, ...] = self._ask(lambda project: project.zoo.names)
        return names

    def __getitem__(self, name: str) -> Setting:
        if name not in self._names:  # a mapping raises KeyError, not SelectionError
            raise KeyError(name)
        setting: Setting = self._ask(lambda project: project.zoo[name])
        return setting

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"Settings({', '.join(self._names)})"
