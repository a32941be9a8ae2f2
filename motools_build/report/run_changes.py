"""What changed from one run of a setting to another: files, fields of keys, stages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from motools_build.report.contents import Contents
from motools_build.report.explain import differing
from motools_build.report.file_changes import ROWS, is_source, row_changes
from motools_build.report.off_plan import backends_of
from motools_build.report.places import by_place, groups
from motools_build.stages import KINDS
from motools_build.store.accepted import Acceptance
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Record
from motools_build.store.runs import Run

LARGEST = 200_000_000
"""Largest size of two datasets, in bytes, whose rows a history compares; `doit
diff-data` compares any."""

READ = 6
"""Number of stages of a kind whose records are read to find the fields that differ."""


@dataclass(frozen=True)
class FileNote:
    """A file that differs between two runs."""

    path: str
    """Its name; of rows that a transform made, the path in artifacts/."""
    what: str
    """`changed`, `added`, `removed` or `renamed`."""
    was: str = ""
    """The name before, if it was renamed."""
    old: str | None = None
    """Its digest before."""
    new: str | None = None
    rows: Mapping[str, int] | None = None
    """Numbers of rows that were kept, changed, added, removed and moved; None if it is
    no dataset, or its bytes are not there."""
    dataset: str = ""
    """The dataset's name, if a transform made the rows."""

    def as_json(self) -> dict[str, Any]:
        names = ("path", "dataset", "what", "was")
        told = {name: getattr(self, name) for name in names}
        return {**told, "old": self.old, "new": self.new, "rows": self.rows}


@dataclass(frozen=True)
class FieldNote:
    """A field of keys that differs between two runs."""

    kind: str
    """The kind of the stages."""
    field: str
    old: Any
    """None if it was not there."""
    new: Any

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class RunChanges:
    """What changed from one run to another."""

    files: tuple[FileNote, ...] = ()
    fields: tuple[FieldNote, ...] = ()
    stages: tuple[str, ...] = ()
    """Groups of stages that were added, removed or renamed: `seeds 3, 4 added`."""
    keys: int = 0
    """Number of stages of both runs that have another key."""
    accepted: Mapping[str, int] = field(default_factory=dict)
    """What a person said in accepting other keys -> number of these stages that were
    not made for it."""

    @property
    def nothing(self) -> bool:
        return not (self.files or self.fields or self.stages or self.keys)

    def as_json(self) -> dict[str, Any]:
        return {
            "files": [one.as_json() for one in self.files],
            "fields": [one.as_json() for one in self.fields],
            "stages": list(self.stages),
            "other_keys": self.keys,
            "accepted": [
                {"said": said, "stages": count} for said, count in self.accepted.items()
            ],
        }


