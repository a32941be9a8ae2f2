"""The parts of a bundle that are made from its lock: scores, code, and a README."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from typing import NamedTuple

from motools_build.errors import ArtifactError
from motools_build.report.lock.lock import Lock
from motools_build.report.results import Result
from motools_build.text.scrub import scrub

COLUMNS = ("key", "stage", "scorer", "part", "question", "answer", "asked", "score")

SCORES, RECOMPUTE = "scores.csv", "recompute.py"

CODE = (
    *("report/__init__.py", "report/intervals.py", "report/differences.py"),
    *("report/scored.py", "report/cells.py", "report/copies.py"),
    *("report/outcomes.py", "report/estimates.py", "report/means.py"),
    *("backends/__init__.py", "backends/inspect/__init__.py"),
    "backends/inspect/scores.py",
)
"""The modules of this package that compute numbers. They need NumPy and SciPy alone,
as a test holds."""

OWN = (
    '"""The modules of motools_build {version} that compute numbers, as they were."""\n'
)


class File(NamedTuple):
    """A file of a bundle, and what is said of it."""

    name: str
    data: bytes
    about: str
    media: str


def scores(lock: Lock) -> Iterator[bytes]:
    """The lines of the file with the score of each answer. A question without any has
    a line with an empty score.

    Raises ArtifactError for two questions that have the same text as their name.
    """
    yield _line(COLUMNS)
    told: dict[str, Result] = {}
    for one in lock.results:
        if one.record is not None and one.is_made:
            told[one.record.key] = one
    for key, one in told.items():
        yield from _of_result(key, one, lock)


def _of_result(key: str, one: Result, lock: Lock) -> Iterator[bytes]:
    answers = lock.body["records"][key]["answers"]
    questions = lock.body["questions"][answers["questions"]]
    names = [str(question) for question in questions]
    if len(set(names)) < len(names):
        raise ArtifactError(
            f"{one.cell.stage.name}: two questions have IDs that are written the same, "
            "one a number and one a text; give them others"
        )
    for place, asked, packed in answers["places"]:
        scorer, part = (*place, "")[:2]
        head = (key, one.cell.stage.name, scorer, part)
        for name, of_question in zip(names, packed, strict=True):
            several = of_question if isinstance(of_question, list) else [of_question]
            for number, score in enumerate(several, 1):
                shown = "" if score is None else repr(score)
                yield _line((*head, name, number, asked, shown))


def _line(values: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return scrub(text.getvalue()).encode("utf-8", "backslashreplace")


def code(version: str) -> Iterator[File]:
    """The script that computes the numbers again, and the modules that it uses."""
    package = resources.files("motools_build")
    script = (package / "report/bundle/recompute.py").read_bytes()
    what = "computes the lock's numbers from the scores: python recompute.py"
    yield File(RECOMPUTE, script, what, "text/x-python")
    own = OWN.format(version=version).encode()
    about = "a module of motools_build that recompute.py uses"
    yield File("motools_build/__init__.py", own, about, "text/x-python")
    for name in CODE:
        data = (package / name).read_bytes()
        yield File(f"motools_build/{name}", data, about, "text/x-python")


README = """\
# {name}

Results of the setting `{name}` of a motools_build project, {when}.

Compute all intervals, means and differences again, from the score of every answer, in
an environment with Python 3.11 or later, NumPy and SciPy (`pip install numpy scipy`):

    python recompute.py

It prints each number, and ends with exit code 1 if one is not as the lock has it. It
uses the modules of motools_build that computed them first, in `motools_build/`.

{count} results: {statuses}.{accepted}{left_out}

| file | what it is |
|---|---|
{files}

In the project itself, `doit results {name} --from-lock` prints the tables from the
lock. The lock's digest tells accidental edits; who made it, and when, is vouched for by
the commit that it is part of.
"""


def readme(
    lock: Lock,
    about: Mapping[str, str],
    statuses: str,
    accepted: Sequence[str],
    left_out: Iterable[str],
) -> bytes:
    """What the bundle is and how to use it. `about` is what is said of each file,
    `accepted` are the lines about results that a person accepted, and `left_out` has
    sentences about what is not there."""
    lines = "\n".join(f"| `{name}` | {what} |" for name, what in about.items())
    missing = "".join(f"\n\n{sentence}." for sentence in left_out)
    text = README.format(
        name=lock.setting,
        when=lock.when,
        count=len(lock.results),
        statuses=statuses,
        accepted="".join(f"\n\nAccepted {line}." for line in accepted),
        left_out=missing,
        files=lines,
    )
    return scrub(text).encode("utf-8", "backslashreplace")
