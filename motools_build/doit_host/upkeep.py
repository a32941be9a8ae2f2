"""Commands that maintain artifacts/: gc, verify."""

from __future__ import annotations

import asyncio
import math
from dataclasses import asdict
from json import dumps
from typing import TYPE_CHECKING

from motools_build.doit_host.queries import OPT_JSON, Query
from motools_build.doit_host.session import current
from motools_build.doit_host.terminal import InvalidCommand
from motools_build.errors import MotoolsError
from motools_build.project.project import Project
from motools_build.project.remote import ask_calendar, health, payers

if TYPE_CHECKING:
    from motools_build.store.snapshots import Snapshot
    from motools_build.store.upkeep import OnDisk

KEEP = 90.0
"""Days of runs whose artifacts `doit gc` keeps, unless --keep says otherwise."""


class Gc(Query):
    """`doit gc`: removes artifacts that no setting and no recent run refers to."""

    name = "gc"
    doc_purpose = "remove artifacts that no setting and no recent run refers to"
    doc_usage = "[--keep=DAYS] [--max-size=20GB] [--store] [--yes]"
    doc_description = (
        "A dry run unless --yes. It also shortens the run log to the notes of these "
        "days and each setting's last one. Nothing at a provider is touched, nor "
        "downloaded base models, nor the ledger of what was paid for."
    )
    cmd_options = (
        OPT_JSON,
        {
            "name": "keep",
            "long": "keep",
            "type": float,
            "default": KEEP,
            "help": "keep what a run of the last days stood for [default: %(default)s]",
        },
        {
            "name": "max_size",
            "long": "max-size",
            "type": str,
            "default": "",
            "help": "then remove the oldest that no setting refers to, until "
            "artifacts/ is below this size (20GB)",
        },
        {
            "name": "store",
            "long": "store",
            "type": bool,
            "default": False,
            "help": "of the team's store instead, in two steps, a week apart",
        },
        {
            "name": "yes",
            "long": "yes",
            "type": bool,
            "default": False,
            "help": "do it",
        },
    )

    def _execute(
        self, json: bool, keep: float, max_size: str, store: bool, yes: bool
    ) -> int:
        if store:
            return self._of_store(json, keep, max_size, yes)
        return self._of_folder(json, keep, max_size, yes)

    def _of_store(self, json: bool, keep: float, max_size: str, yes: bool) -> int:
        from motools_build.doit_host.sharing import swept

        if max_size or not 0 <= keep < math.inf:
            raise InvalidCommand("--store takes --keep=DAYS, and no --max-size")
        found = swept(current().project, _present(current().project), keep, yes)
        if json:
            self._say(dumps(found))
            return 0
        done = "removed" if yes else "would be removed"
        self._say(f"{found['removed']} objects {done}, {found['bytes']} bytes")
        word = "marked" if yes else "would be marked"
        self._say(f"{found['marked']} more {word}, which a gc after a week removes")
        self._say(f"{found['left']} left; claims and ledgers stay")
        return 0

    def _of_folder(self, json: bool, keep: float, max_size: str, yes: bool) -> int:
        from motools_build.report.drawing.removed import removed
        from motools_build.store.garbage import gone, paid_keys, to_remove

        project, most = current().project, _most(keep, max_size)
        store = project.store
        found = to_remove(store, _present(project), keep, most)
        if yes:
            found = gone(found, store)
            store.runs.prune(keep, paid_keys(store))
        if json:
            self._say(dumps({"removed": yes, **found.as_json()}))
            return 0
        given = f" --keep={keep:g}" if keep != KEEP else ""
        given += f" --max-size={max_size}" if max_size else ""
        *lines, last = removed(found, yes)
        for line in lines:
            self._say(line)
        more = f"; `doit gc{given} --yes` does it" if found and not yes else ""
        self._say(f"{last}{more}")
        return 0


