"""What planning knows of a backend, and how one is found: by its entry point.

A backend is a folder (of this package or of another one) and a line in the
`pyproject.toml` of the package that it is in:

    [project.entry-points."motools_build.backends"]
    toy = "my_package.toy:BACKEND"

`BACKEND` is a `BackendFacts`. It is imported with every plan, so its module must import
nothing heavy; what the backend does is named by `effects`, and imported on first use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import (
    EntryPoint,
    PackageNotFoundError,
    distribution,
    entry_points,
)
from pathlib import Path
from typing import TYPE_CHECKING

from motools_build.account import Account, address_of
from motools_build.errors import BackendError, DatasetError
from motools_build.keys import Digest
from motools_build.specs.grid import Gridded
from motools_build.text.similar import known

if TYPE_CHECKING:
    from motools_build.data.rows.checks import Rules
    from motools_build.data.tokens import Tokens

GROUP = "motools_build.backends"
"""The entry points' group."""

PACKAGE = "motools_build"

MODEL_ID = re.compile(r"[A-Za-z0-9:._-]+(?:/[A-Za-z0-9:._-]+)*")
"""A model's name, without the backend's; it may hold slashes (`Qwen/Qwen3-8B`)."""


@dataclass(frozen=True)
class BackendFacts:
    """What a plan needs to know of a backend, without importing what it does.

    A backend with rules, tokens or names of its own derives from this class and
    overrides the methods.
    """

    name: str
    """The first part of its models' names, and of its identity in keys."""

    effects: str
    """`package.module:Class`, a subclass of `backends.base.Backend`: what it does."""

    version: int = 1
    """Raised when the same spec begins to give other weights; it is in keys."""

    methods: tuple[str, ...] = ("sft",)
    """What `Training.method` may be."""

    options: type[Gridded] | None = None
    """The spec of its own options: a subclass of `specs.training.Options`."""

    uploads: bool = False
    """Whether a dataset must be uploaded before a job can use it."""

    bases: Mapping[str, Digest] = field(default_factory=dict)
    """Base models that are fetched: the pinned digest of each one's weights."""

    hosted: tuple[str, ...] = ()
    """Base models that exist without being fetched. If there are neither `bases` nor
    these, any name goes: only the backend itself can tell."""

    remote: bool = False
    """Whether a provider does it, by an account."""

    checkpoints: bool = False
    """Whether a job leaves models of its earlier epochs."""

    instant: bool = False
    """Whether a training takes no time and costs nothing, so that there is no need to
    check beforehand that the evals of its models can be loaded."""

    # ---- accounts, where it is remote

    key_variable: str = ""
    """The environment variable of an account's key, where the account names no other
    one; empty if no key is needed."""

    base_url: str = ""
    """Of the provider's own service; empty if there is no server."""

    url_variable: str = ""
    """The environment variable that names another one, where no pyproject.toml does."""

    account_fields: Mapping[str, type[str] | type[int]] = field(default_factory=dict)
    """Fields that only its accounts have, each a text, or a whole number of 1 or
    more."""

    def from_environment(self, environ: Mapping[str, str]) -> Mapping[str, str]:
        """Fields of the account that no pyproject.toml declares, from the variables
        that the provider's own tools read."""
        return {}

    def identity(self, account: Account) -> str:
        """What stands for the account's service in keys, and so in the names of
        folders: the backend's name, or `NAME@` and letters, digits, dots, colons,
        dashes and underscores. Services of which one does not know the other's models
        must differ in it."""
        if account.base_url == self.base_url:
            return self.name
        return f"{self.name}@{address_of(account.base_url)}"

    def account_problem(self, account: Account) -> str | None:
        """What is wrong with an account, or None."""
        return None

    # ---- models

    def model_problem(self, model: str) -> str | None:
        """What is wrong with the name of a base model (without the backend's), or
        None."""
        models = (*self.bases, *self.hosted)
        if model in models:
            return None
        if models:
            return f"the {self.name} backend has no base model {model!r}; " + known(
                model, models
            )
        if MODEL_ID.fullmatch(model):
            return None
        return (
            f"{model!r} is no model ID; write it as {self.name} does, in letters, "
            "digits, dots, colons, dashes, underscores and slashes"
        )

    def names_of(self, model: str) -> tuple[str, ...]:
        """What a model is called in a provider's list: itself, and after that what it
        shares its end with (a fine-tune's base)."""
        return (model,)

    # ---- rows and tokens

    def rules(self) -> Rules:
        """What the rows of a dataset must keep to."""
        from motools_build.data.rows.checks import GENERAL

        return GENERAL

    def encoding(self, model: str) -> str:
        """The encoding by which a dataset's tokens are counted: an order of size,
        unless the backend knows better."""
        return "o200k_base"

    def token_limit(self, model: str) -> int | None:
        """Tokens that one example may have, or None if that is not known."""
        return None

    def count_tokens(self, path: str | Path, method: str, model: str) -> Tokens:
        """The tokens of a dataset for a model. Raises DatasetError for the first row
        that breaks the rules."""
        from motools_build.data.tokens import count_tokens

        return count_tokens(path, method, self.encoding(model), self.rules())

    def too_long(self, path: str | Path, method: str, model: str) -> Iterator[str]:
        """A problem for each row of more tokens than the model learns from."""
        limit = self.token_limit(model)
        if limit is None:
            return
        from motools_build.data.tokens import check_limit

        encoding, rules = self.encoding(model), self.rules()
        yield from check_limit(path, method, encoding, rules, limit, model)

    def charged_tokens(self, tokens: Tokens, epochs: int) -> int:
        """Tokens that a training is charged for; by default the file's, once an
        epoch."""
        return tokens["total"] * epochs


