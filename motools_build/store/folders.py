"""Where artifacts lie, and the moves among these places.

A folder appears and disappears whole: it is filled below `work/`, moved into its place,
and moved out of sight before it is deleted. What is found damaged goes to `broken/`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from motools_build.errors import ArtifactError
from motools_build.stages import Stage
from motools_build.store.files import delete
from motools_build.task_code.reads import READ

BROKEN = "broken"
"""The folder of artifacts that were found damaged."""


class Folders:
    """The folders below `artifacts/`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, stage: Stage) -> Path:
        """Where the stage's record and payload lie. Raises ArtifactError for a place
        outside of the artifacts' folder."""
        folder = self._root / stage.folder
        if ".." in folder.parts or len(Path(stage.folder).parts) != 2:
            raise ArtifactError(
                f"{stage.name}: {folder} is outside of {self._root}, where nothing is "
                "written; give its account another identity (pyproject.toml)"
            )
        return folder

    def work(self, stage: Stage) -> Path:
        """Where the stage is made."""
        return self._root / "work" / stage.key

    def empty_work(self, stage: Stage) -> Path:
        """The folder where the stage is made, emptied of what an attempt before has
        left; an eval keeps its log."""
        folder = self.work(stage)
        if folder.is_symlink():  # what it points to is another's
            folder.unlink()
        try:
            folder.mkdir()
        except FileNotFoundError:
            folder.mkdir(parents=True)
        except FileExistsError:  # of a run that was killed, or an eval that failed
            for path in folder.iterdir():
                if not stage.asks or (path.suffix != ".eval" and path.name != READ):
                    delete(path)
        return folder

    def set_aside(self, folder: Path) -> Path | None:
        """Move a damaged artifact to `broken/`, in the place of one that was moved
        there before; returns its path there. A link is removed."""
        if folder.is_symlink():
            folder.unlink()
            return None
        aside = self._root / BROKEN / f"{folder.parent.name}-{folder.name}"
        aside.parent.mkdir(exist_ok=True)
        if aside.exists() or aside.is_symlink():
            delete(aside)
        folder.replace(aside)
        os.utime(aside)  # gc counts the days from now on
        return aside

    def hide(self, folder: Path) -> Path | None:
        """Move a folder out of sight, so that no one ever sees half of it; returns
        where it is to be deleted, or None if there is none. A link is removed."""
        if folder.is_symlink():  # what it points to is another's
            folder.unlink()
        if not folder.exists():
            return None
        gone = self._root / "work" / f"gone-{os.getpid()}-{folder.name}"
        gone.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(gone, ignore_errors=True)
        try:
            folder.replace(gone)
        except FileNotFoundError:
            return None
        return gone
