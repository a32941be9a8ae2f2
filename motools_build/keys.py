"""Keys and digests: the identity of a computation, and of bytes.

`docs/reference/keys.md` is the specification; `tests/test_keys.py` pins it by golden
keys.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, NewType, TypeVar

import xxhash

Key = NewType("Key", str)
"""32 hex digits: xxh3_128 of a stage's canonical preimage."""

Digest = NewType("Digest", str)
"""32 hex digits: xxh3_128 of bytes."""

T = TypeVar("T")

CHUNK = 1 << 17
"""Bytes read at a time; larger chunks hash no faster."""

MEMO_FORMAT = 1
"""The format number of a memo's file."""

MOST = 50_000
"""Entries of a memo, some 10 MB; without a bound those of old files would pile up."""

RACY_NS = 2_000_000_000
"""Coarsest file timestamp in use (FAT), in nanoseconds."""


def canonical(value: Any) -> bytes:
    """The canonical JSON (RFC 8785) of a JSON-like value, as UTF-8.

    Without floats and non-ASCII names the standard encoder writes the same bytes, four
    times faster; of texts alone it is put together from them, faster still.
    """
    if type(value) is dict and all(map(_is_text, value, value.values())):
        members = [f"{_ENCODE(name)}:{_ENCODE(value[name])}" for name in sorted(value)]
        return f"{{{','.join(members)}}}".encode()
    if _is_plain(value):
        return _ENCODE(value).encode()
    import rfc8785  # 20 ms that most plans need not pay

    return bytes(rfc8785.dumps(value))


_ENCODE = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False
).encode


def _is_text(name: Any, value: Any) -> bool:
    return type(name) is str and name.isascii() and type(value) is str


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(abs(value) < 2**53)  # rfc8785 refuses larger ones
    if kind is list:
        return all(map(_is_plain, value))
    if kind is dict:
        # ASCII names: there the order by code point is the order by UTF-16 unit
        return all(
            type(name) is str and name.isascii() and _is_plain(item)
            for name, item in value.items()
        )
    return False


def digest_bytes(data: bytes) -> Digest:
    """The digest of bytes in memory."""
    return Digest(xxhash.xxh3_128_hexdigest(data))


def stage_key(
    *,
    kind: str,
    version: int,
    backend: str,
    spec: bytes,
    inputs: dict[str, str],
) -> Key:
    """The key of a stage: xxh3_128 of the canonical JSON of its preimage.

    `spec` comes as canonical JSON, because thousands of stages share a few specs; the
    other parts are put around it in the order that RFC 8785 asks for (a property test
    compares the two).
    """
    head = f'{{"backend":{_ENCODE(backend)},"inputs":'.encode() + canonical(inputs)
    tail = f',"kind":{_ENCODE(kind)},"spec":'.encode() + spec
    return Key(digest_bytes(head + tail + b',"version":%d}' % version))


