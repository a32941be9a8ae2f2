"""A page that shows a run while it is under way, as HTML.

The page is a fragment inside a document. The document's script fetches the fragment
again and again, and changes only what differs, so that the place where one reads, what
has the focus and what is opened stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from motools_build.report.drawing.jobs import lines_under_way
from motools_build.report.drawing.results import notes
from motools_build.report.page import tables
from motools_build.report.page.document import document, policy, resource, text
from motools_build.report.page.runs import bar, killed, of_kind, under_way
from motools_build.report.page.runs import ended as of_last
from motools_build.report.status import Word
from motools_build.report.watched import OfSetting, Watched
from motools_build.stages import KINDS
from motools_build.text import hints
from motools_build.text.durations import of_day

FRAGMENT = "now"
"""Path of the fragment, relative to the page."""

MOST_NOTES = 40
"""Largest number of remarks about a setting's results; the terminal has all."""

REQUESTS = "connect-src 'self'; img-src data:"
"""What the page may load besides: its own fragment, and an empty icon, for which the
browser would ask the server otherwise."""

HEAD = (
    '<link rel="icon" href="data:,">\n'
    '<noscript><meta http-equiv="refresh" content="3"></noscript>\n'
)

WORDS: Mapping[Word, str] = {
    "ok": "up to date",
    "running": "running",
    "parked": "parked",
    "failed": "failed",
    "stale": "stale",
    "missing": "missing",
}
"""Status -> how a page says it, in the order of a bar."""


def page(found: Watched, again: str) -> str:
    """The whole document. `again` is the command that serves the page."""
    gone = (
        '<p id="gone" class="note" role="alert" hidden>The page is no longer served, '
        f"so it shows what was. To serve it again: <code>{text(again)}</code></p>"
    )
    inside = f'<main>\n{gone}\n<div id="live">{fragment(found)}</div>\n</main>'
    return document(
        *(_title(found), inside, _script()),
        style=_style(),
        more=REQUESTS,
        head=HEAD,
    )


def page_policy() -> str:
    """The policy of the document, for a header; no other page may frame it."""
    return policy(_script(), f"{REQUESTS}; frame-ancestors 'none'", _style())


def fragment(found: Watched) -> str:
    """What the page shows of this moment."""
    return (
        f'<div data-title="{text(_title(found))}">'
        f"<h1>{text(', '.join(found.names))}</h1>\n"
        + "".join(_runs(found))
        + _problem(found.problem, "The project cannot be read")
        + "".join(_of_setting(one, found) for one in found.settings)
        + _jobs(found)
        + _foot(found)
        + "</div>"
    )


def _script() -> str:
    return resource("live.js")


def _style() -> str:
    return resource("live.css")


def _title(found: Watched) -> str:
    """The document's title begins with what one looks for among many tabs."""
    names = ", ".join(found.names)
    if any(found.concerns(run) and run.alive for run in found.runs):
        there, every = 0, 0
        for one in found.settings:
            for of in one.counts.values():
                there, every = there + of.get("ok", 0), every + sum(of.values())
        return f"{there}/{every} {names}" if every else names
    broken = found.problem or any(one.broken for one in found.settings)
    return f"broken: {names}" if broken else names


def _runs(found: Watched) -> Iterator[str]:
    """The runs of these settings that go on or were killed. If there is none, how the
    last one ended, and that there is none; then a line about those of others."""
    own = [run for run in found.runs if found.concerns(run)]
    for run in own:
        yield (under_way if run.alive else killed)(run, found.now)
    if not own:
        if found.last is not None:
            yield of_last(found.last, found.now)
        yield f'<p class="lead">{_none(found)}</p>'
    others = [run for run in found.runs if not found.concerns(run) and run.alive]
    for run in others:
        names = ", ".join(run.snapshot.settings) if run.snapshot else ""
        yield f'<p class="mut">Another run is under way: {text(names)}</p>'


def _none(found: Watched) -> str:
    if not found.looked:
        return "No run is under way. Results are being looked up."
    complete = found.settings and all(one.complete for one in found.settings)
    if complete:
        return "No run is under way, and everything is up to date."
    command = hints.command("run", *found.names)
    return f"No run is under way. To make what is missing: <code>{text(command)}</code>"


def _of_setting(found: OfSetting, beside: Watched) -> str:
    """The status of a setting's stages and its results so far. While a run makes the
    setting, the run's own bars tell of its stages: an eval that waits for a model that
    is being made is `waiting` there, and `running` by its status."""
    name = text(found.name)
    body = _problem(found.broken, "The setting is broken; it is read again when mended")
    if not any(
        run.alive and run.snapshot and found.name in run.snapshot.settings
        for run in beside.runs
    ):
        body += _counts(found.counts)
    if found.table is not None:
        body += tables.results(found.table) or '<p class="mut">There are no evals.</p>'
        if found.table.models_left_out:
            command = hints.command("results", found.name)
            more = f"and {found.table.models_left_out} more models: {command}"
            body += f'<p class="mut">{text(more)}</p>'
        body += _remarks(found.name, [*notes(found.table)])
    return f'<section id="s-{name}"><h2>Results of {name}</h2>\n{body}</section>\n'


def _counts(counts: Mapping[str, Mapping[Word, int]]) -> str:
    every = [str(kind) for kind in KINDS if kind in counts]
    told = "".join(
        bar(
            of_kind(kind),
            {WORDS[word]: counts[kind].get(word, 0) for word in WORDS},
        )
        for kind in every
    )
    return f'<div class="bars">{told}</div>'


def _remarks(name: str, lines: Sequence[str]) -> str:
    """Why results are not up to date, folded: a setting of which nothing is made has
    one line for each of them."""
    if not lines:
        return ""
    items = _items(lines[:MOST_NOTES])
    if len(lines) > MOST_NOTES:
        items += f"<li>and {len(lines) - MOST_NOTES} more</li>"
    return (
        f'<details id="d-{text(name)}"><summary>{len(lines)} remarks about results'
        f'</summary><ul class="plain">{items}</ul></details>'
    )


def _jobs(found: Watched) -> str:
    lines = lines_under_way(found.jobs)
    if not lines:
        return ""
    items = _items(lines)
    return (
        '<section id="jobs"><h2>Jobs at providers</h2>'
        f'<ul class="plain">{items}</ul></section>'
    )


def _foot(found: Watched) -> str:
    whole = hints.command("report", *found.names)
    at = of_day(found.looked, found.now) if found.looked else ""
    since = f"Results as of {text(at)}. " if at else ""
    return (
        f'<p class="mut foot">{since}The page refreshes itself, and shows runs as they '
        "were a few seconds ago. A whole page, with plots and answers: "
        f"<code>{text(whole)}</code></p>"
    )


def _items(lines: Iterable[str]) -> str:
    return "".join(f"<li>{text(line)}</li>" for line in lines)


def _problem(said: str, title: str) -> str:
    if not said:
        return ""
    return f'<div class="note"><p>{text(title)}:</p><pre>{text(said)}</pre></div>'
