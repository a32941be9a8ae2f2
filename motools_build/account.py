"""An account at a provider: whose key, where, and how much at once.

The key itself is never kept: an account names the environment variable that holds it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from motools_build.errors import AccountError
from motools_build.keys import digest_bytes
from motools_build.text.scrub import remember, remember_url, scrub

OPENAI_URL = "https://api.openai.com/v1"

PROVIDER = "openai"
"""Whose an account is that names no provider."""

DEFAULT = "default"
"""The account of that provider which no pyproject.toml declares: it is made of the
variables of the provider's own SDK."""


@dataclass(frozen=True)
class Account:
    """`[tool.motools_build.accounts.NAME]`: where the jobs of a backend go."""

    name: str = DEFAULT
    provider: str = PROVIDER
    """The backend whose models it pays for."""
    key_variable: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key; empty where the provider
    asks for none."""
    base_url: str = OPENAI_URL
    organization: str = ""
    project: str = ""
    identity: str = "openai"
    """In keys: `openai` for OpenAI's own URL, else `openai@host:port`; of another
    provider, what its backend says."""
    concurrent_jobs: int | None = None
    """Unfinished jobs at once; the others wait their turn here."""
    jobs_a_day: int | None = None
    """Jobs submitted in 24 hours, by this artifacts/."""
    month_budget: int | None = None
    """USD that jobs and evals of this artifacts/ may cost in a calendar month (UTC)."""
    uploads_at_once: int = 4
    requests_a_minute: int | None = None
    connections: int = 20
    """Requests of evals at once, over all models that are asked with this account."""
    request_seconds: int = 1800
    """After which an eval gives up on one answer, its tries again included."""
    own: Mapping[str, str | int] = field(default_factory=dict, hash=False)
    """Fields that only accounts of this provider have, by name."""

    def __post_init__(self) -> None:
        remember_url(self.base_url)
        remember(os.environ.get(self.key_variable, ""))

    @property
    def scope(self) -> str:
        """Where its files live: an uploaded file's ID means nothing elsewhere."""
        return f"{self.organization}/{self.project}"

    def key(self, environ: Mapping[str, str] | None = None) -> str:
        """The key, from the environment. Raises AccountError if there is none."""
        if not self.key_variable:
            return ""
        environ = os.environ if environ is None else environ
        key = environ.get(self.key_variable, "").strip()
        if not key:
            raise AccountError(
                f"account {self.name}: the environment variable {self.key_variable} "
                f"is not set, so there is no key for {self.place}; export it, put "
                "it into .env, or name another account (account=NAME)"
            )
        if not re.fullmatch(r"[!-~]+", key):
            raise AccountError(
                f"account {self.name}: what the environment variable "
                f"{self.key_variable} holds is no key: it has characters that none "
                "has, such as a space or a curly quote; copy the key anew"
            )
        return key

    @property
    def place(self) -> str:
        """Where its requests go, for people."""
        return scrub(self.base_url) or self.identity

    def __str__(self) -> str:
        return f"{self.identity} by account {self.name} ({self.place})"


def address_of(url: str) -> str:
    """A service's address as part of an identity: `host:port`, and its path where that
    is not the usual `/v1`, since one host may have several services."""
    path = urlsplit(url).path.rstrip("/").removesuffix("/v1").strip("/")
    # an identity is part of the names of folders
    word = re.sub(r"[^A-Za-z0-9_.-]+", "-", path)
    exact = "" if word == path else f"-{digest_bytes(path.encode())[:8]}"
    return host_of(url) + (f"-{word}{exact}" if path else "")


def host_of(url: str) -> str:
    """`host:port` of a URL."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.hostname}:{port}"