class DigestMemo:
    """Digests of files, remembered by their stat signature between processes.

    An entry is kept only if the file's mtime and ctime lie more than two seconds
    before hashing began: then any later write has a later timestamp, and "same
    signature" implies "same bytes" (git's racy-index rule). Only a cache: deleting
    its file is safe.

    `note` remembers facts that follow from the bytes alone (what a module imports,
    how many valid rows a dataset has), by digest.

    Of each kind the file holds at most `MOST` entries, with those that this process has
    used; a file of a later version is neither used nor written over.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._newer = False
        self._used: set[str] = set()
        """The notes that this process asked for."""
        self._seen: dict[str, Digest] = {}  # of this process: one look per file
        self._dirty = False
        self._digests: dict[str, list[Any]] = {}
        self._notes: dict[str, Any] = {}
        try:
            with opened(file) as saved_as:
                saved = json.loads(saved_as.readall())
            self._newer = saved.get("format", MEMO_FORMAT) > MEMO_FORMAT
            digests, notes = saved["digests"], saved["notes"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return  # absent or damaged: begin anew
        if self._newer:
            return
        if isinstance(digests, dict) and isinstance(notes, dict):
            self._digests, self._notes = digests, notes

    def digest(self, path: str) -> Digest:
        """The digest of a file. Raises OSError if it cannot be read."""
        known = self._seen.get(path)
        if known is None:
            known = self._seen[path] = self.present(path)
        return known

    def present(self, path: str) -> Digest:
        """The digest of a file as it is now, whatever this process saw before. Raises
        OSError if it cannot be read."""
        for _ in range(5):
            began = time.time_ns()
            # opened in any case: a network file system looks again only then
            with opened(path) as file:
                before = signature(os.fstat(file.fileno()))
                match self._digests.get(path):
                    case [noted, str(known)] if noted == before:
                        return Digest(known)
                digest = digest_stream(file)
                after = signature(os.fstat(file.fileno()))
            if before == after:
                break
        else:
            raise OSError(f"{path} keeps changing while it is read")
        self._dirty = self._digests.pop(path, None) is not None or self._dirty
        if max(before[3], before[4]) + RACY_NS < began:
            self._digests[path] = [before, digest]
            self._dirty = True
        return digest

    def note(self, what: str, digest: Digest, compute: Callable[[], T]) -> T:
        """`compute()`, a JSON-like value, remembered for these bytes."""
        name = f"{what}:{digest}"
        self._used.add(name)
        if name not in self._notes:
            self._notes[name] = compute()
            self._dirty = True
        value: T = self._notes[name]
        return value

    def noted(self, what: str, digest: str) -> Any:
        """What was noted for these bytes, or None."""
        name = f"{what}:{digest}"
        self._used.add(name)
        return self._notes.get(name)

    def renote(self, what: str, digest: str, value: Any) -> None:
        """Note a JSON-like value, whatever was noted before."""
        if self.noted(what, digest) != value:
            self._notes[f"{what}:{digest}"] = value
            self._dirty = True

    def save(self) -> None:
        """Write what was learnt. Two processes at once may lose entries, no more."""
        if not self._dirty or self._newer:
            return
        body = {
            "format": MEMO_FORMAT,
            "digests": _latest(self._digests, self._seen),
            "notes": _latest(self._notes, self._used),
        }
        temporary = self._file.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(body))
            temporary.replace(self._file)
        except OSError as error:  # only a cache: say so, and go on
            print(f"warning: {self._file} cannot be written: {error}", file=sys.stderr)
            with suppress(OSError):
                temporary.unlink()
        self._dirty = False


def _latest(entries: dict[str, T], used: Collection[str]) -> dict[str, T]:
    """At most `MOST` entries, the used ones and then the latest; or all, if more are
    used."""
    if len(entries) <= MOST:
        return entries
    others = [name for name in entries if name not in used]
    left = {*used, *others[len(others) - max(0, MOST - len(used)) :]}
    return {name: value for name, value in entries.items() if name in left}


def signature(of: os.stat_result) -> list[int]:
    """What changes whenever a file's bytes are written: device, inode, size, times."""
    return [
        of.st_dev,
        of.st_ino,
        of.st_size,
        of.st_mtime_ns,
        of.st_ctime_ns,
    ]


def opened(path: str | Path) -> FileIO:
    """A file to read, and no pipe or device, on which a read would wait for ever.
    Raises OSError."""
    try:
        return open(path, "rb", buffering=0, opener=_regular)
    except ValueError as error:  # a NUL, or half a character
        raise OSError(errno.EINVAL, f"no file is called that: {error}") from error


def _regular(path: str, flags: int) -> int:
    handle = os.open(path, flags | os.O_NONBLOCK)
    kind = os.fstat(handle).st_mode
    if not stat.S_ISREG(kind):
        os.close(handle)
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", path)
    return handle


def digest_file(path: str | Path) -> Digest:
    """The digest of a file's bytes, read now. Raises OSError."""
    with opened(path) as file:
        return digest_stream(file)


def digest_stream(file: FileIO) -> Digest:
    """The digest of what is left to read of an open file."""
    state = xxhash.xxh3_128()
    size = os.fstat(file.fileno()).st_size
    buffer = bytearray(min(CHUNK, size + 1))
    view = memoryview(buffer)
    while size := file.readinto(buffer):
        state.update(view[:size])
    return Digest(state.hexdigest())
