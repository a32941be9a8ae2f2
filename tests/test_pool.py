"""Workers: warm, bounded, tried twice, and never outliving their host."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from motools_build import errors
from motools_build.backends.job import Made, Progress, StageJob
from motools_build.running.launch.base import worker_environment
from motools_build.running.launch.local import LocalLauncher
from motools_build.running.launch.messages import Request
from motools_build.running.workers import WorkerPool
from tests.conftest import ROOT

BACKEND = '''
"""Stands where the embedded backend does: its work is what a job's name asks for."""
import os, subprocess, sys, time
from motools_build.backends import registry
from motools_build.backends.base import Backend
from motools_build.backends.job import Made, Progress
from motools_build.errors import EngineError


class Toy(Backend):
    in_worker = frozenset({"model"})

    def work(self, job, report):
        print("hello from the job")
        if job.name == "untold":
            with open(job.work, "w") as file:
                print(os.getpid(), file=file)
            report(Progress(1, 2, "steps"))
            time.sleep(60)
        report(Progress(1, os.getppid(), "the worker's process ID"))
        what = job.name
        if what == "die" or (what == "die once" and not os.path.exists(job.work)):
            open(job.work, "w").close()
            os.kill(os.getpid(), 9)
        if what == "refuse":
            raise EngineError("too long; shorten it")
        if what == "break":
            raise ZeroDivisionError("oops")
        if what == "nothing":
            return None
        if what == "no JSON":
            return Made("x", {"path": object()})
        if what == "sleep":
            time.sleep(60)
        if what == "leak":
            leaked = getattr(sys, "leaked", 0)
            sys.leaked = 1
            os.chdir("/")
            return Made(str(leaked), {})
        if what == "read":
            return Made(sys.stdin.read() + os.read(0, 9).decode(), {})
        if what == "spawn":
            child = subprocess.Popen(["sleep", "4321"])
            report(Progress(child.pid, 0, "pid"))
            time.sleep(60)
        return Made(str(os.getppid()), {"environment": dict(os.environ)})


