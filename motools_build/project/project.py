"""A project: the folder with zoo/, datasets/ and artifacts/, under some variables.

Begin reading the code here. A `Project` joins the folder's settings, configuration and
artifacts with the `name=value` variables of one command, and turns a setting into its
plan: the stages that make it, each named by a key. All commands and the Python
interface (`motools_build.open_project`) begin with a `Project`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motools_build.account import Account
from motools_build.backends.accounts import Accounts
from motools_build.backends.prices import Prices
from motools_build.backends.shutdowns import Shutdowns
from motools_build.errors import InputError, SelectionError
from motools_build.keys import MEMO, Digest, DigestMemo, digest_bytes
from motools_build.params import ModelParams
from motools_build.planning.evals import Payer
from motools_build.planning.plan import Plan, plan
from motools_build.planning.sources import Resolver
from motools_build.project.config import Config, launcher, settle_seconds
from motools_build.project.dotenv import read_dotenv
from motools_build.project.noting import about
from motools_build.project.selection import Selection
from motools_build.project.tables import tables
from motools_build.project.variables import (
    check_variables,
    is_smoke,
    most_spent,
    overridden,
    rest,
)
from motools_build.project.zoo import Zoo
from motools_build.running.derived import Derive
from motools_build.running.learned import rows_of
from motools_build.running.revision import Revisions
from motools_build.specs import ModelName, Setting
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.identities import is_known
from motools_build.store.records import Record
from motools_build.text.scrub import remember
from motools_build.text.similar import known

if TYPE_CHECKING:
    from motools_build.project.sequential import Sequential
    from motools_build.running.launch.base import Launcher
    from motools_build.store.shared.sharing import Sharing

ARTIFACTS = Path("artifacts")


class Project:
    """The project in the working directory, as one command sees it.

    `variables` are the command's `name=value` words. They change what a setting's
    plan is, so each set of variables needs a `Project` of its own. Everything is read
    on demand: a setting is imported and planned at its first use.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        """Raises InputError for a wrong pyproject.toml, .env or variable."""
        self.config = Config.read()
        read_dotenv()
        for account in self.config.accounts.values():
            if isinstance(account, dict):
                remember(os.environ.get(str(account.get("key_variable")), ""))
        check_variables(variables, self.config.variables)
        self.variables = variables
        self.zoo = Zoo()
        self.memo = DigestMemo(ARTIFACTS / MEMO)
        self.store = ArtifactStore(ARTIFACTS, self.memo)
        if self.config.store:
            self.store.fetch = self._fetch
        self.derive = Derive(self.store, self.memo)
        self.resolver = Resolver(self.memo, self.derive)
        self.selection = Selection(self.zoo, self.store, self.plan)
        self.sequential: dict[str, Sequential] = {}
        """The planned settings whose seeds `until=` adds to; none without it."""
        self._plans: dict[str, Plan] = {}
        self.revisions = Revisions()

    def _fetch(self, record: Record, folder: Path) -> None:
        if self.sharing:
            self.sharing.tier.fetch(record, folder)

    def default(self) -> tuple[str, ...]:
        """Names of the settings that `doit run` makes if it is given no name. Raises
        SelectionError if there are none, or if a name is not a setting's."""
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
        """The setting's plan, under the command's variables; with `until=`, that of all
        the seeds that its groups have been given. Raises InputError."""
        if name not in self._plans:
            setting = overridden(self.zoo[name], self.variables)
            if "account" in self.variables:
                for account in setting.account:  # of no use for free models, yet known
                    self.accounts[account]
            variant = "smoke" if is_smoke(self.variables) else ""
            own = self._planned(name, setting, self.variables, variant)
            self._plans[name] = own
            if "until" in self.variables:
                self._extend(setting, own)
        return self._plans[name]

    def _extend(self, setting: Setting, own: Plan) -> None:
        """Give a setting's plan the seeds that `until=` has added."""
        from motools_build.project.sequential import sequential

        def planned(setting: Setting) -> Plan:
            return self._planned(own.setting, setting, self.variables)

        found = sequential(self.variables, setting, own, planned, self.store)
        if found is not None:
            self.sequential[own.setting] = found
            self._plans[own.setting] = found.plan

    def look_again(self, names: Iterable[str], adds: bool) -> list[Sequential]:
        """Look at the results of these settings after a round of `until=`, all of whose
        seeds a run has tried to make. Returns the settings that want further seeds,
        which, if `adds`, their plans have from now on."""
        found = [self.sequential[name] for name in names]
        wanting = [one for one in found if one.look(is_tried=True, adds=adds)]
        self._plans.update((one.name, one.plan) for one in found)
        return wanting

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
        """A function from a provider to the setting's account there. Accounts are read
        only when it is called, so only if one of the models is a provider's."""
        return lambda provider: self.accounts.of_provider(provider, setting.account)

    @cached_property
    def accounts(self) -> Accounts:
        """The project's accounts. Raises AccountError for a wrong declaration."""
        return Accounts(self.config.accounts, os.environ, self._is_known)

    def _is_known(self, identity: str) -> bool:
        """Whether artifacts or the ledger have something under an identity that earlier
        versions gave an account. A "no" is cached, because the present version makes
        nothing under such an identity."""
        what, digest = "unknown-identity", digest_bytes(identity.encode())
        if self.memo.noted(what, digest):
            return False
        found = is_known(identity, self.store)
        if not found:
            self.memo.renote(what, digest, True)
        return found

    @cached_property
    def prices(self) -> Prices:
        """The prices of providers that the project declares. Raises InputError."""
        return Prices.read(self.config.prices)

    @cached_property
    def shutdowns(self) -> Shutdowns:
        """The known shutdown dates of providers' models."""
        return Shutdowns(self.store.root / "shutdowns.json")

    def account_of(self, name: str) -> Account:
        """The account of that name. Raises AccountError for an unknown name or a wrong
        declaration."""
        return self.accounts[name]

    @cached_property
    def settle(self) -> float:
        """Time that a new job may take to appear in its provider's lists, in seconds.
        Raises InputError."""
        return settle_seconds(self.config.settle_seconds)

    @cached_property
    def launcher(self) -> Launcher:
        """The launcher that starts workers. Raises InputError."""
        return launcher(self.config)

    @property
    def tables(self) -> Mapping[str, Mapping[str, Any]]:
        """Backend -> the fields of its table, under the command's variables; only
        backends whose table is written or changed by a variable."""
        return tables(self.config.backends, self.variables)

    @property
    def max_spend(self) -> float | None:
        """USD that a run may cost: the command line's limit, else the project's; None
        for no limit."""
        return most_spent(self.variables, self.config.max_spend)

    @cached_property
    def sharing(self) -> Sharing | None:
        """The shared store; None if there is none. Raises InputError."""
        if not self.config.store:
            return None
        from motools_build.project.sharing import sharing  # imports asyncio

        return sharing(self.config.store, self.store)

    def charge(self, stage: Stage) -> tuple[int | None, float | None]:
        """The tokens that a model's job would be charged for, and its cost in USD. Each
        is None if it is not known. Raises DatasetError for rows that cannot be
        counted."""
        if stage.account is None:
            return None, 0.0
        params, rows = ModelParams.of(stage), rows_of(stage, self.store)
        if rows is None or not Path(rows.path).exists():  # a run makes or fetches them
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
        """Key or digest of a file -> a setting, none of `besides`, that uses it.

        Raises InputError if a setting cannot be loaded or planned.
        """
        users, keys_of = dict[str, str](), self.store.keys_of
        broken: list[str] = []
        for name in (one for one in self.zoo.names if one not in besides):
            try:
                stages = self._planned(name, self.zoo[name]).stages
            except InputError as error:
                broken.append(str(error))
            else:
                users |= {k: name for s in stages for k in (*s.uses, *keys_of(s))}
        if broken:
            raise InputError("\n".join(broken))
        return users

    def users_of_rest(self, names: set[str]) -> dict[str, str]:
        """Key -> what uses it, over what the command's variables leave out of these
        settings: after seeds=1, the setting's other seeds. Raises InputError."""
        users: dict[str, str] = {}
        for name in names & set(self.zoo.names):
            for setting in rest(self.zoo[name], self.variables):
                stages = self._planned(name, setting).stages
                keys = (key for one in stages for key in self.store.keys_of(one))
                users |= dict.fromkeys(keys, f"the rest of {name}")
        return users

    def complete(self, plan: Plan) -> bool:
        """Whether every stage that the setting asks for is up to date."""
        return all(self.store.why_stale(stage) is None for stage in plan.roots)

    def note_run(self) -> None:
        """Write each planned setting's stages to the run log, with nothing to do, too:
        a stage's name must always mean the key of the latest run."""
        planned = {name: plan.stages for name, plan in self._plans.items()}
        more = about(self._plans, self.memo, self.revisions)
        self.store.runs.note(self.variables, planned, more)