class RunDiffs:
    """Compares runs. Looks up the folders of artifacts once."""

    def __init__(self, store: ArtifactStore, contents: Contents) -> None:
        self._store, self._contents = store, contents
        self._backends: dict[str, dict[str, str]] = {}

    def record(self, kind: str, key: str) -> Record | None:
        """The record of a key, or of the one that it was accepted as; None if there is
        none."""
        return self.found(kind, key)[0]

    def found(self, kind: str, key: str) -> tuple[Record | None, Acceptance | None]:
        """The record of a key; or, if it has none of its own and was accepted, the
        record of what it was accepted as, and the acceptance."""
        backend = self._backend(kind, key)
        own = self._store.by_key(kind, backend, key) if backend else None
        accepted = None if own else self._store.accepted.of(key)
        if accepted is None:
            return own, None
        return self._store.by_key(kind, accepted.backend, accepted.of), accepted

    def _backend(self, kind: str, key: str) -> str | None:
        """The backend of the artifact of a key, by its folder; None if it has none."""
        if kind not in self._backends:
            self._backends[kind] = backends_of(self._store, kind)
        return self._backends[kind].get(key)

    def _accepted(self, differ: Iterable[tuple[str, str, str]]) -> Counter[str]:
        """What was said in accepting the new keys -> number of stages; no record is
        read."""
        return Counter(
            replace(accepted, root="").said.removeprefix(": ")
            for kind, _, key in differ
            if not self._backend(kind, key)
            and (accepted := self._store.accepted.of(key))
        )

    def between(self, old: Run, new: Run) -> RunChanges:
        """What changed from one run to the other."""
        before, after = by_place(old), by_place(new)
        differ = [
            (place.partition(":")[0], before[place], key)
            for place, key in after.items()
            if place in before and before[place] != key
        ]
        return RunChanges(
            (*self._files(old, new), *self._derived(old, new)),
            tuple(self._fields(differ, not (old.files and new.files))),
            tuple(groups(before, after)),
            len(differ),
            self._accepted(differ),
        )

    def _derived(self, old: Run, new: Run) -> Iterator[FileNote]:
        """The rows that transforms made in both runs, of datasets of one name: their
        paths have the keys, and differ, too."""
        was, now = derived_rows(old), derived_rows(new)
        for name in sorted(now.keys() & was.keys()):
            (old_path, one), (path, other) = was[name], now[name]
            if one != other:
                rows = self._rows(path, one, other)
                yield FileNote(path, "changed", old_path, one, other, rows, name)

    def _files(self, of_old: Run, of_new: Run) -> Iterator[FileNote]:
        old, new = dict(of_old.files), dict(of_new.files)
        if not old or not new:
            return  # an earlier version noted one of them
        was, now = derived_rows(of_old), derived_rows(of_new)
        for name in was.keys() & now.keys():
            old.pop(was[name][0], None)
            new.pop(now[name][0], None)
        named = {path: name for of in (was, now) for name, (path, _) in of.items()}
        gone = {digest: path for path, digest in old.items() if path not in new}
        for path, digest in new.items():
            if path in old:
                if old[path] != digest:
                    rows = self._rows(path, old[path], digest)
                    yield FileNote(path, "changed", "", old[path], digest, rows)
            elif digest in gone:
                yield FileNote(path, "renamed", gone.pop(digest), digest, digest)
            else:
                yield FileNote(path, "added", new=digest, dataset=named.get(path, ""))
        left = {*gone.values()}
        for path, digest in old.items():
            if path in left:
                yield FileNote(path, "removed", old=digest, dataset=named.get(path, ""))

    def _rows(self, path: str, old: str, new: str) -> Mapping[str, int] | None:
        if not path.endswith(ROWS):
            return None
        files = [self._contents.find(one, [path]) for one in (old, new)]
        first, second = files
        if first is None or second is None:
            return None
        if first.stat().st_size + second.stat().st_size > LARGEST:
            return None
        return row_changes(first, second, 0).counts

    def _fields(
        self, differ: list[tuple[str, str, str]], with_files: bool
    ) -> Iterator[FieldNote]:
        """The fields of keys that differ besides outputs of other stages, by the
        records of the first stages of each kind that have some. `with_files` if the
        runs do not say which files they had."""
        for kind in KINDS:
            pairs = ((old, new) for of, old, new in differ if of == kind)
            found = (
                (was, now)
                for old, new in pairs
                if (was := self.record(kind, old)) and (now := self.record(kind, new))
            )
            notes: dict[str, FieldNote] = {}
            for was, now in islice(found, READ):
                for note in field_notes(was, now, with_files):
                    notes.setdefault(note.field, note)
            yield from notes.values()


MADE = re.compile(r"-([0-9a-f]{32})/[^/]+$")
"""The end of a path of rows that a transform made, with its stage's key."""


def derived_rows(run: Run) -> dict[str, tuple[str, str]]:
    """Name of each dataset of a run whose rows a transform made -> the path and the
    digest of the rows."""
    names = {key: place for place, key in by_place(run).items()}
    found = {}
    for path, digest in run.files.items():
        match = MADE.search(path)
        place = names.get(match[1], "") if match else ""
        kind, _, name = place.partition(":")
        if kind == "dataset":
            found[name] = (path, digest)
    return found


def field_notes(
    was: Record, now: Record, with_files: bool = False
) -> Iterator[FieldNote]:
    """The fields in which the keys of two records of a kind differ, except for inputs
    that are other stages' outputs, and, unless `with_files`, for those that are
    files."""
    for name, old, new in differing(was.preimage, now.preimage):
        role = name.removeprefix("inputs.")
        is_file = role != name and role != "base" and is_source(role)
        shown = with_files if is_file else role == name or role == "base"
        if shown:
            yield FieldNote(now.kind, name, old, new)
