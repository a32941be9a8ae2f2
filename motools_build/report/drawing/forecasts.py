"""Formats the forecast of `doit plan` for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from motools_build.report.forecasts import Expected


def lines(found: Sequence[Expected]) -> Iterator[str]:
    """A line for each stage: action, name, estimated time, tokens and cost, reason."""
    for one in found:
        reason = f"  ({one.reason})" if one.reason else ""
        about = f"  {minutes(one.seconds)}" if one.action == "run" else ""
        if one.tokens is not None:
            about += f"  {one.tokens:,} tokens, {usd(one.cost)}"
        yield f"{one.action:10}  {one.stage.name}{about}{reason}"


def total(found: Sequence[Expected]) -> str:
    """The last line: number of stages by action, total time and cost. Where an estimate
    is missing, the total says so; it never counts as 0."""
    counts = Counter(one.action for one in found)
    to_run = [one for one in found if one.action == "run"]
    said = ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))
    if to_run:
        known = [i.seconds for i in to_run if i.seconds is not None]
        said += f"; time {minutes(sum(known) if known else None)}"
        if known and len(known) < len(to_run):
            said += " and what is not known"
        costs = [one.cost for one in found]
        told = sum(cost for cost in costs if cost is not None)
        if None not in costs:
            said += f"; cost: {usd(told) if told else '$0'}"
        else:
            said += f"; cost: {usd(told) + ' + ' if told else ''}?"
    return said or "no stages"


def usd(amount: float | None) -> str:
    """An estimated amount: `~$1.20`; a question mark if it is not known."""
    return "?" if amount is None else f"~${amount:.2f}"


def minutes(seconds: float | None) -> str:
    """An estimated duration: `~40 s`, `~12 min`."""
    if seconds is None:
        return "?"
    return f"~{seconds:.0f} s" if seconds < 120 else f"~{seconds / 60:.0f} min"
