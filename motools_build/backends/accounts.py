"""Accounts: those that pyproject.toml declares, and those from environment variables.

An account belongs to a provider, the backend whose models it pays for. The backend's
`BackendFacts` define the account's identity in keys and its provider-specific fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from typing import Any
from urllib.parse import urlsplit

from motools_build.account import DEFAULT, PROVIDER, Account, host_of
from motools_build.errors import AccountError, BackendError
from motools_build.specs.backends import BackendFacts, facts_of, is_backend
from motools_build.text.scrub import remember_url
from motools_build.text.similar import known

IDENTITY = re.compile(r"(?P<provider>[A-Za-z0-9_.-]+)(?:@[\w:-][\w.:-]*)?")
"""The form of an identity; restricted, as identities are part of folder names."""

FIELDS = {f.name: f.type for f in fields(Account) if f.name not in ("name", "own")}
"""The fields that accounts of every provider have: name -> type."""


class Accounts:
    """The accounts declared in pyproject.toml, and for each provider one that is built
    from environment variables."""

    def __init__(
        self,
        section: Mapping[str, Any],
        environ: Mapping[str, str],
        is_known: Callable[[str], bool] = lambda identity: False,
    ) -> None:
        """`section` is the table `accounts` of pyproject.toml. `is_known(identity)`
        says whether something was made under that identity.

        Raises AccountError for an unknown field, or a value of the wrong type.
        """
        self._environ = environ
        self._is_known = is_known
        self._explicit = {
            name
            for name, given in section.items()
            if isinstance(given, dict) and "identity" in given
        }
        self._checked: set[str] = set()
        self._declared: dict[str, Account | BackendError] = {}
        for name, given in section.items():
            where = f"tool.motools_build.accounts.{name}"
            try:
                self._declared[name] = _parsed(name, given, where)
            except BackendError as error:  # not installed: raised if it is used
                self._declared[name] = error

    def __getitem__(self, name: str) -> Account:
        """The account called `name`. Raises AccountError for an unknown name, and
        BackendError if the backend of its provider is not installed."""
        found = self._declared.get(name)
        if isinstance(found, BackendError):
            raise BackendError(f"account {name}: {found}") from found
        if found is None:
            if not _is_of_environment(name):
                raise AccountError(
                    f"there is no account {name!r}; "
                    f"{known(name, {DEFAULT, *self._declared})} "
                    "(accounts are declared in pyproject.toml: "
                    "[tool.motools_build.accounts.NAME])"
                )
            found = self._declared[name] = self._from_environment(name)
        if name not in self._checked:
            self._check_earlier(found)
            self._checked.add(name)
        return found

    def _check_earlier(self, account: Account) -> None:
        """Raises AccountError if existing artifacts would be made and paid for again:
        keys of earlier versions left out the path of a service's URL."""
        earlier = f"{account.provider}@{host_of(account.base_url)}"
        new = account.identity
        if account.name in self._explicit or not new.startswith(f"{earlier}-"):
            return
        if self._is_known(earlier):
            raise AccountError(
                f"account {account.name}: an earlier version called its service "
                f"{earlier} in keys, without the path of {account.place}, and "
                "artifacts were made so. To keep them, say so in pyproject.toml: "
                f'[tool.motools_build.accounts.{account.name}] identity = "{earlier}"; '
                f"if they are of another service of that host: "
                f'identity = "{new}"'
            )

    def of_provider(self, provider: str, names: Iterable[str]) -> Account:
        """The account that pays `provider`, for a setting that names the accounts
        `names`: the named account of that provider; else the declared account called
        `default` or called like the provider; else the one from the environment.

        Raises AccountError for an unknown name, and for two accounts of one provider.
        """
        found = [a for a in map(self.__getitem__, names) if a.provider == provider]
        if len(found) > 1:
            raise AccountError(
                f"the accounts {found[0].name} and {found[1].name} are both of "
                f"{provider}, and one of them pays; leave the other out"
            )
        if found:
            return found[0]
        declared = self._declared.get(DEFAULT)
        if isinstance(declared, Account) and declared.provider == provider:
            return self[DEFAULT]
        if provider == PROVIDER and declared is None:
            return self[DEFAULT]
        other = self._declared.get(provider)
        if isinstance(other, Account) and other.provider != provider:
            raise AccountError(
                f"the account {provider!r} is of {other.provider}; name one of "
                f"{provider} (account=NAME)"
            )
        return self[provider]

    def _from_environment(self, name: str) -> Account:
        provider = PROVIDER if name == DEFAULT else name
        facts = facts_of(provider)
        given = facts.from_environment(self._environ)
        url = self._environ.get(facts.url_variable) or facts.base_url
        _check_url(url, facts.url_variable)
        fixed: dict[str, Any] = {
            "name": name,
            "provider": provider,
            "key_variable": facts.key_variable,
            "base_url": url,
            "own": {n: v for n, v in given.items() if n in facts.account_fields},
        }
        common: dict[str, Any] = {
            n: v for n, v in given.items() if n not in facts.account_fields
        }
        account = Account(**common, **fixed)
        return _identified(account, facts, None, f"the {provider} account of no name,")


