"""Every way an eval can end: what the user is told, what counts, what is asked next."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project, Ran, furnish
from tests.lab import KEY
from tests.rehearsal.server import Rehearsal

# what Inspect and its dependencies deprecate or leave open is not ours to mend
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

CHAT = "POST /v1/chat/completions"
JUDGE = "openai/gpt-4.1-2025-04-14"

ENDINGS = """
import os, sys
import anyio
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import Score, match, mean, scorer, stderr
from inspect_ai.solver import solver

SAMPLES = [Sample(id=n, input=f"say {n}", target=f"say {n}") for n in range(1, 5)]

def cause():
    return os.path.exists(os.environ["CAUSE"])

def note(*words):
    with open(os.environ["NOTES"], "a") as file:
        print(*words, file=file)

@solver
def asks(name, breaks=False, waits=False):
    async def solve(state, generate):
        note(name, state.sample_id)
        if cause() and breaks and state.sample_id == 3:
            raise ValueError("the sandbox fell over")
        while cause() and waits and state.sample_id > 2:
            note("pids", os.getpid(), os.getppid())
            await anyio.sleep(0.1)
        return await generate(state)
    return solve

@scorer(metrics=[mean(), stderr()])
def says(what):
    async def score(state, target):
        if state.sample_id == 3 and cause():
            if what == "raise":
                raise ValueError("no number in the answer")
            if what == "exit":
                sys.exit("enough")
            return None if what is None else Score(value=what)
        return Score(value=1.0)
    return score

def made(name, scorer=None, samples=SAMPLES, breaks=False, waits=False, **more):
    solver = asks(name, breaks, waits)
    return Task(dataset=samples, solver=solver, scorer=scorer or match(), **more)

@task
def success(): return made("success")
@task
def sample_error(): return made("sample_error", breaks=True)
@task
def tolerated(): return made("tolerated", breaks=True, fail_on_error=False)
@task
def half_tolerated(): return made("half_tolerated", breaks=True, fail_on_error=0.5)
@task
def nan(): return made("nan", says(float("nan")))
@task
def none(): return made("none", [match(), says(None)])
@task
def half_none(): return made("half_none", says(None))
@task
def parser_raises(): return made("parser_raises", says("raise"))
@task
def limited(): return made("limited")
@task
def empty(): return made("empty", samples=[] if cause() else SAMPLES)
@task
def without_scorer(): return Task(dataset=SAMPLES, solver=asks("without_scorer"))
@task
def scorer_exits(): return made("scorer_exits", says("exit"))
@task
def exits():
    if cause():
        sys.exit("no such dataset")
    return made("exits")
