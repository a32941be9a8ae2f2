"""Fetching a file from a path or a URL, and checking it against its pinned hash."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from motools_build.errors import DatasetError
from motools_build.keys import CHUNK, Digest, digest_file, opened
from motools_build.text.scrub import remember_url

SILENCE = 60
"""Seconds without a byte after which a download is given up."""

LARGEST = 4 * 1024**3
"""Size limit of a fetched file in bytes, unless a caller gives another."""

WEB = ("http://", "https://")
"""How a place begins that is an address."""

LFS = b"version https://git-lfs.github.com/spec/"
"""The beginning of a Git LFS pointer, which stands for a large file in a clone."""


def fetch(
    place: str, digest: str, file: Path, sha256: str = "", largest: int = LARGEST
) -> str:
    """Copy a file or download a URL to `file`; returns its SHA-256 in hex.

    It is pinned by its SHA-256, its xxh3_128 (`digest`), or both; an empty pin is not
    checked. Raises DatasetError if it cannot be read, is cut short, is larger than
    `largest` bytes, or does not match a pin; then `file` is removed.
    """
    from http.client import HTTPException

    try:
        remember_url(place)
        with _opened(place) as source, file.open("wb") as out:
            found = _copied(place, source, out, largest)
        if sha256 and found != sha256:
            _refuse(place, file, "SHA-256", found, sha256)
        if digest and (other := digest_file(file)) != Digest(digest):
            _refuse(place, file, "digest", other, digest)
    except (OSError, HTTPException, ValueError) as error:
        file.unlink(missing_ok=True)
        raise DatasetError(
            f"{place} cannot be fetched ({error}); mend the place, or the connection, "
            "and run again"
        ) from error
    except DatasetError:
        file.unlink(missing_ok=True)
        raise
    return found


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a file, in hex."""
    import hashlib  # loads OpenSSL, which plans do not need

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_lfs_pointer(path: str | Path) -> bool:
    """Whether a file is a Git LFS pointer, not the file that it stands for."""
    with open(path, "rb") as file:
        return file.read(len(LFS)) == LFS


def _copied(place: str, source: Any, out: Any, largest: int) -> str:
    """Copy a stream to its end; returns the SHA-256 of its bytes. Raises ValueError if
    it is larger than `largest` bytes or shorter than announced."""
    import hashlib

    expected = source.length if place.startswith(WEB) else None
    too_large = (
        f"it is larger than {largest:,} bytes; if it is to be fetched all the same, "
        "say how large: from_url(..., largest=BYTES), doit fetch --largest BYTES"
    )
    if expected is not None and expected > largest:
        raise ValueError(too_large)
    sha256, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        size += len(chunk)
        if size > largest:
            raise ValueError(too_large)
        sha256.update(chunk)
        out.write(chunk)
    if expected is not None and size < expected:
        raise ValueError(f"it was cut: {size:,} of {expected:,} bytes came")
    return sha256.hexdigest()


def _refuse(place: str, file: Path, what: str, found: str, pinned: str) -> None:
    said = (
        f"{place} has the {what} {found} ({file.stat().st_size:,} bytes), not the "
        f"pinned {pinned}; nothing was kept: "
    )
    if is_lfs_pointer(file):
        raise DatasetError(
            said + "this is a Git LFS pointer, not the file that it stands for; give "
            "the address of the file itself (on GitHub: media.githubusercontent.com)"
        )
    raise DatasetError(f"{said}if this is the file that is meant, pin its {what}")


@contextmanager
def _opened(place: str) -> Iterator[Any]:
    if place.startswith(WEB):
        from urllib.request import Request, urlopen  # 30 ms that plans need not pay

        request = Request(place, headers={"User-Agent": "motools_build"})
        with urlopen(request, timeout=SILENCE) as answer:
            yield answer
    else:
        with opened(place) as file:
            yield file
