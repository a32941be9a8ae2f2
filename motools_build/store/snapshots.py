"""Snapshots: the bytes of the files that work was done on, below artifacts/snapshots/.

A key holds a file's digest alone. Its bytes are kept here under that digest when a
stage is made of them, so that a result's rows and code can still be read when the file
was edited, moved or deleted. Equal bytes are kept once.
"""

from __future__ import annotations

import os
from pathlib import Path

from motools_build.errors import ArtifactError
from motools_build.keys import Digest, digest_file
from motools_build.store.files import whole_file

FOLDER = "snapshots"


class Snapshots:
    """The files of a folder, each named by the digest of its bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kept: set[str] = set()
        """Digests that this process has found or kept."""

    def path_of(self, digest: str) -> Path:
        """Where the bytes with this digest are, if they are kept."""
        return self.folder / digest

    def find(self, digest: str) -> Path | None:
        """The file with these bytes; None if they are not kept. Its bytes are not
        checked: use `read`, or `digest_file`."""
        path = self.path_of(digest)
        return path if path.is_file() else None

    def read(self, digest: str) -> bytes | None:
        """The bytes with this digest; None if they are not kept, or damaged."""
        path = self.find(digest)
        if path is None or digest_file(path) != digest:
            return None
        return path.read_bytes()

    def keep(self, path: str, digest: Digest) -> None:
        """Keep a file's bytes, unless they are kept already. Where the file system can
        share blocks between files (XFS, Btrfs), they take no space until one is edited.

        Raises ArtifactError if the file has other bytes by now, and OSError if it
        cannot be read or the copy cannot be written.
        """
        if digest in self._kept:
            return
        target = self.path_of(digest)
        if not target.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(target) as copy:
                _copy(path, copy)
                if digest_file(copy) != digest:
                    raise ArtifactError(
                        f"{path} was edited after this run was planned; nothing was "
                        "recorded of it: run again"
                    )
        self._kept.add(digest)


def _copy(source: str, target: Path) -> None:
    """Copy a file's bytes, by the kernel, which shares blocks where it can."""
    with open(source, "rb") as read, open(target, "wb") as write:
        if hasattr(os, "copy_file_range"):
            try:
                while os.copy_file_range(read.fileno(), write.fileno(), 1 << 30):
                    pass
                return
            except OSError:  # not between these file systems
                read.seek(0)
                write.seek(0)
                write.truncate()
        while chunk := read.read(1 << 20):
            write.write(chunk)
