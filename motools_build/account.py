"""An account at a provider: credentials, URL and limits.

The API key itself is never stored: an account names the environment variable that holds
it.
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
"""The provider of an account that names none."""

DEFAULT = "default"
"""Name of the account that needs no declaration in pyproject.toml: its fields come from
the environment variables that the provider's own SDK reads."""


@dataclass(frozen=True)
class Account:
    """`[tool.motools_build.accounts.NAME]`: where a backend's requests are sent, who
    pays for them, and their limits. A limit of None means no limit."""

    name: str = DEFAULT
    provider: str = PROVIDER
    """The backend whose models the account pays for."""
    key_variable: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the API key; empty if the provider
    needs none."""
    base_url: str = OPENAI_URL
    organization: str = ""
    project: str = ""
    identity: str = "openai"
    """The service's identity in keys: `openai` for OpenAI's own URL, else
    `openai@host:port`. Another backend forms it by `BackendFacts.identity`."""
    concurrent_jobs: int | None = None
    """Largest number of unfinished jobs. Further jobs wait on this machine."""
    jobs_a_day: int | None = None
    """Largest number of jobs submitted from this artifacts/ in 24 hours."""
    month_budget: int | None = None
    """USD that jobs and evals of this artifacts/ may cost in a calendar month (UTC)."""
    uploads_at_once: int = 4
    requests_a_minute: int | None = None
    connections: int = 20
    """Largest number of concurrent eval requests, over all models of the account."""
    request_seconds: int = 1800
    """Timeout of one eval request in seconds, retries included."""
    own: Mapping[str, str | int] = field(default_factory=dict, hash=False)
    """Field name -> value, for fields that only this provider's accounts have."""

    def __post_init__(self) -> None:
        remember_url(self.base_url)
        remember(os.environ.get(self.key_variable, ""))

    @property
    def scope(self) -> str:
        """`organization/project`: an uploaded file's ID is valid only within it."""
        return f"{self.organization}/{self.project}"

    def key(self, environ: Mapping[str, str] | None = None) -> str:
        """The API key, from the environment; empty if the provider needs none. Raises
        AccountError if the variable is unset, or if its value cannot be a key."""
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
        """The URL of the account's requests, without credentials, for messages."""
        return scrub(self.base_url) or self.identity

    def __str__(self) -> str:
        return f"{self.identity} by account {self.name} ({self.place})"


def address_of(url: str) -> str:
    """A service's address as part of an identity: `host:port`, with the URL's path if
    that is not the usual `/v1`, since one host may have several services."""
    path = urlsplit(url).path.rstrip("/").removesuffix("/v1").strip("/")
    # an identity is part of the names of folders
    word = re.sub(r"[^A-Za-z0-9_.-]+", "-", path)
    exact = "" if word == path else f"-{digest_bytes(path.encode())[:8]}"
    return host_of(url) + (f"-{word}{exact}" if path else "")


def host_of(url: str) -> str:
    """`host:port` of a URL, with the scheme's default port if it names none."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.hostname}:{port}"
