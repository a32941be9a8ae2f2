"""`doit cancel`: the emergency stop, from what artifacts/ tells alone."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from motools_build.backends.provider import Found
from motools_build.doit_host.cancelling import Outcome, _Cancelling
from motools_build.errors import Refused
from motools_build.keys import Key
from motools_build.report.paid_jobs import jobs
from motools_build.running.effects import entry_of
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.records import Paid
from motools_build.store.state import States
from tests.lab import MODEL, Lab
from tests.rehearsal.server import BASE
from tests.test_paying import until

ONE, TWO = f"{MODEL}0", f"{MODEL}1"


def statuses(lab: Lab) -> list[str]:
    return [job["status"] for job in lab.there("jobs")]


def test_without_its_setting_its_variables_and_dodo(lab: Lab) -> None:
    """By ID, by key, by pattern, and all: from artifacts/ alone."""
    lab.setting(seeds="[0, 1, 2, 3]", models='["dummy/echo"]')
    lab.server.settings(seconds=600)
    lab.run("wait=no", f"model=openai/{BASE}")
    (lab.project.root / "zoo/tutor.py").unlink()
    lab.project.write("zoo/broken.py", "1 / 0\n")
    lab.project.write("dodo.py", "import nothing_of_that_name\n")
    by_stage = {job["stage"]: job for job in lab.jobs()}
    assert "no job that could be meant" in lab.doit("cancel", "no*", code=3).err
    assert "--all" in lab.doit("cancel", code=3).err
    id = by_stage[ONE]["id"]
    assert f"{id} of {ONE}: cancelled" in lab.doit("cancel", id).out
    lab.doit("cancel", by_stage[TWO]["key"][:8])
    assert statuses(lab).count("cancelled") == 2
    out = lab.doit("cancel", "--json", "model:*/seed2", ONE).out
    assert [one["over"] for one in json.loads(out)] == [True, True]
    assert "had ended before" in out
    assert "1 cancelled or ended" in lab.doit("cancel", "--all").out
    assert statuses(lab) == ["cancelled"] * 4
    assert {job["state"] for job in lab.jobs()} == {"cancelled"}
    assert "no job goes on" in lab.doit("cancel", "--all").out


def test_of_several_accounts_one_without_a_key(lab: Lab) -> None:
    lab.account("lab", key_variable="LAB_KEY")
    lab.setting(seeds="[0, 1]")
    lab.server.settings(seconds=600)
    lab.run("wait=no", "seeds=0", "account=lab", LAB_KEY="sk-of-the-lab")
    lab.run("wait=no", "seeds=1")
    ran = lab.doit("cancel", "--all", code=1)
    assert ran.out.count("LAB_KEY is not set") == 1
    assert "1 cancelled or ended, 1 may go on" in ran.out
    assert sorted(statuses(lab))[0] == "cancelled"
    lab.doit("cancel", "--all", LAB_KEY="sk-of-the-lab")
    assert statuses(lab) == ["cancelled", "cancelled"]


def test_one_line_for_what_fails_for_one_reason(lab: Lab) -> None:
    lab.setting(seeds="[0, 1, 2]")
    lab.server.settings(seconds=600)
    lab.run("wait=no")
    elsewhere = "http://127.0.0.1:9/v1"
    ran = lab.doit("cancel", "--all", code=1, OPENAI_BASE_URL=elsewhere)
    assert ran.out.count("give the account that base URL again") == 1
    assert "3 jobs: not cancelled" in ran.out
    assert "cancelled" not in statuses(lab)


def test_a_run_that_is_under_way_sends_nothing_more(lab: Lab) -> None:
    """The place of a cancelled job is free; what waits for it is not sent."""
    lab.account(concurrent_jobs=1)
    lab.setting(seeds="[0, 1, 2]", account="'lab'", controls="False")
    lab.server.settings(seconds=600)
    process = lab.start("run", "tutor")
    until(lambda: [e for e in lab.ledger() if e["kind"] == "model"])
    lab.doit("cancel", "tutor")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2, out + err
    assert len(lab.there("jobs")) == 1
    # of one reason, told once; neither of the two is sent
    assert "was cancelled (doit cancel) while this run was under way" in out
    assert "1 failed" not in out
    lab.server.settings(seconds=0.1)
    lab.run(code=2)  # a later run sends what the earlier one did not
    assert sorted(statuses(lab)) == ["cancelled", "succeeded", "succeeded"]


def test_a_request_whose_answer_is_not_known(lab: Lab) -> None:
    lab.setting(seeds="[0]")
    lab.server.settings(seconds=600)
    lab.run("wait=no")
    (job,) = lab.jobs()
    states = States(lab.project.root / "artifacts")
    paid = states.paid(job["key"])
    assert paid is not None
    (lab.project.root / "artifacts/ledger.jsonl").write_text("")

    def asked(nonces: tuple[str, ...], since: float) -> Paid:
        body = {**vars(paid), "phase": "intent", "id": "", "nonces": nonces}
        return Paid(**{**body, "since": since})

    states.save_paid(job["key"], asked(("another",), time.time()))
    slow = {"MOTOOLS_SETTLE_SECONDS": "600"}
    out = lab.doit("cancel", "--all", code=1, **slow).out
    assert "may still appear" in out
    assert f"doit cancel {job['key'][:8]}" in out
    assert "cancelled" not in statuses(lab)
    states.save_paid(job["key"], asked(tuple(paid.nonces), time.time()))
    assert f"{job['id']} of {ONE}: cancelled" in lab.doit("cancel", "--all", **slow).out
    assert statuses(lab) == ["cancelled"]
    states.save_paid(job["key"], asked(("another",), time.time() - 60))
    assert "never reached the provider" in lab.doit("cancel", ONE).out


def test_a_state_that_is_damaged_hides_no_other_job(lab: Lab) -> None:
    lab.setting()
    lab.server.settings(seconds=600)
    lab.run("wait=no")
    one, two = lab.jobs()
    (lab.project.root / f"artifacts/state/{one['key']}.json").write_text("{")
    assert {job["id"] for job in lab.jobs()} >= {one["id"], two["id"]}
    ran = lab.doit("cancel", "--all", code=1)
    assert "is damaged" in ran.out
    assert statuses(lab) == ["cancelled", "cancelled"]


def in_the_ledger_alone(lab: Lab, *, failed: bool) -> dict[str, Any]:
    """Submit a job, then lose its answer and its state file; the ledger has the intent.
    With `failed`, a later run has failed since, and its state file says only that."""
    lab.setting(seeds="[0]")
    lab.server.settings(seconds=600)
    lab.run("wait=no")
    (job,) = lab.jobs()
    artifacts = lab.project.root / "artifacts"
    States(artifacts).clear(job["key"])
    told = [line for line in lab.ledger() if line["id"] != job["id"]]
    rewrite(lab, told)
    if failed:
        States(artifacts).record_failure(Key(job["key"]), ONE, Refused("no"), None)
    lab.server.forget()
    return job


def rewrite(lab: Lab, told: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(line) + "\n" for line in told)
    (lab.project.root / "artifacts/ledger.jsonl").write_text(lines)


@pytest.mark.parametrize("failed", [False, True])
def test_a_request_that_the_ledger_alone_knows(lab: Lab, failed: bool) -> None:
    """Its job is found at the provider by the ledger's nonce, and never paid again."""
    id = in_the_ledger_alone(lab, failed=failed)["id"]
    assert [job["state"] for job in lab.jobs()] == ["not known"]
    slow = {"MOTOOLS_SETTLE_SECONDS": "600"}
    assert f"{id} of {ONE}: cancelled" in lab.doit("cancel", "--all", **slow).out
    assert statuses(lab) == ["cancelled"]
    assert [(job["id"], job["state"]) for job in lab.jobs()] == [(id, "cancelled")]
    assert "no job goes on" in lab.doit("cancel", "--all").out
    assert f"{id} was cancelled" in lab.run(code=2).out
    assert lab.created() == 0


