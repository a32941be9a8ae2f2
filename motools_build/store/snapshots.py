"""Snapshots: the bytes of the files that work was done on, below artifacts/snapshots/.

A key holds a file's digest alone. Its bytes are kept here under that digest when a
stage is made of them, so that a result's rows and code can still be read when the file
was edited, moved or deleted. Equal bytes are kept once.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from motools_build.errors import ArtifactError
from motools_build.keys import Digest, digest_file, opened
from motools_build.store.files import whole_file

FOLDER = "snapshots"

DIGEST = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Snapshot:
    """A file of kept bytes, as it lies on the disk."""

    path: Path
    bytes: int
    kept: float
    """When a run needed it last, in seconds since the epoch."""

    @property
    def digest(self) -> str:
        """The digest that its bytes should have."""
        return self.path.name

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"snapshot {self.digest}"

    def is_unchanged(self) -> bool:
        """Whether no run has needed it since it was looked at."""
        of = _regular(self.path)
        return of is not None and of.st_mtime == self.kept


class Snapshots:
    """The files of a folder, each named by the digest of its bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: set[str] = set()
        """Digests that this process has found or kept."""
        self._turn = threading.Lock()

    def path_of(self, digest: str) -> Path:
        """Where the bytes with this digest are, if they are kept."""
        return self.folder / digest

    def find(self, digest: str) -> Path | None:
        """The file with these bytes; None if they are not kept. Its bytes are not
        checked: use `read`, or `digest_file`. A link is not followed."""
        path = self.path_of(digest)
        return path if DIGEST.fullmatch(digest) and _regular(path) else None

    def read(self, digest: str) -> bytes | None:
        """The bytes with this digest; None if they are not kept, or damaged."""
        path = self.find(digest)
        if path is None or digest_file(path) != digest:
            return None
        return path.read_bytes()

    def lacks(self, digest: str) -> bool:
        """Whether this process has neither found nor kept these bytes."""
        return digest not in self._kept

    def keep(self, path: str, digest: Digest) -> None:
        """Keep a file's bytes, unless they are kept already. Where the file system can
        share blocks between files (XFS, Btrfs), they take no space until one is edited.

        Raises ArtifactError if the file has other bytes by now, and OSError if it
        cannot be read or the copy cannot be written.
        """
        if digest in self._kept:
            return
        with self._turn:  # other threads wait: they may want the same bytes
            found = self.find(digest)
            if found is None or found.stat().st_size != os.stat(path).st_size:
                self._copy(path, digest)
            else:
                with suppress(OSError):  # it may be another user's
                    os.utime(found)  # gc, which may be under way, leaves it
            self._kept.add(digest)

    def _copy(self, path: str, digest: Digest) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with whole_file(self.path_of(digest)) as copy:
            _copy(path, copy)
            if digest_file(copy) != digest:
                raise ArtifactError(
                    f"{path} was edited after this run was planned; nothing was "
                    "recorded of it: run again"
                )

    def __iter__(self) -> Iterator[Snapshot]:
        """All files that are named by a digest."""
        for path, of in self._files():
            if DIGEST.fullmatch(path.name):
                yield Snapshot(path, of.st_size, of.st_mtime)

    def obstructed(self) -> Iterator[Snapshot]:
        """What has the name of a digest and is no regular file: a folder or a link,
        which nothing reads, and in whose place these bytes cannot be kept."""
        with suppress(FileNotFoundError):
            for name in filter(DIGEST.fullmatch, sorted(os.listdir(self.folder))):
                if _regular(self.folder / name) is None:
                    yield Snapshot(self.folder / name, 0, 0.0)

    def leftovers(self, before: float) -> list[Path]:
        """Other files, such as the copies of runs that were killed, that were written
        to last before that time, in seconds since the epoch."""
        return [
            path
            for path, of in self._files()
            if not DIGEST.fullmatch(path.name) and of.st_mtime < before
        ]

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        try:
            names = sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return
        for name in names:
            of = _regular(self.folder / name)
            if of is not None:
                yield self.folder / name, of


def _regular(path: Path) -> os.stat_result | None:
    """The status of a regular file; None if it is not there, or none."""
    try:
        of = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return of if stat.S_ISREG(of.st_mode) else None


def _copy(source: str, target: Path) -> None:
    """Copy a file's bytes, by the kernel, which shares blocks where it can."""
    with opened(source) as read, open(target, "wb", buffering=0) as write:
        if hasattr(os, "copy_file_range"):
            try:
                while os.copy_file_range(read.fileno(), write.fileno(), 1 << 30):
                    pass
            except OSError:  # not between these file systems, or the disk is full
                pass
            if write.tell() == os.fstat(read.fileno()).st_size:
                return
            read.seek(0)
            write.seek(0)
            write.truncate()
        while chunk := read.read(1 << 20):
            while chunk:
                chunk = chunk[write.write(chunk) :]
