"""Commands that look and change nothing: results, plan, why, status."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial
from inspect import signature
from json import dumps
from typing import TYPE_CHECKING, Any

from doit.cmd_base import DoitCmdBase

from motools_build.doit_host.helping import Helped
from motools_build.doit_host.terminal import InvalidCommand, of_the_system
from motools_build.errors import MotoolsError
from motools_build.project.checks import refused
from motools_build.project.loadable import told_of_loads
from motools_build.project.remote import ask_calendar, looked_up, payers
from motools_build.project.session import Session, current
from motools_build.running.run import versions
from motools_build.stages import ASKED, Stage
from motools_build.text.visible import shown

if TYPE_CHECKING:
    from motools_build.report.explain import Intent

OPT_JSON = {
    "name": "json",
    "long": "json",
    "type": bool,
    "default": False,
    "help": "print JSON",
}


class Query(Helped, DoitCmdBase):  # type: ignore[misc]
    """A command over plans: no stage becomes a task, and nothing is made."""

    doc_usage = "[SETTING|STAGE|PATTERN|KEY|JOB|tag:NAME...] [model=...] [seeds=...]"
    doc_description: str | None = "Without names, the default setting."
    cmd_options: tuple[dict[str, Any], ...] = (OPT_JSON,)
    broken: Mapping[str, MotoolsError] = {}
    """Settings that could not be planned, where none was named."""

    def parse_execute(self, in_args: list[str]) -> int:
        # options may stand after names, too
        ordered = sorted(in_args, key=lambda word: not word.startswith("-"))
        return int(super().parse_execute(ordered))

    def execute(self, params: Any, args: list[str]) -> int:
        if self.helped(params):
            return 0
        if args and "pos_args" not in signature(self._execute).parameters:
            raise InvalidCommand(
                f"`doit {self.name}` takes no names, such as {args[0]!r}"
            )
        try:
            return int(super().execute(params, args))
        except MotoolsError as error:
            raise InvalidCommand(str(error)) from error
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:  # `doit jobs | head`: no one reads on
            raise
        except OSError as error:
            raise of_the_system(error) from error

    def _say(self, text: str) -> None:
        self.outstream.write(shown(text) + "\n")

    def _stages(self, session: Session, words: list[str]) -> list[Stage]:
        return list(session.chosen(words or session.selected).values())

    def _planned(self, session: Session, words: list[str]) -> list[str]:
        """The words; without any, the settings that can be planned: a broken one hides
        nothing of the others."""
        if words:
            return words
        there = session.zoo.names
        self.broken = {**session.zoo.misnamed, **session.broken(there)}
        return [name for name in there if name not in self.broken]

    def _tell_broken(self) -> None:
        for name, error in self.broken.items():
            self._say(f"broken   {name}: {error}")


class Results(Query):
    """`doit results`: the table, without network or rerun."""

    name = "results"
    doc_purpose = "show a setting's results; stale, missing and failed ones as such"
    doc_usage = "[SETTING...] [model=...] [seeds=...]"

    def _execute(self, json: bool, pos_args: list[str]) -> int:
        from motools_build.report.estimates import Estimates
        from motools_build.report.means import means
        from motools_build.report.results import print_results, results

        session = current()
        for name in pos_args:
            session.chosen([name])  # refuses a name that means nothing
        for name in session.selected:
            if json:
                found = results(session.plan(name), session.store)
                estimates = Estimates(found)
                body = {
                    "setting": name,
                    "results": [r.as_json(estimates) for r in found],
                    "means": [mean.as_json() for mean in means(found, estimates)],
                }
                self._say(dumps(body, ensure_ascii=False))
            else:
                print_results(session, name, self.outstream)
        return 0


class Plan(Query):
    """`doit plan`: what a run would do, before it does."""

    name = "plan"
    doc_purpose = "show what a run would do, and why"
    cmd_options = (
        OPT_JSON,
        {
            "name": "remote",
            "long": "remote",
            "type": bool,
            "default": False,
            "help": "look at the providers too, for jobs that could be adopted",
        },
    )

    def _execute(self, json: bool, remote: bool, pos_args: list[str]) -> int:
        from motools_build.report.calendar import endings
        from motools_build.report.explain import intents

        session = current()
        stages = self._stages(session, pos_args)
        wrong = partial(refused, session)
        found = intents(stages, session.store, session.charge, wrong)
        notes: list[str] = []
        if remote:
            found = asyncio.run(looked_up(session, found))
            notes = asyncio.run(ask_calendar(session, payers(stages)))
        found, warnings = told_of_loads(session, found)
        session.memo.save()
        if json:
            self._say(dumps([i.as_json() for i in found], ensure_ascii=False))
            return 0
        for account in payers(stages):
            self._say(f"paid to {account}")
        for line in (*notes, *endings(stages, session.store, session.shutdowns)):
            self._say(str(line))
        for intent in found:
            reason = f"  ({intent.reason})" if intent.reason else ""
            about = f"  {_minutes(intent.seconds)}" if intent.action == "run" else ""
            if intent.tokens is not None:
                about += f"  {intent.tokens:,} tokens, {_usd(intent.cost)}"
            self._say(f"{intent.action:10}  {intent.stage.name}{about}{reason}")
        for said in warnings:
            self._say(f"warning: {said}")
        self._say(_total(found))
        return 0


class Why(Query):
    """`doit why STAGE`: what its key is made of, and what differs from what exists."""

    name = "why"
    doc_purpose = "show what a stage's key is made of, and why it is stale"
    doc_usage = "STAGE|KEY|JOB"
    doc_description = None

    def _execute(self, json: bool, pos_args: list[str]) -> int:
        from motools_build.report import explain

        session = current()
        stages = list(session.chosen(pos_args, superseded=True).values())
        if len({stage.key for stage in stages}) != 1:
            names = "\n".join(stage.name for stage in stages[:20])
            raise InvalidCommand(f"`doit why` explains one stage; name one:\n{names}")
        stage, store = stages[0], session.store
        record = store.get(stage)
        stale = session.superseded_by(stage) or store.why_stale(stage)
        near = explain.nearest(stage, store) if stale else None
        present = {used.name: store.get(used) for used in stage.upstream}
        used = {
            name: {
                "recorded": record.inputs.get(upstream.key) if record else None,
                "present": found.output if found else None,
            }
            for (name, found), upstream in zip(
                present.items(), stage.upstream, strict=True
            )
        }
        libraries = explain.older_versions(record, versions()) if record else []
        differs = explain.differences(stage, near) if near else []
        if json:
            body = {
                "stage": stage.name,
                "key": stage.key,
                "preimage": stage.preimage,
                "files": stage.files,
                "observed": dict(record.details.get("observed", {})) if record else {},
                "variables": record.details.get("variables", []) if record else [],
                "stale": stale,
                "nearest": {"name": near.name, "key": near.key} if near else None,
                "differences": differs,
                "upstream": used,
                "other libraries": libraries,
            }
            self._say(dumps(body, ensure_ascii=False))
            return 0
        self._say(f"{stage.name}\n{stale or 'up to date'}\n\nkey {stage.key}")
        for name, value in explain.flat(stage.preimage).items():
            self._say(f"   {name:24} {value}")
        for file in stage.files:
            self._say(f"   file                     {file}")
        for what in ("observed", "variables"):
            for name in record.details.get(what, ()) if record else ():
                self._say(f"   {what:24} {name}  (not in the key)")
        for name, outputs in used.items():
            self._say(f"\nmade from {name}")
            self._say(f"   recorded output          {outputs['recorded']}")
            self._say(f"   present output           {outputs['present'] or 'gone'}")
        for library in libraries:
            self._say(f"\nmade with another version: {library} (nothing re-runs)")
        if near:
            self._say(f"\nnearest artifact: {near.name}, key {near.key}")
            for field, old, new in differs:
                self._say(f"   {field:24} {_said(old)} -> {_said(new)}")
        elif stale:
            self._say(f"\nthere is no other {stage.kind} to compare with")
        return 0


class Status(Query):
    """`doit status`: how far the settings are; exit code 1 if one is incomplete."""

    name = "status"
    doc_purpose = "show how far settings are (exit code 1: not complete)"
    doc_description = "Without names, all settings."

    def _execute(self, json: bool, pos_args: list[str]) -> int:
        from motools_build.report.paid_jobs import in_flight, under_way
        from motools_build.report.results import status_of

        session = current()
        words = self._planned(session, pos_args)
        older = session.store.runs.older_keys()
        rows: dict[str, Counter[str]] = {}
        for stage in session.chosen(words).values():
            if stage.kind == "model" or stage.kind in ASKED:
                row = rows.setdefault(stage.setting, Counter())
                row[status_of(stage, session.store, older)[0]] += 1
        complete = all(set(row) <= {"ok"} for row in rows.values())
        complete = complete and not self.broken
        if json:
            flying = [job.as_json() for job in in_flight(session.store, set(rows))]
            broken = {name: str(error) for name, error in self.broken.items()}
            body = {"complete": complete, "settings": rows, "jobs": flying}
            body = {**body, "broken": broken} if broken else body
            self._say(dumps(body, ensure_ascii=False))
        else:
            self._table(rows)
            for line in under_way(session.store, set(rows)):
                self._say(line)
            self._tell_broken()
        return 0 if complete else 1

    def _table(self, rows: dict[str, Counter[str]]) -> None:
        from motools_build.report.results import console_of, plain_table

        table = plain_table("setting", *STATUSES)
        for setting, row in rows.items():
            shown = ("up to date" if s == "ok" else s for s in STATUSES)
            counts = (row["ok" if s == "up to date" else s] for s in shown)
            table.add_row(setting, *(str(count or "-") for count in counts))
        console_of(self.outstream).print(table)


STATUSES = ("up to date", "stale", "running", "failed", "missing")


def _total(found: list[Intent]) -> str:
    """How many of each, how long, how much; `?` where not all is known, never 0."""
    counts = Counter(intent.action for intent in found)
    to_run = [intent for intent in found if intent.action == "run"]
    total = ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))
    if to_run:
        known = [i.seconds for i in to_run if i.seconds is not None]
        total += f"; time {_minutes(sum(known) if known else None)}"
        if known and len(known) < len(to_run):
            total += " and what is not known"
        costs = [intent.cost for intent in found]
        told = sum(cost for cost in costs if cost is not None)
        if None not in costs:
            total += f"; cost: {_usd(told) if told else '$0'}"
        else:
            total += f"; cost: {_usd(told) + ' + ' if told else ''}?"
    return total or "no stages"


def _usd(amount: float | None) -> str:
    return "?" if amount is None else f"~${amount:.2f}"


def _minutes(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    return f"~{seconds:.0f} s" if seconds < 120 else f"~{seconds / 60:.0f} min"


def _said(value: Any) -> str:
    return "(not there)" if value is None else str(value)
