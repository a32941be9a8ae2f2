"""Formats `doit history` for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from motools_build.report.drawing.changes import counted
from motools_build.report.drawing.explanation import made_at
from motools_build.report.estimates import rounded
from motools_build.report.explain import value_shown
from motools_build.report.file_changes import FileChange
from motools_build.report.history import Entry, History, Standing
from motools_build.report.past import shown_time, told
from motools_build.report.run_changes import FieldNote, FileNote, RunChanges
from motools_build.report.stage_history import KeyEntry, StageHistory
from motools_build.store.accepted import Acceptance
from motools_build.text import hints


def lines(found: History | StageHistory) -> Iterator[str]:
    """A history, line by line."""
    if isinstance(found, StageHistory):
        yield from _of_stage(found)
    else:
        yield from _of_setting(found)


def _of_setting(found: History) -> Iterator[str]:
    """The runs of a setting, newest first."""
    yield found.setting
    yield from _former(found.was)
    if not found.entries:
        yield "  no run of it is known (doit run notes each, in artifacts/runs.jsonl)"
        return
    if found.now and not found.now.nothing:
        yield f"\nnow, {'in no run' if _is_accepted(found.now) else 'not run'} yet"
        yield from (f"   {line}" for line in changes_lines(found.now))
    for entry in found.entries:
        yield from _entry(entry, found.setting)
    if found.earlier:
        more = hints.command("history", found.setting, "-n", str(_all(found)))
        yield f"... and {found.earlier} earlier: {more}"
    full = [entry for entry in found.entries if not entry.run.is_smoke]
    example = (full or found.entries)[:2][-1].run.id
    read = hints.command("results", found.setting, "--at", example, without=_GIVEN)
    yield f"results as of a run: {read}"


_GIVEN = ("model", "seeds", "smoke", "account", "checkpoint", "until", "max_seeds")
"""Variables that a command with --at refuses."""


def _all(found: History | StageHistory) -> int:
    return len(found.entries) + found.earlier


def _is_accepted(changes: RunChanges) -> bool:
    """Whether nothing is to be run for the changes: all keys that differ were
    accepted."""
    accepted = sum(changes.accepted.values())
    return bool(accepted) and accepted == changes.keys and not changes.stages


def _former(was: Mapping[str, str]) -> Iterator[str]:
    for name, until in was.items():
        yield f"  was {name} until {shown_time(until)}"


def _entry(entry: Entry, setting: str) -> Iterator[str]:
    run = entry.run
    as_was = f", as {run.setting}" if run.setting != setting else ""
    yield f"\n{told(run)}{as_was}"
    if entry.since is None:
        first = "smoke run that is noted with these variables"
        yield f"   the first {first if run.is_smoke else 'run that is noted'}"
    elif entry.since.setting != run.setting:
        yield f"   the setting was called {entry.since.setting} before"
    if entry.since and (
        not entry.changes.nothing or entry.since.setting == run.setting
    ):
        yield from (f"   {line}" for line in changes_lines(entry.changes))
    if entry.back_to:
        yield f"   back to what it was in run {told(entry.back_to)}"
    for one in entry.results:
        yield f"   {_standing(one)}"
    if entry.left_out:
        command = hints.command("history", setting, "--long")
        yield f"   ... and {entry.left_out} more groups of results: {command}"


def changes_lines(changes: RunChanges) -> Iterator[str]:
    """What changed from one run to another."""
    for one in changes.files:
        # of a dataset that was added, it is enough to say so once
        if f"dataset {one.dataset} {one.what}" not in changes.stages:
            yield _file(one)
    yield from _fields(changes.fields)
    yield from changes.stages
    for said, count in changes.accepted.items():
        yield f"{count} stage{'s' * (count > 1)} accepted: {said}"
    unknown = changes.keys - sum(changes.accepted.values())
    if changes.nothing:
        yield "nothing changed"
    elif unknown and not (changes.files or changes.fields):
        yield f"{unknown} stages have other keys, of which no records remain"


def _file(one: FileNote) -> str:
    name = f"dataset {one.dataset}" if one.dataset else one.path
    if one.what == "renamed":
        return f"{name}: renamed, was {one.was}"
    if one.what in ("added", "removed"):
        return f"{name}: {one.what}"
    if one.rows:
        return f"{name}: {counted(one.rows)}"
    is_code = one.path.endswith(".py")
    return f"{name}: {'source changed' if is_code else 'other bytes'}"


def _fields(fields: tuple[FieldNote, ...]) -> Iterator[str]:
    """A line for each field; one that changed alike in several kinds is told once."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for one in fields:
        name = one.field.removeprefix("spec.").removeprefix("inputs.")
        change = f"{value_shown(one.old)} -> {value_shown(one.new)}"
        kinds.setdefault((name, change), []).append(one.kind)
    for (name, change), of in kinds.items():
        yield f"{name} {change} ({', '.join(of)})"


