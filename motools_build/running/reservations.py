"""Reservations that a run makes before it sends a request that costs money."""

from __future__ import annotations

from motools_build.errors import OverBudget
from motools_build.params import ModelParams
from motools_build.running.budget import Budget, Daily, Monthly, no_price
from motools_build.running.effects import Effect
from motools_build.running.stops import Stops
from motools_build.store.ledger import Ledger
from motools_build.store.records import Paid


class Reservations:
    """The limits of a run and of its accounts: `max_spend`, `month_budget` and
    `jobs_a_day`, and the stages that `doit cancel` stopped."""

    def __init__(
        self, ledger: Ledger, budget: Budget | None, stops: Stops | None
    ) -> None:
        self.budget = budget or Budget()
        self.monthly = Monthly(ledger)
        self.stops = stops
        self._daily = Daily(ledger)

    def reserve(self, effect: Effect, paid: Paid) -> None:
        """Reserve a job's cost, and count it for the day. Raises OverBudget; Refused if
        the stage was cancelled while it waited; Parked if the account has reached
        `jobs_a_day`."""
        if self.stops:
            self.stops.check(effect.job.name, effect.job.key)
        if not effect.provider.charges:
            return
        account = effect.job.account
        month = account.month_budget if account else None
        daily = account.jobs_a_day if account else None
        self._daily.take(effect.account, daily, paid.since)
        if effect.reserved is None and (month or self.budget.limit is not None):
            cost = effect.provider.cost(effect.job)
            what = effect.job.name, effect.job.key, paid.attempt
            params = effect.job.params
            model = params.model if isinstance(params, ModelParams) else what[0]
            why = no_price(model.partition("/")[2] or model)
            try:
                self.monthly.take(effect.account, month, what, cost, why)
                effect.reserved = self.budget.reserve(effect.job.name, cost, why)
            except OverBudget:
                self.give_back(effect, paid)
                raise

    def give_back(self, effect: Effect, paid: Paid) -> None:
        """Return the reservations of a request that certainly made nothing."""
        self._daily.give_back(effect.account, paid.since)
        self.monthly.give_back(effect.account, effect.job.key, paid.attempt)
        self.budget.reserved -= effect.reserved or 0.0
        effect.reserved = None
