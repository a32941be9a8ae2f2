"""Commands and orders about jobs at a provider: limits, failures, cancel, adopt."""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from itertools import pairwise

from tests.lab import EVAL, MODEL, UPLOAD, Lab
from tests.rehearsal.server import BASE, JOBS

ONE, TWO = f"{MODEL}0", f"{MODEL}1"


def until(what: object, seconds: float = 20) -> None:
    """Wait until a function gives something that is true."""
    assert callable(what)
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


class TestLimits:
    def test_now_and_then_too_many_requests(self, lab: Lab) -> None:
        lab.setting(seeds="[0, 1, 2, 3]")
        lab.server.faults(
            [
                {"fault": "rate", "on": "", "probability": 0.2, "value": 0.1},
                {"fault": "rate", "on": f"POST {JOBS}$", "times": 2, "value": 0.1},
            ]
        )
        assert "10 made" in lab.run().out
        assert lab.server.requests()["faults"]["rate"] > 2
        assert len(lab.there("jobs")) == 4

    def test_not_today(self, lab: Lab) -> None:
        """It parks what it hits, and fails nothing; all else goes on."""
        lab.account(concurrent_jobs=1)  # what is parked holds no place of it
        lab.setting(account="'lab'")
        lab.server.faults([{"fault": "daily", "times": 1}])
        ran = lab.run()
        assert lab.created() == 2
        assert re.search(
            r"deferred: parked until .*jobs a day.*; run again then", ran.out
        )
        (done,) = lab.project.records("model")
        (parked,) = {ONE, TWO} - {done}
        assert done.replace("model:", "eval:") + "/score" in lab.project.records("eval")
        plan = lab.plan()
        assert plan[parked]["action"] == "parked"
        assert "jobs a day" in plan[parked]["reason"]
        assert f"parked      {parked}" in lab.doit("plan", "tutor").out
        assert {j["state"].split()[0] for j in lab.jobs()} == {"succeeded", "parked"}
        assert "parked until" in lab.doit("status", "tutor", code=1).out
        assert "deferred: parked until" in lab.run().out
        assert lab.created() == 0

    def test_parked_for_a_short_time(self, lab: Lab) -> None:
        lab.setting(seeds="[0]")
        lab.server.faults([{"fault": "daily", "times": 1, "value": 1}])
        ran = lab.run()
        assert "4 made" in ran.out
        assert lab.created() == 2

    def test_jobs_a_day(self, lab: Lab) -> None:
        lab.account(jobs_a_day=2)
        lab.setting(seeds="[0, 1, 2]", account="'lab'")
        lab.server.faults(
            [{"fault": "rate", "on": f"POST {JOBS}$", "times": 2, "value": 0.1}]
        )
        ran = lab.run()
        assert "has had its 2 jobs of a day" in ran.out
        assert len(lab.there("jobs")) == 2
        assert "2 deferred" in lab.run().out  # the job, and its eval
        assert len(lab.there("jobs")) == 2

    def test_concurrent_jobs(self, lab: Lab) -> None:
        """Never more than two unfinished, whatever an earlier run left under way."""
        lab.account(concurrent_jobs=2)
        lab.setting(seeds="[0, 1, 2, 3, 4, 5]", account="'lab'", controls="False")
        lab.server.settings(seconds=1.0)
        ran = lab.run("wait=no", "seeds=3,4,5")
        assert len(lab.there("jobs")) == 2
        assert "concurrent_jobs" in ran.out
        process = lab.start("run", "tutor")
        most = 0
        while process.poll() is None:
            jobs = lab.there("jobs")
            most = max(
                most, sum(job["status"] not in ("succeeded", "failed") for job in jobs)
            )
            time.sleep(0.05)
        out, err = process.communicate()
        assert process.returncode == 0, out + err
        assert len(lab.there("jobs")) == 6
        assert most == 2

    def test_requests_a_minute(self, lab: Lab) -> None:
        lab.account(requests_a_minute=600)
        lab.setting(seeds="[0]", account="'lab'")
        lab.run()
        times = [entry["time"] for entry in lab.server.requests()["log"]]
        gaps = [after - before for before, after in pairwise(times)]
        assert len(gaps) > 5
        # each is sent a tenth of a second after the last; the way there varies
        assert sum(gaps) / len(gaps) > 0.09