registry.get = lambda name, prices=None: Toy()
'''


@pytest.fixture(autouse=True)
def toy_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers start with the toy backend instead of a real one."""
    (tmp_path / "sitecustomize.py").write_text(BACKEND)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    monkeypatch.chdir(tmp_path)


def job(what: str) -> StageJob:
    return StageJob("model", "embedded", "k" * 32, what, None, "marker")


LOG = Path("logs/job.log")


def run(
    *asked: str, size: int = 1
) -> tuple[list[Made | BaseException], list[Progress]]:
    """Do these jobs at once; their results, and all progress."""
    told: list[Progress] = []

    async def main() -> list[Made | BaseException]:
        pool = WorkerPool(size, Path("logs/worker.log"), LocalLauncher({}))
        runs = [pool.run(job(what), LOG, told.append) for what in asked]
        found = await asyncio.gather(*runs, return_exceptions=True)
        await pool.close()
        return found

    return asyncio.run(main()), told


def made(results: list[Made | BaseException]) -> list[Made]:
    for result in results:
        assert isinstance(result, Made), result
    return [result for result in results if isinstance(result, Made)]


def test_a_worker_is_kept_warm_and_jobs_wait_for_it() -> None:
    results, told = run("work", "work", "work")
    assert len({result.output for result in made(results)}) == 1
    assert len([p for p in told if p.unit == "the worker's process ID"]) == 3
    assert told.count(Progress(0, 0, "", "waits for a worker")) == 2
    # and neither of them is said to wait while it is worked on
    assert told.count(Progress(0, 0, "", "starts")) == 2


def test_a_job_leaves_nothing_behind_for_the_next() -> None:
    results, _ = run("leak", "leak", "work")
    assert [result.output for result in made(results)][:2] == ["0", "0"]


def test_a_job_that_reads_its_input_finds_it_empty() -> None:
    (result,) = made(run("read")[0])
    assert result.output == ""


def test_no_more_workers_than_asked_for() -> None:
    results, _ = run(*["work"] * 6, size=2)
    assert len({result.output for result in made(results)}) == 2


def test_a_worker_that_dies_is_replaced_once() -> None:
    assert len(made(run("die once", "work")[0])) == 2
    (error,), _ = run("die")
    assert isinstance(error, errors.WorkerDied)
    assert "was killed by SIGKILL" in str(error)
    assert error.log == str(LOG)


def test_an_error_of_ours_comes_back_as_what_it_was() -> None:
    (error, after), _ = run("refuse", "work")
    assert isinstance(error, errors.EngineError)
    assert str(error) == "too long; shorten it"
    assert isinstance(after, Made)  # the worker lives on


def test_any_other_error_comes_back_with_its_traceback_in_the_log() -> None:
    (error,), _ = run("break")
    assert isinstance(error, errors.StageFailed)
    assert "ZeroDivisionError: oops" in str(error)
    log = LOG.read_text()
    assert "Traceback" in log
    assert "hello from the job" in log


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nothing", "`work` returned None, not Made; mend it"),
        ("no JSON", "what the backend's `work` returned is no JSON: Object of type"),
    ],
)
def test_a_backend_that_returns_something_else_has_failed_and_is_not_tried_twice(
    what: str, said: str
) -> None:
    (error, after), told = run(what, "work")
    assert isinstance(error, errors.StageFailed)
    assert said in str(error)
    assert isinstance(after, Made)  # the worker lives on
    steps = [progress for progress in told if progress.unit.startswith("the worker's")]
    assert len(steps) == 2


def test_a_workers_environment_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSPECT_EVAL_MODEL", "openai/gpt-4")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "8")
    (result,) = made(run("work")[0])
    environment = result.details["environment"]
    assert "INSPECT_EVAL_MODEL" not in environment
    assert environment["INSPECT_DISPLAY"] == "none"
    assert environment["PYTHON_DOTENV_DISABLED"] == "1"
    assert environment["OPENBLAS_NUM_THREADS"] == "1"
    assert worker_environment({"HOME": "/x"})["HOME"] == "/x"


def test_a_cancelled_job_ends_its_worker_and_what_that_started() -> None:
    async def main() -> int:
        pool = WorkerPool(1, Path("logs/worker.log"), LocalLauncher({}))
        started: asyncio.Queue[Progress] = asyncio.Queue()
        task = asyncio.create_task(pool.run(job("spawn"), LOG, started.put_nowait))
        while (progress := await started.get()).unit != "pid":
            pass
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return progress.done

    sleeper = asyncio.run(main())
    deadline = time.monotonic() + 5
    while _alive(sleeper):
        assert time.monotonic() < deadline, "a process of the job outlives it"
        time.sleep(0.05)


def test_a_cancelled_job_ends_at_once() -> None:
    async def main() -> float:
        pool = WorkerPool(1, Path("logs/worker.log"), LocalLauncher({}))
        started = asyncio.Event()
        task = asyncio.create_task(
            pool.run(job("sleep"), LOG, lambda progress: started.set())
        )
        await started.wait()
        began = time.monotonic()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return time.monotonic() - began

    assert asyncio.run(main()) < 5


@pytest.fixture
def host(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process with a worker that sleeps; it prints the worker's process ID."""
    code = f"""
import asyncio, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.test_pool import job
from motools_build.running.launch.local import LocalLauncher
from motools_build.running.workers import WorkerPool
pool = WorkerPool(1, Path("worker.log"), LocalLauncher({{}}))
def told(progress): print(progress.total, flush=True)
asyncio.run(pool.run(job("sleep"), Path("logs/job.log"), told))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def test_kill_9_of_the_host_ends_its_worker(host: subprocess.Popen[str]) -> None:
    assert host.stdout is not None
    worker = int(host.stdout.readline())
    os.kill(worker, 0)
    host.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while _alive(worker):
        assert time.monotonic() < deadline, "the worker outlives its host"
        time.sleep(0.05)


@pytest.mark.parametrize("kind", [["--with-host"], []])
def test_a_job_ends_when_nobody_can_be_told_of_it(kind: list[str]) -> None:
    """A host may die just as a message is sent to it. The worker must not leave the job
    to itself, which would go on beside the one of the next run."""
    with subprocess.Popen(
        [sys.executable, "-m", "motools_build.running.worker", *kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=worker_environment(os.environ),
        start_new_session=True,
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdout.close()
        worker.stdin.write(Request((job("untold"),), LOG).encode())
        worker.stdin.flush()
        assert worker.wait(30) != 0
        working = int(Path("marker").read_text())
        deadline = time.monotonic() + 5
        while _alive(working):
            assert time.monotonic() < deadline, "the job outlives its worker"
            time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]
    except FileNotFoundError:
        return False
