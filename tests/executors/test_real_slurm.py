"""The executor `slurm` with a real Slurm on this machine's loopback.

    apt-get install slurmctld slurmd slurm-client munge
    pytest -m slurm            # as root, a few minutes

It needs neither systemd nor a configuration: the tests start daemons of their own, and
end them.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from motools_build.backends.job import Made
from motools_build.errors import StageFailed
from motools_build.running.executors.cluster import Listed
from motools_build.running.executors.jobs import ClusterJobs
from motools_build.running.executors.slurm import Slurm
from motools_build.running.executors.slurm_commands import cancel, listing
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.jobs import JobFolder
from tests.conftest import ROOT, Project
from tests.executors.test_arrays import host, many
from tests.executors.toy import BACKEND, USED, job, ran, result, while_saved

pytestmark = [pytest.mark.slurm, pytest.mark.real_process]

CONF = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_min_interval=0
KillWait=5
MailProg=/bin/true
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=p Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8
"""


class Daemons:
    """munged, slurmctld and slurmd, each as a child of this process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        self.conf = folder / "slurm.conf"
        host = socket.gethostname().partition(".")[0]
        given = {"host": host, "folder": folder, "cpus": os.cpu_count()}
        self.conf.write_text(CONF.format(ports=_ports(2), **given))
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o400)
        files = (f"--{what}={folder}/munge.{what.partition('-')[0]}" for what in FILES)
        self._running = {
            "munged": self._start("munged", "--foreground", "--force", *files)
        }
        _until(lambda: (folder / "munge.socket").exists())
        self.start("slurmctld")
        self.start("slurmd")
        _until(lambda: "idle" in self.say("sinfo"))

    def start(self, name: str) -> None:
        self._running[name] = self._start(name, "-D", "-f", str(self.conf))

    def end(self, name: str) -> None:
        process = self._running.pop(name)
        process.terminate()
        process.wait(timeout=60)

    def say(self, *words: str) -> str:
        """The output of one of Slurm's commands, or empty if it failed."""
        environ = {**os.environ, "SLURM_CONF": str(self.conf)}
        done = subprocess.run(words, env=environ, capture_output=True, text=True)
        return done.stdout

    def close(self) -> None:
        self.say("scancel", "--me")
        with suppress(AssertionError):
            _until(lambda: not self.say("squeue", "--noheader"), 15)
        for name in list(self._running):
            self.end(name)

    @staticmethod
    def _start(*words: str) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        return subprocess.Popen(words, stdout=quiet, stderr=quiet, stdin=quiet)


FILES = ("socket", "key-file", "log-file", "pid-file", "seed-file")


def _ports(count: int) -> list[int]:
    """Ports of the loopback that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    found = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return found


def _until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemons]:
    lacking = [
        name
        for name in ("munged", "slurmctld", "slurmd", "sbatch")
        if not shutil.which(name)
    ]
    if lacking or os.geteuid():
        pytest.skip(f"needs root and {', '.join(lacking) or 'nothing else'}")
    made = Daemons(tmp_path_factory.mktemp("slurm"))
    yield made
    made.close()


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, daemons: Daemons) -> Daemons:
    """A folder in which jobs are those of `toy.py`, done by the real Slurm."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(BACKEND)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}/site{os.pathsep}{ROOT}")
    monkeypatch.setenv("SLURM_CONF", str(daemons.conf))
    monkeypatch.setenv(USED, "slurm")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return daemons


def test_a_requeued_training_has_the_same_weights(
    project: Project, daemons: Daemons
) -> None:
    project.dataset("tiny", rows=64)
    project.setting("tiny", models='["embedded/smollm2-135m-instruct"]')
    conf = {"SLURM_CONF": str(daemons.conf)}
    run = project.start("run", "model:tiny/*", "executor=slurm", **conf)
    told = project.root / "artifacts/jobs"
    _until(
        lambda: (
            '"steps"'
            in "".join(path.read_text() for path in told.glob("*/messages.jsonl"))
        ),
        120,
    )
    daemons.say("scontrol", "requeue", project_job(project, conf))
    out, err = run.communicate(timeout=400)
    assert run.returncode == 0, out + err
    (at_cluster,) = project.records("model").values()
    assert at_cluster["made"]["executor"]["name"] == "slurm"
    project.doit("run", "-a", "model:tiny/*")
    (here,) = project.records("model").values()
    assert here["payload"] == at_cluster["payload"]


def project_job(project: Project, environ: dict[str, str]) -> str:
    (line,) = json.loads(project.doit("jobs", "--json", **environ).out)
    return str(line["id"])


def test_a_requeue_and_a_controller_that_is_down_lose_nothing(toy: Daemons) -> None:
    def act() -> None:
        (listed,) = (one for one in listing().values() if one.state == "running")
        toy.end("slurmctld")
        time.sleep(5)  # some questions get no answer
        toy.start("slurmctld")
        _until(lambda: "up" in toy.say("sinfo"))
        _until(lambda: "R" in toy.say("squeue", "--noheader", "--format=%t"))
        toy.say("scontrol", "requeue", listed.id)

    made = asyncio.run(while_saved(act))
    assert (made.details, ran()) == ({"first": False}, ["a" * 32] * 2)


