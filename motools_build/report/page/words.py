"""The sentences of a page: its main numbers, and what is not up to date."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from motools_build.report.comparisons import Comparison
from motools_build.report.drawing.differences import shown_p
from motools_build.report.drawing.forecasts import total
from motools_build.report.drawing.results import notes
from motools_build.report.failures import reason, together
from motools_build.report.page.document import folded, text
from motools_build.report.page.material import Material
from motools_build.text import hints

MOST_SENTENCES = 4
"""Largest number of comparisons in the opening lines."""

FIRST_NOTES = 8
"""Number of remarks that are shown at once; further ones are folded."""

MOST_NOTES = 40
"""Largest number of remarks that are listed; the terminal has all."""

OF_STAGE = re.compile(r"(?P<word>\w+) +(?P<name>(?:eval|model):\S+): (?P<said>.*)")
"""Matches a remark on one stage."""


def lead(found: Material) -> str:
    """The primary contrast; then the differences that hold after correction, those of
    the smallest p first; else a sentence that says that none does."""
    every = found.compared.found
    if not every:
        return f'<p class="lead">{text(_means(found))}</p>'
    lines = [_of_primary(one, found) for one in every if one.primary]
    others = sorted(
        (one for one in every if not one.primary), key=lambda one: one.adjusted
    )
    held = [one for one in others if one.adjusted < 0.05]
    lines += [f"{_difference(one, found)}." for one in held[:MOST_SENTENCES]]
    if not lines:  # what was measured is of interest, too
        lines = [f"{_means(found)}."]
    if others:
        more = len(held) - MOST_SENTENCES
        what = "other differences" if len(others) < len(every) else "differences"
        said = f"{len(held)} of {len(others)} {what} hold at 5 % after correction"
        lines.append(f"{said} (Holm){f', {more} more below' if more > 0 else ''}.")
    return "".join(f'<p class="lead">{text(line)}</p>' for line in lines)


def _difference(one: Comparison, found: Material) -> str:
    metric = " ".join(filter(None, one.column))
    first, second = found.names[one.first], found.names[one.second]
    return f"{metric}: {first} less {second} is {one.shown}"


def _of_primary(one: Comparison, found: Material) -> str:
    word = one.declared or "not declared"
    if word == "primary":
        word = "declared before its first result"
    return f"Primary contrast ({word}): {_difference(one, found)}, p {shown_p(one)}."


def _means(found: Material) -> str:
    told = [
        f"{' '.join(filter(None, one.column))}, {found.names[one.group]}: "
        f"{one.estimate}"
        for one in found.table.means
        if one.seeds
    ]
    return "; ".join(told[:MOST_SENTENCES]) or "There are no numbers yet."


def unfinished(found: Material) -> str:
    """The numbers of results by status, why each is not up to date, and the command
    that makes them with its forecast; a plain sentence if all are up to date."""
    table = found.table
    counts = Counter(result.status for result in table.results)
    every, there = len(table.results), counts.pop("ok", 0)
    listed = _listed(alike(notes(table)))
    if not counts:
        return f'<p class="mut">All {every} results are up to date.</p>{listed}'
    others = ", ".join(f"{number} {status}" for status, number in counts.items())
    command = hints.command("run", table.setting)
    forecast = f" ({total(found.forecast)})" if found.forecast else ""
    return (
        f'<div class="note"><p>{there} of {every} results are up to date; '
        f"<b>{text(others)}</b>, which are in no mean.</p>{listed}"
        f"<p>To make them: <code>{text(command)}</code>{text(forecast)}</p></div>"
    )


def damaged(found: Material) -> str:
    """What the page cannot show, because a file is damaged; empty if nothing is."""
    listed = _listed(list(found.problems))
    return f'<div class="note"><p>Not shown here:</p>{listed}</div>' if listed else ""


def _listed(lines: list[str]) -> str:
    items = [f"<li>{text(line)}</li>" for line in lines[:MOST_NOTES]]
    if len(lines) > MOST_NOTES:
        items.append(f"<li>and {len(lines) - MOST_NOTES} more</li>")
    first, others = items[:FIRST_NOTES], items[FIRST_NOTES:]
    listed = f'<ul class="plain">{"".join(first)}</ul>' if first else ""
    if others:
        below = f'<ul class="plain">{"".join(others)}</ul>'
        listed += folded("More remarks", str(len(lines) - FIRST_NOTES), below)
    return listed


def alike(remarks: Iterable[str]) -> list[str]:
    """The remarks, those that say the same of several stages as one."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for line in remarks:
        of = OF_STAGE.fullmatch(line)
        same = reason(of["name"], of["said"]) if of else line
        word, name, said = of.groups() if of else ("", "", line)
        groups.setdefault((word, same), []).append((name, said))
    return [
        f"{word:8} {together([name for name, _ in of])}: {of[0][1]}" if word else line
        for (word, line), of in groups.items()
    ]


def again(found: Material) -> str:
    """The commands that make the results and this page again."""
    name = found.table.setting
    words = (("run", name), ("results", name), ("report", name))
    lines = "\n".join(hints.command(*one) for one in words)
    return f"<pre>{text(lines)}</pre>"


def versions(found: Material) -> str:
    """The versions of packages that the results were made with."""
    told = {
        f"{name} {version}"
        for result in found.table.results
        for name, version in result.lineage.versions.items()
    }
    return f"<p>{text(', '.join(sorted(told)))}</p>" if told else ""


def method() -> Iterator[str]:
    """How the numbers are made."""
    yield (
        "<p>Brackets are 95 % intervals. That of a group is over new seeds and new "
        "questions: Wilson's at the effective sample size, with Student's t. That of "
        "one model is over new questions, of this model only. Differences are paired "
        "by question (MOVER; Bonett and Price for two single models), and their p "
        "values are adjusted by Holm for all comparisons of the setting but the "
        "primary contrast, if it has one. Results that are not up to date are in no "
        "mean. The method and its coverage are described "
        "in <code>docs/statistics.md</code> of motools_build.</p>"
    )
