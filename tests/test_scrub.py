"""Keys are in nothing that is written or shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from motools_build.account import Account
from motools_build.backends.inspect.keyless import scrub_logs, scrubbed
from motools_build.errors import StageFailed
from motools_build.store.state import States
from motools_build.text import scrub
from tests.conftest import Project
from tests.lab import EVAL, TASK, Lab

KEY = "plain/0123-4567-89ab-cdef"
"""Digits and a slash: rich gives those colours of their own."""

LEAK = """
import os
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import solver

@solver
def leaky():
    async def solve(state, generate):
        key = os.environ["LAB_CREDENTIAL"]
        print("asked with", key, flush=True)
        os.write(2, f"half a line: {key}".encode())
        raise ValueError(f"Authorization: Bearer {key}")
    return solve

@task
def leak():
    samples = [Sample(input="x", target="y")]
    return Task(dataset=samples, solver=leaky(), scorer=includes())
"""


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub, "_shown_as", {})
    scrub._pattern.cache_clear()


def holding(root: Path, key: str) -> list[str]:
    """Files below a folder that hold the key, members of archives included."""
    import inspect_ai.log  # noqa: F401 - teaches zipfile the compression of its logs

    found = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        texts = {str(path): path.read_bytes()}
        if path.suffix == ".eval":
            with ZipFile(path) as log:
                texts |= {f"{path}/{n}": log.read(n) for n in log.namelist()}
        found += [name for name, data in texts.items() if key.encode() in data]
    return found


class TestWhatIsAKey:
    def test_variables_by_their_names(self) -> None:
        scrub.learn(
            {
                "MY_API_KEY": "first-key-of-all",
                "HF_TOKEN": "second-key-of-all",
                "GOOGLE_APPLICATION_CREDENTIALS": "/home/me/google.json",
                "TOKENIZERS_PARALLELISM": "false-as-ever",
                "SHORT_API_KEY": "x",
                "SORT_KEY": "datasets",
                "HTTPS_PROXY": "http://me:p%40ssword1@proxy:1",
            }
        )
        text = "first-key-of-all second-key-of-all p%40ssword1 p@ssword1"
        assert scrub.scrub(text) == "*** *** *** ***"
        text = "x /home/me/google.json false-as-ever datasets"
        assert scrub.scrub(text) == text

    def test_however_it_is_written(self) -> None:
        scrub.remember('a"key\\of/mine')
        key = 'a"key\\of/mine'
        for text in (key, json.dumps(key), "a%22key%5Cof%2Fmine"):
            assert "key" not in scrub.scrub(text)

    def test_the_query_of_a_url(self) -> None:
        url = "https://gateway/v1?code=s3cret&api-version=2024-10-21"
        account = Account(base_url=url)
        assert "s3cret" not in str(account)
        assert "api-version=2024-10-21" in str(account)
        assert "s3cret" not in scrub.scrub(f"{url} cannot be reached")

    def test_the_longer_of_two_goes_first(self) -> None:
        scrub.remember("12345678")
        scrub.remember("12345678-longer")
        assert scrub.scrub("12345678-longer") == "***"


class TestWhatIsWritten:
    def test_a_failure(self, tmp_path: Path) -> None:
        scrub.remember(KEY)
        states = States(tmp_path)
        states.record_failure("k" * 32, "x", StageFailed(f"no: {KEY}"), None)
        assert holding(tmp_path, KEY) == []
        failure = states.failure("k" * 32)
        assert failure is not None
        assert failure.message == "no: ***"

    def test_a_log_of_another_version_of_inspect(self, tmp_path: Path) -> None:
        """One whose encoder is not the one that is known."""
        coloured = "Bearer \x1b[1mplain\x1b[0m/\x1b[36m0123\x1b[0m"
        error = {"message": KEY, "traceback": f"x {KEY}", "traceback_ansi": coloured}
        log = tmp_path / "a.eval"
        with ZipFile(log, "w") as archive:
            archive.writestr("samples/1.json", json.dumps({"error": error}))
            archive.writestr("header.json", "{}")
        (tmp_path / "torn.eval").write_bytes(b"PK")
        before = log.read_bytes()
        scrub_logs([tmp_path])
        assert log.read_bytes() == before
        scrub.remember(KEY)
        scrub_logs([tmp_path])
        with ZipFile(log) as archive:
            assert archive.namelist() == ["samples/1.json", "header.json"]
            found = json.loads(archive.read("samples/1.json"))["error"]
        assert found == {
            "message": "***",
            "traceback": "x ***",
            "traceback_ansi": "x ***",
        }

    def test_what_holds_none_stays_as_it_is(self) -> None:
        data = b'{"a": 1.0, "b": "\\u00e9"}'
        scrub.remember(KEY)
        assert scrubbed(data) is data


def test_neither_a_provider_nor_a_task_gives_one_away(lab: Lab) -> None:
    lab.project.write("zoo/evals/ask.py", TASK)
    lab.project.write("zoo/evals/leak.py", LEAK)
    lab.setting(
        seeds="[0]",
        account='"lab"',
        evals='[Eval("zoo/evals/ask.py@ask"), Eval("zoo/evals/leak.py@leak")]',
    )
    lab.account(key_variable="LAB_CREDENTIAL")
    lab.server.faults(
        [
            {"fault": "echo", "on": "POST /v1/chat/"},
            {"fault": "echo", "on": "POST /v1/fine_tuning/jobs$"},
        ]
    )
    ran = lab.run(code=2, LAB_CREDENTIAL=KEY)
    assert "authorization: bearer ***" in (ran.out + ran.err).lower()
    root = lab.project.root
    assert list(root.rglob("*.eval"))
    assert list(root.glob("artifacts/logs/*.log"))
    assert holding(root / "artifacts", KEY) == []
    assert KEY not in ran.out + ran.err
    later = [
        lab.doit(*words, code=code, LAB_CREDENTIAL=KEY)
        for code, *words in (
            (0, "results", "tutor"),
            (1, "samples", f"{EVAL}*"),
            (0, "plan", "tutor"),
        )
    ]
    assert all(KEY not in ran.out + ran.err for ran in later)


def test_a_traceback_of_doit_shows_none(tiny: Project) -> None:
    """Not by what is caught here: whatever this process prints."""
    dodo = tiny.root / "dodo.py"
    text = f"{dodo.read_text()}\nimport os\n"
    text += "def task_own():\n    raise ValueError(os.environ['MY_API_KEY'])\n"
    dodo.write_text(text)
    err = tiny.doit("list", code=3, MY_API_KEY=KEY).err
    assert "ValueError: ***" in err


def test_none_of_them_in_dotenv(tiny: Project) -> None:
    tiny.write(".env", f"MY_API_KEY={KEY}\n")
    tiny.write("zoo/tiny.py", "import os\nraise ValueError(os.environ['MY_API_KEY'])\n")
    err = tiny.doit("run", "tiny", code=3).err
    assert "zoo/tiny.py:2: ValueError: ***" in err


def test_a_worker_dies_with_what_it_said_in_its_log(tmp_path: Path) -> None:
    """What a job prints goes by way of the worker, which outlives it."""
    script = f"""
import os, sys
from pathlib import Path
from motools_build.running.worker.log import Log, printing_to
reader, writer = os.pipe()
with Log(Path({str(tmp_path / "a.log")!r}), reader) as log:
    if os.fork() == 0:
        with printing_to(writer):
            print("asked with", os.environ["MY_API_KEY"], flush=True)
            os.write(1, b"cut off " + os.environb[b"MY_API_KEY"])
            os.kill(os.getpid(), 9)
    os.close(writer)
    while log.take_in():
        pass
    os.wait()
"""
    environ = {**os.environ, "MY_API_KEY": KEY}
    subprocess.run([sys.executable, "-c", script], env=environ, check=True)
    assert (tmp_path / "a.log").read_text() == "asked with ***\ncut off ***"
