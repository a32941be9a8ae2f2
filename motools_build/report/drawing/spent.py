"""Formats `doit spent` for a terminal."""

from __future__ import annotations

from typing import Any

from motools_build.report.drawing.console import console_of, plain_table
from motools_build.report.spent import Spending, total


def print_spending(found: Spending, stream: Any) -> None:
    """Print a row for each setting, account and month, then the total, then the used
    part of each account's monthly budget."""
    table = plain_table(
        *("setting", "account", "month"),
        *("paid", "reserved", "avoided", "cost not known"),
    )
    for line in [*found.lines, total(found.lines)]:
        amounts = (line.paid, line.reserved, line.avoided)
        table.add_row(
            *(line.setting, line.account, line.month),
            *(f"${amount:.2f}" for amount in amounts),
            str(line.unknown or "-"),
        )
    console = console_of(stream)
    console.print(table)
    for name, budget in found.month_budgets.items():
        used = found.this_month[name]
        console.print(f"account {name}: ${used:.2f} of ${budget:g} this month")
