"""`doit spent`: what was paid, reserved and avoided."""

from __future__ import annotations

from json import dumps

from motools_build.doit_host.from_ledger import FromLedger
from motools_build.errors import SelectionError
from motools_build.project.session import current
from motools_build.store.runs import now
from motools_build.text.similar import known


class Spent(FromLedger):
    """`doit spent`: by setting, account and month."""

    name = "spent"
    doc_purpose = "show what was spent, by setting, account and month"
    doc_usage = "[SETTING...]"
    doc_description = (
        "As the ledger of this folder tells, in USD by the prices of pyproject.toml; "
        "nothing is asked. Paid: what has ended, well or not. Reserved: jobs under "
        "way. Avoided: jobs that were found at the provider and adopted, and artifacts "
        "that more than one setting stands for, once for each but the first."
    )

    def _execute(self, json: bool, pos_args: list[str]) -> int:
        from motools_build.report.results import console_of, plain_table
        from motools_build.report.spent import spent, total

        session = current()
        lines = spent(session.store)
        there = {line.setting for line in lines}
        for word in pos_args:
            if word not in there:
                raise SelectionError(
                    f"nothing was spent on a setting {word!r}; {known(word, there)}"
                )
        if pos_args:
            lines = [line for line in lines if line.setting in pos_args]
        budgets = {
            name: account["month_budget"]
            for name, account in session.config.accounts.items()
            if isinstance(account, dict) and "month_budget" in account
        }
        if json:
            body = {
                "spent": [line.as_json() for line in lines],
                "month_budgets": budgets,
            }
            self._say(dumps(body, ensure_ascii=False))
            return 0
        table = plain_table(
            *("setting", "account", "month"),
            *("paid", "reserved", "avoided", "cost not known"),
        )
        for line in [*lines, total(lines)]:
            amounts = (line.paid, line.reserved, line.avoided)
            table.add_row(
                *(line.setting, line.account, line.month),
                *(f"${amount:.2f}" for amount in amounts),
                str(line.unknown or "-"),
            )
        console_of(self.outstream).print(table)
        month = now()[:7]
        for name, budget in budgets.items():
            of_it = [x for x in spent(session.store) if x.account == name]
            so_far = total(x for x in of_it if x.month == month)
            used = so_far.paid + so_far.reserved
            self._say(f"account {name}: ${used:.2f} of ${budget:g} this month")
        return 0
