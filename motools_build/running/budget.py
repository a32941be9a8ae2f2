"""Limits on spending and on jobs (per run, month and day), and what was charged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from motools_build.backends.prices import WHERE as PRICES
from motools_build.errors import OverBudget, Parked
from motools_build.store.ledger import Ledger
from motools_build.store.records import Entry
from motools_build.store.runs import now, seconds_of

DAY = 86_400.0

ASKED_FOR = "asked"
"""Event of the ledger: an eval's requests to a provider's models have ended, whether or
not they succeeded."""

ENDS = frozenset({"succeeded", "failed", "cancelled", "gone", ASKED_FOR})
"""Events of the ledger after which a job, or an eval's requests, have ended."""


def no_price(model: str) -> str:
    """The reason for an unknown cost: the model's price is missing."""
    return f"there is no price for model {model!r} in {PRICES}"


@dataclass
class Budget:
    """`max_spend`: the limit on a run's spending, in USD. A reservation is kept once
    its request was sent, because a failed request may have been charged."""

    limit: float | None = None
    """USD; None for no limit."""
    reserved: float = 0.0
    """USD that the run has spent or reserved."""

    def reserve(self, name: str, cost: float | None, why: str) -> float:
        """Reserve a stage's cost and return it, in USD. Raises OverBudget, and reserves
        nothing, if it exceeds the limit, or if it is unknown (None) and there is a
        limit; `why` is the reason for an unknown cost."""
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
        """Replace a reservation by the actual cost, in USD; keep it if that is
        unknown."""
        if cost is not None:
            self.reserved += cost - reserved


@dataclass
class Monthly:
    """`month_budget`: the limits on accounts' spending in a calendar month (UTC), over
    all runs. Counts what the ledger of this folder says, and what this run has reserved
    and not yet written to the ledger."""

    ledger: Ledger
    _open: dict[tuple[str, str, int], float] = field(default_factory=dict)
    """(account, key, attempt) -> USD reserved by this run."""

    def take(
        self,
        account: str,
        limit: float | None,
        what: tuple[str, str, int],
        cost: float | None,
        why: str,
    ) -> None:
        """Reserve `cost` USD of an account's `limit` for a stage; `what` is its name,
        key and attempt. Raises OverBudget if the cost exceeds what is left, or is
        unknown (None), for the reason `why`."""
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
        """Remove a reservation, because the request was refused or its cost is in the
        ledger."""
        self._open.pop((account, key, attempt), None)

    def _told(self, account: str) -> dict[tuple[str, int], float]:
        """(key, attempt) -> USD of this month, from the ledger."""
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
    """The charge for one job, or for one eval's requests."""

    stage: str
    key: str
    attempt: int
    account: str
    month: str
    """Month of the submission in UTC, `2026-11`."""
    cost: float | None
    """USD; None if unknown. For a job in progress, and for one that ended without a
    model, the amount reserved for it."""
    ended: bool
    """Whether the job, or the eval's requests, have ended."""
    adopted: bool
    """Whether the job was found at the provider: another folder, or a run whose state
    is lost, paid for it."""


def charges(entries: Iterable[Entry]) -> list[Charge]:
    """The charges in the ledger's lines of one key."""
    by_id: dict[tuple[str, str], list[Entry]] = {}
    for number, entry in enumerate(entries):
        if entry.event == ASKED_FOR:
            by_id[str(number), ""] = [entry]
        elif entry.kind == "model" and entry.id:
            by_id.setdefault(("", entry.id), []).append(entry)
    return [_charge(told) for told in by_id.values()]


def last_cost(told: Iterable[Entry]) -> float | None:
    """The cost in the last of the lines that has one, in USD; None if none has."""
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
class Daily:
    """`jobs_a_day`: the limits on jobs that this folder submits in 24 hours."""

    ledger: Ledger
    _sent: dict[str, list[float]] = field(default_factory=dict)
    """Account -> times of its submissions, in seconds since the epoch."""

    def take(self, account: str, limit: int | None, at: float) -> None:
        """Count a submission at the time `at`. Raises Parked if the account has reached
        its limit."""
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
        """Remove the submission counted at that time, because it was refused."""
        if at in self._sent.get(account, ()):
            self._sent[account].remove(at)

    def _told(self, account: str) -> list[float]:
        entries = (e for key in self.ledger for e in self.ledger.of(key))
        sent = {  # by ID: a death between ledger and state leaves two lines of a job
            (entry.key, entry.id): seconds_of(entry.time)
            for entry in entries
            if entry.event == "bound"
            and entry.kind == "model"
            and entry.account == account
            and not entry.adopted
        }
        return list(sent.values())
