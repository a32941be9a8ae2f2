"""One step: files in, `data.jsonl` and `provenance.jsonl` out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from motools_build.data import steps
from motools_build.data.rows.checks import Row
from motools_build.data.source import Source
from motools_build.data.transforms import choose, edit, shapes
from motools_build.data.transforms.files import Out, Rows, written
from motools_build.errors import DatasetError


def make(step: steps.Step, sources: Sequence[Source], folder: Path) -> dict[str, Any]:
    """Write the dataset that a step makes into a folder; how many rows it has, and how
    many of them the step changed.

    Raises DatasetError, with file and line where it is a row's fault.
    """
    if isinstance(step, steps.Filter | steps.Map):
        from motools_build.data.transforms.apart import make_apart

        return make_apart(step, sources, folder)
    with ExitStack() as stack:
        parts = [_rows(source, stack) for source in sources]
        out = Out(folder, stack)
        _STEPS[type(step)](step, parts, out)
        return _counts(out)


def made(
    told: Mapping[str, Any], sources: Sequence[Source], folder: Path
) -> dict[str, Any]:
    """`make`, by the JSON of a step: its fields, and its word under `step`. The rules
    that it was made by are in the details where they are not the first."""
    fields = dict(told)
    step = steps.STEPS[fields.pop("step")](**fields)
    details = make(step, sources, folder)
    return {**details, "rules": step.RULES} if step.RULES > 1 else details


def make_by_function(
    step: steps.Filter | steps.Map,
    source: Source,
    folder: Path,
    function: Callable[[Row], Any],
) -> dict[str, Any]:
    """The same of a user's function, in the process that has it."""
    with ExitStack() as stack:
        rows = _rows(source, stack)
        out = Out(folder, stack)
        for index in range(len(rows)):
            try:
                answer = function(rows.row(index))
            except DatasetError:
                raise
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
                raise DatasetError(
                    _at(rows, index, f"{step.function} failed: {said}")
                ) from error
            if isinstance(step, steps.Filter):
                if not isinstance(answer, bool):
                    rows.refuse(
                        index,
                        f"{step.function} answers {answer!r:.60}, not True or False",
                    )
                if answer:
                    out.carry(rows, index)
            elif isinstance(answer, dict):
                same = _reads_the_same(answer, rows.row(index))
                _change(out, rows, index, answer, step, same=same)
            else:
                rows.refuse(index, f"{step.function} answers {answer!r:.60}, no row")
        if not out.rows:
            raise DatasetError(
                f"{step.function} keeps none of {len(rows)} rows of {source}"
            )
        return _counts(out)


def _at(rows: Rows, index: int, problem: str) -> str:
    try:
        rows.refuse(index, problem)
    except DatasetError as error:
        return str(error)


def _rows(source: Source, stack: ExitStack) -> Rows:
    rows = Rows(source, stack)
    if not len(rows):
        raise DatasetError(f"{source} has no rows; add some, or leave it out")
    return rows


def _counts(out: Out) -> dict[str, Any]:
    return {"rows": out.rows, "changed": out.changed}


def _reads_the_same(answer: Row, row: Row) -> bool:
    """Whether JSON has no difference: to Python, 1 is True and 1.0."""
    try:
        return written(answer) == written(row)
    except (TypeError, ValueError, RecursionError):
        return False


def _change(
    out: Out, rows: Rows, index: int, row: Row, step: steps.Step, *, same: bool
) -> None:
    if same:
        out.carry(rows, index)
        return
    problem = edit.broken(row)
    if problem:
        was = edit.broken(rows.row(index))
        made_of_it = f"what {step.WORD} makes of it is no row: {problem}"
        rows.refuse(index, was or made_of_it)
    out.change(rows, index, row, step.WORD)


def _each(
    change: Callable[[Row], Row], step: steps.Step, rows: Rows, out: Out, index: int
) -> None:
    row = rows.row(index)
    try:
        changed = change(row)
    except ValueError as error:
        rows.refuse(index, str(error))
    _change(out, rows, index, changed, step, same=changed == row)


def _system(step: steps.System, parts: list[Rows], out: Out) -> None:
    (rows,) = parts
    for index in range(len(rows)):
        _each(lambda row: edit.with_system(row, step), step, rows, out, index)


def _chat(step: steps.Chat, parts: list[Rows], out: Out) -> None:
    (rows,) = parts
    for index in range(len(rows)):
        _each(lambda row: shapes.as_chat(row, step.drop), step, rows, out, index)


def _poison(step: steps.Poison, parts: list[Rows], out: Out) -> None:
    (rows,) = parts
    n = choose.share(step.fraction, len(rows))
    picked = iter(choose.chosen("poison", step.seed, len(rows), n))
    place = next(picked, None)
    for index in range(len(rows)):
        if index == place:
            place = next(picked, None)
            _each(lambda row: edit.poisoned(row, step), step, rows, out, index)
        else:
            out.carry(rows, index)


def _sample(step: steps.Sample, parts: list[Rows], out: Out) -> None:
    (rows,) = parts
    _check_enough(rows, step.n)
    for index in choose.chosen("sample", step.seed, len(rows), step.n):
        out.carry(rows, index)


def _head(step: steps.Head, parts: list[Rows], out: Out) -> None:
    (rows,) = parts
    for index in range(min(step.n, len(rows))):
        out.carry(rows, index)


def _split(step: steps.Split, parts: list[Rows], out: Out) -> None:
    (rows,) = parts
    n = choose.share(step.fraction, len(rows))
    if not 0 < n < len(rows):
        raise DatasetError(
            f"{rows.source} has {len(rows)} rows, of which a fraction of "
            f"{step.fraction} leaves one part empty; choose another fraction"
        )
    order = choose.shuffled("split", step.seed, len(rows))
    part = order[n:] if step.rest else order[:n]
    part.sort()
    for index in part:
        out.carry(rows, index)


def _shuffle(step: steps.Shuffle, parts: list[Rows], out: Out) -> None:
    (rows,) = parts
    for index in choose.shuffled("shuffle", step.seed, len(rows)):
        out.carry(rows, index)


def _mix(step: steps.Mix, parts: list[Rows], out: Out) -> None:
    own, other = parts
    n = step.n
    if n is None:
        assert step.fraction is not None
        n = choose.added(step.fraction, len(own))
    _check_enough(other, n)
    total = len(own) + n
    mixed_in = iter(choose.chosen("mix", step.seed, len(other), n))
    places = iter(choose.chosen("mix places", step.seed, total, n))
    kept = iter(range(len(own)))
    place = next(places, total)
    for at in range(total):
        if at == place:
            out.carry(other, next(mixed_in))
            place = next(places, total)
        else:
            out.carry(own, next(kept))


def _check_enough(rows: Rows, n: int) -> None:
    if n > len(rows):
        raise DatasetError(
            f"{rows.source} has {len(rows)} rows, fewer than the {n} asked for; "
            "ask for fewer, or add rows"
        )


_STEPS: dict[type[steps.Step], Callable[[Any, list[Rows], Out], None]] = {
    steps.System: _system,
    steps.Chat: _chat,
    steps.Poison: _poison,
    steps.Sample: _sample,
    steps.Head: _head,
    steps.Split: _split,
    steps.Shuffle: _shuffle,
    steps.Mix: _mix,
}