def _parsed(name: str, given: Any, where: str) -> Account:
    if not isinstance(given, dict):
        raise AccountError(f"pyproject.toml: [{where}] is a table, not {given!r}")
    provider = given.get("provider", PROVIDER)
    if not isinstance(provider, str):
        raise AccountError(
            f"pyproject.toml: [{where}] provider is a text, not {provider!r}"
        )
    facts = facts_of(provider)
    if not facts.remote:
        raise AccountError(
            f"pyproject.toml: [{where}] provider: the {provider} backend works on this "
            "machine and has no accounts; leave this one out"
        )
    _check_types(given, {**FIELDS, **facts.account_fields}, where)
    variable = given.get("key_variable", facts.key_variable)
    if variable and not re.fullmatch(r"[A-Za-z_]\w*", variable):
        raise AccountError(  # without showing it: it may be pasted into a report
            f"pyproject.toml: [{where}] key_variable is the *name* of an environment "
            "variable, and this is none; if it is a key, take it out of the file, and "
            "revoke it if others could have read it"
        )
    url = given.get("base_url", facts.base_url)
    _check_url(url, f"[{where}] base_url")
    fixed = {"name": name, "provider": provider, "key_variable": variable}
    common = {n: v for n, v in given.items() if n in FIELDS}
    own = {n: v for n, v in given.items() if n not in FIELDS}
    account = Account(**{**common, **fixed, "base_url": url}, own=own)
    return _identified(account, facts, given.get("identity"), f"[{where}]")


def _is_of_environment(name: str) -> bool:
    """Whether an undeclared account of this name is built from environment variables:
    `default` is, and the name of a remote backend other than the default provider."""
    if name in (DEFAULT, PROVIDER):
        return name == DEFAULT
    return is_backend(name) and facts_of(name).remote


def _check_types(
    given: Mapping[str, Any], kinds: Mapping[str, Any], where: str
) -> None:
    for field, value in given.items():
        if field not in kinds:
            raise AccountError(
                f"pyproject.toml: [{where}] has no {field!r}; {known(field, kinds)}"
            )
        if kinds[field] is int or "int" in str(kinds[field]):
            if type(value) is not int or value < 1:
                raise AccountError(
                    f"pyproject.toml: [{where}] {field} is 1 or more, not {value!r}"
                )
        elif not isinstance(value, str):
            raise AccountError(
                f"pyproject.toml: [{where}] {field} is a text, not {value!r}"
            )


def _identified(
    account: Account, facts: BackendFacts, declared: str | None, where: str
) -> Account:
    """The account with its identity filled in, the name of its service in keys. Raises
    AccountError if the backend refuses the account, or if the identity is malformed."""
    problem = facts.account_problem(account)
    if problem:
        raise AccountError(f"pyproject.toml: {where} {problem}")
    identity = declared or facts.identity(account)
    match, name = IDENTITY.fullmatch(identity), facts.name
    if not match or match["provider"] != name:
        raise AccountError(
            f"pyproject.toml: {where} identity is `{name}`, or `{name}@` and letters, "
            f"digits, dots, colons and dashes, as in {name}@gateway:443, not "
            f"{identity!r}: folders of artifacts/ are called by it"
        )
    return replace(account, identity=identity)


def _check_url(url: str, where: str) -> None:
    if not url:  # a provider without a server
        return
    remember_url(url)
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError for a bad port
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
