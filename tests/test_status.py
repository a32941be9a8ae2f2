"""One status: whatever became of a stage, all commands say the same of it.

A table of what the state files, the ledger and the locks tell of a model that a
provider makes, and of what each command then says of the model and of its eval.
"""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from motools_build.errors import StageFailed
from motools_build.keys import Key, canonical, digest_bytes
from motools_build.project.project import Project as Folder
from motools_build.running.effects import entry_of
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Paid
from tests.conftest import Project
from tests.test_properties import doit_here

BASE = "gpt-4.1-mini-2025-04-14"
MODEL = f"model:tutor/tutor/{BASE}/seed0"
EVAL = f"eval:tutor/tutor/{BASE}/seed0/score"
JOB = "ftjob-1"


@dataclass
class Lab:
    """A project with one fine-tune at a provider, which is never asked, and an eval."""

    root: Path
    store: ArtifactStore
    stages: dict[str, Stage]

    @property
    def model(self) -> Stage:
        return self.stages[MODEL]

    def paid(self, phase: str, **fields: Any) -> Paid:
        usual = {"stage": MODEL, "kind": "model", "backend": "openai"}
        usual |= {"account": "default", "since": time.time()}
        return Paid(phase, **{**usual, **fields})  # type: ignore[arg-type]

    def save(self, phase: str, **fields: Any) -> None:
        """What a run that ended in this phase leaves in the state file."""
        self.store.states.save_paid(self.model.key, self.paid(phase, **fields))

    def note(self, event: Any, **fields: Any) -> None:
        """A line of the ledger."""
        entry = entry_of(self.model.key, self.paid("bound", id=JOB, **fields), event)
        self.store.ledger.note(entry)

    def make(self, stage: Stage, output: str = "ft:made") -> None:
        """An artifact, as a run leaves it."""
        work = self.store.work_folder(stage)
        used = {one.key: one for one in stage.upstream}
        found = {key: self.store.get(one) for key, one in used.items()}
        self.store.put(
            stage,
            work,
            output=output,
            details={"scores": {"score": {"mean": 0.5}}} if stage.asks else {},
            inputs={
                key: record.output if record else "" for key, record in found.items()
            },
            made={"time": "2026-11-26T00:00:00Z", "seconds": 1.0},
        )

    def say(self, *words: str) -> str:
        """What a command prints; whether it fails is not looked at."""
        return doit_here(self.root, *words).out


@pytest.fixture
def lab(project: Project, monkeypatch: pytest.MonkeyPatch) -> Lab:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    project.dataset("tutor", 12)
    project.setting("tutor", models=f'["openai/{BASE}"]', controls="False")
    with chdir(project.root):
        plan = Folder({}).plan("tutor")
    stages = {stage.name: stage for stage in plan.stages}
    return Lab(project.root, ArtifactStore(project.root / "artifacts"), stages)


def nothing(lab: Lab) -> None:
    pass


def parked(lab: Lab) -> None:
    lab.save("parked", until=time.time() + 3600, message="100 jobs a day")


def parking_is_over(lab: Lab) -> None:
    lab.save("parked", until=time.time() - 1, message="100 jobs a day")


def parked_for_another_account(lab: Lab) -> None:
    lab.save("parked", until=time.time() + 3600, account="another")


def answer_lost(lab: Lab) -> None:
    lab.save("intent", nonces=("n",))


def bound(lab: Lab) -> None:
    lab.note("bound")
    lab.save("bound", id=JOB)


def bound_and_state_lost(lab: Lab) -> None:
    lab.note("bound")


def succeeded_and_not_collected(lab: Lab) -> None:
    bound(lab)
    lab.note("succeeded")


def cleaned(lab: Lab) -> None:
    lab.note("bound")
    lab.note("succeeded")


def failed_here(lab: Lab) -> None:
    error = StageFailed("the system refused: no space left")
    lab.store.states.record_failure(lab.model.key, MODEL, error, None)


def failed_there(lab: Lab) -> None:
    lab.note("bound")
    lab.note("failed")
    lab.save("failed", id=JOB, message="too few rows")


def cancelled(lab: Lab) -> None:
    lab.note("bound")
    lab.note("cancelled")
    lab.save("cancelled", id=JOB)


def gone(lab: Lab) -> None:
    lab.note("bound")
    lab.note("gone")
    lab.save("gone", id=JOB)


def damaged(lab: Lab) -> None:
    lab.save("bound", id=JOB)
    (lab.store.root / f"state/{lab.model.key}.json").write_text('{"paid": ')


def stale(lab: Lab) -> None:
    """Made with other inputs, under another key."""
    older = replace(lab.model, key=Key("0" * 32), upstream=())
    preimage = {**older.preimage, "spec": {**older.preimage["spec"], "epochs": 9}}
    key = Key(digest_bytes(canonical(preimage)))
    older = replace(older, key=key, preimage=preimage)
    lab.make(older)
    lab.store.runs.note({}, {"tutor": [older]})


def made(lab: Lab) -> None:
    lab.note("bound")
    lab.note("succeeded")
    lab.make(lab.model)


def all_made(lab: Lab) -> None:
    made(lab)
    lab.make(lab.stages[EVAL], "scores")


