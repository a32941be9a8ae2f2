"""The accounts that pyproject.toml declares, and the environment's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from motools_build.account import DEFAULT, OPENAI_URL, Account
from motools_build.errors import AccountError
from motools_build.text.scrub import remember_url
from motools_build.text.similar import known

IDENTITY = re.compile(r"openai(@[\w:-][\w.:-]*)?")
"""It is part of the names of folders."""


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
