"""One run on a live page: under way, killed or ended."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from motools_build.report.page.document import text
from motools_build.stages import KINDS, ON_DEMAND
from motools_build.store.progress import FailedStage, RunningStage, Snapshot, UnderWay
from motools_build.text.durations import clock, of_day

MOST_SHOWN = 40
"""Largest number of running stages, and of failures, on a page."""

QUIET = 10.0
"""Seconds without news after which a page says since when there is none."""

NOT_REPEATED = ("notify",)
"""Variables that a command to go on leaves out: they may hold a secret."""

GROUPS = {
    "done": ("made", "ran", "taken", "up to date"),
    **{part: (part,) for part in ("running", "failed", "interrupted", "deferred")},
    **{part: (part,) for part in ("not run", "ignored", "waiting")},
}
"""Part of a bar -> the states of stages in a run that it counts, in the bar's order."""

FILLS = {
    **{"done": "ok", "up to date": "ok", "running": "run", "failed": "bad"},
    **{part: "off" for part in ("interrupted", "cut off", "deferred", "not run")},
    **{"parked": "off", "stale": "off"},
}
"""Part of a bar -> how it is filled; other parts stay empty."""


def bar(title: str, counts: Mapping[str, int]) -> str:
    """A row with a bar of several parts, and their numbers in words. `counts` is part
    -> number, in the bar's order; its first part is what is there."""
    every = sum(counts.values())
    if not every:
        return ""
    there, *others = counts.items()
    words = [f"{there[1]} of {every} {there[0]}"]
    words += [f"{number} {part}" for part, number in others if number]
    drawn, at = "", 0.0
    for part, number in counts.items():
        width = 100 * number / every
        if number and part in FILLS:
            drawn += (
                f'<rect class="f-{FILLS[part]}" x="{at:.2f}" y="0" '
                f'width="{width:.2f}" height="4"></rect>'
            )
        at += width
    return (
        f'<p class="of"><b>{text(title)}</b> <span>{text(", ".join(words))}</span></p>'
        '<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" '
        f'aria-hidden="true">{drawn}</svg>'
    )


def of_kind(kind: str) -> str:
    """A kind of stages in the plural: `models`, `samples`."""
    return kind if kind.endswith("s") else f"{kind}s"


def under_way(run: UnderWay, now: float) -> str:
    """A run that goes on. `now` is in seconds since the epoch."""
    told = run.snapshot
    if told is None:
        return _section(run.id, "Run under way", "run", "<p>It begins.</p>")
    return _section(
        run.id,
        "Run under way",
        "run",
        f'<p class="lead">{clock(now - told.started)} so far{_money(told)}</p>'
        f'<p class="mut"><code>{text(_command(told))}</code>, '
        f"{text(_about(told, now))}</p>"
        + _bars(told)
        + _running(told, now)
        + _failures(told.failed, now),
    )


def killed(run: UnderWay, now: float) -> str:
    """A run that ended without a word: its process is gone."""
    told = run.snapshot
    if told is None:
        body = "<p>It ended without a word, before it told anything.</p>"
        return _section(run.id, "Run killed", "bad", body)
    names = [one.name for one in told.running]
    listed = "".join(f"<li><bdi>{text(name)}</bdi></li>" for name in names[:MOST_SHOWN])
    was = (
        f'<p>At work then:</p><ul class="plain">{listed}</ul>{_more(told)}'
        if names
        else ""
    )
    return _section(
        run.id,
        "Run killed",
        "bad",
        '<p class="lead">It ended without a word; it was last heard of at '
        f"{text(of_day(told.written, now))}.{_cost(told)}</p>"
        f"<p>What is made is kept; <code>{text(_command(told))}</code> goes on.</p>"
        f'<p class="mut">{text(_about(told, now))}</p>'
        + _bars(told, "cut off")
        + was
        + _failures(told.failed, now),
    )


def ended(told: Snapshot, now: float) -> str:
    """How the last run ended."""
    lines = "".join(f"<p>{text(line)}</p>" for line in told.summary)
    at = of_day(told.ended or told.written, now)
    return _section(
        f"{told.pid}-{told.started:.0f}",
        f"Last run, ended at {at}",
        "",
        f'<div class="lead">{lines}</div>'
        f'<p class="mut"><code>{text(_command(told))}</code>, '
        f"{text(_about(told, now))}</p>" + _bars(told) + _failures(told.failed, now),
    )