class TestFailure:
    def test_moderation_of_one_seed(self, lab: Lab) -> None:
        """Shown with the provider's words; the others go on; only `retry` pays anew."""
        lab.tool(f'[tool.motools_build.prices]\n"{BASE}" = {{training = 1000}}')
        lab.setting()
        lab.server.faults([{"fault": "moderation", "match": "tutor-s1"}])
        ran = lab.run(code=2)
        words = "moderation: The fine-tuned model was evaluated and found to be against"
        assert words in ran.out
        assert f"doit retry {TWO}" in ran.out
        assert set(lab.project.records("model")) == {ONE}
        assert f"{EVAL}0/score" in lab.project.records("eval")
        assert lab.created() == 2

        assert words in lab.run(code=2).out
        assert lab.created() == 0
        plan = lab.plan()
        assert plan[TWO]["action"] == "blocked"
        assert words in plan[TWO]["reason"]
        assert plan[f"{EVAL}1/score"]["action"] == "blocked"
        assert lab.statuses()[f"{EVAL}1/score"] == "failed"
        assert lab.failed() == 2
        assert {job["stage"]: job["state"] for job in lab.jobs()} == {
            ONE: "succeeded",
            TWO: "failed",
        }
        lab.server.forget()

        refused = lab.doit("retry", ONE, code=3).err
        assert "nothing to try again" in refused
        said = lab.doit("retry", TWO).out
        assert words in said
        assert re.search(r"attempt 2 costs about \$0\.\d\d \([\d,]+ tokens\)", said)
        assert lab.plan()[TWO]["action"] == "run"
        assert lab.plan("--remote")[TWO]["action"] == "run"
        assert "has not failed" in lab.doit("retry", TWO, code=3).err
        lab.server.faults([])
        lab.run()
        assert lab.created() == 1
        record = lab.project.records("model")[TWO]
        assert record["details"]["attempt"] == 2
        tried = [job for job in lab.jobs() if job["stage"] == TWO]
        assert [(j["attempt"], j["state"]) for j in tried] == [
            (1, "failed"),
            (2, "succeeded"),
        ]
        lab.doit("clean", "tutor")
        lab.run()
        assert lab.created() == 0
        assert lab.project.records("model")[TWO]["output"] == record["output"]

    def test_all_state_is_lost(self, lab: Lab) -> None:
        """`plan --remote` says what a run then does."""
        lab.setting()
        lab.server.faults([{"fault": "moderation", "match": "tutor-s1"}])
        lab.run(code=2)
        lab.doit("clean", "tutor")
        assert lab.plan()[TWO]["action"] == "blocked"
        assert lab.failed() == 2
        shutil.rmtree(lab.project.root / "artifacts")
        assert lab.plan()[ONE]["action"] == lab.plan()[TWO]["action"] == "run"
        plan = lab.plan("--remote")
        assert plan[UPLOAD]["action"] == plan[ONE]["action"] == "adopt"
        assert plan[TWO]["action"] == "blocked"
        assert "moderation: The fine-tuned model" in plan[TWO]["reason"]
        assert "moderation: The fine-tuned model" in lab.run(code=2).out
        assert len(lab.there("jobs")) == 2


