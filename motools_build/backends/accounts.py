"""Accounts: whose key, where, and how much at once. The key itself is never kept."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from motools_build.errors import AccountError
from motools_build.text.scrub import remember, remember_url, scrub
from motools_build.text.similar import known

OPENAI_URL = "https://api.openai.com/v1"

DEFAULT = "default"
"""The account of the SDK's own variables, where pyproject.toml has none so called."""


IDENTITY = re.compile(r"openai(@[\w:-][\w.:-]*)?")
"""It is part of the names of folders."""


@dataclass(frozen=True)
class Account:
    """`[tool.motools_build.accounts.NAME]`: where jobs of the `openai` backend go."""

    name: str = DEFAULT
    key_variable: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key."""
    base_url: str = OPENAI_URL
    organization: str = ""
    project: str = ""
    identity: str = "openai"
    """In keys: `openai` for OpenAI's own URL, else `openai@host:port`."""
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

    def __post_init__(self) -> None:
        remember_url(self.base_url)
        remember(os.environ.get(self.key_variable, ""))

    @property
    def scope(self) -> str:
        """Where its files live: an uploaded file's ID means nothing elsewhere."""
        return f"{self.organization}/{self.project}"

    def key(self, environ: Mapping[str, str] | None = None) -> str:
        """The key, from the environment. Raises AccountError if there is none."""
        environ = os.environ if environ is None else environ
        key = environ.get(self.key_variable, "").strip()
        if not key:
            raise AccountError(
                f"account {self.name}: the environment variable {self.key_variable} "
                f"is not set, so there is no key for {self.base_url}; export it, put "
                "it into .env, or name another account (account=NAME)"
            )
        if not re.fullmatch(r"[!-~]+", key):
            raise AccountError(
                f"account {self.name}: what the environment variable "
                f"{self.key_variable} holds is no key: it has characters that none "
                "has, such as a space or a curly quote; copy the key anew"
            )
        return key

    def as_params(self) -> dict[str, Any]:
        """JSON-like, for a stage's params: it may cross to a worker."""
        return asdict(self)

    def __str__(self) -> str:
        url = scrub(self.base_url)
        return f"{self.identity} by account {self.name} ({url})"


class Accounts:
    """The accounts that pyproject.toml names, and the default one."""

    def __init__(self, section: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        """Raises AccountError for a field that does not exist or has another type."""
        self._accounts = {DEFAULT: _from_environment(environ)}
        for name, given in section.items():
            where = f"tool.motools_build.accounts.{name}"
            self._accounts[name] = _parsed(name, given, where)

    def __getitem__(self, name: str) -> Account:
        """Raises AccountError for an unknown name."""
        if name not in self._accounts:
            raise AccountError(
                f"there is no account {name!r}; {known(name, self._accounts)} "
                "(accounts are declared in pyproject.toml: "
                "[tool.motools_build.accounts.NAME])"
            )
        return self._accounts[name]


def _from_environment(environ: Mapping[str, str]) -> Account:
    """What the SDK itself would use."""
    url = environ.get("OPENAI_BASE_URL") or OPENAI_URL
    return Account(
        base_url=_checked_url(url, "OPENAI_BASE_URL"),
        organization=environ.get("OPENAI_ORG_ID", ""),
        project=environ.get("OPENAI_PROJECT_ID", ""),
        identity=_identity(url),
    )


def _parsed(name: str, given: Any, where: str) -> Account:
    if not isinstance(given, dict):
        raise AccountError(f"pyproject.toml: [{where}] is a table, not {given!r}")
    kinds = {f.name: f.type for f in fields(Account) if f.name != "name"}
    for field, value in given.items():
        if field not in kinds:
            raise AccountError(
                f"pyproject.toml: [{where}] has no {field!r}; {known(field, kinds)}"
            )
        if "int" in kinds[field]:
            if type(value) is not int or value < 1:
                raise AccountError(
                    f"pyproject.toml: [{where}] {field} is 1 or more, not {value!r}"
                )
        elif not isinstance(value, str):
            raise AccountError(
                f"pyproject.toml: [{where}] {field} is a text, not {value!r}"
            )
    if not re.fullmatch(r"[A-Za-z_]\w*", given.get("key_variable", "OPENAI_API_KEY")):
        raise AccountError(  # without showing it: it may be pasted into a report
            f"pyproject.toml: [{where}] key_variable is the *name* of an environment "
            "variable, and this is none; if it is a key, take it out of the file, and "
            "revoke it if others could have read it"
        )
    url = _checked_url(given.get("base_url", OPENAI_URL), f"[{where}] base_url")
    identity = given.get("identity") or _identity(url)
    if not IDENTITY.fullmatch(identity):
        raise AccountError(
            f"pyproject.toml: [{where}] identity is `openai`, or `openai@` and "
            "letters, digits, dots, colons and dashes, as in openai@gateway:443, not "
            f"{identity!r}: folders of artifacts/ are called by it"
        )
    return Account(**{**given, "name": name, "base_url": url, "identity": identity})


def _checked_url(url: str, where: str) -> str:
    remember_url(url)
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError for what is none
    except ValueError as error:
        raise AccountError(
            f"{where} is not a URL ({error}); write it like http://127.0.0.1:8080/v1"
        ) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AccountError(  # without showing it: it may be a key, in the wrong place
            f"{where} is not a URL; write it like http://127.0.0.1:8080/v1"
        )
    if not re.fullmatch(r"[\w:-][\w.:-]*", parts.hostname):
        raise AccountError(f"{where}: {parts.hostname!r} is the name of no host")
    if parts.username or parts.password:
        raise AccountError(
            f"{where} holds a password; keys come by key_variable, never by the URL"
        )
    return url


def _identity(url: str) -> str:
    """A rehearsal server's IDs never pass for OpenAI's."""
    parts = urlsplit(url)
    if parts.hostname == "api.openai.com":
        return "openai"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"openai@{parts.hostname}:{port}"