@task
def waits(): return made("waits", waits=True)
"""


@dataclass
class Bench:
    """A project whose evals end badly while a file, the cause, is there."""

    project: Project
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        root = self.project.root
        self.cause, self.notes = root / "cause", root / "notes"
        self.cause.touch()
        self.environ = {"CAUSE": str(self.cause), "NOTES": str(self.notes)}

    def setting(self, evals: str, **fields: str) -> None:
        """`tiny`: a dummy model as it is, and these evals."""
        more = "".join(f"{name}={value}, " for name, value in fields.items())
        self.project.write(
            "zoo/tiny.py",
            "from motools_build import Eval, Setting\n"
            'setting = Setting(description="x", models=["dummy/echo"], train=False, '
            f"{more}evals={evals})\n",
        )

    def doit(self, *args: str, code: int | None = 0) -> Ran:
        ran = self.project.doit(*args, code=code, **self.environ)
        assert "Traceback" not in ran.out + ran.err, ran.out + ran.err
        return ran

    def start(self) -> subprocess.Popen[str]:
        return self.project.start("run", "tiny", **self.environ)

    def results(self) -> dict[str, dict[str, Any]]:
        """Eval -> what `doit results --json` says of it."""
        found = json.loads(self.doit("results", "tiny", "--json").out)["results"]
        return {result["eval"]: result for result in found}

    def lines(self, first: str) -> list[list[str]]:
        """What tasks noted, of the lines that begin with a word."""
        text = self.notes.read_text() if self.notes.exists() else ""
        found = (line.split() for line in text.splitlines())
        return [words for words in found if words[0] == first]

    def asked(self, name: str) -> Counter[str]:
        """How often each sample of an eval was asked since the last look."""
        return Counter(words[1] for words in self.lines(name))

    def kept(self, key: str) -> list[Any]:
        """The logs in the work folder of an eval, each opened by Inspect."""
        from inspect_ai.log import read_eval_log

        files = sorted((self.project.root / "artifacts/work" / key).glob("*.eval"))
        return [read_eval_log(str(file)) for file in files]

    def status(self, code: int = 1) -> dict[str, int]:
        """Of `doit status --json`."""
        out = self.doit("status", "tiny", "--json", code=code).out
        found: dict[str, int] = json.loads(out)["settings"]["tiny"]
        return found


def bench(root: Path) -> Bench:
    made = Bench(furnish(root))
    made.project.write("zoo/evals/endings.py", ENDINGS)
    return made


ALL = {"1": 1, "2": 1, "3": 1, "4": 1}
FAILED = {
    # what is said; samples asked; samples that the next run asks, the cause gone
    "sample_error": ("ValueError('the sandbox fell over')", ALL | {"3": 2}, {"3": 1}),
    "tolerated": ("ValueError('the sandbox fell over')", ALL | {"3": 2}, {"3": 1}),
    "half_tolerated": ("ValueError('the sandbox fell over')", ALL | {"3": 2}, {"3": 1}),
    "parser_raises": ("no number in the answer", ALL | {"3": 2}, {"3": 1}),
    "empty": ("endings.py@empty: ValueError: The specified dataset is empty", {}, ALL),
    "exits": ("endings.py@exits: SystemExit: no such dataset", {}, ALL),
    "scorer_exits": ("endings.py@scorer_exits: SystemExit: enough", ALL, None),
    "without_scorer": ("has no scorer, so there is nothing to report", ALL, {}),
}
MADE = {
    # n and unscored of its scorers; samples asked
    "success": ({"match": (4, 0)}, ALL),
    "nan": ({"says": (3, 1)}, ALL),
    "none": ({"match": (4, 0), "says": (3, 1)}, ALL),
    "half_none": ({"says": (3, 2)}, dict.fromkeys("1234", 2)),
    "limited": ({"match": (2, 0)}, {"1": 1, "2": 1}),
}
KEEP_A_LOG = ("sample_error", "tolerated", "half_tolerated", "parser_raises")


@dataclass
class Tour:
    """One run of all of them, and one after the cause is gone."""

    bench: Bench
    first: Ran
    results: dict[str, dict[str, Any]]
    status: dict[str, int]
    records: dict[str, dict[str, Any]]
    logs: dict[str, list[Any]]
    asked: dict[str, Counter[str]]
    shown: str
    second: Ran
    asked_then: dict[str, Counter[str]]
    results_then: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Tour:
    here = bench(tmp_path_factory.mktemp("tour") / "project")
    more = {"limited": ", limit=2", "half_none": ", epochs=2"}
    names = [*FAILED, *MADE]
    evals = [f'Eval("zoo/evals/endings.py@{n}"{more.get(n, "")})' for n in names]
    here.setting(f"[{', '.join(evals)}]")
    first = here.doit("run", "tiny", code=2)
    results = here.results()
    found = {
        "first": first,
        "results": results,
        "status": here.status(),
        "shown": here.doit("results", "tiny").out,
        "records": here.project.records("eval"),
        "logs": {name: here.kept(results[name]["key"]) for name in names},
        "asked": {name: here.asked(name) for name in names},
    }
    here.cause.unlink()
    here.notes.unlink()
    second = here.doit("run", "tiny", code=2)  # one has no scorer still
    return Tour(
        bench=here,
        second=second,
        asked_then={name: here.asked(name) for name in names},
        results_then=here.results(),
        **found,
    )


class TestFailures:
    """An eval that fails has no record; what it was told is kept."""

    @pytest.mark.parametrize("name", FAILED)
    def test_it_says_why_and_how_to_go_on(self, tour: Tour, name: str) -> None:
        said, asked, _ = FAILED[name]
        stage = f"eval:tiny/base/echo/{name}"
        blocks = tour.first.out.split("FAILED ")[1:]
        (told,) = (b for b in blocks if stage in re.split("[ ,]+", b.splitlines()[0]))
        assert said in told
        again = next(line for line in told.splitlines() if " again: doit run " in line)
        assert stage in again.split()
        assert tour.asked[name] == asked
        if name in KEEP_A_LOG:
            keys = (tour.results[other]["key"] for other in FAILED if other in told)
            assert "sample 3 (epoch 1) failed: " in told
            assert any(
                f"inspect view --log-dir artifacts/work/{key}" in told for key in keys
            )

    def test_those_of_one_reason_are_one(self, tour: Tour) -> None:
        alike = ("sample_error", "tolerated", "half_tolerated")
        stages = [f"eval:tiny/base/echo/{name}" for name in alike]
        said = tour.first.out.splitlines()
        heads = [line for line in said if line.startswith("FAILED 3 stages: ")]
        assert len(heads) == 1
        assert all(stage in heads[0] for stage in stages)
        lines = [line for line in said if line.startswith("failed   3 stages: ")]
        assert len(lines) == 1
        assert "the sandbox fell over" in lines[0]

    @pytest.mark.parametrize("name", FAILED)
    def test_it_is_no_result(self, tour: Tour, name: str) -> None:
        assert f"eval:tiny/base/echo/{name}" not in tour.records
        result = tour.results[name]
        assert (result["status"], result["scores"]) == ("failed", None)
        assert FAILED[name][0] in result["note"]

    @pytest.mark.parametrize("name", KEEP_A_LOG)
    def test_its_log_is_kept_and_opens(self, tour: Tour, name: str) -> None:
        (log,) = tour.logs[name]
        errors = {sample.id: bool(sample.error) for sample in log.samples}
        assert errors == {1: False, 2: False, 3: True, 4: False}

    @pytest.mark.parametrize("name", FAILED)
    def test_the_next_run_asks_for_what_failed(self, tour: Tour, name: str) -> None:
        left, asked = FAILED[name][2], tour.asked_then[name]
        if name == "scorer_exits":  # it ended all at once: any that were under way
            assert asked["3"] == 1
            assert max(asked.values()) == 1
        else:
            assert asked == left
        failed = name == "without_scorer"
        assert tour.results_then[name]["status"] == ("failed" if failed else "ok")

    def test_they_are_counted(self, tour: Tour) -> None:
        assert tour.status["failed"] == len(FAILED)
        assert f"{len(MADE)} made, {len(FAILED)} failed" in tour.first.out
        again = len(FAILED) - 1
        assert f"{again} made, {len(MADE)} up to date, 1 failed" in tour.second.out


class TestResults:
    """A result says what is in it, and what is not."""

    @pytest.mark.parametrize("name", MADE)
    def test_it_says_of_how_many_it_is(self, tour: Tour, name: str) -> None:
        counts, asked = MADE[name]
        result = tour.results[name]
        assert result["status"] == "ok"
        found = {s: (m["n"], m["unscored"]) for s, m in result["scores"].items()}
        assert found == counts
        assert tour.asked[name] == asked
        assert tour.asked_then[name] == {}

    def test_the_table_says_so(self, tour: Tour) -> None:
        shown = " ".join(tour.shown.split())
        # scored of asked: limited to 2 samples, and 2 epochs of 4 are 8
        assert re.search(r"limited\b.* 2/2 ", shown)
        assert re.search(r"half_none\b.* 6/8 ", shown)
        assert re.search(r"\bnan\b.* 3/4 ", shown)


def wait_for(
    here: Bench, process: subprocess.Popen[str], samples: int = 2
) -> list[str]:
    """Process IDs of the child and the worker, with so many samples in the log."""
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        pids = here.lines("pids")
        if pids and max(map(_samples, _logs(here)), default=0) >= samples:
            return pids[-1][1:]
        time.sleep(0.05)
    raise AssertionError(process.communicate())


def _logs(here: Bench) -> list[Path]:
    return list((here.project.root / "artifacts/work").glob("*/*.eval"))


def _samples(log: Path) -> int:
    try:
        with zipfile.ZipFile(log) as file:
            return sum(name.startswith("samples/") for name in file.namelist())
    except (OSError, zipfile.BadZipFile):  # it is being written
        return 0


@pytest.fixture
def waiting(tmp_path: Path) -> Bench:
    """Two of four samples are answered, two wait as long as the cause is there."""
    here = bench(tmp_path / "project")
    here.setting('[Eval("zoo/evals/endings.py@waits")]')
    return here


def goes_on(here: Bench) -> None:
    """Nothing counts, what was answered is kept, and the next run asks for the rest."""
    from inspect_ai.log import read_eval_log

    assert not here.project.records("eval")
    logs = [read_eval_log(str(file)) for file in _logs(here)]
    assert max(len(log.samples or []) for log in logs) >= 2
    assert "success" not in {log.status for log in logs}
    here.cause.unlink()
    here.notes.unlink()
    here.doit("run", "tiny")
    assert here.asked("waits") == {"3": 1, "4": 1}
    assert here.results()["waits"]["scores"]["match"]["n"] == 4
    assert not _logs(here)


@pytest.mark.real_process
class TestCutShort:
    @pytest.mark.parametrize(
        ("number", "code"),
        [
            pytest.param(signal.SIGINT, 130, id="cancelled", marks=pytest.mark.long),
            pytest.param(signal.SIGTERM, 143, id="TERM", marks=pytest.mark.long),
            pytest.param(signal.SIGKILL, -signal.SIGKILL, id="killed"),
        ],
    )
    def test_the_run(self, waiting: Bench, number: int, code: int) -> None:
        process = waiting.start()
        child, _ = wait_for(waiting, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, out + err
        assert "Traceback" not in out + err
        if number != signal.SIGKILL:
            assert "!! eval:tiny/base/echo/waits  interrupted" in out
            assert "interrupted; what is made is kept: run again to go on" in out
        ended(int(child))
        assert waiting.results()["waits"]["status"] == "missing"
        goes_on(waiting)

    @pytest.mark.parametrize(
        ("who", "number", "said"),
        [
            pytest.param(
                *(0, signal.SIGTERM, "was killed by SIGTERM, twice in a row"),
                id="its child by TERM",
                marks=pytest.mark.long,
            ),
            pytest.param(
                *(1, signal.SIGKILL, "was killed by SIGKILL"),
                id="the worker",
                marks=pytest.mark.long,
            ),
        ],
    )
    def test_what_runs_it_twice(
        self, waiting: Bench, who: int, number: int, said: str
    ) -> None:
        process = waiting.start()
        first = wait_for(waiting, process)
        os.kill(int(first[who]), number)
        second = first
        while second[0] == first[0]:
            second = wait_for(waiting, process)
        os.kill(int(second[who]), number)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 2, out + err
        assert said in out
        result = waiting.results()["waits"]
        assert (result["status"], result["scores"]) == ("failed", None)
        goes_on(waiting)

    def test_what_runs_it_once(self, waiting: Bench) -> None:
        """It is tried again in the same run, from where it was."""
        process = waiting.start()
        child, _ = wait_for(waiting, process)
        waiting.cause.unlink()
        os.kill(int(child), signal.SIGKILL)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
        asked = waiting.asked("waits")
        assert (asked["1"], asked["2"]) == (1, 1)
        assert waiting.results()["waits"]["scores"]["match"]["n"] == 4


def ended(pid: int) -> None:
    """Wait until a process is gone, which is none of ours to reap."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError(f"{pid} goes on")


