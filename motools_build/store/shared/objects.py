"""The objects of a shared store: create if absent, put, get, list, delete.

One primitive carries all promises: `create`, which makes an object only if there is
none of its name. Amazon's, Google's and Microsoft's stores have it, and so has a folder
(a hard link). Errors are put into words here: those of obstore hold the whole URL, and
with it, for Azure, a signature that opens the store.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from motools_build.errors import (
    InputError,
    MissingExtra,
    StoreError,
    StoreUnreachable,
)
from motools_build.store.files import sync
from motools_build.store.shared.address import Address

T = TypeVar("T")

TRIES = 5
"""How often a request is sent whose answer does not come."""

PAUSE = 0.1
"""Seconds before the second of them; twice as long before each next one."""

PART = 16 << 20
"""Bytes of a payload that one request fetches."""


PROBES = "probe"
"""Folder of the objects of trials."""


@dataclass(frozen=True)
class Object:
    """An object, as a listing shows it."""

    name: str
    size: int
    """In bytes."""
    modified: float
    """By the store's clock, in seconds since the epoch."""


class Objects:
    """The objects of one shared store. Safe in several threads. Each method raises
    StoreUnreachable if the store does not answer, and StoreError if it refuses."""

    def __init__(self, address: Address) -> None:
        self.address = address

    @cached_property
    def _client(self) -> Any:
        """The client of obstore. Each method asks for it before it imports obstore, so
        that a missing extra is told as one."""
        try:
            return self.address.client()
        except MissingExtra:
            raise
        except InputError as error:  # a disk that is not mounted comes back
            raise StoreError(str(error)) from None

    @cached_property
    def creates_once(self) -> bool:
        """Whether the store refuses to create an object that exists, by a trial with an
        object of its own: a server that ignores the condition would let two machines
        pay for one job."""
        name = f"{PROBES}/{secrets.token_hex(8)}"
        first, second = secrets.token_bytes(8), secrets.token_bytes(8)
        try:
            if not self.create(name, first):
                return False
            return not self.create(name, second) and self.get(name) == first
        except StoreUnreachable:
            raise
        except StoreError as error:  # "not implemented", in one form or another
            if error.is_unsupported:
                return False
            raise
        finally:
            self._forget(name)

    def create(self, name: str, data: bytes) -> bool:
        """Make an object if there is none of that name. Returns whether the object has
        these very bytes now, so that a request whose answer got lost is known by them:
        they should hold something random."""
        client = self._client
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        last: StoreUnreachable | None = None
        for n in range(TRIES):
            self._pause(n)
            try:
                self._once(
                    lambda: obstore.put(
                        client, name, data, mode="create", use_multipart=False
                    ),
                    passes=(AlreadyExistsError, PreconditionError),
                )
                return self._on_disk(name)
            except (AlreadyExistsError, PreconditionError):
                found = self.get(name)
                if found is not None:
                    return found == data and self._on_disk(name)
            except StoreUnreachable as error:  # it may have been made, or will be
                last = error
        raise last or StoreUnreachable(f"{self.address}: {name} comes and goes")

    def put(self, name: str, data: bytes | Path) -> None:
        """Make or replace an object, of these bytes or those of a file."""
        client = self._client
        import obstore

        self._often(lambda: obstore.put(client, name, data))

    def get(self, name: str) -> bytes | None:
        """The bytes of a small object; None if there is none of that name."""
        client = self._client
        import obstore
        from obstore.exceptions import NotFoundError

        try:
            return self._often(
                lambda: bytes(obstore.get(client, name).bytes()),
                passes=(NotFoundError, FileNotFoundError),
            )
        except (NotFoundError, FileNotFoundError):
            return None

    def fetch(self, name: str, path: Path, size: int) -> bool:
        """Write an object of that size in bytes to a file, in parts. Returns False if
        there is no such object, or a shorter one."""
        client = self._client
        import obstore
        from obstore.exceptions import NotFoundError

        def part(start: int) -> bytes:
            end = min(start + PART, size)
            return bytes(obstore.get_range(client, name, start=start, end=end))

        with open(path, "wb") as file:
            if size == 0:
                return self.get(name) == b""
            for start in range(0, size, PART):
                try:
                    data = self._often(
                        lambda start=start: part(start),  # type: ignore[misc]
                        passes=(NotFoundError, FileNotFoundError),
                    )
                except (NotFoundError, FileNotFoundError):
                    return False
                if len(data) != min(PART, size - start):
                    return False
                file.write(data)
        return True

    def list(self, prefix: str) -> list[Object]:
        """All objects whose names begin with the prefix, a folder's name."""
        client = self._client
        import obstore

        def read() -> list[Object]:
            pages = obstore.list(client, prefix=prefix, chunk_size=1000)
            return [_object(one) for page in pages for one in page]

        return self._often(read)

    def delete(self, name: str) -> None:
        """Delete an object, if there is one."""
        client = self._client
        import obstore
        from obstore.exceptions import NotFoundError

        try:
            self._often(
                lambda: obstore.delete(client, name),
                passes=(NotFoundError, FileNotFoundError),
            )
        except (NotFoundError, FileNotFoundError):
            return

    def now(self) -> float:
        """The time by the store's clock, in seconds since the epoch."""
        name = f"{PROBES}/{secrets.token_hex(8)}"
        self.put(name, b"")
        found = [one for one in self.list(PROBES) if one.name == name]
        self.delete(name)
        if not found:
            raise StoreError(
                f"the shared store {self.address} does not list what it has"
            )
        return found[0].modified

    def _often(
        self, request: Callable[[], T], passes: tuple[type[Exception], ...] = ()
    ) -> T:
        """The answer to a request that does no harm if it is sent again."""
        for n in range(TRIES):
            self._pause(n)
            try:
                return self._once(request, passes)
            except StoreUnreachable as error:
                last = error
        raise last

    def _once(self, request: Callable[[], T], passes: tuple[type[Exception], ...]) -> T:
        try:
            return request()
        except passes:
            raise
        except Exception as error:  # noqa: BLE001 - its text has the URL
            raise _in_words(error, self.address) from None

    def _pause(self, tries: int) -> None:
        if tries:
            time.sleep(PAUSE * 2 ** (tries - 1))

    def _forget(self, name: str) -> None:
        """Delete an object of a trial; if that fails, nobody is harmed."""
        client = self._client
        import obstore

        try:
            self._once(lambda: obstore.delete(client, name), ())
        except StoreError:
            return

    def _on_disk(self, name: str) -> bool:
        """True, once an object survives a loss of power: on a shared disk, its bytes
        and the folders that it may have been the first of are flushed."""
        folder = self.address.folder
        if folder is not None:
            path = folder / name
            for each in (path, *(folder / part for part in Path(name).parents)):
                self._once(lambda each=each: sync(each), ())  # type: ignore[misc]
        return True


