"""Questions and answers of a setting's evals, as data for a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any
from urllib.parse import quote

from motools_build.backends.inspect.scores import as_json_value, number
from motools_build.report.cells import named_parts
from motools_build.report.estimates import Column, Estimates
from motools_build.report.means import Group, groups, whole_seeds
from motools_build.report.results import Result, draw_shown
from motools_build.report.samples import Name, Transcripts, in_one_text, transcripts
from motools_build.report.table import Table
from motools_build.report.where import Scores
from motools_build.store.artifacts import ArtifactStore

MOST_QUESTIONS = 30
"""Largest number of questions of a heat map: those on which groups differ most."""

MOST_GROUPS = 24
"""Largest number of groups of a heat map."""


@dataclass(frozen=True)
class Heat:
    """The mean score of each group for each question of an eval."""

    column: Column
    groups: tuple[Group, ...]
    lines: tuple[tuple[str, tuple[float | None, ...]], ...]
    """Each question with its scores, one for each group; those on which groups differ
    most first."""
    of: int
    """Number of all questions."""
    groups_of: int
    """Number of all groups."""


@dataclass(frozen=True)
class Asked:
    """One answer of a model."""

    eval: str
    group: Group
    draw: str
    """The seed, as `draw_shown` has it."""
    stage: str
    sample: str
    """The sample's ID and epoch."""
    log: str
    question: str
    answer: str
    target: str
    scores: tuple[tuple[str, Any, str], ...]
    """Scorer, value, and the scorer's explanation, such as a judge's words."""
    value: float | None
    """The score by which answers are ordered."""
    error: str = ""
    viewed: str = ""
    """The sample's place in Inspect's viewer of the folder with the transcripts: what
    follows `#/logs/` in its URL. Empty if the log is in no such folder."""


def heats(
    found: Sequence[Result], table: Table, estimates: Estimates, store: ArtifactStore
) -> list[Heat]:
    """A heat map for each metric that is the mean of its answers' scores, if several
    questions were asked. Raises ArtifactError if a log cannot be read."""
    by_group: dict[Group, list[Result]] = {
        **_bases(found),
        **groups(found),
    }
    texts: dict[str, Mapping[Any, str]] = {}
    maps = []
    for column in table.columns:
        scored = dict(_scored(by_group, column, estimates))
        questions = {q: None for of_group in scored.values() for q in of_group}
        if len(questions) < 2:
            continue
        if column[0] not in texts:
            texts[column[0]] = _questions(found, column[0], store)
        shown = sorted(scored, key=lambda group: group in _bases(found))[:MOST_GROUPS]
        lines = [
            (
                _named(question, texts[column[0]]),
                tuple(scored[group].get(question) for group in shown),
            )
            for question in questions
        ]
        lines.sort(key=lambda line: -_spread(line[1]))
        first = tuple(lines[:MOST_QUESTIONS])
        maps.append(Heat(column, tuple(shown), first, len(lines), len(scored)))
    return maps


def _bases(found: Sequence[Result]) -> dict[Group, list[Result]]:
    bases: dict[Group, list[Result]] = {}
    for result in found:
        if result.cell.seed is None:
            bases.setdefault(named_parts(result.cell), []).append(result)
    return bases


def _scored(
    by_group: Mapping[Group, Sequence[Result]], column: Column, estimates: Estimates
) -> Iterator[tuple[Group, dict[Any, float]]]:
    """Each group with the mean score of each question, over its seeds."""
    for group, of_group in by_group.items():
        seeds = [*whole_seeds(of_group, column)]
        side = estimates.side(seeds, column) if seeds else None
        if side is None:
            continue
        values: dict[Any, list[float]] = {}
        for of_seed in side.scored:
            for question, value in of_seed.items():
                values.setdefault(question, []).append(value)
        yield group, {question: fmean(of) for question, of in values.items()}