def _standing(one: Standing) -> str:
    label = f"{one.group} {one.metric}".rstrip()
    if one.then is None:
        then = "no result remains" if one.of else "-"
    else:
        part = f" ({one.made} of {one.of})" if one.made < one.of else ""
        then = f"{rounded(one.then)}{part}"
    now = "" if one.now is None or one.now == one.then else f", now {rounded(one.now)}"
    return f"{label}: {then}{now}"


# ---- a stage


def _of_stage(found: StageHistory) -> Iterator[str]:
    """The keys of a stage, newest first."""
    yield found.stage
    yield from _former(found.was)
    if not found.entries:
        yield "  no run of it is known"
    if found.next:
        yield f"\n{found.next}  <- present"
        if found.next_accepted:
            yield from _acceptance(found.next_accepted)
        if found.next_record:
            made = made_at(found.next_record) or "before"
            yield f"   in no run yet; made {made}{_under(found.next_accepted)}"
        else:
            yield f"   not run yet ({hints.command('why', found.stage)})"
    for entry in found.entries:
        yield from _key(entry, found.stage)
    if found.earlier:
        more = hints.command("history", found.stage, "-n", str(_all(found)))
        yield f"... and {found.earlier} earlier: {more}"
    yield from _how_to_read(found)


def _key(entry: KeyEntry, stage: str) -> Iterator[str]:
    planned = entry.planned
    mark = "  <- present" if entry.present else ""
    yield f"\n{planned.key}{mark}"
    first = f"run {planned.first.id}, {shown_time(planned.first.time)}"
    last = f"run {planned.last.id}, {shown_time(planned.last.time)}"
    when = first if planned.first.id == planned.last.id else f"{first} to {last}"
    yield f"   planned in {when}"
    if planned.name != stage:
        yield f"   as {planned.name}"
    if entry.accepted:
        yield from _acceptance(entry.accepted)
    made = made_at(entry.record) if entry.record else ""
    under = _under(entry.accepted)
    yield f"   made {made}{under}" if made else f"   not made{under}, or removed since"
    shown = [
        f"{name} {rounded(value) if isinstance(value, int | float) else value}"
        for name, value in entry.values.items()
    ]
    if shown:
        yield f"   {', '.join(shown)}"
    told_of = {one.new for one in entry.changes}
    for change in entry.changes:
        dataset = entry.datasets.get(change.path)
        name = f"dataset {dataset}" if dataset else change.path
        yield f"   {name}: {_changed(change)}"
    for field, old, new in entry.differences:
        if new not in told_of:
            yield f"   {field} {value_shown(old)} -> {value_shown(new)}"


def _acceptance(accepted: Acceptance) -> Iterator[str]:
    """Who accepted a key, and what in it differs from that of the artifact."""
    yield f"   accepted{accepted.said}"
    for what in accepted.differs:
        yield f"   differs: {what}"


def _under(accepted: Acceptance | None) -> str:
    return f", under {accepted.of[:8]}" if accepted else ""


def _changed(change: FileChange) -> str:
    """How a file changed, in words."""
    if change.rows:
        return counted(change.rows.counts)
    if change.old is None or change.new is None:
        return "added" if change.old is None else "removed"
    return "source changed" if change.lines else "other bytes"


def _how_to_read(found: StageHistory) -> Iterator[str]:
    old = next((e for e in found.entries if e.record and not e.present), None)
    if old is None:
        return
    run, key = old.planned.last, old.planned.key[:8]
    if found.stage.startswith("eval:"):
        yield f"its answers: {hints.command('samples', key, without=_GIVEN)}"
    at = hints.command("results", run.setting, "--at", run.id, without=_GIVEN)
    yield f"results as of its run: {at}"
