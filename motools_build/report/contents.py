"""The bytes of files as they were: of the digest that a key or the run log has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path

from motools_build.data import DATA
from motools_build.keys import Digest, digest_file
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record
from motools_build.task_code.shipped import place_of

DIGEST = re.compile(r"[0-9a-f]{32}")


class Contents:
    """Finds the bytes with a digest: those that were kept when a stage was made of
    them, the rows of derived datasets, and files that are still the same."""

    def __init__(
        self, store: ArtifactStore, digest_of: Callable[[str], Digest]
    ) -> None:
        """`digest_of` returns the present digest of a file."""
        self._store = store
        self._digest_of = digest_of

    def find(self, digest: str, paths: Iterable[str] = ()) -> Path | None:
        """A file with these bytes; None if there is none any more. `paths` are names of
        files that may still have them."""
        kept = self._store.snapshots.find(digest)
        if kept and digest_file(kept) == digest:
            return kept
        for path in (*paths, *self.paths(digest)):
            if self.present(path) == digest:
                return Path(place_of(path))
        made = self._derived.get(digest)
        return made if made and made.is_file() else None

    def present(self, path: str) -> str | None:
        """The digest of a file as it is now; None if it cannot be read."""
        try:
            return self._digest_of(place_of(path))
        except OSError:
            return None

    def paths(self, digest: str) -> list[str]:
        """The names under which logged runs had these bytes, the latest last."""
        return list(self._logged.get(digest, ()))

    def beginning(self, prefix: str) -> list[str]:
        """The digests that begin so: of kept bytes, of files that runs had, and of
        derived datasets."""
        folder = self._store.snapshots.folder
        kept = (path.name for path in folder.glob(f"{prefix}*"))
        there = (*kept, *self._logged, *self._derived)
        found = (one for one in there if one.startswith(prefix))
        return sorted({one for one in found if DIGEST.fullmatch(one)})

    def why_gone(self, digest: str, record: Record | None = None) -> str:
        """Why these bytes cannot be found, in words; `record` is of an artifact that
        was made of them."""
        if record and record.made.get("snapshots") is False:
            return "its bytes were not kept (snapshots=no, when it was made)"
        if record is None and digest in self._unkept:
            return "its bytes were not kept (snapshots=no, in each run that had them)"
        if digest in self._logged:
            made = "" if record else ", or nothing was made of them"
            return f"its bytes were removed since (doit gc){made}"
        return "its bytes were not kept: an earlier version made what is made of them"

    @cached_property
    def _logged(self) -> Mapping[str, dict[str, None]]:
        """Digest -> the names that files with these bytes had in logged runs."""
        found: dict[str, dict[str, None]] = {}
        for run in self._store.runs:
            for path, digest in run.files.items():
                names = found.setdefault(str(digest), {})
                names.pop(path, None)
                names[path] = None
        return found

    @cached_property
    def _unkept(self) -> set[str]:
        """The digests of files that logged runs had, all of them with snapshots=no."""
        had: dict[bool, set[str]] = {True: set(), False: set()}
        for run in self._store.runs:
            is_kept = run.variables.get("snapshots") != "no"
            had[is_kept].update(map(str, run.files.values()))
        return had[False] - had[True]

    @cached_property
    def _derived(self) -> Mapping[str, Path]:
        """Digest of rows -> their file, of datasets that stages made; also the key of
        such a stage, which stands for rows that a teacher wrote."""
        found = {}
        for record in self._store.records("dataset"):
            file = self._store.payload_of(record) / DATA
            found[record.output] = found[str(record.key)] = file
        return found