def test_a_wrong_task_name(tmp_path: Path) -> None:
    here = bench(tmp_path / "project")
    here.setting('[Eval("zoo/evals/endings.py@sucess")]')
    ran = here.doit("run", "tiny", code=3)
    assert "zoo/evals/endings.py has no @task 'sucess'" in ran.out + ran.err
    assert "success" in ran.out + ran.err
    assert not here.project.records("eval")


JUDGED = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import get_model
from inspect_ai.scorer import Score, mean, scorer
from inspect_ai.solver import generate
from motools_build.evals.judges import judge

SAMPLES = [Sample(id=n, input=f"say {n}") for n in range(3)]

@task
def asked():
    return Task(dataset=SAMPLES, solver=generate())

@task
def prose():
    scored = judge("What do you think of {answer}, said to {question}?")
    return Task(dataset=SAMPLES, solver=generate(), scorer=scored)

@scorer(metrics=[mean()])
def length():
    async def score(state, target):
        said = await get_model(role="grader").generate("good?")
        return Score(value=float(len(said.completion)))
    return score
"""


class TestJudges:
    @pytest.fixture
    def judged(self, tmp_path: Path) -> Bench:
        here = bench(tmp_path / "project")
        evals = here.project.root / "zoo/evals"
        (evals / "judged.py").write_text(JUDGED)
        here.environ["OPENAI_API_KEY"] = KEY
        return here

    def account(self, here: Bench, url: str) -> None:
        """Account `lab` at a URL that is in no key."""
        file = here.project.root / "pyproject.toml"
        text = file.read_text().partition("\n[tool.motools_build.accounts.lab]")[0]
        file.write_text(
            f"{text}\n[tool.motools_build.accounts.lab]\n"
            f'base_url = "{url}"\nidentity = "openai@lab"\nrequest_seconds = 2\n'
        )

    @pytest.fixture
    def silent(self) -> Iterator[tuple[str, socket.socket]]:
        """A port that nobody listens on, unless it is told to."""
        with socket.socket() as port:
            port.bind(("127.0.0.1", 0))
            yield f"http://127.0.0.1:{port.getsockname()[1]}/v1", port

    @pytest.mark.parametrize(
        "listens",
        [
            pytest.param(False, id="closed"),
            pytest.param(True, id="silent", marks=pytest.mark.long),
        ],
    )
    def test_one_that_cannot_be_reached(
        self,
        judged: Bench,
        silent: tuple[str, socket.socket],
        rehearsal: Rehearsal,
        listens: bool,
    ) -> None:
        url, port = silent
        if listens:
            port.listen(64)
        self.account(judged, url)
        judged.setting(
            '[Eval("zoo/evals/judged.py@asked", '
            f'scorer="zoo/evals/judged.py@length", roles={{"grader": "{JUDGE}"}})]',
            account='"lab"',
        )
        ran = judged.doit("run", "tiny", code=2)
        assert "and 2 more: " in ran.out
        assert (
            f"no answer from {url} in 2 s (request_seconds of account lab)" in ran.out
        )
        assert not judged.project.records("eval")
        result = judged.results()["asked"]
        assert (result["status"], result["scores"]) == ("failed", None)
        (log,) = judged.kept(result["key"])
        assert all(sample.error for sample in log.samples)
        self.account(judged, rehearsal.url)
        rehearsal.faults([])
        rehearsal.forget()
        ran = judged.doit("run", "tiny")
        assert ran.made == {"eval:tiny/base/echo/asked"}
        assert rehearsal.requests()["counts"][CHAT] == 3

    def test_one_that_answers_prose(self, judged: Bench, rehearsal: Rehearsal) -> None:
        self.account(judged, rehearsal.url)
        rehearsal.faults([])
        judged.setting(
            f'[Eval("zoo/evals/judged.py@prose", roles={{"grader": "{JUDGE}"}})]',
            account='"lab"',
        )
        judged.doit("run", "tiny")
        scores = judged.results()["prose"]["scores"]
        counts = scores["judge"]
        assert (counts["incoherent"], counts["scored"], counts["failed"]) == (3, 0, 0)
        score = scores["score"]
        assert (score["n"], score["unscored"], score["mean"]) == (0, 3, None)
        assert "0/3" in judged.doit("results", "tiny").out