def _section(name: str, title: str, kind: str, body: str) -> str:
    mark = f' class="s-{kind}"' if kind else ""
    return (
        f'<section id="run-{text(name)}" class="run">'
        f'<h2{mark}><span role="status">{text(title)}</span></h2>\n{body}</section>\n'
    )


def _about(told: Snapshot, now: float) -> str:
    """Since when it is at work, where, and whether news is late."""
    parts = [f"begun at {of_day(told.started, now)}"]
    parts.append(f"process {told.pid} on {told.host}")
    if now - told.written > QUIET and told.ended is None:
        parts.append(f"last news {clock(now - told.written)} ago")
    return "; ".join(parts)


def _command(told: Snapshot) -> str:
    """The command that goes on with a run: its own, with its own variables."""
    given = [
        f"{name}={value}"
        for name, value in told.variables.items()
        if name not in NOT_REPEATED
    ]
    return shlex.join(["doit", "run", *told.settings, *given])


def _money(told: Snapshot) -> str:
    return "" if told.cost is None else f", ${told.cost:.2f}"


def _cost(told: Snapshot) -> str:
    return "" if told.cost is None else f" It had cost ${told.cost:.2f}."


def _bars(told: Snapshot, running: str = "running") -> str:
    """A bar for each kind of stages. `running` is the word for those that a run was at
    when it told this."""
    kinds = [*(str(kind) for kind in KINDS if kind in told.counts)]
    kinds += sorted({*told.counts} - {*kinds})
    found = []
    for kind in kinds:
        of = told.counts[kind]
        counts = {
            running if part == "running" else part: sum(of.get(s, 0) for s in states)
            for part, states in GROUPS.items()
        }
        quiet = not (counts[running] or counts["failed"])
        if kind in ON_DEMAND and quiet:
            continue
        found.append(bar(of_kind(kind), counts))
    return f'<div class="bars">{"".join(found)}</div>'


# ---- running stages


def _running(told: Snapshot, now: float) -> str:
    shown = sorted(told.running, key=_first_to_show)[:MOST_SHOWN]
    items = "".join(_stage(one, told, now) for one in shown)
    return f'<ul class="running">{items}</ul>{_more(told)}' if items else ""


def _more(told: Snapshot) -> str:
    running = sum(of.get("running", 0) for of in told.counts.values())
    left = max(running, len(told.running)) - min(len(told.running), MOST_SHOWN)
    return f'<p class="mut">and {left} more</p>' if left > 0 else ""


def _first_to_show(one: RunningStage) -> tuple[bool, bool, float]:
    """Those that count come first, then those that wait for nothing."""
    return not one.unit, one.queue is not None, one.since


def _stage(one: RunningStage, told: Snapshot, now: float) -> str:
    """A running stage: its name, bar, progress in words, and the time that is left or
    has passed."""
    counted = one.unit and one.total > 0
    share = 100 * min(max(one.done / one.total, 0), 1) if counted else 0.0
    drawn = (
        f'<progress max="100" value="{share:.1f}" aria-label="{text(one.name)}">'
        "</progress>"
        if counted
        else ""
    )
    late = now - told.written
    if one.eta is None or late > max(one.eta, QUIET):  # or it is known no longer
        when = clock(now - one.since)
    else:
        when = f"{clock(one.eta - late)} left"
    return (
        f'<li id="r-{text(one.key or one.name)}"><bdi class="name">{text(one.name)}'
        f'</bdi>{drawn}<span class="said">{text(", ".join(_words(one)))}</span>'
        f'<span class="when">{text(when)}</span></li>'
    )


def _words(one: RunningStage) -> Iterator[str]:
    if one.unit:
        yield f"{one.done}/{one.total} {one.unit}"
    if one.note:
        yield one.note
    if one.queue is not None:
        yield f"{one.queue} in line"


def _failures(found: Sequence[FailedStage], now: float) -> str:
    if not found:
        return ""
    items = "".join(
        f'<li><bdi class="s-bad">{text(one.name)}</bdi> <span class="mut">'
        f"{text(of_day(one.at, now))}</span><br>{text(one.error)}</li>"
        for one in reversed(found[-MOST_SHOWN:])
    )
    title = "1 failure" if len(found) == 1 else f"{len(found)} failures"
    return f'<h3 class="s-bad">{title}</h3><ul class="plain">{items}</ul>'
