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

MEMO = "memo.json"
"""Name of a project's memo of digests, in the folder of its artifacts."""

MEMO_FORMAT = 1
"""The format number of a memo's file."""

MOST = 50_000
"""Largest number of entries in a memo (about 10 MB). Without a limit, the entries of
deleted files would accumulate."""

MOST_OTHERS = 10_000
"""Largest number of notes in a memo that the process which saves it did not use (at
most 10 MB): each version of a dataset or an eval that was ever planned has some."""

RACY_NS = 2_000_000_000
"""Coarsest file timestamp in use (FAT), in nanoseconds."""


def canonical(value: Any) -> bytes:
    """The canonical JSON (RFC 8785) of a JSON-like value, as UTF-8.

    For values without floats and non-ASCII names, the standard encoder gives the same
    bytes four times faster. An object with only string values is joined from its
    members, which is faster still.
    """
    if type(value) is dict and all(map(_is_text, value, value.values())):
        members = [f"{_ENCODE(name)}:{_ENCODE(value[name])}" for name in sorted(value)]
        return f"{{{','.join(members)}}}".encode()
    if _is_plain(value):
        return _ENCODE(value).encode()
    import rfc8785  # imported here since it takes 20 ms and most plans do without

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
        # RFC 8785 sorts by UTF-16 unit: for ASCII names, that is Python's order
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

    `spec` is passed as canonical JSON, because thousands of stages share a few specs.
    The other parts are joined with it in the order of RFC 8785; a property test
    compares the result with the canonical JSON of the whole preimage.
    """
    head = f'{{"backend":{_ENCODE(backend)},"inputs":'.encode() + canonical(inputs)
    tail = f',"kind":{_ENCODE(kind)},"spec":'.encode() + spec
    return Key(digest_bytes(head + tail + b',"version":%d}' % version))


class DigestMemo:
    """A cache of file digests, keyed by stat signature and shared between processes.

    An entry is kept only if the file's mtime and ctime lie more than two seconds
    before hashing began: then any later write has a later timestamp, and "same
    signature" implies "same bytes" (git's racy-index rule). Deleting the cache's file
    is safe.

    `note` caches facts that follow from the bytes alone (what a module imports, how
    many valid rows a dataset has), keyed by digest.

    The file holds at most `MOST` digests and `MOST` notes, of which at most
    `MOST_OTHERS` are such that this process did not use; those that it used are kept
    first. A file of a later format is neither used nor overwritten.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._newer = False
        self._used: set[str] = set()
        """Names of the notes that this process asked for."""
        self._seen: dict[str, Digest] = {}  # path -> digest, once per process
        self._dirty = False
        self._digests: dict[str, list[Any]] = {}
        self._notes: dict[str, Any] = {}
        try:
            with opened(file) as saved_as:
                saved = json.loads(saved_as.readall())
            self._newer = saved.get("format", MEMO_FORMAT) > MEMO_FORMAT
            digests, notes = saved["digests"], saved["notes"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return  # absent or damaged: begin with an empty cache
        if self._newer:
            return
        if isinstance(digests, dict) and isinstance(notes, dict):
            self._digests, self._notes = digests, notes

    def digest(self, path: str) -> Digest:
        """The digest of a file when this process first asked for it. Raises OSError if
        the file cannot be read."""
        known = self._seen.get(path)
        if known is None:
            known = self._seen[path] = self.present(path)
        return known

    def present(self, path: str) -> Digest:
        """The digest of a file as it is now, whatever this process saw before. Raises
        OSError if the file cannot be read, or changes while it is read."""
        for _ in range(5):
            began = time.time_ns()
            # opened even if cached: a network file system revalidates only on open
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
        """The cached note `what` on these bytes. If there is none, `compute()`, a
        JSON-like value, is called and cached."""
        name = f"{what}:{digest}"
        self._used.add(name)
        if name not in self._notes:
            self._notes[name] = compute()
            self._dirty = True
        value: T = self._notes[name]
        return value

    def noted(self, what: str, digest: str) -> Any:
        """The cached note `what` on these bytes; None if there is none."""
        name = f"{what}:{digest}"
        self._used.add(name)
        return self._notes.get(name)

    def renote(self, what: str, digest: str, value: Any) -> None:
        """Cache a JSON-like value as the note `what`, replacing any earlier one."""
        if self.noted(what, digest) != value:
            self._notes[f"{what}:{digest}"] = value
            self._dirty = True

    def save(self) -> None:
        """Write the cache to its file, if it changed. When two processes save at once,
        the entries of one may be lost, which costs only time."""
        if not self._dirty or self._newer:
            return
        body = {
            "format": MEMO_FORMAT,
            "digests": _latest(self._digests, self._seen, MOST),
            "notes": _latest(
                self._notes, self._used, min(MOST, len(self._used) + MOST_OTHERS)
            ),
        }
        temporary = self._file.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(body))
            temporary.replace(self._file)
        except OSError as error:  # only a cache: warn and continue
            print(f"warning: {self._file} cannot be written: {error}", file=sys.stderr)
            with suppress(OSError):
                temporary.unlink()
        self._dirty = False


def _latest(entries: dict[str, T], used: Collection[str], most: int) -> dict[str, T]:
    """At most so many entries: all used ones, then the latest others. More only if more
    were used."""
    if len(entries) <= most:
        return entries
    others = [name for name in entries if name not in used]
    left = {*used, *others[len(others) - max(0, most - len(used)) :]}
    return {name: value for name, value in entries.items() if name in left}


def signature(of: os.stat_result) -> list[int]:
    """The fields of a file's stat that change whenever its bytes are written: device,
    inode, size, mtime and ctime (nanoseconds)."""
    return [
        of.st_dev,
        of.st_ino,
        of.st_size,
        of.st_mtime_ns,
        of.st_ctime_ns,
    ]


def opened(path: str | Path) -> FileIO:
    """A regular file, opened for reading. Raises OSError if it cannot be opened, or is
    a pipe or device, where a read could block forever."""
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
    """The digest of a file's bytes, without a cache. Raises OSError."""
    with opened(path) as file:
        return digest_stream(file)


def digest_stream(file: FileIO) -> Digest:
    """The digest of an open file's bytes, from its current position to the end."""
    state = xxhash.xxh3_128()
    size = os.fstat(file.fileno()).st_size
    buffer = bytearray(min(CHUNK, size + 1))
    view = memoryview(buffer)
    while size := file.readinto(buffer):
        state.update(view[:size])
    return Digest(state.hexdigest())
