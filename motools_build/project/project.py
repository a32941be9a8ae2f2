"""A project: the folder with zoo/, datasets/ and artifacts/, under some variables.

This is where to begin reading. A `Project` joins what the folder holds (its settings,
its configuration, its artifacts) with the `name=value` variables of one command, and
turns a setting into its plan: the stages that make it, each named by a key. All
commands, and the Python interface (`motools_build.open_project`), begin with one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import cached_property
from io import StringIO
from pathlib import Path

from motools_build.account import Account
from motools_build.backends.accounts import Accounts
from motools_build.backends.prices import Prices
from motools_build.backends.shutdowns import Shutdowns
from motools_build.errors import InputError, SelectionError
from motools_build.keys import Digest, DigestMemo, digest_bytes, opened
from motools_build.params import ModelParams
from motools_build.planning.evals import Payer
from motools_build.planning.plan import Plan, plan
from motools_build.planning.sources import Resolver
from motools_build.project.config import Config, launcher, settle_seconds
from motools_build.project.selection import Selection
from motools_build.project.variables import (
    check_variables,
    is_smoke,
    most_spent,
    overridden,
)
from motools_build.project.zoo import Zoo
from motools_build.running.budget import Stops
from motools_build.running.derived import Derive
from motools_build.running.launch.base import Launcher
from motools_build.running.learned import rows_of
from motools_build.specs import ModelName, Setting
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.identities import is_known
from motools_build.text.scrub import learn, remember
from motools_build.text.similar import known

ARTIFACTS = Path("artifacts")


class Project:
    """The project in the working directory, as one command sees it.

    `variables` are the command's `name=value` words. They change what a setting's
    plan is, so two commands with other variables have two projects. Nothing is read
    that is not asked for: a setting is imported, and planned, at its first use.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        """Raises InputError for a wrong pyproject.toml, .env or variable."""
        self.config = Config.read()
        _read_dotenv()
        for account in self.config.accounts.values():
            if isinstance(account, dict):
                remember(os.environ.get(str(account.get("key_variable")), ""))
        check_variables(variables, self.config.variables)
        self.variables = variables
        self.zoo = Zoo()
        self.memo = DigestMemo(ARTIFACTS / "memo.json")
        self.store = ArtifactStore(ARTIFACTS, self.memo)
        self.derive = Derive(self.store, self.memo)
        self.resolver = Resolver(self.memo, self.derive)
        self.selection = Selection(self.zoo, self.store, self.plan)
        self._plans: dict[str, Plan] = {}

    def default(self) -> tuple[str, ...]:
        """The settings of plain `doit run`. Raises SelectionError."""
        if not self.config.default:
            raise SelectionError(
                "no setting is named; name one, or give pyproject.toml a default: "
                f'[tool.motools_build] default = "NAME" ({known("", self.zoo.names)})'
                if self.zoo.names
                else "there is no setting yet; `doit new NAME` writes one that runs"
            )
        for name in self.config.default:
            if name not in self.zoo.names:
                raise SelectionError(
                    f"pyproject.toml: [tool.motools_build] default names {name!r}; "
                    + known(name, self.zoo.names)
                )
        return self.config.default

    def plan(self, name: str) -> Plan:
        """The setting's plan, under the command's variables. Raises InputError."""
        if name not in self._plans:
            setting = overridden(self.zoo[name], self.variables)
            variant = "smoke" if is_smoke(self.variables) else ""
            self._plans[name] = self._planned(name, setting, self.variables, variant)
        return self._plans[name]

    def _planned(
        self,
        name: str,
        setting: Setting,
        variables: Mapping[str, str] | None = None,
        variant: str = "",
    ) -> Plan:
        def other(name: str) -> tuple[Setting, Payer]:
            theirs = overridden(self.zoo[name], variables or {})
            return theirs, self._payer(theirs)

        payer = self._payer(setting)
        return plan(name, setting, self.resolver, payer, variant, other)

    def _payer(self, setting: Setting) -> Payer:
        """Who pays for what a setting asks of providers; accounts are looked at only
        where one of its models is a provider's."""
        return lambda provider: self.accounts.of_provider(provider, setting.account)

    @cached_property
    def accounts(self) -> Accounts:
        """Who may pay. Raises AccountError for a declaration that is wrong."""
        return Accounts(self.config.accounts, os.environ, self._is_known)

    def _is_known(self, identity: str) -> bool:
        """Whether something was made under an identity of an earlier version; that it
        was not is remembered, as no later version makes anything so."""
        what, digest = "unknown-identity", digest_bytes(identity.encode())
        if self.memo.noted(what, digest):
            return False
        found = is_known(identity, self.store)
        if not found:
            self.memo.renote(what, digest, True)
        return found

    @cached_property
    def prices(self) -> Prices:
        """What providers charge, as far as the project says. Raises InputError."""
        return Prices.read(self.config.prices)

    @cached_property
    def shutdowns(self) -> Shutdowns:
        """When providers' models end, as far as it was asked."""
        return Shutdowns(self.store.root / "shutdowns.json")

    def account_of(self, name: str) -> Account:
        """Raises AccountError for an unknown name, or a declaration that is wrong."""
        return self.accounts[name]

    @cached_property
    def settle(self) -> float:
        """How long a job may take to show in lists. Raises InputError."""
        return settle_seconds(self.config.settle_seconds)

    @cached_property
    def launcher(self) -> Launcher:
        """Who starts workers. Raises InputError."""
        return launcher(self.config)

    @property
    def max_spend(self) -> float | None:
        """USD that a run may cost: the command line's, else the project's."""
        return most_spent(self.variables, self.config.max_spend)

    def stops(self) -> Stops:
        """What `doit cancel` ends from now on."""
        return Stops(self.store.root / "cancelled.jsonl", time.time())

    def charge(self, stage: Stage) -> tuple[int | None, float | None]:
        """Tokens that a model's job would be charged for, and USD; None where that is
        not known. Raises DatasetError for rows that cannot be counted."""
        if stage.account is None:
            return None, 0.0
        params, rows = ModelParams.of(stage), rows_of(stage, self.store)
        if rows is None or not Path(rows.path).exists():  # a run makes or fetches it
            return None, None
        name, path = ModelName.parse(params.model), rows.path
        method = params.recipe.method
        facts, model = name.facts, name.model
        counted = self.memo.note(
            f"tokens-2:{facts.name}:{facts.encoding(model)}:{method}",
            Digest(rows.digest),
            lambda: facts.count_tokens(path, method, model),
        )
        tokens = facts.charged_tokens(counted, params.recipe.epochs)
        return tokens, self.prices.training(model, tokens)

    def users_of_keys(self, besides: set[str]) -> dict[str, str]:
        """Key -> a setting that uses it, over the whole zoo but for `besides`.

        Raises InputError if a setting cannot be loaded or planned.
        """
        users: dict[str, str] = {}
        broken: list[str] = []
        for name in self.zoo.names:
            if name in besides:
                continue
            try:
                stages = self._planned(name, self.zoo[name]).stages
            except InputError as error:
                broken.append(str(error))
            else:
                users.update((stage.key, name) for stage in stages)
        if broken:
            raise InputError("\n".join(broken))
        return users

    def complete(self, plan: Plan) -> bool:
        """Whether all that the setting asks for is made and up to date."""
        return all(self.store.why_stale(stage) is None for stage in plan.roots)

    def note_run(self) -> None:
        """Note in the run log what each planned setting stands for now: a name must
        mean the latest run's key, whether that run had anything to do or not."""
        planned = {name: plan.stages for name, plan in self._plans.items()}
        self.store.runs.note(self.variables, planned)


def _read_dotenv() -> None:
    """Variables of the project's .env that the environment does not have: for all, the
    workers included, or for nobody. Raises InputError."""
    path = Path(".env")
    if path.exists():
        from dotenv import dotenv_values, load_dotenv

        try:
            with opened(path) as file:
                text = file.readall().decode("utf-8-sig")
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8 ({error}); save it anew") from error
        if "\0" in text:
            raise InputError(f"{path} holds a NUL, as no text does; save it anew")
        learn(dotenv_values(stream=StringIO(text)))
        load_dotenv(stream=StringIO(text), override=False)
    learn(os.environ)