def test_a_request_that_the_ledger_alone_knows_and_that_got_lost(lab: Lab) -> None:
    """The provider's only job of this key carries the nonce of another folder."""
    job = in_the_ledger_alone(lab, failed=False)
    told = lab.ledger()
    rewrite(lab, [{**line, "nonce": line["nonce"] and "another"} for line in told])
    slow = {"MOTOOLS_SETTLE_SECONDS": "600"}
    for _ in range(2):
        out = lab.doit("cancel", ONE, code=1, **slow).out
        assert "may still appear" in out
        assert f"doit cancel {job['key'][:8]}" in out
    cancel = ("cancel", "--all")
    until(lambda: "never reached the provider" in lab.doit(*cancel, code=None).out)
    assert "no job goes on" in lab.doit(*cancel).out
    assert "cancelled" not in statuses(lab)
    lab.run(code=2)
    assert lab.created() == 0


@pytest.mark.parametrize("lost", [False, True])
def test_a_run_that_goes_on_meanwhile_keeps_its_job(tmp_path: Path, lost: bool) -> None:
    """While the provider is searched, a run makes a job, with the state file or, if it
    is lost, by the ledger."""
    store, key = ArtifactStore(tmp_path), Key("1" * 32)
    begun = Paid("intent", ONE, "model", "openai", "lab", nonces=("x",))
    sent = entry_of(key, begun, "intent", nonce="x")
    store.ledger.note(replace(sent, time="2026-01-01T00:00:00Z"))
    if not lost:
        store.states.save_paid(key, begun)
    bound = replace(begun, phase="bound", id="job-1")

    class Meanwhile(_Cancelling):
        def _provider(self, line: Any, paid: Any) -> Any:
            return self, None

        async def find(self, job: object) -> list[Found]:
            store.ledger.note(entry_of(key, bound, "bound"))
            store.states.save_paid(key, bound)
            return []

    here = cast(Any, SimpleNamespace(store=store, settle=60.0))
    (line,) = jobs(store)
    told = asyncio.run(Meanwhile(here).all([line]))
    assert told == [Outcome(line, False, "has gone on meanwhile; cancel it again")]
    paid = store.states.paid(key)
    assert paid is not None
    assert (paid.phase, paid.id) == ("bound", "job-1")
    assert [(job.id, job.state) for job in jobs(store)] == [("job-1", "submitted")]
