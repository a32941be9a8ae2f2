"""Acceptances, `artifacts/accepted.jsonl`: a person's word that keys are equivalent.

An acceptance lets a stage have the artifact of another key, which was made before an
edit that changes nothing that matters. It stands until it is revoked, and while it
stands, the stage is never made.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from motools_build.errors import ArtifactError
from motools_build.keys import digest_bytes
from motools_build.store import files
from motools_build.store.locks import Locks
from motools_build.store.records import FORMAT, check_format, known_fields
from motools_build.store.runs import now
from motools_build.text import hints
from motools_build.text.scrub import scrub_values
from motools_build.text.visible import whole

FILE = "accepted.jsonl"

COSMETIC = "comments and formatting only"
BY_HAND = "other: named by hand"
"""The two kinds of difference between the stage's key and that of the artifact."""

CHECK = re.compile(rb', "check": "([0-9a-f]{32})"}$')
"""The end of a line: a digest of what is before it, so that a changed byte is seen."""

NAMED = 3
"""Most differing fields and files that a note names."""


@dataclass(frozen=True)
class Acceptance:
    """That a stage has the artifact of another key, by a person's word."""

    stage: str
    """The stage's name when it was accepted; for people only."""
    kind: str
    backend: str
    key: str
    of: str
    """The key of the artifact that the stage has. It is never itself an accepted
    one."""
    difference: str
    """`COSMETIC` or `BY_HAND`."""
    differs: Sequence[str] = ()
    """The files and fields of the key that differ, in words."""
    along: Sequence[str] = ()
    """Keys of the stages that this one is made from and with which it was accepted: all
    that differs is that they do. Empty for a stage that was named."""
    root: str = ""
    """The name of the stage that was named, if this one was accepted along with it."""
    by: str = ""
    """Who accepted it: git's user name, or the login name."""
    time: str = ""
    """UTC, ISO 8601."""
    why: str = ""

    @property
    def note(self) -> str:
        """The remark that every result of the stage carries."""
        return f"accepted{self.said} (made under {self.of[:8]})"

    @property
    def said(self) -> str:
        """What differs, who accepted it, when and why."""
        what = "comments only"
        if self.difference != COSMETIC:
            more = len(self.differs) - NAMED
            named = ", ".join(self.differs[:NAMED])
            named += f" and {more} more" if more > 0 else ""
            what = f"{named or 'what differs'}, named by hand"
        root = f" with {self.root}" if self.root else ""
        return f"{root}: {what}, by {self.by} on {self.time[:10]}: {self.why}"

    @property
    def refusal(self) -> str:
        """Why a run does not make the stage, and what to do."""
        return (
            f"accepted as made under {self.of[:8]}, by {self.by} on "
            f"{self.time[:10]}, and never made while that stands; to make it: "
            f"{hints.command('accept', '--revoke', self.stage)}"
        )


