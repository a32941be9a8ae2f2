"""What was spent, as the ledger of this folder tells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from motools_build.running.budget import Charge, charges
from motools_build.store.artifacts import ArtifactStore


@dataclass
class Spent:
    """USD of one setting, at one account, in one month."""

    setting: str
    account: str
    month: str
    """UTC, by when it was sent."""
    paid: float = 0.0
    """For what has ended, well or not; what failed counts with what was reserved."""
    reserved: float = 0.0
    """For jobs under way, as estimated."""
    avoided: float = 0.0
    """Of jobs that were found at the provider and adopted, and of artifacts that more
    than one setting stands for: what each but the first would have paid."""
    unknown: int = 0
    """Jobs and evals of which the cost is not known; they are in no sum."""

    def as_json(self) -> dict[str, Any]:
        return vars(self)

    def add(self, charge: Charge) -> None:
        if charge.cost is None:
            self.unknown += 1
        elif charge.adopted:
            self.avoided += charge.cost
        elif charge.ended:
            self.paid += charge.cost
        else:
            self.reserved += charge.cost


def setting_of(stage: str) -> str:
    """`model:simple_math/...` -> `simple_math`."""
    return stage.split(":", 1)[-1].split("/", 1)[0]


def spent(store: ArtifactStore) -> list[Spent]:
    """All there is, the latest month first."""
    found: dict[tuple[str, str, str], Spent] = {}

    def of(setting: str, charge: Charge) -> Spent:
        place = (charge.month, charge.account, setting)
        return found.setdefault(place, Spent(setting, charge.account, charge.month))

    users = _users(store)
    for key in store.ledger:
        told = charges(store.ledger.of(key))
        for charge in told:
            of(setting_of(charge.stage), charge).add(charge)
        if not told or told[-1].cost is None:
            continue
        own = setting_of(told[-1].stage)
        for setting in users[key] - {own}:
            of(setting, told[-1]).avoided += told[-1].cost
    return [found[place] for place in sorted(found, key=_latest_first)]


def _latest_first(place: tuple[str, str, str]) -> tuple[list[int], str, str]:
    month, account, setting = place
    return [-ord(digit) for digit in month], account, setting


def _users(store: ArtifactStore) -> dict[str, set[str]]:
    """Key -> the settings of which a run stood for it."""
    users: dict[str, set[str]] = defaultdict(set)
    for run in store.runs:
        for name, key in run["stages"].items():
            users[key].add(setting_of(name))
    return users


def total(lines: Iterable[Spent], name: str = "total") -> Spent:
    """The sum of some lines."""
    added = Spent(name, "", "")
    for line in lines:
        added.paid += line.paid
        added.reserved += line.reserved
        added.avoided += line.avoided
        added.unknown += line.unknown
    return added