def test_scancel_by_hand_is_told_and_the_next_run_goes_on(toy: Daemons) -> None:
    def act() -> None:
        for listed in listing().values():
            if listed.state == "running":
                toy.say("scancel", listed.id)

    with pytest.raises(StageFailed, match=r"was cancelled \(doit cancel, scancel"):
        asyncio.run(while_saved(act))
    assert result(job("wait")).details == {"first": False}


def test_a_time_limit_is_told_and_the_next_run_goes_on(toy: Daemons) -> None:
    with pytest.raises(StageFailed, match=r"reached its time limit \(0:01\)"):
        asyncio.run(while_saved(lambda: None, options={"time": "0:01"}))
    assert result(job("wait")).details == {"first": False}


def test_the_tasks_of_an_array_end_and_begin_again_one_by_one(toy: Daemons) -> None:
    async def story() -> list[Any]:
        task = asyncio.create_task(many("wait", "abcd"))
        for key in "abcd":
            saved = Path(f"artifacts/jobs/{key * 32}-a1/work/resume/step")
            await asyncio.to_thread(_until, saved.exists)
        a, b, c, d = ArtifactStore().jobs
        array = a.id.partition("_")[0]
        assert {one.id for one in (a, b, c, d)} == {f"{array}_{n}" for n in range(4)}
        listed = listing()
        assert {listed[one.mark].id for one in (a, b, c, d)} == {
            one.id for one in (a, b, c, d)
        }
        cancel(b.id)
        toy.say("scontrol", "requeue", c.id)
        await asyncio.to_thread(_until, lambda: ran().count("c" * 32) == 2, 300)
        Path("go").touch()
        return await task

    a, b, c, d = asyncio.run(story())
    assert [one.details for one in (a, d)] == [{"first": True}] * 2
    assert c.details == {"first": False}
    assert isinstance(b, StageFailed)
    assert "was cancelled" in str(b)
    assert sorted(ran()) == [key * 32 for key in "abccd"]


def test_an_array_that_is_too_large_is_submitted_in_parts(toy: Daemons) -> None:
    toy.conf.write_text(f"{toy.conf.read_text()}\nMaxArraySize=3\n")
    toy.end("slurmctld")
    toy.start("slurmctld")
    try:
        _until(lambda: "up" in toy.say("sinfo"))
        made = asyncio.run(many("work", "abcde"))
        assert [one.output[0] for one in made] == [*"abcde"]
        assert sorted(ran()) == [key * 32 for key in "abcde"]
    finally:
        text = toy.conf.read_text().replace("\nMaxArraySize=3\n", "")
        toy.conf.write_text(text)
        toy.end("slurmctld")
        toy.start("slurmctld")
        _until(lambda: "up" in toy.say("sinfo"))


@pytest.mark.parametrize("moment", ["before sbatch", "after sbatch", "between IDs"])
def test_an_array_is_found_again_by_a_run_after_a_kill(
    toy: Daemons, moment: str
) -> None:
    keys = [key * 32 for key in "abc"]
    assert host(moment, *keys).wait() == -signal.SIGKILL
    made = asyncio.run(many("work", "abc"))
    assert [one.output for one in made] == keys
    assert sorted(ran()) == keys


def test_evals_of_one_base_are_tasks_that_do_several(toy: Daemons) -> None:
    made = asyncio.run(many("work", "abcdef", kind="eval", options={"together": 2}))
    assert [one.output[0] for one in made] == [*"abcdef"]
    ids = [one.executor["id"] for one in made]
    assert len({*ids}) == len({*Path("prepared").read_text().split()}) == 3
    assert len({id.partition("_")[0] for id in ids}) == 1


def test_200_jobs_are_one_array_and_share_30_listings_a_minute(toy: Daemons) -> None:
    asked: list[float] = []
    submitted: list[int] = []

    class Counted(Slurm):
        def listing(self) -> Mapping[str, Listed]:
            asked.append(time.monotonic())
            return super().listing()

        def submit(self, tasks: Sequence[JobFolder], kind: str) -> None:
            submitted.append(len(tasks))
            super().submit(tasks, kind)

    async def main() -> list[Made]:
        executor = ClusterJobs(
            ArtifactStore(), lambda name, place: Counted({}), {}, sends_to="slurm"
        )
        keys = [f"{number:032x}" for number in range(200)]
        log = Path("artifacts/logs/x.log")
        runs = (executor.run(job("work", key), log, lambda _: None) for key in keys)
        try:
            return await asyncio.gather(*runs)
        finally:
            await executor.close()

    began = time.monotonic()
    made = asyncio.run(main())
    minutes = (time.monotonic() - began) / 60
    assert len({one.output for one in made}) == 200
    assert len(ran()) == 200
    assert len(asked) / minutes < 30
    assert sum(submitted) == 200
    assert len(submitted) <= 4  # the folders of 200 jobs take some seconds
    print(f"{len(asked)} listings in {minutes:.1f} min, arrays of {submitted}")
