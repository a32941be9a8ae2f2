"""What `record.json` and the state files hold."""

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
"""The format number of records, state files, and lines of the ledger and the run log.
It is raised when a field changes its meaning; a field that is only added does not raise
it, since a version that does not know the field passes over it, and keeps it when it
writes the file anew. Whoever raises the number also writes `version`, the first version
of motools_build that knows it: older ones show it (`check_format`)."""

LOCAL = "local"
"""Name in the details of a record whose payload is no file of its folder."""

VERSION = re.compile(r"\d[0-9A-Za-z.+-]*")

HEAD, BODY, END = b'{"check":"', b'",\n"record":', b"}\n"


@dataclass  # not frozen: that takes longer, thousands of times
class Record:
    """An artifact's description. A record that exists is complete."""

    kind: str
    backend: str
    key: Key
    preimage: Mapping[str, Any]
    """All that the key is made of."""
    name: str
    """The stage's name when it was made; for people only."""
    output: str
    """Identity of what was made: the digest of the weights, a provider's ID."""
    inputs: Mapping[str, str]
    """Key of each upstream stage -> the output that was used."""
    payload: Mapping[str, tuple[int, Digest]]
    """Path of a file below the folder, with slashes -> bytes, digest."""
    details: Mapping[str, Any]
    """Metrics, counts, IDs; of a `local` payload, its `bytes`."""
    made: Mapping[str, Any] = field(default_factory=dict)
    """When, in how many seconds, and with which library versions."""
    format: int = FORMAT

    @property
    def local(self) -> bool:
        """Whether the payload is a file of this machine, which all projects of a user
        share; `output` is its digest. Records of before named its path, `file`."""
        return "file" in self.details or self.details.get(LOCAL) is True

    @property
    def size(self) -> int:
        """Bytes of the payload, a file of this machine included."""
        outside = int(self.details["bytes"]) if self.local else 0
        return outside + sum(size for size, _ in self.payload.values())

    def encode(self) -> bytes:
        """JSON with a digest of itself in front."""
        fields = vars(self)  # `asdict` would copy all of it first, ten times slower
        try:
            body = json.dumps(fields, ensure_ascii=False, sort_keys=True).encode()
        except UnicodeEncodeError:  # half a character, of somebody else's words
            body = json.dumps(whole(fields), sort_keys=True).encode()
        return _sealed(body)

    def is_of_its_key(self) -> bool:
        """Whether the key is that of the preimage; the digest in front says only that
        nobody changed a byte by accident."""
        try:
            return str(digest_bytes(canonical(self.preimage))) == self.key
        except ValueError:  # no JSON that has a key
            return False

    @classmethod
    def decode(cls, data: bytes, where: str = "a record") -> Record | None:
        """The record, or None if a byte of it is missing or changed.

        Raises NewerFormat if a later version wrote it.
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
        except TypeError:  # a field that came later
            return known_fields(cls, found)


def known_fields(kind: type[T], found: Mapping[str, Any]) -> T | None:
    """What this version knows of something that a later one may have written; None if a
    field is missing that there always was."""
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    try:
        return kind(**{name: v for name, v in found.items() if name in names})
    except TypeError:
        return None


def check_format(found: Mapping[str, Any], what: str) -> None:
    """Raises NewerFormat if a file, or a line of one, has a format that this version
    does not know, with the version to install. Where no format is given it is the
    first."""
    number = found.get("format", 1)
    if isinstance(number, int) and not isinstance(number, bool) and number > FORMAT:
        version = found.get("version")
        wanted = ">=" + version if _is_version(version) else ""
        later = f" to {version} or later" if wanted else ""
        raise NewerFormat(
            f"{what} was written by a newer motools_build (format {number}; this one "
            f"knows {FORMAT}); it was left as it is: upgrade motools_build{later} "
            f"(pip install -U 'motools_build{wanted}')"
        )


def _is_version(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and VERSION.fullmatch(text) is not None


def _check_newer(data: bytes, where: str) -> None:
    """Raises NewerFormat if what does not look like a record of ours is a later
    version's, which may be sealed otherwise."""
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
    """Why a stage's last attempt did not succeed; kept until it does."""

    name: str
    time: str
    """UTC, ISO 8601."""
    error: str
    message: str
    attempts: int = 1
    log: str | None = None
    """A log to look at, relative to the project's root."""


Phase = Literal["absent", "intent", "bound", "parked", "failed", "cancelled", "gone"]


@dataclass(frozen=True)
class Paid:
    """How far a paid effect is; what the next run goes on from."""

    phase: Phase
    stage: str
    """The stage's name; for people only."""
    kind: str
    backend: str
    account: str
    attempt: int = 1
    """Only an explicit retry makes the next one."""
    nonces: Sequence[str] = ()
    """Of the attempt's intents here, the last one last; a job that carries one of
    them is this folder's own."""
    since: float = 0.0
    """When it came into this phase, in seconds since the epoch."""
    id: str = ""
    """The provider's; set from `bound` on."""
    adopted: bool = False
    until: float = 0.0
    """Of `parked`: when to ask again, in seconds since the epoch."""
    message: str = ""
    """Of an end without a result: the provider's words."""
    made_of: str = ""
    """Digest of the rows that it is made of, where a teacher wrote them: the key does
    not say."""
    missing: float = 0.0
    """Since when the provider says that it knows no job of that ID, in seconds since
    the epoch; 0 while it does."""


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
"""`intent`: a request is about to go; `refused`: it surely made nothing. `duplicate`: a
job of the same key and attempt, which another machine made and did not take back.
`asked`: a provider's model was asked, for an eval; `cost` says what that came to."""


@dataclass(frozen=True)
class Entry:
    """A line of the ledger: something that happened to a paid effect."""

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
    """USD; None where it is not known."""
    message: str = ""
    made_of: str = ""
    """As of `Paid`."""
    nonce: str = ""
    """Of an intent: what its job carries."""
    format: int = FORMAT