def _questions(
    found: Sequence[Result], an_eval: str, store: ArtifactStore
) -> Mapping[Any, str]:
    """ID -> text of the questions of an eval, from one of its logs."""
    for result in found:
        if result.cell.eval == an_eval and result.status == "ok":
            return transcripts(result.cell.stage, store).questions()
    return {}


def _named(question: Any, texts: Mapping[Any, str]) -> str:
    return " ".join(texts.get(question, str(question)).split()) or str(question)


def _spread(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return max(known) - min(known) if known else 0.0


# ---- answers


def asked_of(
    found: Sequence[Result], table: Table, store: ArtifactStore, most: int
) -> list[Asked]:
    """At most `most` answers of each eval, as many of each group: those with the lowest
    and the highest scores, in turn. Raises ArtifactError if a log cannot be read."""
    first = {column[0]: column for column in reversed(table.columns)}
    by_eval: dict[str, dict[Group, list[Result]]] = {}
    for result in found:
        if result.status == "ok":
            of_eval = by_eval.setdefault(result.cell.eval, {})
            of_eval.setdefault(named_parts(result.cell), []).append(result)
    asked: list[Asked] = []
    for an_eval, of_eval in by_eval.items():
        each = max(1, most // len(of_eval))
        for of_group in list(of_eval.values())[:most]:
            asked += _extremes(of_group, first[an_eval], store, each)
    return asked


def _extremes(
    of_group: Sequence[Result], column: Column, store: ArtifactStore, most: int
) -> Iterator[Asked]:
    """The answers of a group with the lowest and the highest scores, in turn."""
    every: list[tuple[float | None, Name, Result, Transcripts]] = []
    for result in of_group:
        of = transcripts(result.cell.stage, store)
        if of.log is not None:
            values = ((_value(s, column), name) for name, s in of.scores.items())
            every += [(value, name, result, of) for value, name in values]
    every.sort(key=lambda one: (one[0] is None, one[0] or 0.0, str(one[1])))
    low, high = 0, len(every) - 1
    while low <= high and most > 0:
        yield _asked(*every[low], store.root)
        low, most = low + 1, most - 1
        if low <= high and most > 0:
            yield _asked(*every[high], store.root)
            high, most = high - 1, most - 1


def _value(scores: Scores, column: Column) -> float | None:
    """A sample's score in a column: of the scorer, or of the key that is named."""
    _, scorer, metric = column
    found = scores.get(scorer.partition(".")[0], None)
    if found is None:
        inner = (of for of in scores.values() if isinstance(of, Mapping))
        found = next((of[scorer] for of in inner if scorer in of), None)
    if isinstance(found, Mapping):
        key = scorer.partition(".")[2] or metric
        found = found.get(key, next(iter(found.values()), None))
    return None if isinstance(found, str | list) else number(found)


def _asked(
    value: float | None, name: Name, result: Result, of: Transcripts, root: Path
) -> Asked:
    sample = of.sample(name)
    target = sample.target
    return Asked(
        result.cell.eval,
        named_parts(result.cell),
        draw_shown(result.cell),
        of.stage.name,
        f"{name[0]}" + (f", epoch {name[1]}" if name[1] > 1 else ""),
        str(of.log),
        in_one_text(sample.input),
        sample.output.completion,
        target if isinstance(target, str) else ", ".join(target),
        tuple(
            (scorer, as_json_value(score.value), score.explanation or "")
            for scorer, score in sorted((sample.scores or {}).items())
        ),
        value,
        sample.error.message if sample.error else "",
        _viewed(of.log, root, name),
    )


def _viewed(log: Path | None, root: Path, name: Name) -> str:
    """The place of a sample in Inspect's viewer of the folder `root`."""
    if log is None or not log.is_relative_to(root):
        return ""
    below = quote(log.relative_to(root).as_posix())
    return f"{below}/samples/sample/{quote(str(name[0]), safe='')}/{name[1]}/messages"
