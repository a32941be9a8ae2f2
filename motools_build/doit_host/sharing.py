"""`doit push` and `doit pull`: a folder and the shared store of its team."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from motools_build.doit_host.helping import Needs
from motools_build.doit_host.query import Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.errors import InputError
from motools_build.stages import with_needed

if TYPE_CHECKING:
    from motools_build.project.project import Project
    from motools_build.stages import Stage
    from motools_build.store.records import Record
    from motools_build.store.shared.sharing import Sharing
    from motools_build.store.shared.tier import Outcome

WORDS: dict[Outcome, str] = {
    "pushed": "pushed",
    "there": "there already",
    "taken": "replaced by a colleague's, which came first",
    "other": "kept here, and another in the store",
}
"""Outcome of a push -> words for it."""


class Push(Query):
    """`doit push`: puts artifacts into the shared store."""

    name = "push"
    doc_purpose = "put artifacts into the team's store (exit code 1: some wait)"
    doc_usage = "[SETTING|STAGE|PATTERN|KEY...] [--again]"
    doc_description = (
        "Without names, every artifact of this folder. Runs push what they make; this "
        "is for what was made before there was a store, or without a network."
    )
    cmd_options = (
        {
            "name": "again",
            "long": "again",
            "type": bool,
            "default": False,
            "help": "put files again that the store has, as they may be damaged there",
        },
    )
    needs = Needs(tasks=False, default=False, rows=False)

    def _execute(self, again: bool, pos_args: list[str]) -> int:
        project = current().project
        shared = shared_of(project)
        shared.push(_records(project, pos_args, shared, again), again=again)
        shared.close()
        told = Counter(shared.outcomes.values())
        for outcome, word in WORDS.items():
            if told[outcome]:
                self._say(f"{told[outcome]} {word}")
        for name, why in shared.problems.items():
            self._say(f"{name} waits: {why}")
        if not told and not shared.problems:
            self._say(f"{shared.tier.objects.address} has everything")
        return 1 if shared.problems else 0


class Pull(Query):
    """`doit pull`: fetches artifacts from the shared store."""

    name = "pull"
    doc_purpose = "fetch settings' artifacts, with all files, from the team's store"
    doc_usage = "[SETTING|STAGE|PATTERN|KEY...]"
    doc_description = (
        "A run pulls records by itself, and files when it uses them. This fetches all "
        "of them, for a journey without a network."
    )
    cmd_options = ()
    needs = Needs(tasks=False, rows=False)

    def _execute(self, pos_args: list[str]) -> int:
        from motools_build.store.shared.tier import KINDS

        session = current()
        project = session.project
        shared = shared_of(project)
        chosen = _chosen(project, pos_args or session.selected)
        stages = [one for one in chosen if one.kind in KINDS]
        pulled, damaged = shared.tier.pull(stages)
        files = [*_incomplete(project, stages)]
        for record in files:
            project.store.payload_of(record)
        self._say(f"{len(pulled)} pulled; the files of {len(files)} fetched")
        for why in damaged:
            self._say(why)
        missing = [one for one in stages if project.store.get(one) is None]
        if missing:
            self._say(f"{len(missing)} neither here nor there: doit status --store")
        return 1 if damaged else 0


def shared_of(project: Project) -> Sharing:
    """The project's shared store. Raises InputError if it has none."""
    if project.sharing is None:
        raise InputError(
            "this project has no shared store; pyproject.toml names one: "
            '[tool.motools_build] store = "s3://bucket/prefix"'
        )
    return project.sharing


def _chosen(project: Project, words: Iterable[str]) -> list[Stage]:
    """The stages that the words mean and all that they are made from, inputs first."""
    chosen = project.selection.chosen(list(words)).values()
    return with_needed(chosen)[::-1]


