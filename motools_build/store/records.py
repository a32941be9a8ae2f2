"""The contents of `record.json`, of state files and of lines of the ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeGuard, TypeVar, get_args

from pydantic_core import from_json

from motools_build.errors import NewerFormat
from motools_build.keys import Digest, Key, canonical, digest_bytes
from motools_build.text.visible import whole

T = TypeVar("T")

FORMAT = 1
"""The format number of records, state files, and lines of the ledger and the run log;
the latter have one more (`run_lines.SHORT`). It is raised when a field changes its
meaning. A new field does not raise it: a version that does not know the field ignores
it, and keeps it when it rewrites the file. Code that raises the number must also write
`version`, the first version of motools_build that knows the format: earlier ones name
it in their error (`check_format`)."""

LOCAL = "local"
"""Field of a record's details: True if the payload lies outside of its folder."""

VERSION = re.compile(r"\d[0-9A-Za-z.+-]*")

HEAD, BODY, END = b'{"check":"', b'",\n"record":', b"}\n"


@dataclass  # not frozen: those take longer to make, and a run makes thousands
class Record:
    """An artifact's description. An artifact with a valid record is complete."""

    kind: str
    backend: str
    key: Key
    preimage: Mapping[str, Any]
    """What the key is the hash of."""
    name: str
    """The stage's name when it was made; for people only."""
    output: str
    """Identity of the stage's output, such as a digest of weights or a provider's
    ID."""
    inputs: Mapping[str, str]
    """Key of each upstream stage -> its output that was used."""
    payload: Mapping[str, tuple[int, Digest]]
    """Path of a file below the folder, with slashes -> size in bytes, digest."""
    details: Mapping[str, Any]
    """Metrics, counts, IDs; for a `local` payload also its size, as `bytes`."""
    made: Mapping[str, Any] = field(default_factory=dict)
    """When it was made, in how many seconds, and with which library versions."""
    format: int = FORMAT

    @property
    def local(self) -> bool:
        """Whether the payload is a file of this machine that all projects of a user
        share; `output` is its digest. Older records have its path, as `file`."""
        return "file" in self.details or self.details.get(LOCAL) is True

    @property
    def size(self) -> int:
        """Size of the payload in bytes, a `local` file included."""
        outside = int(self.details["bytes"]) if self.local else 0
        return outside + sum(size for size, _ in self.payload.values())

    def encode(self) -> bytes:
        """The record as JSON, with a digest of that JSON in front."""
        fields = vars(self)  # `asdict` would copy all of it first, ten times slower
        try:
            body = json.dumps(fields, ensure_ascii=False, sort_keys=True).encode()
        except UnicodeEncodeError:  # a lone surrogate, in text from elsewhere
            body = json.dumps(whole(fields), sort_keys=True).encode()
        return _sealed(body)

    def is_of_its_key(self) -> bool:
        """Whether the preimage hashes to the key. The digest in front of the record
        shows only that no byte was changed by accident."""
        try:
            return str(digest_bytes(canonical(self.preimage))) == self.key
        except ValueError:  # the preimage has no canonical JSON
            return False

    @classmethod
    def decode(cls, data: bytes, where: str = "a record") -> Record | None:
        """The record, or None if a byte of it is missing or changed. `where` names its
        file in errors.

        Raises NewerFormat if a later version wrote it in a newer format.
        """
        body = data[len(HEAD) + 32 + len(BODY) : -len(END)]
        if data != _sealed(body):
            _check_newer(data, where)
            return None
        found = from_json(body)
        if found.get("format") != FORMAT:
            check_format(found, where)
            return None
        try:
            return cls(**found)
        except TypeError:  # it has a field of a later version
            return known_fields(cls, found)


def known_fields(kind: type[T], found: Mapping[str, Any]) -> T | None:
    """Build a dataclass from the fields that it knows, and ignore others, which a later
    version may have written. None if a required field is missing."""
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    try:
        return kind(**{name: v for name, v in found.items() if name in names})
    except TypeError:
        return None


