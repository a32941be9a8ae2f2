"""The folders of artifacts, and how they are moved.

A folder appears and disappears in one step: it is filled below `work/`, renamed to its
place, and renamed away before it is deleted. Damaged artifacts go to `broken/`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from motools_build.errors import ArtifactError
from motools_build.stages import RESUME, Stage
from motools_build.store.files import delete
from motools_build.task_code.reads import READ

BROKEN = "broken"
"""Name of the folder for damaged artifacts."""


class Folders:
    """The folders below `artifacts/`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def of(self, stage: Stage) -> Path:
        """The folder of the stage's record and payload. Raises ArtifactError if it
        would lie outside of the artifacts' folder."""
        folder = self._root / stage.folder
        if ".." in folder.parts or len(Path(stage.folder).parts) != 2:
            raise ArtifactError(
                f"{stage.name}: {folder} is outside of {self._root}, where nothing is "
                "written; give its account another identity (pyproject.toml)"
            )
        return folder

    def work(self, stage: Stage) -> Path:
        """The work folder, in which the stage's payload is made."""
        return self._root / "work" / stage.key

    def empty_work(self, stage: Stage) -> Path:
        """The stage's work folder, created or emptied. For samples and evals, the logs
        of an earlier attempt stay in it; for a model, what its training goes on
        from."""
        folder = self.work(stage)
        if folder.is_symlink():  # its target belongs to someone else
            folder.unlink()
        try:
            folder.mkdir()
        except FileNotFoundError:
            folder.mkdir(parents=True)
        except FileExistsError:  # left by a killed run or a failed eval
            for path in folder.iterdir():
                if not _stays(path, stage):
                    delete(path)
        return folder

    def put(self, work: Path, target: Path, sync: Callable[[Path], None]) -> None:
        """Rename a filled folder to its place, where it replaces an earlier one; on the
        disk on return, by `sync` of the folder above."""
        before = self.hide(target)
        try:
            work.replace(target)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            work.replace(target)
        if before:
            shutil.rmtree(before)
        sync(target.parent)

    def set_aside(self, folder: Path) -> Path | None:
        """Move a damaged artifact to `broken/`, where it replaces an earlier one of the
        same name. Returns its new path. A link is removed instead; returns None."""
        if folder.is_symlink():
            folder.unlink()
            return None
        aside = self._root / BROKEN / f"{folder.parent.name}-{folder.name}"
        aside.parent.mkdir(exist_ok=True)
        if aside.exists() or aside.is_symlink():
            delete(aside)
        folder.replace(aside)
        os.utime(aside)  # gc counts its days from now
        return aside

    def hide(self, folder: Path) -> Path | None:
        """Rename a folder that is to be deleted, so that no process ever sees half of
        it. Returns its new path for deletion, or None if there is no such folder. A
        link is removed."""
        if folder.is_symlink():  # its target belongs to someone else
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


def _stays(path: Path, stage: Stage) -> bool:
    """Whether a file or folder of an earlier attempt is of use to the next."""
    if stage.asks:
        return path.suffix == ".eval" or path.name == READ
    return stage.kind == "model" and path.name == RESUME


def folders_of(root: Path, kind: str) -> set[str]:
    """The names of the folders of a kind's artifacts, complete or damaged."""
    try:
        return set(os.listdir(root / kind))
    except FileNotFoundError:
        return set()