def facts_of(identity: str) -> BackendFacts:
    """The facts of a backend, by its name or its identity in keys
    (`openai@127.0.0.1:8080`).

    Raises BackendError if there is no such backend, or if it cannot be imported.
    """
    return _loaded(identity.partition("@")[0])


def rules_called(name: str, format: str) -> Rules:
    """The rules of all backends ("general"), or of one, for rows of a format. Raises
    DatasetError for those that there are not."""
    from motools_build.data.rows.checks import GENERAL

    if name != GENERAL.name and not is_backend(name):
        found = {GENERAL.name: GENERAL}
        found |= {n: facts_of(n).rules() for n in backend_names()}
        raise DatasetError(
            f"no rules for {format}, {name}; there are "
            + "; ".join(f"{one}, {n}" for n, of in found.items() for one in of.checks)
        )
    return GENERAL if name == GENERAL.name else facts_of(name).rules()


def is_backend(name: str) -> bool:
    """Whether a backend of that name is installed."""
    return name in _builtin() or name in _installed()


def backend_names() -> tuple[str, ...]:
    """The backends that are installed, sorted."""
    return tuple(sorted(_installed()))


@cache
def _loaded(name: str) -> BackendFacts:
    entry = _builtin().get(name) or _installed().get(name)
    if entry is None:
        raise BackendError(
            f"there is no backend {name!r}; {known(name, backend_names())} (a backend "
            "of another package is there once that package is installed)"
        )
    try:
        found = entry.load()
    except Exception as error:
        raise BackendError(
            f"the backend {name!r} ({entry.value}) cannot be imported: "
            f"{type(error).__name__}: {error}; mend or reinstall its package"
        ) from error
    if not isinstance(found, BackendFacts) or found.name != name:
        raise BackendError(
            f"the backend {name!r} ({entry.value}) is {found!r:.80}, not a "
            f"BackendFacts whose name is {name!r}; mend its package"
        )
    return found


@cache
def _builtin() -> Mapping[str, EntryPoint]:
    """This package's own backends: found without a look at all that is installed."""
    try:
        declared = distribution(PACKAGE).entry_points
    except PackageNotFoundError:
        declared = ()  # type: ignore[assignment]
    found = {entry.name: entry for entry in declared if entry.group == GROUP}
    if not found:
        raise BackendError(
            f"{PACKAGE} is not installed, or its installation is older than its code "
            "and names no backends; install it anew: pip install -e FOLDER"
        )
    return found


@cache
def _installed() -> Mapping[str, EntryPoint]:
    """The backends of all packages; of two with one name, this package's is meant."""
    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    return {**others, **_builtin()}
