"""Observes which files a worker's child process reads, by an audit hook.

Python calls the hook before it opens a file or lists a folder. A file in the key is
compared with its planned digest before its bytes are used; any other file is noted with
its digest. Files that a library opens without Python, or that another process opens,
are not observed.

Equal digests before and after a read do not prove that the bytes were the same during
the read. Hence signatures are compared (device, inode, size, times): once a file was
read under one signature, a later edit does no harm.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from motools_build.errors import ArtifactError
from motools_build.keys import Digest, signature
from motools_build.task_code.reads import (
    ABSENT,
    READ,
    WRITTEN,
    digest_of_names,
    name_of,
    signed,
)
from motools_build.task_code.shipped import place_of

CHANGED = frozenset({"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate"})
"""Audit events that change files or folders, besides opening a file for writing."""

LISTED = frozenset({"os.listdir", "os.scandir"})
"""Audit events that list a folder; `glob` and `os.walk` also emit these."""

SEARCHING = ("importlib", "_frozen_importlib", "pkgutil", "zipimport", "pkg_resources")
"""Modules that list folders only to find modules and packages."""

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
"""Flags of `open` that may change a file."""


class Watch:
    """Records the files that this process reads. Inactive until `start`."""

    def __init__(self) -> None:
        self.seen: dict[str, Digest] = {}
        """Name -> digest at the first read, of all files, in the key or not."""
        self.edited: dict[str, str] = {}
        """Name -> why the results do not count, of files edited during the work."""
        self._root: str | None = None
        self._names: dict[str, str | None] = {}  # absolute path -> name
        self._planned: dict[str, Digest] = {}
        self._signatures: dict[str, list[int]] = {}  # name -> signature when read
        self._began: dict[str, list[int]] = {}  # planned name -> signature at `begin`
        self._reading: set[str] = set()
        self._written: set[str] = set()
        self._beside: Path | None = None
        self._busy = threading.local()

    # ---- called by the worker

    def start(self, root: str) -> None:
        """Begin to record reads, in this process and in its forked children."""
        if self._root is None:  # a hook is there until the process ends
            sys.addaudithook(self._hook)
        self._root = os.path.realpath(root)

    def begin(self, planned: Mapping[str, str]) -> None:
        """Register the files of the keys, path -> planned digest. To be called before a
        job's code is loaded. Raises ArtifactError if one of them has changed."""
        for path, digest in planned.items():
            place = self._place(path)
            self._names[place] = self._names[os.path.realpath(place)] = path
            self._planned[path] = Digest(digest)
        for path, digest in planned.items():
            try:
                with self._unheard():
                    self._began[path], found = signed(self._place(path))
            except OSError as error:
                raise ArtifactError(f"{path} cannot be read ({error})") from error
            if found != digest or self.seen.get(path, found) != found:
                raise ArtifactError(_edited(path))
        self._modules()  # modules below the root may have been imported before

    def keep(self, folder: Path) -> None:
        """Write the list of read files that are not in the key to a folder, each before
        it is read. Files that were read already are written now."""
        if self._root is None:
            return
        self._beside = folder / READ
        with self._unheard():
            for name, digest in self.seen.items():
                self._write(name, digest)

    def settle(self) -> None:
        """Check that the files opened so far have not changed since they were opened,
        assuming that they have been read by now."""
        for name in list(self._reading):
            self._reading.discard(name)
            if _signature(self._place(name)) != self._signatures[name]:
                self._spoilt(name)

    def end(self) -> None:
        """Do the last checks, after the last read. Problems are in `edited`."""
        self._modules()
        self.settle()
        for path, began in self._began.items():
            # opened files were checked already, and Python opens each module that it
            # imports; but a library may have read a data file without Python
            known = path in self.seen or path.endswith(".py")
            if not known and _signature(self._place(path)) != began:
                self._spoilt(path)

    def observed(self) -> dict[str, Digest]:
        """Name -> digest of the files that were read, are not in the key, and were not
        written by this process."""
        return {
            name: digest
            for name, digest in sorted(self.seen.items())
            if name not in self._planned and name not in self._written
        }

    def sources(self) -> list[str]:
        """The paths of the Python files that were read."""
        return [self._place(name) for name in self.seen if name.endswith(".py")]

    # ---- called by Python

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event != "open" and event not in LISTED and event not in CHANGED:
            return
        if getattr(self._busy, "now", False):  # this class itself reads
            return
        frame = sys._getframe(1)
        # suppressed, since the eval's own open or listing raises the same error
        with self._unheard(), suppress(OSError, ValueError, TypeError):
            if event == "open":
                self._opened(*args)
            elif event in CHANGED:
                for path in args:
                    if isinstance(path, str | bytes):
                        self._changed(self._name(path))
            elif not _searching(frame):
                self._listed(args[0])

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        """Ignore the reads of this class itself in this thread."""
        before = getattr(self._busy, "now", False)
        self._busy.now = True
        try:
            yield
        finally:
            self._busy.now = before

    def _opened(self, path: Any, _mode: Any, flags: int) -> None:
        name = self._name(path)
        if flags & WRITES:
            self._changed(name)
        elif name is not None and name not in self._written:
            self._read(name)

    def _changed(self, name: str | None) -> None:
        """Note that the eval writes a file, so that neither the file nor the listing of
        its folder is an input."""
        if name is None or name in self._planned:
            return
        for own in (name, f"{os.path.dirname(name) or '.'}/"):
            if own not in self._written:
                self._written.add(own)
                self._reading.discard(own)
                self.edited.pop(own, None)
                if own in self.seen:
                    self._write(own, WRITTEN)

    def _listed(self, path: Any) -> None:
        name = self._name("." if path is None else path)
        if name is None or name in self._planned:
            return
        name = f"{name}/"
        if name not in self.seen and name not in self._written:
            self._see(name, digest_of_names(self._place(name)))

    def _read(self, name: str) -> None:
        place = self._place(name)
        now = _signature(place)
        if now is None:
            if not os.path.lexists(place):
                self._see(name, ABSENT)
            return
        known = self._signatures.get(name, self._began.get(name))
        if known == now:
            digest = self._planned.get(name) or self.seen[name]
        else:
            now, digest = signed(place)
        if digest != self._planned.get(name, digest):
            self.edited[name] = _edited(name)
            raise ArtifactError(_edited(name))
        self._see(name, digest)
        if self.seen[name] not in (digest, ABSENT):
            self._spoilt(name)
        self._signatures[name] = now
        self._reading.add(name)

    def _see(self, name: str, digest: Digest) -> None:
        if name not in self.seen:
            self.seen[name] = digest
            self._write(name, digest)

    def _modules(self) -> None:
        """Note imported modules that the hook did not see, such as C extensions."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__dict__", {}).get("__file__")
            name = self._name(file) if isinstance(file, str) else None
            if name is not None and name not in self.seen:
                with self._unheard(), suppress(OSError):
                    if os.path.isfile(self._place(name)):
                        self._read(name)

    # ---- names, and the list of read files

    def _name(self, path: Any) -> str | None:
        if self._root is None or isinstance(path, int):
            return None
        place = os.path.abspath(os.fsdecode(path))
        if place not in self._names:
            self._names[place] = name_of(place, self._root)
        return self._names[place]

    def _place(self, name: str) -> str:
        assert self._root is not None
        return os.path.join(self._root, place_of(name))

    def _write(self, name: str, digest: str | None) -> None:
        if self._beside is None or (digest is not None and name in self._planned):
            return
        line = json.dumps({"name": name, "digest": digest}) + "\n"
        handle = os.open(self._beside, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)

    def _spoilt(self, name: str) -> None:
        """Note that a file changed while it was read, so that the answers of this
        process must not be used, now or by a later attempt."""
        self.edited[name] = (
            f"{name} was edited, or touched, while its eval read it: which bytes it "
            "read is not known, and nothing was recorded of it: run again"
        )
        with self._unheard():
            self._write(name, None)


WATCH = Watch()
"""This process's only instance, since an audit hook cannot be removed."""


def _searching(frame: Any) -> bool:
    """Whether the code that lists a folder is searching for modules."""
    asking = str(frame.f_globals.get("__name__", ""))
    return asking.startswith(SEARCHING)


def _signature(place: str) -> list[int] | None:
    """A file's signature; None if there is no regular file."""
    try:
        found = os.stat(place)
    except OSError:
        return None
    return signature(found) if stat.S_ISREG(found.st_mode) else None


def _edited(path: str) -> str:
    return (
        f"{path} was edited after this run was planned; nothing was recorded of it: "
        "run again"
    )