class TestNotAwaited:
    def test_the_next_run_takes_it_up(self, lab: Lab) -> None:
        lab.setting()
        lab.server.settings(seconds=600)
        ran = lab.run("wait=no")
        assert lab.created() == 2
        assert "submitted as ftjob-" in ran.out
        assert "4 deferred" in ran.out  # the models, and their evals
        assert lab.project.records("model") == {}
        assert lab.plan()[ONE]["action"] == "resume"
        assert lab.plan()[ONE]["cost"] == 0
        shown = lab.doit("status", "tutor", code=1).out
        assert shown.count("submitted, ") == 2
        ids = {job["id"] for job in lab.there("jobs")}
        assert all(id in shown for id in ids)
        assert lab.statuses()[f"{EVAL}0/score"] == "running"
        lab.doit("clean", "tutor")
        assert "4 deferred" in lab.run("wait=no").out
        lab.server.settings(seconds=0)
        lab.run()
        assert lab.created() == 0
        assert {
            r["details"]["job"] for r in lab.project.records("model").values()
        } == ids

    def test_an_interrupted_wait(self, lab: Lab) -> None:
        lab.setting(seeds="[0]")
        lab.server.settings(seconds=600)
        process = lab.start("run", "tutor")
        until(lambda: [e for e in lab.ledger() if e["kind"] == "model" and e["id"]])
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert process.returncode == 130
        assert "interrupted; what is made is kept: run again to go on" in out
        assert err == ""
        (job,) = lab.there("jobs")
        assert job["status"] in ("validating_files", "queued", "running")
        lab.server.settings(seconds=0)
        lab.run()
        assert lab.created() == 1

    def test_what_has_finished_is_collected_at_once_and_frees_its_slot(
        self, lab: Lab
    ) -> None:
        lab.account(concurrent_jobs=1)
        lab.setting(account="'lab'", controls="False")
        assert "submitted as" in lab.run("wait=no").out
        until(lambda: lab.there("jobs")[0]["status"] == "succeeded")
        ran = lab.run("wait=no")
        assert len(lab.project.records("model")) == 1
        assert "submitted as" in ran.out
        assert len(lab.there("jobs")) == 2


class TestWhatPasses:
    """404s and silence of a server lose nothing and pay nothing twice."""

    def test_404s(self, lab: Lab) -> None:
        lab.setting()
        rules = [
            {"fault": "job_gone", "skip": 1, "times": 3},
            {"fault": "file_gone", "times": 2},
        ]
        lab.server.faults(rules)
        ran = lab.run()
        assert set(lab.project.records("model")) == {ONE, TWO}, ran.out
        assert lab.created() == 2
        assert sum(f["purpose"] == "fine-tune" for f in lab.there("files")) == 1
        for record in lab.project.records("model").values():
            assert record["details"]["checkpoints"] > 0
        lab.server.faults([{"fault": "model_gone", "times": 1}])
        assert "nothing to try again" in lab.doit("retry", ONE, code=3).err

    def test_a_retry_looks_whether_the_last_attempt_lives(self, lab: Lab) -> None:
        lab.setting(seeds="[0]")
        lab.server.settings(seconds=600)
        lab.run("wait=no")
        (job,) = lab.there("jobs")
        (file,) = (
            path
            for path in (lab.project.root / "artifacts/state").glob("*.json")
            if job["id"] in path.read_text()
        )
        state = json.loads(file.read_bytes())
        state["paid"]["phase"] = "gone"  # as an earlier version wrote after one 404
        file.write_text(json.dumps(state))
        lab.server.faults([{"fault": "cut", "on": f"GET {JOBS}"}])
        assert "it is not known whether attempt 1" in (
            lab.doit("retry", ONE, code=3).err
        )
        lab.server.faults([])
        said = lab.doit("retry", ONE).out
        assert f"{job['id']} lives at its provider" in said
        assert lab.plan()[ONE]["action"] == "resume"
        lab.server.settings(seconds=0)
        lab.run()
        assert lab.created() == 1
        assert lab.project.records("model")[ONE]["details"]["attempt"] == 1

    def test_a_server_that_is_down_is_told_of_in_one_line(self, lab: Lab) -> None:
        lab.setting(seeds="[0, 1, 2, 3]", controls="False")
        lab.server.settings(seconds=600)
        lab.run("wait=no")
        lab.server.faults([{"fault": "error", "on": "GET /v1/"}])
        for order in ((), ("wait=no",)):
            ran = lab.run(*order, code=2)
            assert ran.out.count("FAILED") == 1
            assert ran.out.count("account default is given up in this run") == 1
            assert "deferred:" not in ran.out
            assert "6 deferred, 1 failed, 1 not run" in ran.out
        lab.server.faults([])
        lab.server.settings(seconds=0)
        lab.run()
        assert lab.created() == 4
        assert len(lab.project.records("model")) == 4

    def test_a_list_that_repeats_is_no_list(self, lab: Lab) -> None:
        """With all state lost, nothing is paid for again."""
        lab.setting(seeds="[0]")
        lab.run()
        lab.created()
        shutil.rmtree(lab.project.root / "artifacts")
        lab.server.faults([{"fault": "endless", "on": f"GET {JOBS}$"}])
        ran = lab.run(code=2)
        assert "a list goes on, and not where" in ran.out
        assert lab.created() == 0
        lab.server.faults([{"fault": "no_has_more", "on": f"GET {JOBS}$"}])
        lab.run()
        assert lab.created() == 0


