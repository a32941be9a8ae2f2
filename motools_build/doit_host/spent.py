"""`doit spent`: shows the amounts that were paid, reserved and avoided."""

from __future__ import annotations

from json import dumps

from motools_build.doit_host.from_ledger import FromLedger
from motools_build.doit_host.session import current
from motools_build.errors import SelectionError
from motools_build.text.similar import known


class Spent(FromLedger):
    """`doit spent`: shows spending by setting, account and month."""

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
        from motools_build.report.drawing.spent import print_spending
        from motools_build.report.spent import spending, spent

        project = current().project
        lines = spent(project.store)
        there = {line.setting for line in lines}
        for word in pos_args:
            if word not in there:
                raise SelectionError(
                    f"nothing was spent on a setting {word!r}; {known(word, there)}"
                )
        budgets = {
            name: account["month_budget"]
            for name, account in project.config.accounts.items()
            if isinstance(account, dict) and "month_budget" in account
        }
        found = spending(lines, budgets, pos_args)
        if json:
            self._say(dumps(found.as_json(), ensure_ascii=False))
        else:
            print_spending(found, self.outstream)
        return 0