def _most(keep: float, max_size: str) -> int | None:
    """The bytes that --max-size allows. Raises InvalidCommand for a wrong value of an
    option."""
    from motools_build.text.sizes import bytes_of

    if not 0 <= keep < math.inf:
        raise InvalidCommand(f"--keep={keep}: write a number of days, 0 or more")
    try:
        return bytes_of(max_size) if max_size else None
    except ValueError as error:
        raise InvalidCommand(
            f"--max-size={max_size}: write a number of bytes, or 500MB, 20GB"
        ) from error


def _present(project: Project) -> set[str]:
    """The keys that settings use. Raises InvalidCommand if a setting is broken."""
    try:
        return set(project.users_of_keys(besides=set()))
    except MotoolsError as error:
        raise InvalidCommand(
            f"nothing was removed, as it cannot be told what settings use: {error}"
        ) from error


class Verify(Query):
    """`doit verify`: checks every byte of every artifact."""

    name = "verify"
    doc_purpose = "check every byte of every artifact (exit code 1: some are broken)"
    doc_usage = "[--repair] [--remote]"
    doc_description = None
    cmd_options = (
        OPT_JSON,
        {
            "name": "repair",
            "long": "repair",
            "type": bool,
            "default": False,
            "help": "set aside what is broken, so that the next run makes it anew",
        },
        {
            "name": "remote",
            "long": "remote",
            "type": bool,
            "default": False,
            "help": "ask providers whether files, jobs and models are still there",
        },
    )

    def _execute(self, json: bool, repair: bool, remote: bool) -> int:
        from motools_build.store import upkeep
        from motools_build.store.snapshots import Snapshot

        project = current().project
        artifacts = list(upkeep.artifacts(project.store))
        kept = project.store.snapshots
        snapshots = [*kept, *kept.obstructed()]
        everything: list[OnDisk | Snapshot] = [*artifacts, *snapshots]
        damaged = {one: said for one in everything if (said := upkeep.broken(one))}
        now = dict.fromkeys(damaged, "")
        if repair:
            now |= zip(damaged, upkeep.repair(damaged, project.store), strict=True)
        problems = {
            one.name: f"{said} ({one.path}{now[one]})" for one, said in damaged.items()
        }
        wrong, lost = upkeep.accepted(project.store)
        problems |= wrong
        cut = project.store.accepted.cut()
        there = asyncio.run(health(project)) if remote else []
        ending = _calendar(project) if remote and not json else []
        bad = bool(problems or lost or cut) or any(not one.is_well() for one in there)
        if json:
            count = {"artifacts": len(artifacts), "snapshots": len(snapshots)}
            remotely = [asdict(one) for one in there]
            told: dict[str, object] = {"accepted": lost} if lost else {}
            told |= {"cut": cut} if cut else {}
            body = {**count, "broken": problems, "remote": remotely, **told}
            self._say(dumps(body))
            return int(bad)
        for name, problem in problems.items():
            self._say(f"broken  {name}: {problem}")
        for one in there:
            about = f": {one.about}" if one.about else ""
            self._say(f"{one.health:10}{one.what} {one.id}  {one.stage}{about}")
        for line in ending:
            self._say(line)
        for name, said in lost.items():
            self._say(f"accepted {name}: {said}")
        if cut:
            self._say(f"passed over: {cut}")
        of_snapshots = sum(isinstance(one, Snapshot) for one in damaged)
        if snapshots:
            self._say(f"{len(snapshots)} snapshots, {of_snapshots} broken")
        self._say(f"{len(artifacts)} artifacts, {len(problems) - of_snapshots} broken")
        if problems and not repair:
            self._say("`doit verify --repair` sets aside what is broken")
        return int(bad)


def _calendar(project: Project) -> list[str]:
    """A line for each account that could not be asked, and for each model of any
    setting that has a shutdown date, with the stages to run before."""
    from motools_build.report.calendar import endings

    broken = project.selection.broken(project.zoo.names)
    names = [name for name in project.zoo.names if name not in broken]
    stages = [stage for name in names for stage in project.plan(name).stages]
    told = asyncio.run(ask_calendar(project, payers(stages)))
    return [*told, *map(str, endings(stages, project.store, project.shutdowns))]
