"""Claims: which machine of a team sends the request for a paid job.

The claims of an attempt of a key are a chain of objects, `claims/<key>-a<n>/0001`,
`0002` and so on, each created only if there is none of that name. The last one counts:

    claimed     its holder is about to send one request, and tells the job's ID next
    bound       the job has this ID; whoever comes now takes it up
    released    the request certainly made nothing; the next may claim

Nothing in a chain is ever changed or removed. Each request needs a claim of its own.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from motools_build.errors import StoreError
from motools_build.keys import digest_bytes
from motools_build.store.records import FORMAT, check_format, known_fields
from motools_build.store.shared.objects import Objects

FOLDER = "claims"

Phase = Literal["claimed", "bound", "released"]


@dataclass(frozen=True)
class Claim:
    """One link of a chain."""

    phase: Phase
    nonce: str
    """Of the request; what its job is tagged with."""
    writer: str
    """A folder of artifacts on a running machine (`writer_of`)."""
    host: str
    """The machine's name; for people only."""
    time: str
    """UTC, by the machine's clock; for people only."""
    stage: str
    """The stage's name; for people only."""
    account: str
    made_of: str = ""
    """As in `records.Paid`."""
    id: str = ""
    """The job's ID at its provider, in phase `bound`."""
    format: int = FORMAT


class Claims:
    """The chains of a shared store. A link that was read is not read again."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self._read: dict[str, list[Claim]] = {}

    def chain(self, key: str, attempt: int) -> list[Claim]:
        """The links of an attempt's chain, the oldest first. Raises StoreError."""
        place = f"{key}-a{attempt}"
        known = self._read.setdefault(place, [])
        while True:
            name = _name(place, len(known) + 1)
            data = self.objects.get(name)
            if data is None:
                return list(known)
            known.append(_claim(data, f"{self.objects.address}/{name}"))

    def add(self, key: str, attempt: int, number: int, claim: Claim) -> bool:
        """Create a chain's link with that number, from 1. Returns whether the link is
        this one; another may have been faster. Raises StoreError, StoreUnreachable."""
        body = json.dumps(asdict(claim), sort_keys=True, ensure_ascii=False).encode()
        return self.objects.create(_name(f"{key}-a{attempt}", number), body)


def _name(place: str, number: int) -> str:
    return f"{FOLDER}/{place}/{number:04d}"


def _claim(data: bytes, where: str) -> Claim:
    try:
        found = json.loads(data)
        check_format(found, where)
        claim = known_fields(Claim, found)
    except (ValueError, AttributeError):
        claim = None
    if claim is None or claim.phase not in get_args(Phase):
        raise StoreError(
            f"{where} is damaged, or of a later version of motools_build, and may tell "
            "of a job that was paid for: look at it, and at the provider's own pages"
        )
    return claim


def writer_of(root: Path) -> str:
    """The identity of a folder of artifacts, on this machine since it was started. A
    copy of the folder has another, also on another machine under the same path."""
    root.mkdir(parents=True, exist_ok=True)
    of = os.stat(root)
    try:
        booted = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        booted = ""
    told = (host(), booted, os.path.realpath(root), str(of.st_dev), str(of.st_ino))
    return str(digest_bytes("\n".join(told).encode("utf-8", "backslashreplace")))


def host() -> str:
    """The machine's name."""
    return socket.gethostname()
