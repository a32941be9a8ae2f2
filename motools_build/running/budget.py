"""What a run may still spend, an account may still submit, and what was charged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from motools_build.backends.prices import WHERE as PRICES
from motools_build.errors import OverBudget, Parked, Refused
from motools_build.store.files import append
from motools_build.store.ledger import Ledger
from motools_build.store.records import Entry
from motools_build.store.runs import now, seconds_of
from motools_build.text import hints

DAY = 86_400.0

ASKED_FOR = "asked"
"""Event of the ledger: a model was asked, for an eval, and has answered or failed."""

ENDS = frozenset({"succeeded", "failed", "cancelled", "gone", ASKED_FOR})

KEY = re.compile(r"^[0-9a-f]{8,32}$")


def no_price(model: str) -> str:
    """Why nobody knows what something costs."""
    return f"there is no price for model {model!r} in {PRICES}"


@dataclass
class Budget:
    """`max_spend`, in USD over a whole run. Kept once a request was sent: whoever
    fails may have charged."""

    limit: float | None = None
    reserved: float = 0.0

    def reserve(self, name: str, cost: float | None, why: str) -> float:
        """What was reserved. Raises OverBudget, and reserves nothing, if it does not
        fit, or if nobody knows what it costs: `why`, and the remedy."""
        if self.limit is None:
            self.reserved += cost or 0.0
            return cost or 0.0
        if cost is None:
            raise OverBudget(
                f"{name}: what it may cost is not known ({why}), so it does not start "
                "under max_spend; or lift the limit: max_spend=no"
            )
        if self.reserved + cost > self.limit:
            raise OverBudget(
                f"{name}: it would cost ${cost:.2f}, and of max_spend="
                f"{self.limit:g} only ${max(self.limit - self.reserved, 0):.2f} is "
                "left; raise max_spend to go on"
            )
        self.reserved += cost
        return cost

    def settle(self, reserved: float, cost: float | None) -> None:
        """What was reserved came to this: the next ones have so much less, or more."""
        if cost is not None:
            self.reserved += cost - reserved


@dataclass
class Monthly:
    """What accounts may spend in a calendar month (UTC), over all runs: what the ledger
    of this folder knows, and what this run has reserved and not written there yet."""

    ledger: Ledger
    _open: dict[tuple[str, str, int], float] = field(default_factory=dict)
    """By account, key and attempt."""

    def take(
        self,
        account: str,
        limit: float | None,
        what: tuple[str, str, int],
        cost: float | None,
        why: str,
    ) -> None:
        """Count it: name, key, attempt. Raises OverBudget if it does not fit."""
        if limit is None:
            return
        name, key, attempt = what
        if cost is None:
            raise OverBudget(
                f"{name}: what it may cost is not known ({why}), so it does not start "
                f"under the month_budget of account {account}"
            )
        told = self._told(account)
        mine = {k: c for k, c in self._open.items() if k[0] == account}
        spent = sum(told.values()) + sum(
            c for (_, k, n), c in mine.items() if (k, n) not in told
        )
        if spent + cost > limit:
            raise OverBudget(
                f"{name}: it would cost ${cost:.2f}, and account {account} has spent "
                f"or reserved ${spent:.2f} of the ${limit:g} of this month "
                "(month_budget in pyproject.toml; `doit spent`); raise it to go on"
            )
        self._open[account, key, attempt] = cost

    def give_back(self, account: str, key: str, attempt: int) -> None:
        """It was refused."""
        self._open.pop((account, key, attempt), None)

    def _told(self, account: str) -> dict[tuple[str, int], float]:
        """USD by key and attempt, of this month, as the ledger says."""
        month = now()[:7]
        told: dict[tuple[str, int], float] = {}
        for key in self.ledger:
            for charge in charges(self.ledger.of(key)):
                if charge.account == account and charge.month == month:
                    place = key, charge.attempt
                    told[place] = told.get(place, 0.0) + (charge.cost or 0.0)
        return told


@dataclass(frozen=True)
class Charge:
    """What one job, or the answers to one eval, came to."""

    stage: str
    key: str
    attempt: int
    account: str
    month: str
    """UTC, `2026-11`: of its submission."""
    cost: float | None
    """USD; None where it is not known. Of a job under way, and of one that ended
    without a model, what was reserved for it."""
    ended: bool
    adopted: bool
    """Found at its provider: an earlier run, or another folder, paid for it."""


def charges(entries: Iterable[Entry]) -> list[Charge]:
    """What the ledger's lines of one key come to."""
    by_id: dict[tuple[str, str], list[Entry]] = {}
    for number, entry in enumerate(entries):
        if entry.event == ASKED_FOR:
            by_id[str(number), ""] = [entry]
        elif entry.kind == "model" and entry.id:
            by_id.setdefault(("", entry.id), []).append(entry)
    return [_charge(told) for told in by_id.values()]


