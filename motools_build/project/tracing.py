"""What a figure or a page shows, compared with what is here now."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from motools_build.errors import InputError, MotoolsError, one_line
from motools_build.project.past import run_shown, under
from motools_build.project.project import Project
from motools_build.project.variables import of_plans
from motools_build.running.versions import versions
from motools_build.stages import Stage, setting_of
from motools_build.text import hints

if TYPE_CHECKING:
    from motools_build.project.locking import FromLock
    from motools_build.report.marks.mark import Item, Mark
    from motools_build.report.results import Result

Word = Literal["current", "superseded", "stale", "not here", "removed", "unknown"]


def mark_of(
    project: Project,
    settings: Sequence[str],
    found: Iterable[Result],
    command: Sequence[str],
    locked: Sequence[FromLock] = (),
) -> Mark:
    """The mark of a file that shows these results. `command` are the words, without
    variables, that make it again; `locked` are the locks that it is from, if it is from
    locks. Raises InputError for locks that were made under different variables."""
    from motools_build.report.marks.mark import Mark, items_of

    items, newest = items_of(found)
    at, given = project.revisions.now(), of_plans(project.variables)
    for one in locked:
        given = dict(one.lock.variables)
        if given != locked[0].lock.variables:
            raise InputError(
                f"{one.file} and {locked[0].file} were made under different variables; "
                "draw a figure of each"
            )
    words = (f"{name}={value}" for name, value in given.items())
    for run in filter(None, (run_shown(project, name) for name in settings)):
        given = of_plans(run.variables)  # `command` names the run, which has them
    return Mark(
        tuple(settings),
        given,
        items,
        newest,
        versions()["motools_build"],
        at.get("commit", ""),
        at.get("dirty", False),
        shlex.join(("doit", *command, *words)),
        "; ".join(one.told[0] for one in locked),
    )


@dataclass(frozen=True)
class Traced:
    """An artifact that a file shows, and how it stands now."""

    stage: str
    key: str
    status: Word
    why: str
    """Why it is not current; empty if it is."""


@dataclass(frozen=True)
class Trace:
    """What a file shows, and how that stands now."""

    mark: Mark
    found: tuple[Traced, ...]

    @property
    def is_current(self) -> bool:
        return all(one.status == "current" for one in self.found)

    @property
    def counts(self) -> Mapping[str, int]:
        """Status -> number of artifacts, those that are current first."""
        counted = Counter(str(one.status) for one in self.found)
        return {"current": counted.pop("current", 0), **counted}

    def as_json(self) -> dict[str, Any]:
        told = asdict(self.mark)
        del told["items"]
        artifacts = [asdict(one) for one in self.found]
        return {**told, "counts": dict(self.counts), "artifacts": artifacts}


def trace(project: Project, file: Path) -> Trace:
    """How the artifacts that a file shows stand in this project. The file may lie
    anywhere, and come from anywhere.

    Raises InputError if it has no mark, or a damaged one; OSError if it cannot be read.
    """
    from motools_build.report.marks.embedding import text_in
    from motools_build.report.marks.mark import decode

    text = text_in(file)
    if text is None:
        raise InputError(
            f"{file} does not say what it shows: it is not of `doit plot` or `doit "
            "report`, or another program wrote it anew without its metadata"
        )
    mark = decode(text, str(file))
    # a stage's name means another one without them
    hints.remember(of_plans(mark.variables))
    looking = _Looking(project, mark)
    return Trace(mark, tuple(looking.of(one) for one in mark.items))


class _Looking:
    """Looks up artifacts among those of the present plans."""

    def __init__(self, project: Project, mark: Mark) -> None:
        self._store = project.store
        self._by_key: dict[str, Stage] = {}
        self._by_name: dict[str, Stage] = {}
        self._broken: dict[str, str] = {}
        """Setting -> why it cannot be planned."""
        self._absent: set[str] = set()
        for name in mark.settings:
            if name not in project.zoo.names:
                self._absent.add(name)
                continue
            try:
                stages = under(project, mark.variables).plan(name).stages
            except (MotoolsError, OSError) as error:
                self._broken[name] = one_line(str(error))
                continue
            self._by_key.update((stage.key, stage) for stage in stages)
            self._by_name.update((stage.name, stage) for stage in stages)
        for stage in [*self._by_key.values()]:
            accepted = self._store.acceptance(stage)
            if accepted:  # what is shown is the artifact of another key
                self._by_key.setdefault(accepted.of, stage)

    def of(self, item: Item) -> Traced:
        status, why = self._told(item)
        return Traced(item.stage, item.key, status, why)

    def _told(self, item: Item) -> tuple[Word, str]:
        stage = self._by_key.get(item.key)
        if stage is not None:
            return self._present(stage, item)
        other = self._by_name.get(item.stage)
        if other is not None:
            hint = hints.command("why", other.name)
            return "superseded", f"its key is {other.key} now ({hint})"
        setting = setting_of(item.stage)
        if setting in self._broken:
            return "unknown", self._broken[setting]
        if setting in self._absent:
            return "removed", f"no setting is called {setting}"
        return "removed", f"{setting} does not ask for it now"

    def _present(self, stage: Stage, item: Item) -> tuple[Word, str]:
        record, reason = self._store.get(stage), self._store.why_stale(stage)
        if record is None:
            told = "" if reason == "not made yet" else reason or ""
            return "not here", told or "its artifact is not on this machine"
        if reason is not None:
            return "stale", reason
        if record.output != item.output:
            return "stale", "made again since, with other scores"
        return "current", ""
