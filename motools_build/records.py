"""What `record.json` and the state files hold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic_core import from_json

from motools_build.keys import Digest, Key, digest_bytes

FORMAT = 1
"""Of record.json; raised when its fields change meaning."""

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
    """File name in the folder -> bytes, digest."""
    details: Mapping[str, Any]
    """Metrics, counts, IDs; `file` where the payload lies outside the folder."""
    made: Mapping[str, Any] = field(default_factory=dict)
    """When, in how many seconds, and with which library versions."""
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of the payload, a file outside the folder included."""
        outside = int(self.details["bytes"]) if "file" in self.details else 0
        return outside + sum(size for size, _ in self.payload.values())

    def encode(self) -> bytes:
        """JSON with a digest of itself in front."""
        fields = vars(self)  # `asdict` would copy all of it first, ten times slower
        return _sealed(json.dumps(fields, ensure_ascii=False, sort_keys=True).encode())

    @classmethod
    def decode(cls, data: bytes) -> Record | None:
        """The record, or None if a byte of it is missing or changed."""
        body = data[len(HEAD) + 32 + len(BODY) : -len(END)]
        if data != _sealed(body):
            return None
        fields = from_json(body)
        if fields.get("format") != FORMAT:
            return None
        return cls(**fields)


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


Event = Literal["bound", "succeeded", "failed", "cancelled", "gone", "retry", "asked"]
"""`asked`: a provider's model was asked, for an eval; `cost` says what that came to."""


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
