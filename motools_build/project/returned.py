"""What the methods of an open project return."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
