"""The payload of an artifact: a tree of files, listed in the artifact's record.

A record has the size and the digest of each file by its path below the artifact's
folder, with slashes: `adapter.safetensors`, `tokenizer/vocab.json`. Links are refused:
they may lead out of the folder, and a copied folder must be complete.

A payload may also be a file of this machine that all projects of a user share: the
weights of a base model, which may have 15 GB. Its record says `local`, and has no path:
the backend that fetched it finds it by its digest.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from motools_build.errors import ArtifactError
from motools_build.keys import Digest, digest_stream
from motools_build.store.files import sync
from motools_build.store.records import Record
from motools_build.store.shared.lazy import MARK

RECORD = "record.json"
"""The file name of an artifact's record."""

Payload = dict[str, tuple[int, Digest]]
"""Path below the artifact's folder -> bytes, digest."""


def kept(work: Path) -> Payload:
    """All files of a work folder, with sizes and digests. They and their folders are on
    the disk on return. Raises ArtifactError for a link, a pipe or a `record.json`."""
    payload = {}
    folders = [work]
    for path in entries(work):
        name = path.relative_to(work).as_posix()
        kind = path.lstat().st_mode
        if stat.S_ISDIR(kind):
            folders.append(path)
        elif stat.S_ISREG(kind) and name != RECORD:
            payload[name] = _kept(path)
        else:
            raise ArtifactError(
                f"{path} cannot be kept: an artifact holds files of its own, and no "
                f"link, pipe or {RECORD}; write a copy of what it stands for"
            )
    for folder in folders[1:]:
        sync(folder)
    return payload


def entries(folder: Path) -> Iterator[Path]:
    """All files, folders and links below a folder, sorted by name. Links are not
    followed."""
    for path in sorted(folder.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from entries(path)


def unknown(folder: Path, payload: Mapping[str, object]) -> list[str]:
    """The files of an artifact's folder that its record does not name."""
    names = (
        path.relative_to(folder).as_posix()
        for path in entries(folder)
        if path.is_symlink() or not path.is_dir()
    )
    own = (RECORD, MARK)
    return [name for name in names if name not in own and name not in payload]


def wrong_size(folder: str, record: Record) -> str | None:
    """The first file of a payload that is missing or has another size, in a few words;
    None if there is none. Costs one `stat` per file and reads no bytes."""
    for name, (size, _) in record.payload.items():
        problem = _wrong_size(f"{folder}/{name}", name, size)
        if problem:
            return problem
    if record.local and local_file(record) is None:
        return f"its file ({record.size} bytes) is not on this machine"
    return None


def local_file(record: Record) -> Path | None:
    """The payload of a `local` record on this machine; None if it is not here. Older
    records have a path, which is right on one machine only."""
    size = record.details["bytes"]
    noted = record.details.get("file")
    if noted and _wrong_size(noted, noted, size) is None:
        return Path(noted)
    from motools_build.backends import registry  # few records are of local files

    found = registry.get(record.backend).local_file(record.output)
    if found is None or _wrong_size(str(found), "", size):
        return None
    return found


def _wrong_size(path: str, name: str, size: int) -> str | None:
    try:
        found = os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return f"{name} is missing"
    return None if found == size else f"{name} has {found} bytes, not {size}"


def _kept(path: Path) -> tuple[int, Digest]:
    with open(path, "rb", buffering=0) as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size, digest_stream(file)