class TestByHand:
    def test_cancel_and_retry(self, lab: Lab) -> None:
        lab.setting(seeds="[0]")
        lab.server.settings(seconds=600)
        assert "no job that could be meant" in lab.doit("cancel", ONE, code=3).err
        lab.run("wait=no")
        (job,) = lab.there("jobs")
        assert f"{job['id']} of {ONE}: cancelled" in lab.doit("cancel", ONE).out
        assert lab.there("jobs")[0]["status"] == "cancelled"
        assert lab.failed() == 2
        assert f"{job['id']} was cancelled" in lab.run(code=2).out
        assert "had ended before: cancelled" in lab.doit("cancel", ONE).out
        lab.doit("retry", ONE)
        lab.server.settings(seconds=0.3)
        lab.run()
        assert [j["status"] for j in lab.there("jobs")] == ["cancelled", "succeeded"]

    def test_cancel_while_a_run_waits(self, lab: Lab) -> None:
        lab.setting(seeds="[0]")
        lab.server.settings(seconds=600)
        process = lab.start("run", "tutor")
        until(lambda: [e for e in lab.ledger() if e["kind"] == "model" and e["id"]])
        lab.doit("cancel", ONE)
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 2
        assert "was cancelled" in out
        assert lab.created() == 1
        assert lab.jobs()[0]["state"] == "cancelled"

    def test_adopt(self, lab: Lab) -> None:
        lab.setting()
        lab.server.faults([{"fault": "moderation", "match": "tutor-s1"}])
        lab.run(code=2)
        model = lab.project.records("model")[ONE]["output"]
        lab.created()
        said = lab.doit("adopt", TWO, "ft:nobody", code=3).err
        assert "nothing was adopted: the provider knows no model ft:nobody" in said
        assert f"{TWO} is {model} now" in lab.doit("adopt", TWO, model).out
        record = lab.project.records("model")[TWO]
        assert record["output"] == model
        assert record["details"]["by_hand"]
        lab.run()
        evals = lab.project.records("eval")
        # the dummy eval's score depends on the model alone
        assert evals[f"{EVAL}0/score"]["output"] == evals[f"{EVAL}1/score"]["output"]
        assert [job["state"] for job in lab.jobs()].count("succeeded") == 2
        assert "submitted" not in lab.doit("status", "tutor").out
        lab.doit("clean", "tutor")
        lab.run()
        assert lab.project.records("model")[TWO]["output"] == model
        assert lab.created() == 0

    def test_words_that_name_no_job(self, lab: Lab) -> None:
        lab.setting()
        assert "no job that could be meant" in lab.doit("cancel", "tutor", code=3).err
        assert "takes a stage and a model" in lab.doit("adopt", ONE, code=3).err
        assert "has not failed" in lab.doit("retry", ONE, code=3).err
        assert lab.counts() == {}