@dataclass(frozen=True)
class Says:
    """What is said of the model, and then of its eval."""

    model: str
    """Its status: of `status`, `why`, and `list --status`."""
    action: str
    """Of `plan`."""
    eval: str
    """The eval's status: of `results`, `samples` and all that counts them."""
    why: str
    """In the words of every command that says why."""
    eval_action: str = "run"
    job: str = ""
    """The job's state: of `jobs`."""


TABLE: dict[Callable[[Lab], None], Says] = {
    nothing: Says("missing", "run", "missing", "not made yet"),
    parked: Says(
        *("parked", "parked", "parked", "parked until .*: 100 jobs a day"),
        *("blocked", "parked until "),
    ),
    parking_is_over: Says(
        *("parked", "run", "parked", "parked until .*, which a run sends now: 100"),
        *("run", "parked until "),
    ),
    # a run with this account does not ask when the other may send again
    parked_for_another_account: Says(
        *("missing", "run", "missing", "not made yet", "run", "parked until ")
    ),
    answer_lost: Says(
        *("running", "resume", "running", "a request is under way"),
        *("run", "not known"),
    ),
    bound: Says(
        *("running", "resume", "running", f"{JOB} of account default is under way"),
        *("run", "submitted"),
    ),
    bound_and_state_lost: Says(
        *("running", "resume", "running", f"{JOB} of account default is under way"),
        *("run", "submitted"),
    ),
    succeeded_and_not_collected: Says(
        *("missing", "resume", "missing", f"{JOB} has succeeded; the next run takes"),
        *("run", "succeeded"),
    ),
    cleaned: Says(
        *("missing", "adopt", "missing", f"{JOB} has succeeded; the next run takes"),
        *("run", "succeeded"),
    ),
    failed_here: Says("failed", "run", "failed", "no space left"),
    failed_there: Says(
        *("failed", "blocked", "failed", f"{JOB} failed at the provider: too few rows"),
        *("blocked", "failed"),
    ),
    cancelled: Says(
        *("failed", "blocked", "failed", f"{JOB} was cancelled"),
        *("blocked", "cancelled"),
    ),
    gone: Says(
        *("failed", "blocked", "failed", f"{JOB} is gone from the provider"),
        *("blocked", "gone"),
    ),
    damaged: Says(
        *("failed", "blocked", "failed", "is damaged"), *("blocked", "damaged")
    ),
    stale: Says("stale", "run", "missing", "its inputs changed since"),
    made: Says("ok", "up to date", "missing", "", "run", "succeeded"),
    all_made: Says("ok", "up to date", "ok", "", "up to date", "succeeded"),
}


@pytest.mark.parametrize("state", TABLE, ids=lambda state: state.__name__)
def test_all_commands_say_the_same(lab: Lab, state: Callable[[Lab], None]) -> None:
    state(lab)
    check(lab, TABLE[state])


def test_what_another_run_makes_is_running(lab: Lab) -> None:
    """Even what failed before: whoever makes it now decides."""
    failed_here(lab)
    assert lab.store.locks.take(lab.model.key)
    try:
        check(lab, Says("running", "resume", "running", "is being made"))
    finally:
        lab.store.locks.drop(lab.model.key)


def check(lab: Lab, says: Says) -> None:
    """Every command, human and JSON."""
    why = re.compile(says.why)
    # results: JSON, CSV and the table
    (result,) = json.loads(lab.say("results", "tutor", "--json"))["results"]
    assert result["status"] == says.eval
    (row,) = csv.DictReader(io.StringIO(lab.say("results", "tutor", "--csv")))
    assert (row["status"], row["note"]) == (says.eval, result["note"])
    shown = lab.say("results", "tutor")
    assert says.eval in shown if says.eval != "ok" else "0.50" in shown
    # status
    counts = json.loads(lab.say("status", "tutor", "--json"))["settings"]["tutor"]
    both = {says.model, says.eval}
    assert counts == {one: [says.model, says.eval].count(one) for one in both}
    # plan
    plan = {one["stage"]: one for one in json.loads(lab.say("plan", "--json", "tutor"))}
    assert (plan[MODEL]["action"], plan[EVAL]["action"]) == (
        says.action,
        says.eval_action,
    )
    assert f"{says.action:10}  {MODEL}" in lab.say("plan", "tutor")
    # why
    told = json.loads(lab.say("why", "--json", MODEL))
    assert (told["status"], bool(why.search(told["note"]))) == (says.model, True)
    assert (told["stale"] is None) == (says.model == "ok")
    assert why.search(lab.say("why", MODEL))
    assert json.loads(lab.say("why", "--json", EVAL))["status"] == says.eval
    # samples
    (samples,) = json.loads(lab.say("samples", "--json", EVAL))
    assert samples["status"] == says.eval
    # the reason reaches the eval, where it is the model's
    if says.eval == says.model != "ok" and says.eval not in ("missing", "stale"):
        assert why.search(result["note"]), result["note"]
        assert why.search(samples["note"])
    # list --status
    listed = {
        line.split()[1]: line
        for line in lab.say("list", "--all", "--status", "tutor").splitlines()
    }
    for stage, word in ((MODEL, says.model), (EVAL, says.eval)):
        assert listed[stage][0] == ("U" if word == "ok" else "R")
        assert listed[stage].endswith(")") == (word != "ok")
        assert word == "ok" or listed[stage].endswith(f"({word})")
    # jobs
    states = [job["state"] for job in json.loads(lab.say("jobs", "--json"))]
    assert [one.startswith(says.job) for one in states] == [True] * bool(says.job)
