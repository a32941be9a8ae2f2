"""An index of the run log, in artifacts/runs/: the keys that each stage name has had.

Most commands ask for the keys of a few settings, and a log has all runs of all of them.
The index was folded from the log's first `upto` bytes, and commands fold the rest when
they read it. It is saved again when the rest has grown. `index.json` names the other
files; each is called by the digest of its bytes and never changed, so that the index is
always of one moment. A log that is not as it was up to there, and a file that is lost
or damaged, cost a reading of the whole log, and give no wrong answer.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from motools_build.keys import digest_bytes
from motools_build.stages import setting_of
from motools_build.store.files import delete, replace, whole_file
from motools_build.store.logged import Run, place_of
from motools_build.store.run_lines import Lines, State, Stored, decoded

INDEX = "index.json"

INDEX_FORMAT = 1

MOST_UNSAVED = 1 << 20
"""Bytes of the log that each command folds anew, until the index is saved."""

END = 1 << 10
"""Bytes before `upto` by which a log is recognised."""

Keys = dict[str, str]
"""Stage name -> the keys that it has had, joined by spaces, the latest last."""


class _Lost(Exception):
    """A file of the index is not there, or damaged."""


class RunIndex(Lines):
    """What the log says up to some byte of it."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self._log = log
        self._folder = log.with_suffix("")
        self._newer = False
        """Whether a later version has saved an index."""
        self._clear()

    def _clear(self) -> None:
        self.states, self.touched = {}, {}
        self.last: dict[str, tuple[str, str, str]] = {}
        """Setting -> `Run.place`, ID and time of its last run."""
        self._keys: dict[str, Keys | str] = {}
        """Setting -> the keys of stage names that begin with it, or the name of the
        file that has them."""
        self.upto = 0
        self._saved = 0
        """`upto` when the index was saved last."""
        self._end, self._inode = b"", 0

    # ---- asking

    def refresh(self) -> None:
        """Read on in the log, to its end. Raises NewerFormat, and OSError if the log
        cannot be read."""
        try:
            with open(self._log, "rb") as file:
                self._read_on(file)
        except FileNotFoundError:
            self._clear()
        except _Lost:
            self._again()

    def keys(self, setting: str) -> Keys:
        """The keys of all stage names that begin with the setting."""
        try:
            return self._keys_in(setting)
        except _Lost:
            self._again()
            return self._keys_in(setting)

    def keys_of(self, name: str) -> list[str]:
        """The keys that a stage name has had, the latest last."""
        return self.keys(setting_of(name)).get(name, "").split()

    def last_state(self, setting: str) -> State | None:
        """What the setting's last line stood for; None if there is none, or if it is
        not known."""
        if setting not in self.last:
            return None
        try:
            return self.state_of(*self.last[setting][:2])
        except _Lost:
            self._again()
            return self.state_of(*self.last[setting][:2])

    def next_line(self, run: Run) -> bytes:
        """The shortest line of a run that comes next."""
        try:
            return self.line_of(run)
        except _Lost:
            self._again()
            return self.line_of(run)

    # ---- folding

    def _read_on(self, file: IO[bytes]) -> None:
        of = os.fstat(file.fileno())
        if not self._is_of(file, of):
            self._clear()
            self._load()
            if not self._is_of(file, of):
                self._clear()
        self._fold_rest(file)

    def _again(self) -> None:
        """Fold the whole log."""
        self._clear()
        with suppress(FileNotFoundError), open(self._log, "rb") as file:
            self._fold_rest(file)

    def _is_of(self, file: IO[bytes], of: os.stat_result) -> bool:
        """Whether the log begins with the bytes that were folded."""
        if not self.upto or of.st_ino != self._inode or of.st_size < self.upto:
            return False
        file.seek(max(0, self.upto - END))
        return file.read(min(END, self.upto)) == self._end

    def _fold_rest(self, file: IO[bytes]) -> None:
        self._inode = os.fstat(file.fileno()).st_ino
        file.seek(self.upto)
        for line in file:
            if not line.endswith(b"\n") and decoded(line) is None:
                break  # cut short, or its writer is not done
            self._fold(line)
            self.upto += len(line)
            self._end = (self._end + line[-END:])[-END:]

    def _fold(self, line: bytes) -> None:
        read = self.read_line(line, f"a line of {self._log}")
        if read is None:
            return
        found = read.found
        setting, time = str(found.get("setting", "")), str(found.get("time", ""))
        place = place_of(setting, found.get("variables"))
        self.last[setting] = place, read.state.id, time
        its: dict[str, Keys] = {}
        for name, key in read.news.items():
            owner = setting_of(name)
            keys = its.get(owner)
            if keys is None:
                keys = its[owner] = self._keys_in(owner)
            before = keys.get(name, "")
            if before != key and not before.endswith(f" {key}"):
                others = [one for one in before.split() if one != key]
                keys[name] = " ".join([*others, str(key)])

    def _keys_in(self, setting: str) -> Keys:
        keys = self._keys.setdefault(setting, {})
        if isinstance(keys, str):
            keys = self._keys[setting] = self._read(keys)
        return keys

    # ---- files

    @property
    def is_behind(self) -> bool:
        """Whether so much was folded since it was saved that it is worth saving."""
        return not self._newer and self.upto - self._saved > MOST_UNSAVED

    def save(self) -> None:
        """Write the index, unless there is one of a later version. The caller holds the
        log's lock, so that no other process saves one. Raises OSError."""
        if self._newer or not self.upto:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        keys = {
            setting: its if isinstance(its, str) else self._write(its)
            for setting, its in self._keys.items()
        }
        states = [
            (place, state.id, self._file_of(state))
            for place, state in self.states.items()
        ]
        body = {
            "format": INDEX_FORMAT,
            "upto": self.upto,
            "inode": self._inode,
            "end": self._end.hex(),
            "last": self.last,
            "touched": self.touched,
            "keys": keys,
            "states": states,
        }
        replace(self._folder / INDEX, _sealed(json.dumps(body).encode()))
        self._saved = self.upto
        named = {*keys.values(), *(file for _, _, file in states)}
        for path in self._folder.iterdir():
            if path.name not in named and path.name != INDEX:
                delete(path)

    def _file_of(self, state: State | Stored) -> str:
        if isinstance(state, Stored):
            return state.file
        return self._write({**vars(state), "owners": sorted(state.owners)})

    def _write(self, what: Any) -> str:
        data = json.dumps(what).encode()
        name = f"{digest_bytes(data)}.json"
        if not (self._folder / name).exists():
            with whole_file(self._folder / name) as file:
                file.write_bytes(data)
        return name

    def _read(self, name: str) -> Any:
        """The content of a file of the index. Raises _Lost."""
        try:
            data = (self._folder / name).read_bytes()
        except OSError as error:
            raise _Lost from error
        if f"{digest_bytes(data)}.json" != name:
            raise _Lost
        return decoded(data)

    def _load(self) -> None:
        """Take up the saved index, if there is a valid one. It may be of another log,
        which `_is_of` tells."""
        try:
            data = (self._folder / INDEX).read_bytes()
        except OSError:
            return
        body = decoded(data[33:])
        if body is None or data != _sealed(data[33:]):
            return
        self._newer = body.get("format") != INDEX_FORMAT
        if self._newer:
            return
        self.upto = self._saved = body["upto"]
        self._inode, self._end = body["inode"], bytes.fromhex(body["end"])
        self.last = {setting: tuple(of) for setting, of in body["last"].items()}
        self.touched, self._keys = body["touched"], body["keys"]
        self.states = {
            place: Stored(id, file, partial(self._state, file))
            for place, id, file in body["states"]
        }

    def _state(self, file: str) -> State:
        found = self._read(file)
        return State(**{**found, "owners": set(found["owners"])})


def _sealed(body: bytes) -> bytes:
    return digest_bytes(body).encode() + b"\n" + body
