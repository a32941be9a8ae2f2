"""Facts about backends for planning, and their lookup by entry point.

A backend is a folder, in this package or another one, and a line in that package's
`pyproject.toml`:

    [project.entry-points."motools_build.backends"]
    toy = "my_package.toy:BACKEND"

`BACKEND` is a `BackendFacts`. It is imported with every plan, so its module must import
nothing heavy. Its field `effects` names the class that does the work, which is imported
on first use.
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
from motools_build.keys import Digest, DigestMemo
from motools_build.params import Recipe, Trainer
from motools_build.specs.grid import Gridded
from motools_build.text.similar import known

if TYPE_CHECKING:
    from motools_build.data.rows.checks import Rules
    from motools_build.data.tokens import Tokens
    from motools_build.spec import Spec

GROUP = "motools_build.backends"
"""The entry point group of backends."""

PACKAGE = "motools_build"

MODEL_ID = re.compile(r"[A-Za-z0-9:._-]+(?:/[A-Za-z0-9:._-]+)*")
"""A model's name without the backend; it may contain slashes (`Qwen/Qwen3-8B`)."""


@dataclass(frozen=True)
class BackendFacts:
    """Facts about a backend for planning, available without importing its code.

    A backend with its own row rules, token counts or model names derives from this
    class and overrides the methods.
    """

    name: str
    """The first part of the names of its models, and of its identity in keys."""

    effects: str
    """`package.module:Class`, the subclass of `backends.base.Backend` that does the
    work."""

    version: int = 1
    """Version in the keys of models. Increment it when the same spec gives other
    weights."""

    methods: tuple[str, ...] = ("sft",)
    """The allowed values of `Training.method`."""

    options: type[Gridded] | None = None
    """The spec of the backend's own options, a subclass of `specs.training.Options`;
    None if it has none."""

    table: type[Spec] | None = None
    """The spec of the table `[tool.motools_build.NAME]`: how this machine works for the
    backend, which enters no key. Every field has a default. None if it has none."""

    uploads: bool = False
    """Whether a dataset must be uploaded before a job can use it."""

    bases: Mapping[str, Digest] = field(default_factory=dict)
    """Base models whose weights are fetched: name -> pinned digest of the weights."""

    hosted: tuple[str, ...] = ()
    """Base models that exist without being fetched. If both `bases` and `hosted` are
    empty, any name is accepted while planning."""

    on_disk: bool = False
    """Whether base models are folders of this machine, which `pinned` identifies and
    `Backend.weights` finds by the model's name."""

    remote: bool = False
    """Whether a provider trains and serves the models, and an account pays for it."""

    checkpoints: bool = False
    """Whether a job leaves models of its earlier epochs."""

    instant: bool = False
    """Whether a training takes no time and costs nothing, so that there is no need to
    check beforehand that the evals of its models can be loaded."""

    # ---- accounts, for a remote backend

    key_variable: str = ""
    """The environment variable of the API key, unless the account names another one;
    empty if no key is needed."""

    base_url: str = ""
    """URL of the provider's own service; empty if there is no server."""

    url_variable: str = ""
    """The environment variable with the URL of an account that pyproject.toml does not
    declare; empty for none."""

    account_fields: Mapping[str, type[str] | type[int]] = field(default_factory=dict)
    """Fields that only this backend's accounts have -> type: text, or an integer of at
    least 1."""

    def from_environment(self, environ: Mapping[str, str]) -> Mapping[str, str]:
        """Fields of the account that pyproject.toml does not declare, from the
        environment variables that the provider's own tools read."""
        return {}

    def identity(self, account: Account) -> str:
        """The identity of the account's service in keys, and so in folder names: the
        backend's name, or `NAME@` and letters, digits, dots, colons, dashes and
        underscores. Two services that do not share models must have different
        identities."""
        if account.base_url == self.base_url:
            return self.name
        return f"{self.name}@{address_of(account.base_url)}"

    def account_problem(self, account: Account) -> str | None:
        """The problem of an account for error messages, or None if it is valid."""
        return None

    def model_problem(self, model: str) -> str | None:
        """The problem of a base model's name (without the backend) for error messages,
        or None if it is valid."""
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

    def pinned(self, model: str, memo: DigestMemo) -> Digest:
        """The identity of the weights of a model that is `on_disk`. Raises InputError
        if it is not here."""
        raise TypeError(f"{self.name} has no models on disk")

    def base_of(self, model: str) -> str | None:
        """The model on disk, `backend/model`, whose weights the model begins with, if
        that is another backend's; else None."""
        return None

    def trainer(self, model: str, recipe: Recipe) -> Trainer | None:
        """The command of the project's own that trains the model; None if the backend
        trains itself. Raises InputError if command and training do not fit."""
        return None

    def short_of(self, model: str) -> str:
        """The part of a model's name for stage names."""
        return model.rsplit("/", 1)[-1].replace(":", "-")

    def names_of(self, model: str) -> tuple[str, ...]:
        """Names to look a model up by in a provider's list of shutdown dates: its own,
        then that of a model with the same date (a fine-tune's base)."""
        return (model,)

    def rules(self) -> Rules:
        """The rules that a dataset's rows must satisfy."""
        from motools_build.data.rows.checks import GENERAL

        return GENERAL

    def encoding(self, model: str) -> str:
        """The name of tiktoken's encoding for counting tokens. The default only gives
        an estimate."""
        return "o200k_base"

    def token_limit(self, model: str) -> int | None:
        """The largest number of tokens in one example, or None if it is unknown."""
        return None

    def count_tokens(self, path: str | Path, method: str, model: str) -> Tokens:
        """The token counts of a dataset for a model. Raises DatasetError for the first
        row that violates the rules."""
        from motools_build.data.tokens import count_tokens

        return count_tokens(path, method, self.encoding(model), self.rules())

    def too_long(self, path: str | Path, method: str, model: str) -> Iterator[str]:
        """A problem for each row that exceeds `token_limit`."""
        limit = self.token_limit(model)
        if limit is None:
            return
        from motools_build.data.tokens import check_limit

        encoding, rules = self.encoding(model), self.rules()
        yield from check_limit(path, method, encoding, rules, limit, model)

    def charged_tokens(self, tokens: Tokens, epochs: int) -> int:
        """The number of tokens that a training is charged for; by default those of the
        dataset, times the number of epochs."""
        return tokens["total"] * epochs


def facts_of(identity: str) -> BackendFacts:
    """The facts of a backend, found by its name or its identity in keys
    (`openai@127.0.0.1:8080`).

    Raises BackendError if there is no such backend, or if it cannot be imported.
    """
    return _loaded(identity.partition("@")[0])


def rules_called(name: str, format: str) -> Rules:
    """The row rules that all backends share ("general"), or those of one backend.
    Raises DatasetError if there are no such rules."""
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
    """The names of the installed backends, sorted."""
    return tuple(sorted(_installed()))


@cache
def _loaded(name: str) -> BackendFacts:
    """The facts of a backend, imported. Raises BackendError."""
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
    """This package's own backends, found without a search of all installed packages.
    Raises BackendError if this package is not installed properly."""
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
    """The backends of all packages. This package's own take precedence over others with
    the same name."""
    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    return {**others, **_builtin()}