def check_format(found: Mapping[str, Any], what: str, known: int = FORMAT) -> None:
    """Raises NewerFormat, with the version to install, if a file or a line has a format
    above `known`. One without a format number has the first
    format. `what` names the file or line in the error."""
    number = found.get("format", 1)
    if isinstance(number, int) and not isinstance(number, bool) and number > known:
        version = found.get("version")
        wanted = ">=" + version if _is_version(version) else ""
        later = f" to {version} or later" if wanted else ""
        raise NewerFormat(
            f"{what} was written by a newer motools_build (format {number}; this one "
            f"knows {known}); it was left as it is: upgrade motools_build{later} "
            f"(pip install -U 'motools_build{wanted}')"
        )


def _is_version(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and VERSION.fullmatch(text) is not None


def _check_newer(data: bytes, where: str) -> None:
    """Raises NewerFormat if bytes that are not a valid record are one of a later
    version, which may put the digest elsewhere."""
    try:
        found = from_json(data)
    except ValueError:
        return
    if isinstance(found, dict):
        check_format(found, where)
        if isinstance(found.get("record"), dict):
            check_format(found["record"], where)


def _sealed(body: bytes) -> bytes:
    return b"".join((HEAD, digest_bytes(body).encode(), BODY, body, END))


@dataclass(frozen=True)
class Failure:
    """Why a stage's last attempt failed; kept until one succeeds."""

    name: str
    time: str
    """UTC, ISO 8601."""
    error: str
    message: str
    attempts: int = 1
    log: str | None = None
    """Path of a log, relative to the project's root; None if there is none."""


Phase = Literal["absent", "intent", "bound", "parked", "failed", "cancelled", "gone"]


@dataclass(frozen=True)
class Paid:
    """Progress of a paid effect (an upload or a job), from which the next run goes
    on."""

    phase: Phase
    stage: str
    """The stage's name; for people only."""
    kind: str
    backend: str
    account: str
    attempt: int = 1
    """Number of the attempt, from 1; only an explicit retry raises it."""
    nonces: Sequence[str] = ()
    """Random tags of this attempt's intents, oldest first. A job that carries one of
    them was sent from this artifacts folder."""
    since: float = 0.0
    """When this phase began, in seconds since the epoch."""
    id: str = ""
    """The provider's ID of the job or upload; set from phase `bound` on."""
    adopted: bool = False
    """As in `Entry`."""
    until: float = 0.0
    """In phase `parked`: when to ask again, in seconds since the epoch."""
    message: str = ""
    """The provider's words, if the effect ended without a result."""
    made_of: str = ""
    """Digest of the training rows if a teacher wrote them, because then the key does
    not determine them; else empty."""
    missing: float = 0.0
    """Since when the provider has denied knowing the ID, in seconds since the epoch; 0
    while it knows it."""


PHASES: frozenset[str] = frozenset(get_args(Phase))

Event = Literal[
    "intent",
    "refused",
    "bound",
    "succeeded",
    "failed",
    "cancelled",
    "gone",
    "retry",
    "duplicate",
    "asked",
]
"""`intent`: a request is about to be sent. `refused`: it certainly created nothing.
`duplicate`: a job of the same key and attempt, which another machine made and did not
cancel. `asked`: an eval asked a provider's model, for `cost`."""


@dataclass(frozen=True)
class Entry:
    """A line of the ledger: an event of a paid effect (an upload, a job or an eval)."""

    event: Event
    time: str
    key: Key
    attempt: int
    stage: str
    kind: str
    backend: str
    account: str
    id: str = ""
    adopted: bool = False
    """Found at the provider, or named by hand, rather than made by this folder."""
    cost: float | None = None
    """USD; None if it is not known."""
    message: str = ""
    made_of: str = ""
    """As in `Paid`."""
    nonce: str = ""
    """For the event `intent`: the random tag that its job carries."""
    format: int = FORMAT