class Accepted:
    """The acceptances of a folder of artifacts. The file is read at the first question,
    and again after `forget` if it has changed."""

    def __init__(self, file: Path, locks: Locks) -> None:
        self.file = file
        self._locks = locks
        self._standing: dict[str, Acceptance] = {}
        self._assumed: dict[str, Acceptance] = {}
        self._signature: tuple[int, ...] | None = None
        self._known = False

    def of(self, key: str) -> Acceptance | None:
        """The standing acceptance of a key; None if there is none.

        Raises NewerFormat for a line in a newer format, and ArtifactError for a damaged
        one: a run that went on without it would make what was accepted.
        """
        self._catch_up()
        return self._assumed.get(key) or self._standing.get(key)

    def __iter__(self) -> Iterator[Acceptance]:
        """The standing acceptances, the oldest first. Raises as `of` does."""
        self._catch_up()
        return iter([*self._standing.values()])

    def cut(self) -> str:
        """What to say of a last line without its end, which counts for nothing; empty
        if there is none, or the file cannot be read."""
        try:
            data = self.file.read_bytes()
        except OSError:
            return ""
        if not data or data.endswith(b"\n"):
            return ""
        number = data.count(b"\n") + 1
        return (
            f"line {number} of {self.file} has no end, as a full disk leaves it, so "
            "what it accepted or revoked does not count: do that again, or delete the "
            "line"
        )

    def forget(self) -> None:
        """Look at the file again when next asked: another process may have written."""
        self._known = False

    def check(self, name: str, key: str) -> None:
        """Raises ArtifactError if an acceptance of this key, of the stage `name`,
        stands by the file as it is now. Called before anything is made or paid for."""
        self.forget()
        found = self.of(key)
        if found:
            raise ArtifactError(f"{name}: {replace(found, stage=name).refusal}")

    @contextmanager
    def assumed(self, found: Iterable[Acceptance]) -> Iterator[None]:
        """Within the block, these stand, too, for this process alone."""
        self._assumed = {one.key: one for one in found}
        try:
            yield
        finally:
            self._assumed = {}

    def note(self, found: Sequence[Acceptance]) -> None:
        """Write down one act of a person, in one line: all of it stands, or nothing."""
        self._append({"event": "accepted", "stages": [asdict(one) for one in found]})

    def revoke(self, keys: Iterable[str], by: str) -> list[Acceptance]:
        """Revoke the acceptances of these keys, and those of stages that were accepted
        along with them. Returns all that stood until now and were revoked."""
        self.forget()
        gone: dict[str, Acceptance] = {}
        waiting = set(keys)
        while waiting:
            found = [one for one in self if one.key in waiting and one.key not in gone]
            gone |= {one.key: one for one in found}
            keys_now = {one.key for one in found}
            waiting = {one.key for one in self if keys_now & {*one.along}}
        if gone:
            self._append({"event": "revoked", "keys": [*gone], "by": by})
        return [*gone.values()]

    def _append(self, what: Mapping[str, Any]) -> None:
        """Add a line. The file is written anew, so that a crash leaves the old lines or
        all of them. Raises as `of` does, before anything is written."""
        line = whole(scrub_values({"format": FORMAT, "time": now(), **what}))
        body = json.dumps(line, ensure_ascii=False).encode()[:-1]
        end = f', "check": "{digest_bytes(body)}"}}\n'.encode()
        with self._locks.held(FILE):
            self.forget()
            self._catch_up()
            self.file.parent.mkdir(parents=True, exist_ok=True)
            before = self.file.read_bytes() if self.file.exists() else b""
            before = before[
                : before.rfind(b"\n") + 1
            ]  # what a full disk cut is left out
            files.replace(self.file, before + body + end)
        self.forget()

    def _catch_up(self) -> None:
        if self._known:
            return
        try:
            told = os.stat(self.file)
        except FileNotFoundError:
            self._standing, self._signature, self._known = {}, None, True
            return
        except OSError as error:
            raise self._unreadable(error) from error
        signature = told.st_ino, told.st_size, told.st_mtime_ns
        if signature != self._signature:
            self._standing = self._read()
            self._signature = signature
        self._known = True

    def _read(self) -> dict[str, Acceptance]:
        try:
            data = self.file.read_bytes()
        except OSError as error:
            raise self._unreadable(error) from error
        standing: dict[str, Acceptance] = {}
        lines = data.split(b"\n")[:-1]  # one without its end was cut by a full disk
        for number, line in enumerate(lines, 1):
            event, found, keys = self._event(line, number)
            for key in keys:
                standing.pop(key, None)
            if event == "accepted":
                for one in found:
                    standing.pop(one.key, None)
                    standing[one.key] = one
        return standing

    def _event(
        self, line: bytes, number: int
    ) -> tuple[str, list[Acceptance], list[str]]:
        """The event of a line, the acceptances that it adds, and the keys that it
        revokes. Raises NewerFormat or ArtifactError."""
        where = f"line {number} of {self.file}"
        try:
            told = json.loads(line)
        except ValueError:
            told = None
        if isinstance(told, dict):
            check_format(told, where)
        check = CHECK.search(line)
        if check and isinstance(told, dict):
            body = line[: check.start()]
            if digest_bytes(body).encode() == check[1]:
                found = [
                    known_fields(Acceptance, one) for one in told.get("stages", ())
                ]
                every = [one for one in found if one]
                if len(every) == len(found):
                    return str(told.get("event")), every, list(told.get("keys", ()))
        raise ArtifactError(
            f"{where} is damaged, so it is not known what was accepted, and nothing "
            "is made: put the file back as it was, or delete the line, after which "
            "what it accepted counts as stale"
        )

    def _unreadable(self, error: OSError) -> ArtifactError:
        return ArtifactError(
            f"{self.file}, which tells what was accepted, cannot be read "
            f"({error.strerror}): mend its permissions, or put the file back"
        )
