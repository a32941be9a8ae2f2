"""The words for moments on the command line: `--at WHEN`, `PATH@WHEN`.

    3fa91c02             a run, by its ID or four or more digits of it
    2026-11-20           the last run before the end of that day, in UTC
    2026-11-20T10:44     the last run before the end of that minute
    abc1234              the last run at that git commit
    v1.0, main           the same, by the name of a tag or a branch

`doit history` lists the runs. A smoke run is meant only if its ID is written.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from motools_build.errors import SelectionError, cut
from motools_build.report.past import told
from motools_build.running.revision import git
from motools_build.store.runs import DAY, Run
from motools_build.text import hints
from motools_build.text.similar import known

FORMS = "a run's ID, a date (2026-11-20, 2026-11-20T10:44) or a git commit"

DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?Z?)?")

ID = re.compile(r"[0-9a-f]{4,8}")

COMMIT = re.compile(r"[0-9a-f]{7,64}")

MOST_LISTED = 8
"""Largest number of runs that an error lists."""

PATIENCE = 5.0
"""Seconds that git may take."""


@dataclass(frozen=True)
class Moment:
    """The run of each setting that a word means."""

    word: str
    runs: Mapping[str, Run]
    """Setting -> its run; settings without one are left out."""
    latest: Mapping[str, Run] = field(default_factory=dict)
    """Setting -> its latest run of all, for errors."""

    def of(self, setting: str, there: Collection[str] = ()) -> Run:
        """The run of a setting; a setting without runs of its own may be one that is
        gone, under another name. `there` are the settings that are not gone. Raises
        SelectionError if it had none then."""
        if setting in self.runs:
            return self.runs[setting]
        if ID.fullmatch(self.word) and len(self.runs) == 1:
            ((other, run),) = self.runs.items()
            if setting in self.latest or other in there:
                raise SelectionError(
                    f"{self.word} is a run of {other}, not of {setting} "
                    f"({hints.command('history', setting)} lists those)"
                )
            return run  # the setting was renamed since
        last = self.latest.get(setting)
        if last is None:
            raise SelectionError(f"{setting} has no run that is known of: {_before()}")
        raise SelectionError(
            f"{setting} has no run at {self.word}; its latest is {told(last)} "
            f"({hints.command('history', setting)} lists them)"
        )


def moment(word: str, runs: Iterable[Run], folder: Path = Path()) -> Moment:
    """The moment that a word means, by the logged runs (oldest first) and, for the name
    of a tag or branch, by git. Raises SelectionError for a word that means none, or
    several."""
    until = _until(word)
    commits = set() if until is not None else _by_git(word, folder)
    by_id: dict[str, Run] = {}
    found: dict[str, Run] = {}
    latest: dict[str, Run] = {}
    there: set[str] = set()
    for run in runs:
        if ID.fullmatch(word) and run.id.startswith(word):
            by_id[run.id] = run
        if run.is_smoke:
            continue
        latest[run.setting] = run
        there.add((run.commit or "")[:7])
        if (run.seconds < until) if until is not None else _is_at(run, word, commits):
            found[run.setting] = run
    if len(by_id) > 1 or (by_id and found):
        listed = [*by_id.values(), *found.values()]
        several = "\n".join(f"  {told(run)}, of {run.setting}" for run in listed[:9])
        raise SelectionError(f"{word!r} may mean several runs:\n{several}")
    found = {run.setting: run for run in by_id.values()} or found
    if not found:
        raise SelectionError(_unknown(word, until, latest, there - {""}))
    return Moment(word, found, latest)


def _until(word: str) -> float | None:
    """The end of the day or minute that a date names, in seconds since the epoch; None
    for another word. Raises SelectionError for a day that there is not."""
    match = DATE.fullmatch(word)
    if match is None:
        return None
    day, minute, seconds = match.groups()
    try:
        if minute is None:
            return calendar.timegm(time.strptime(day, "%Y-%m-%d")) + DAY
        begin = calendar.timegm(time.strptime(f"{day}T{minute}", "%Y-%m-%dT%H:%M"))
    except ValueError as error:
        raise SelectionError(
            f"{word!r} is no date; write a day as 2026-11-20, and a time as "
            "2026-11-20T10:44"
        ) from error
    return begin + (int(seconds[1:]) + 1 if seconds else 60)


def _is_at(run: Run, word: str, commits: set[str]) -> bool:
    """Whether a run was at the commit that the word begins, or that git knows by it."""
    if not run.commit:
        return False
    begins = COMMIT.fullmatch(word) is not None and run.commit.startswith(word)
    return begins or run.commit in commits


def _by_git(word: str, folder: Path) -> set[str]:
    """The commit that git knows by this name; none without git or such a name."""
    if word.startswith("-") or not word.strip():
        return set()
    words = ("rev-parse", "--verify", "--quiet", f"{word}^{{commit}}")
    found = git(*words, folder=folder, patience=PATIENCE)
    return set() if found is None else {found.decode(errors="replace").strip()}


def _unknown(
    word: str, until: float | None, latest: Mapping[str, Run], commits: set[str]
) -> str:
    """The error for a word that means no run. `commits` are those of all runs."""
    if not latest:
        return f"at {cut(word)} there was no run: {_before()}"
    every = [run for _, run in sorted(latest.items())]
    listed = "\n".join(f"  {told(r)}, of {r.setting}" for r in every[:MOST_LISTED])
    hint = hints.command("history", every[0].setting)
    if until is not None:
        return (
            f"no run that is known of began by {word}; the latest are:\n{listed}\n"
            f"({hint} lists earlier ones)"
        )
    near = f" {known(word, commits)};" if COMMIT.fullmatch(word) and commits else ""
    return (
        f"{cut(word)!r} is no moment that a run is known of;{near} write {FORMS}. The "
        f"latest runs are:\n{listed}\n({hint} lists earlier ones)"
    )


def _before() -> str:
    return "`doit run` notes each, in artifacts/runs.jsonl"
