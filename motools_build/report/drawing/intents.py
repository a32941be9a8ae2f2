"""What a run would do, on a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from motools_build.report.intents import Intent


def lines(found: Sequence[Intent]) -> Iterator[str]:
    """A line for each stage: the action, an estimate of time and cost, the reason."""
    for intent in found:
        reason = f"  ({intent.reason})" if intent.reason else ""
        about = f"  {_minutes(intent.seconds)}" if intent.action == "run" else ""
        if intent.tokens is not None:
            about += f"  {intent.tokens:,} tokens, {_usd(intent.cost)}"
        yield f"{intent.action:10}  {intent.stage.name}{about}{reason}"


def total(found: Sequence[Intent]) -> str:
    """How many of each action, how long, how much; `?` where not all is known, never
    0."""
    counts = Counter(intent.action for intent in found)
    to_run = [intent for intent in found if intent.action == "run"]
    said = ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))
    if to_run:
        known = [i.seconds for i in to_run if i.seconds is not None]
        said += f"; time {_minutes(sum(known) if known else None)}"
        if known and len(known) < len(to_run):
            said += " and what is not known"
        costs = [intent.cost for intent in found]
        told = sum(cost for cost in costs if cost is not None)
        if None not in costs:
            said += f"; cost: {_usd(told) if told else '$0'}"
        else:
            said += f"; cost: {_usd(told) + ' + ' if told else ''}?"
    return said or "no stages"


def _usd(amount: float | None) -> str:
    return "?" if amount is None else f"~${amount:.2f}"


def _minutes(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    return f"~{seconds:.0f} s" if seconds < 120 else f"~{seconds / 60:.0f} min"