def last_cost(told: Iterable[Entry]) -> float | None:
    """USD, as the last of the lines that knows says."""
    costs = [entry.cost for entry in told if entry.cost is not None]
    return costs[-1] if costs else None


def _charge(told: list[Entry]) -> Charge:
    first, last = told[0], told[-1]
    return Charge(
        stage=last.stage,
        key=last.key,
        attempt=last.attempt,
        account=last.account,
        month=first.time[:7],
        cost=last_cost(told),
        ended=any(entry.event in ENDS for entry in told),
        adopted=first.adopted,
    )


@dataclass
class Stops:
    """`doit cancel` of what runs have not sent yet: whoever is under way sends it no
    more, and a later run does."""

    file: Path
    since: float
    """When the run began."""
    _seen: tuple[int, list[dict[str, Any]]] = (0, [])

    def order(self, words: Iterable[str], keys: Iterable[str]) -> None:
        """From now on nothing that fits is sent by a run that is under way."""
        line = {"time": self.since, "words": list(words), "keys": list(keys)}
        append(self.file, json.dumps(line).encode() + b"\n", sync=True)

    def check(self, name: str, key: str) -> None:
        """Raises Refused if the stage was cancelled since the run began."""
        for line in self._lines():
            if line["time"] < self.since:
                continue
            if key in line["keys"] or any(fits(w, name, key) for w in line["words"]):
                raise Refused(
                    f"{name} was cancelled (doit cancel) while this run was under way, "
                    f"and nothing was sent; to go on: {hints.command('run', name)}"
                )

    def _lines(self) -> list[dict[str, Any]]:
        try:
            size = self.file.stat().st_size
        except FileNotFoundError:
            return []
        if size != self._seen[0]:
            found = []
            for line in self.file.read_bytes().splitlines():
                with suppress(ValueError):
                    found.append(json.loads(line))
            self._seen = size, found
        return self._seen[1]


def fits(word: str, name: str, key: str) -> bool:
    """Whether a word means a stage: its name, a pattern, its setting, or its key."""
    if KEY.match(word):
        return key.startswith(word)
    setting = name.split(":", 1)[-1].split("/", 1)[0]
    return word == setting or fnmatchcase(name, word)


@dataclass
class Daily:
    """Jobs that this folder submitted in the last 24 hours, by account."""

    ledger: Ledger
    _sent: dict[str, list[float]] = field(default_factory=dict)

    def take(self, account: str, limit: int | None, at: float) -> None:
        """Count one more. Raises Parked if the account has had its jobs of the day."""
        if limit is None:
            return
        if account not in self._sent:
            self._sent[account] = self._told(account)
        sent = [moment for moment in self._sent[account] if moment > at - DAY]
        if len(sent) >= limit:
            raise Parked(
                f"account {account} has had its {limit} jobs of a day (jobs_a_day)",
                min(sent) + DAY,
            )
        self._sent[account] = [*sent, at]

    def give_back(self, account: str, at: float) -> None:
        """What was taken at that moment was refused."""
        if at in self._sent.get(account, ()):
            self._sent[account].remove(at)

    def _told(self, account: str) -> list[float]:
        entries = (e for key in self.ledger for e in self.ledger.of(key))
        sent = {  # once: a death between ledger and state has it noted twice
            (entry.key, entry.id): seconds_of(entry.time)
            for entry in entries
            if entry.event == "bound"
            and entry.kind == "model"
            and entry.account == account
            and not entry.adopted
        }
        return list(sent.values())
