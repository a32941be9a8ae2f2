"""When models end: asked once a day, remembered, shown with what to run before."""

from __future__ import annotations

import calendar
import json
import time
from datetime import date
from pathlib import Path

import pytest

from motools_build.backends.shutdowns import Shutdowns, day_of
from tests.lab import MODEL, TASK, Lab
from tests.rehearsal.server import BASE

MODELS = "GET /v1/models"
ENDS = float(calendar.timegm((2027, 1, 14, 0, 0, 0)))
FAR = float(calendar.timegm((2999, 1, 14, 0, 0, 0)))


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("2027-01-14", date(2027, 1, 14)),
        ("2027-01-14T00:00:00Z", date(2027, 1, 14)),
        (ENDS, date(2027, 1, 14)),
        *((odd, None) for odd in (None, "", "soon", True, -1, 1e99, [], {})),
    ],
)
def test_what_a_list_may_say(said: object, day: date | None) -> None:
    assert day_of(said) == day


def test_it_is_only_a_memory(tmp_path: Path) -> None:
    file = tmp_path / "artifacts/shutdowns.json"
    told = Shutdowns(file)
    assert told.due("lab")
    told.note("lab", {"gpt-4o": "2027-01-14", "ft:gpt-4o:o::1": "2027-01-01"})
    again = Shutdowns(file)
    assert not again.due("lab")
    assert again.due("another")
    assert again.of("lab", "ft:gpt-4o:o::1") == date(2027, 1, 1)
    its_base = again.of("lab", "ft:gpt-4o:o::2", "gpt-4o")
    assert its_base == date(2027, 1, 14)
    assert again.of("lab", "gpt-5") is again.of("another", "gpt-4o") is None
    body = json.loads(file.read_text())
    body["lab"]["asked"] = time.time() - 86_401
    file.write_text(json.dumps(body))
    assert Shutdowns(file).due("lab")
    for damaged in ("", "{", "[]", '{"lab": 1}', '{"lab": {"asked": "x"}}'):
        file.write_text(damaged)
        assert Shutdowns(file).due("lab")


def test_asked_once_a_day_and_shown(lab: Lab) -> None:
    lab.setting(seeds="[0]")
    lab.server.settings(shutdown=FAR)
    assert "ends on" not in lab.doit("plan", "tutor").out
    assert "ends on" not in lab.doit("list").out
    assert lab.counts() == {}  # neither looks anywhere
    line = f"{BASE} ends on 2999-01-14, in"
    assert line in lab.run("wait=no", "seeds=0").out
    lab.run()
    assert lab.counts()[MODELS] == 1
    out = lab.doit("plan", "tutor", "seeds=0,1").out
    assert line in out
    assert "to run before" not in out  # a dummy eval asks nobody
    assert lab.counts() == {}
    assert line in lab.doit("verify", "--remote").out
    lab.doit("plan", "tutor", "--remote")
    assert MODELS not in lab.counts()


def test_what_is_to_be_run_before(lab: Lab) -> None:
    lab.account(base_url="http://127.0.0.1:9/v1")
    lab.project.write("ask.py", TASK)
    judge = f'roles={{"grader": "openai/{BASE}"}}'
    evals = f'[Eval("ask.py@ask"), Eval("ask.py@ask", name="judged", {judge})]'
    lab.setting(seeds="[0]", evals=evals, models='["dummy/echo"]', account="'lab'")
    told = Shutdowns(lab.project.root / "artifacts/shutdowns.json")
    told.note("lab", {BASE: "2999-01-14"})
    out = lab.doit("plan", "tutor").out
    (line,) = [line for line in out.splitlines() if "ends on 2999-01-14" in line]
    assert line.endswith(
        "to run before: eval:tutor/base/echo/judged, eval:tutor/tutor/echo/seed0/judged"
    )
    told.note("lab", {BASE: "2020-01-14"})
    assert f"{BASE} has ended (2020-01-14)" in lab.doit("plan", "tutor").out


def test_a_list_that_cannot_be_had_stops_nothing(lab: Lab) -> None:
    lab.setting(seeds="[0]", evals="[]", controls="False")
    lab.server.faults([{"fault": "error", "on": f"{MODELS}$"}])
    out = lab.run().out
    assert "when models of account default end: " in out
    assert f"{MODEL}0" in lab.project.records("model")