def _object(found: Any) -> Object:
    return Object(found["path"], found["size"], found["last_modified"].timestamp())


OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How obstore tells what the operating system said of a folder."""


def _of_a_disk(number: int, address: Address) -> StoreError:
    """The error of a store in a folder, by the operating system's number of it."""
    why = os.strerror(number)
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(
            f"the shared store {address} refuses it ({why}): ask for the right to "
            "read and write there; what you make stays here"
        )
    return StoreUnreachable(f"the shared store {address} does not work ({why})")


def _in_words(error: Exception, address: Address) -> StoreError:
    """An error of obstore, by its type and HTTP status alone."""
    from obstore import exceptions

    text = str(error)
    if address.folder is not None and (found := OS_ERROR.search(text)):
        return _of_a_disk(int(found[1]), address)
    status = re.search(r"\bstatus(?: code)?:? ?\"?(\d{3})\b", text)
    code = int(status[1]) if status else 0
    denied = exceptions.UnauthenticatedError, exceptions.PermissionDeniedError
    if isinstance(error, (*denied, PermissionError)) or code in (401, 403):
        return StoreError(
            f"the shared store {address} refuses the credentials or the access "
            f"({code or type(error).__name__}): look at the cloud's variables in the "
            "environment, at its profile, and at what they may do there"
        )
    if isinstance(error, exceptions.NotSupportedError | NotImplementedError) or (
        code == 501
    ):
        told = StoreError(f"the shared store {address} does not support a request")
        told.is_unsupported = True
        return told
    if isinstance(error, exceptions.NotFoundError | FileNotFoundError) or code == 404:
        return StoreError(
            f"the shared store {address} is not there (404): make the bucket, or mend "
            "the address in pyproject.toml"
        )
    how = f"HTTP {code}" if code else type(error).__name__
    return StoreUnreachable(f"the shared store {address} does not answer ({how})")
