"""The server's objects (files, uploads, models) and settings. All times are in seconds
since the epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from motools_build.errors import InputError
from motools_build.rehearsal.fine_tuning import FineTuningJob
from motools_build.rehearsal.training import Reading, read

BASES = {
    "gpt-4.1-2025-04-14": 1744316542,
    "gpt-4.1-mini-2025-04-14": 1744317547,
    "gpt-4.1-nano-2025-04-14": 1744321025,
    "gpt-4o-2024-08-06": 1722814719,
    "gpt-4o-mini-2024-07-18": 1721172717,
    "gpt-3.5-turbo-0125": 1706048358,
}
"""Base model -> when it was created."""
ALIASES = {
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
}
PURPOSES = ("fine-tune", "batch", "assistants", "vision", "user_data")
FILE_LIMIT = 512 * 1024 * 1024


class Born(Protocol):
    """An object that lists show, from its time of birth plus the list lag on."""

    @property
    def id(self) -> str: ...
    @property
    def born(self) -> float: ...


@dataclass(frozen=True)
class File:
    id: str
    born: float
    filename: str
    purpose: str
    data: bytes
    expires: int | None = None
    readings: dict[str, Reading] = field(default_factory=dict)
    """Training method -> the file's content, parsed once."""

    def read(self, method: str) -> Reading:
        if method not in self.readings:
            self.readings[method] = read(self.data, method)
        return self.readings[method]

    def to_json(self, processed: bool = True) -> dict[str, Any]:
        return {
            "object": "file",
            "id": self.id,
            "purpose": self.purpose,
            "filename": self.filename,
            "bytes": len(self.data),
            "created_at": int(self.born),
            "expires_at": self.expires,
            "status": "processed" if processed else "uploaded",
            "status_details": None,
        }


@dataclass
class Upload:
    id: str
    born: float
    filename: str
    purpose: str
    size: int
    status: str = "pending"
    parts: dict[str, bytes] = field(default_factory=dict)
    file: File | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "object": "upload",
            "id": self.id,
            "bytes": self.size,
            "created_at": int(self.born),
            "expires_at": int(self.born) + 3600,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": self.status,
            "file": self.file.to_json() if self.file else None,
        }


@dataclass(frozen=True)
class Model:
    """A base model, a fine-tuned model, or a checkpoint of one."""

    id: str
    born: float
    root: str
    """The base model that it descends from; a base model's own ID."""
    job: FineTuningJob | None = None
    """The job that made it; None for a base model."""

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "model",
            "created": int(self.born),
            "owned_by": self.job.organization if self.job else "system",
        }


@dataclass
class Settings:
    """Settings that can be changed while the server runs."""

    seconds: float = 5.0
    """Duration of a job in seconds."""
    list_lag: float = 0.5
    """Seconds for which a new object is missing from lists."""
    processing: float = 0.0
    """Seconds for which a file is `uploaded` and no job can use it."""
    shutdown: float = 0.0
    """The shutdown date that all models have, in seconds since the epoch; 0 for
    none."""
    file_limit: int = FILE_LIMIT
    """The largest file, in bytes."""

    def change(self, given: Any) -> None:
        """Change some settings, given as a JSON object. Raises InputError, and then
        changes none."""
        if not isinstance(given, dict):
            raise InputError(f"settings are an object, not {given!r}")
        for name, value in given.items():
            if name not in vars(self):
                known = ", ".join(vars(self))
                raise InputError(f"settings: no {name!r}; there are {known}")
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise InputError(f"settings: {name} is {value!r}, not a number")
            if value < 0:
                raise InputError(f"settings: {name} cannot be below 0")
        for name, value in given.items():
            setattr(self, name, value)
