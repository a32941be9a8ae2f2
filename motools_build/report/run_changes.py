"""What changed from one run of a setting to another: files, fields of keys, stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from motools_build.report.contents import Contents
from motools_build.report.explain import flat
from motools_build.report.file_changes import ROWS, is_source, row_changes
from motools_build.report.off_plan import TUNED, backends_of
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

    def as_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("path", "what", "was")}
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
            tuple(self._files(old.files, new.files)),
            tuple(self._fields(differ, not (old.files and new.files))),
            tuple(_groups(before, after)),
            len(differ),
            self._accepted(differ),
        )

    def _files(
        self, old: Mapping[str, str], new: Mapping[str, str]
    ) -> Iterator[FileNote]:
        if not old or not new:
            return  # an earlier version noted one of them
        gone = {digest: path for path, digest in old.items() if path not in new}
        for path, digest in new.items():
            if path in old:
                if old[path] != digest:
                    rows = self._rows(path, old[path], digest)
                    yield FileNote(path, "changed", "", old[path], digest, rows)
            elif digest in gone:
                yield FileNote(path, "renamed", gone.pop(digest), digest, digest)
            else:
                yield FileNote(path, "added", new=digest)
        left = {*gone.values()}
        for path, digest in old.items():
            if path in left:
                yield FileNote(path, "removed", old=digest)

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


def field_notes(
    was: Record, now: Record, with_files: bool = False
) -> Iterator[FieldNote]:
    """The fields in which the keys of two records of a kind differ, except for inputs
    that are other stages' outputs, and, unless `with_files`, for those that are
    files."""
    old, new = flat(was.preimage), flat(now.preimage)
    for name in sorted({*old, *new}):
        role = name.removeprefix("inputs.")
        is_file = role != name and role != "base" and is_source(role)
        shown = with_files if is_file else role == name or role == "base"
        if shown and old.get(name) != new.get(name):
            yield FieldNote(now.kind, name, old.get(name), new.get(name))


def by_place(run: Run) -> dict[str, str]:
    """Name without its setting, and without `smoke/` in a smoke run
    (`eval:base/echo/score`) -> key, of a run's stages."""
    found = {}
    for name, key in run.stages.items():
        kind, _, path = name.partition(":")
        place = path.partition("/")[2]
        if run.is_smoke:
            place = place.removeprefix("smoke/")
        found[f"{kind}:{place}"] = key
    return found


def _groups(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """What was added, removed or renamed, in words."""
    was, now = _parts(before), _parts(after)
    renamed = _renamed(before, after)
    for what in now:
        new, old = now[what].keys() - was[what].keys(), was[what].keys() - now[what]
        for one in sorted(new):
            former = renamed.get((what, one))
            if former in old:
                yield f"{what} {former} is called {one} now"
                new, old = new - {one}, old - {former}
        for word, names in (("added", new), ("removed", old)):
            if names:
                listed = sorted(
                    names, key=lambda n: (len(n), n) if n.isdigit() else (0, n)
                )
                yield f"{what}{'s' * (len(names) > 1)} {', '.join(listed)} {word}"


PARTS = ("dataset", "model", "training", "seed", "replicate", "eval")


def _parts(places: Iterable[str]) -> dict[str, dict[str, None]]:
    """The datasets, models, trainings, seeds, replicates and evals of stages, by their
    names."""
    found: dict[str, dict[str, None]] = {what: {} for what in PARTS}
    for place in places:
        kind, _, path = place.partition(":")
        if kind != "eval":
            continue
        for what, value in parts_of(path).items():
            found[what][value] = None
    return found


def parts_of(path: str) -> dict[str, str]:
    """What a name of an eval without its setting says: `dataset`, `model`, ...; without
    parts that it has not. A base model has no dataset."""
    match = TUNED.fullmatch(path)
    if match:
        return {what: value for what, value in match.groupdict().items() if value}
    parts = path.split("/")
    if len(parts) == 3 and parts[0] == "base":
        return {"model": parts[1], "eval": parts[2]}
    return {"eval": parts[-1]}


def _renamed(
    before: Mapping[str, str], after: Mapping[str, str]
) -> dict[tuple[str, str], str]:
    """Part and name now -> the name that it had, where a key is under another name."""
    places = {key: place for place, key in before.items() if place not in after}
    found: dict[tuple[str, str], str] = {}
    for place, key in after.items():
        kind, _, path = place.partition(":")
        former = places.get(key)
        if place in before or former is None or kind not in ("model", "eval"):
            continue
        eval_too = "" if kind == "eval" else "/-"
        now = parts_of(f"{path}{eval_too}")
        was = parts_of(f"{former.partition(':')[2]}{eval_too}")
        for what, value in now.items():
            if was.get(what, value) != value:
                found[what, value] = was[what]
    return found