def _records(
    project: Project, words: list[str], shared: Sharing, again: bool
) -> list[Record]:
    """The artifacts to offer: without words, those that the store does not list, and
    those that wait."""
    from motools_build.store.shared.tier import KINDS, Named

    store = project.store
    if words:
        stages = _chosen(project, words)
        return [r for one in stages if (r := store.get(one)) and r.kind in KINDS]
    waiting = {record.key: record for record in shared.waiting()}
    every = (record for kind in KINDS for record in store.records(kind))
    return [
        record
        for record in every
        if again
        or record.key in waiting
        or shared.tier.listed.get(Named.of(record).place) != Named.of(record)
    ]


def _incomplete(project: Project, stages: Iterable[Stage]) -> Iterator[Record]:
    from motools_build.store.shared.lazy import is_marked

    for stage in stages:
        record = project.store.get(stage)
        if record and is_marked(str(project.store.folder_of(record))):
            yield record


def lines_of(project: Project, words: list[str]) -> Iterator[str]:
    """What `doit status --store` tells: what is here, what is there, and what waits."""
    from motools_build.store.shared.tier import KINDS

    shared = shared_of(project)
    stages = {s.key: s for s in _chosen(project, words) if s.kind in KINDS}.values()
    listed, store = shared.tier.listed, project.store
    here = {one.key for one in stages if store.get(one) is not None}
    there = {one.key for one in stages if one.folder in listed}
    yield f"store {shared.tier.objects.address}: {len(listed)} artifacts in all"
    yield f"{len(here & there)} of {len(stages)} stages are here and there"
    if there - here:
        yield f"{len(there - here)} only there: doit pull"
    if here - there:
        yield f"{len(here - there)} only here: doit push"
    neither = len(stages) - len(here | there)
    if neither:
        yield f"{neither} neither here nor there: doit run"
    waiting = shared.waiting()
    if waiting:
        yield f"{len(waiting)} wait to be pushed, {waiting[0].name} first: doit push"
    lazy = [*_incomplete(project, stages)]
    if lazy:
        yield f"{len(lazy)} whose files are fetched when they are used"


def swept(
    project: Project, present: set[str], days: float, yes: bool
) -> dict[str, int | bool]:
    """What `doit gc --store --json` prints."""
    from motools_build.store.shared.sweep import sweep

    found = sweep(shared_of(project).tier.objects, present, days, yes)
    return {
        "done": yes,
        "removed": len(found.removable),
        "bytes": sum(one.size for one in found.removable),
        "marked": len(found.marked),
        "left": found.left,
    }


class Share(Query):
    """`doit share SETTING --to PLACE`: copies a setting's artifacts to a place that
    others may read."""

    name = "share"
    doc_purpose = "copy a setting's artifacts to a folder or a bucket, for readers"
    doc_usage = "SETTING... --to=PLACE"
    doc_description = (
        "The place is a folder, or an address as that of a store. Whoever may read it "
        "names it as the store of a copy of the project; `doit run` then takes "
        "everything from there."
    )
    cmd_options = (
        {
            "name": "to",
            "long": "to",
            "type": str,
            "default": "",
            "help": "a folder, or s3://bucket/prefix",
        },
    )
    needs = Needs(tasks=False, rows=False)

    def _execute(self, to: str, pos_args: list[str]) -> int:
        from motools_build.project.locking import lock_file
        from motools_build.project.sharing import sharing

        project = current().project
        if not to or not pos_args:
            raise InvalidCommand("a setting and a place: doit share NAME --to=PLACE")
        shared = sharing(to, project.store)
        stages = _chosen(project, pos_args)
        records = [r for one in stages if (r := project.store.get(one))]
        shared.push(records, takes=False)
        extra = 0
        for name in dict.fromkeys(stage.setting for stage in stages):
            for file in (lock_file(project, name), Path(f"{name}.html")):
                if file.exists():
                    shared.tier.objects.put(f"shared/{file.name}", file)
                    extra += 1
        told = Counter(shared.outcomes.values())
        self._say(
            f"{told['pushed']} artifacts copied to {shared.tier.objects.address}, "
            f"{told['there']} there already; {extra} locks and pages"
        )
        if told["other"]:
            self._say(f"{told['other']} have another artifact there, which stays")
        for name, why in shared.problems.items():
            self._say(f"{name} is not there: {why}")
        return 1 if shared.problems or told["other"] else 0
