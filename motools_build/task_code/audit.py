"""What a worker's child reads, noted as it reads it.

Python tells an audit hook of every file that is about to be opened, and of every folder
that is about to be listed. So a file of the key is compared with its planned digest
before its bytes are used; what no key holds is noted with the digest that it has. Of
what libraries open without Python, or another process opens, nothing is told.

That a file is the same before and after it is read does not say that it was so in
between. Hence signatures are compared (device, inode, size, times): once a file was
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
"""Events of what the eval itself makes and removes, as opening a file to write is."""

LISTED = frozenset({"os.listdir", "os.scandir"})
"""Events of folders; globbing and walking come down to these."""

SEARCHING = ("importlib", "_frozen_importlib", "pkgutil", "zipimport", "pkg_resources")
"""Modules that list folders in search of modules and packages."""

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """The files that this process read. Inert until `start`."""

    def __init__(self) -> None:
        self.seen: dict[str, Digest] = {}
        """By name: what was read first, whether a key holds it or not."""
        self.edited: dict[str, str] = {}
        """Why the outcome does not count, by name."""
        self._root: str | None = None
        self._names: dict[str, str | None] = {}  # by absolute path
        self._planned: dict[str, Digest] = {}
        self._signatures: dict[str, list[int]] = {}  # under which it was read
        self._began: dict[str, list[int]] = {}  # of what is planned
        self._reading: set[str] = set()
        self._written: set[str] = set()
        self._beside: Path | None = None
        self._busy = threading.local()

    # ---- what the worker calls

    def start(self, root: str) -> None:
        """Note what is read from now on, and by whatever is forked from here."""
        self._root = os.path.realpath(root)
        sys.addaudithook(self._hook)

    def begin(self, planned: Mapping[str, str]) -> None:
        """Before anything of a job is loaded: path -> digest of what its key holds.
        Raises ArtifactError if one of them is another file now."""
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
        self._modules()  # of an installed package below the root, loaded before

    def keep(self, folder: Path) -> None:
        """Write down in a folder what no key holds, before it is read."""
        if self._root is None:
            return
        self._beside = folder / READ
        with self._unheard():
            for name, digest in self.seen.items():
                self._write(name, digest)

    def settle(self) -> None:
        """What was opened until now has been read: was it the same file throughout?"""
        for name in list(self._reading):
            self._reading.discard(name)
            if _signature(self._place(name)) != self._signatures[name]:
                self._spoilt(name)

    def end(self) -> None:
        """Nothing is read any more. What is wrong is in `edited` then."""
        self._modules()
        self.settle()
        for path, began in self._began.items():
            # what was opened was looked at then; a module is opened if it is used,
            # and anything else may have been read by other means
            known = path in self.seen or path.endswith(".py")
            if not known and _signature(self._place(path)) != began:
                self._spoilt(path)

    def observed(self) -> dict[str, Digest]:
        """What was read and no key holds: not what this process wrote."""
        return {
            name: digest
            for name, digest in sorted(self.seen.items())
            if name not in self._planned and name not in self._written
        }

    def sources(self) -> list[str]:
        """The Python files that were read, where they lie."""
        return [self._place(name) for name in self.seen if name.endswith(".py")]

    # ---- what Python calls

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event != "open" and event not in LISTED and event not in CHANGED:
            return
        if getattr(self._busy, "now", False):  # it is this class that reads
            return
        frame = sys._getframe(1)
        # whoever opens what cannot be read is told the same, and says so
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
        """What this class itself opens is no input."""
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
        """The eval writes it: neither its bytes nor its being there is an input."""
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
        """Note the modules that were loaded unseen, as extensions are."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__dict__", {}).get("__file__")
            name = self._name(file) if isinstance(file, str) else None
            if name is not None and name not in self.seen:
                with self._unheard(), suppress(OSError):
                    if os.path.isfile(self._place(name)):
                        self._read(name)

    # ---- names, and what is written down

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
        """It may have been another file when it was read: the answers of this process
        count for nothing, now or later."""
        self.edited[name] = (
            f"{name} was edited, or touched, while its eval read it: which bytes it "
            "read is not known, and nothing was recorded of it: run again"
        )
        with self._unheard():
            self._write(name, None)


WATCH = Watch()
"""Of this process: there is one hook."""


def _searching(frame: Any) -> bool:
    """Whether a folder is listed by what looks for modules."""
    asking = str(frame.f_globals.get("__name__", ""))
    return asking.startswith(SEARCHING)


def _signature(place: str) -> list[int] | None:
    """None unless it is an ordinary file."""
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
