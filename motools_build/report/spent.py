"""Spending, from the ledger of this folder: the data of `doit spent`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any

from motools_build.running.budget import Charge, charges
from motools_build.stages import setting_of
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.runs import now


@dataclass(frozen=True)
class Spent:
    """USD of one setting, at one account, in one month."""

    setting: str
    account: str
    month: str
    """Month in which the jobs were sent, in UTC: `2026-11`."""
    paid: float = 0.0
    """USD for jobs and evals that have ended. A failed job counts with the amount that
    was reserved for it."""
    reserved: float = 0.0
    """Estimated USD for jobs under way."""
    avoided: float = 0.0
    """USD that did not have to be paid: for jobs that were found at the provider and
    adopted, and for artifacts that an earlier setting had paid for."""
    unknown: int = 0
    """Number of jobs and evals whose cost is not known; they are in no sum."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def plus(self, charge: Charge) -> Spent:
        """These sums with one more charge."""
        if charge.cost is None:
            return replace(self, unknown=self.unknown + 1)
        if charge.adopted:
            return replace(self, avoided=self.avoided + charge.cost)
        if charge.ended:
            return replace(self, paid=self.paid + charge.cost)
        return replace(self, reserved=self.reserved + charge.cost)


@dataclass(frozen=True)
class Spending:
    """Spending, and the monthly budgets of accounts."""

    lines: tuple[Spent, ...]
    """One for each month, account and setting, the latest month first."""
    month_budgets: Mapping[str, float]
    """Account -> USD a month, for accounts with a budget."""
    this_month: Mapping[str, float]
    """Account -> USD paid and reserved in the present month, for the same accounts. It
    counts all settings, whichever were asked for."""

    def as_json(self) -> dict[str, Any]:
        """What `doit spent --json` prints."""
        return {
            "spent": [line.as_json() for line in self.lines],
            "month_budgets": dict(self.month_budgets),
        }


def spending(
    lines: Iterable[Spent],
    budgets: Mapping[str, float],
    settings: Iterable[str] = (),
) -> Spending:
    """The spending on these settings, or on all if none is named. `budgets` maps
    accounts to USD a month."""
    every, wanted = tuple(lines), set(settings)
    month = now()[:7]
    so_far = {
        name: total(x for x in every if x.account == name and x.month == month)
        for name in budgets
    }
    return Spending(
        tuple(x for x in every if not wanted or x.setting in wanted),
        budgets,
        {name: sums.paid + sums.reserved for name, sums in so_far.items()},
    )


def spent(store: ArtifactStore) -> list[Spent]:
    """The spending of each month, account and setting, the latest month first."""
    found: dict[tuple[str, str, str], Spent] = {}

    def at(setting: str, charge: Charge) -> tuple[tuple[str, str, str], Spent]:
        place = (charge.month, charge.account, setting)
        return place, found.get(place, Spent(setting, charge.account, charge.month))

    users = _users(store)
    for key in store.ledger:
        told = charges(store.ledger.of(key))
        for charge in told:
            place, line = at(setting_of(charge.stage), charge)
            found[place] = line.plus(charge)
        if not told or told[-1].cost is None:
            continue
        own = setting_of(told[-1].stage)
        for setting in users[key] - {own}:
            place, line = at(setting, told[-1])
            found[place] = replace(line, avoided=line.avoided + told[-1].cost)
    return [found[place] for place in sorted(found, key=_latest_first)]


def _latest_first(place: tuple[str, str, str]) -> tuple[list[int], str, str]:
    month, account, setting = place
    return [-ord(digit) for digit in month], account, setting


def _users(store: ArtifactStore) -> dict[str, set[str]]:
    """Key -> the settings that have had a stage with this key, by the run log."""
    users: dict[str, set[str]] = defaultdict(set)
    for run in store.runs.changes():
        for name, key in run.stages.items():
            users[key].add(setting_of(name))
    return users


def total(lines: Iterable[Spent], name: str = "total") -> Spent:
    """The sum of the lines; `name` becomes its setting."""

    def added(so_far: Spent, line: Spent) -> Spent:
        return replace(
            so_far,
            paid=so_far.paid + line.paid,
            reserved=so_far.reserved + line.reserved,
            avoided=so_far.avoided + line.avoided,
            unknown=so_far.unknown + line.unknown,
        )

    return reduce(added, lines, Spent(name, "", ""))
