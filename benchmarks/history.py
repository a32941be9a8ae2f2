"""What past runs and kept rows cost: the run log, its index, and snapshots.

    python benchmarks/history.py [STAGES [RUNS [MEGABYTES]]]

The first part writes a setting of so many stages (30,000), and asks `doit status`
before and after so many past runs (1,000) are in the run log: in each, 300 stages had
other keys, and in every 200th all had. It does so when all stages are made; when 300
are not, whose older artifacts must be looked for; and when none is made, so that the
older keys of all are asked for. `read` is what the process read, by /proc/PID/io. Fails
if past runs cost `MOST_READ` or `MOST_SECONDS`.

The second part keeps a file of so many megabytes (200) of rows, edits one row, and
keeps it again, beside `cp`, which does not wait for the disk as snapshots do; and
times a `doit run` with nothing to do with and without snapshots.

On two slow cores that others used, too:

    doit status, all made, 0 runs        2.8 CPU s    24.8 MB read
    doit status, all made, 1000 runs     2.8 CPU s    24.8 MB
    300 of them not, 0 runs                           24.6 MB
    300 of them not, 1000 runs           3.4 CPU s    40.4 MB
    none made, 0 runs                    2.9 CPU s     8.0 MB    79 MB of memory
    none made, 1000 runs                 2.3 CPU s    23.8 MB   102 MB of memory
    the log 87 MB, the index 18 MB; 7.5 CPU s for the command that makes the index anew

    2 GB of rows kept in 6.3 s; hashed in 2.2 s; cp 4.2 s, and to the disk 5.1 s
    one row edited, kept in 6.0 s; snapshots then hold twice its size
    nothing to do: 0.36 CPU s; with snapshots=no 0.33 CPU s

The file system (ext4) shares no blocks. Differences of 0.5 CPU seconds are noise there.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.noop import ENVIRON, ROOT, ROW, cpu, declare, furnish
from motools_build.keys import Digest, DigestMemo, digest_bytes, digest_file
from motools_build.planning.plan import plan
from motools_build.planning.sources import Resolver
from motools_build.stages import Stage
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.snapshots import Snapshots

SEEDS = 100
CHANGED = 300
WHOLE = 200
MOST_READ = 20.0
"""MB that past runs may add to what `doit status` reads."""
MOST_SECONDS = 1.0
"""CPU seconds that they may add."""


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    cpu: float
    """Seconds, user + system."""
    memory: float
    """The largest resident size, in MB."""
    read: float
    """MB that it read, from the disk or not."""

    def line(self, what: str) -> str:
        return (
            f"{what:<40} {self.cpu:>6.2f} CPU s {self.memory:>5.0f} MB "
            f"{self.read:>7.1f} MB read"
        )


def cost(command: list[str], folder: Path) -> Cost:
    """Run a command; the lowest CPU time of three."""
    found = []
    for _ in range(3):
        started = subprocess.Popen(
            command, cwd=folder, env=ENVIRON, stdout=subprocess.DEVNULL
        )
        os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
        told = Path(f"/proc/{started.pid}/io").read_text()
        _, status, used = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        read = int(told.split()[1]) / 1e6
        cpu = used.ru_utime + used.ru_stime
        found.append(Cost(cpu, used.ru_maxrss / 1024, read))
    return min(found, key=lambda one: one.cpu)


def make(stages: tuple[Stage, ...], store: ArtifactStore) -> None:
    for stage in stages:
        work = store.work_folder(stage)
        (work / "payload").write_text("x")
        store.put(
            stage,
            work,
            output="x",
            details={"scores": {"s": {"mean": 1.0, "n": 1}}, "samples": 1},
            inputs={used.key: "x" for used in stage.upstream},
            made={"seconds": 1.0},
        )


def log_runs(stages: tuple[Stage, ...], store: ArtifactStore, runs: int) -> None:
    """Log so many runs of which the last is of the stages as they are."""
    draw, clock = random.Random(0), time.time() - 10 * (runs + 1)
    names = [stage.name for stage in stages]
    keys = {stage.name: str(stage.key) for stage in stages}
    for number in range(runs):
        if number % WHOLE == WHOLE - 1:
            changed = names
        else:
            changed = draw.sample(names, min(CHANGED, len(names)))
        then = dict(keys)
        for name in changed:
            then[name] = digest_bytes(f"{name} {number}".encode())
        its = [SimpleNamespace(name=name, key=key) for name, key in then.items()]
        if number == runs - 1:
            its = [SimpleNamespace(name=n, key=key) for n, key in keys.items()]
        clock += 10
        with mock.patch("time.time", return_value=clock), mock.patch("os.fsync"):
            store.runs.note({}, {"wide": cast(list[Stage], its)})


def status(stages: int, runs: int) -> list[str]:
    """Print what `doit status` costs. Returns what is too much."""
    chains = max(1, stages // 3)
    seeds = min(SEEDS, chains)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "project"
        furnish(folder)
        files = [f"datasets/d{number}.jsonl" for number in range(chains // seeds)]
        setting = declare("wide", files, seeds)
        store = ArtifactStore()
        planned = plan("wide", setting, Resolver(DigestMemo(Path("none.json")))).roots
        with mock.patch("os.fsync"):
            make(planned, store)
        time.sleep(2.5)  # the memo keeps digests only of files older than two seconds
        print(f"{len(planned)} stages, {runs} runs")
        doit = [sys.executable, "-m", "doit", "status", "wide"]
        cases = {
            "all made": [],
            "300 of them not": _folders(planned, store)[:CHANGED],
            "none made": [store.root / kind for kind in ("eval", "model")],
        }
        before: dict[str, Cost] = {}
        too_much = []
        for past in (0, runs):
            if past:
                began = time.perf_counter()
                log_runs(planned, store, past)
                seconds = (time.perf_counter() - began) / past
                size = (store.root / "runs.jsonl").stat().st_size / 1e6
                print(f"log: {size:.1f} MB; {seconds:.3f} s to note a run")
                cost(doit, folder)
            for what, gone in cases.items():
                with moved(gone, folder / "away"):
                    found = cost(doit, folder)
                print(found.line(f"doit status, {what}, {past} runs"), flush=True)
                too_much += compared(what, found, before)
        index = (store.root / "runs").glob("*")
        print(f"index: {sum(path.stat().st_size for path in index) / 1e6:.1f} MB")
        os.chdir(ROOT)
    return too_much


def _folders(stages: tuple[Stage, ...], store: ArtifactStore) -> list[Path]:
    return [store.root / stage.folder for stage in stages if stage.kind == "eval"]


@contextmanager
def moved(paths: list[Path], away: Path) -> Iterator[None]:
    """Within the block, files or folders are somewhere else."""
    away.mkdir()
    for number, path in enumerate(paths):
        path.rename(away / str(number))
    yield
    for number, path in enumerate(paths):
        (away / str(number)).rename(path)
    away.rmdir()


def compared(what: str, found: Cost, before: dict[str, Cost]) -> list[str]:
    earlier = before.setdefault(what, found)
    read, cpu = found.read - earlier.read, found.cpu - earlier.cpu
    if read >= MOST_READ or cpu >= MOST_SECONDS:
        return [f"{what}: {read:.1f} MB and {cpu:.2f} CPU s more"]
    return []


def rows(megabytes: int) -> None:
    """Print what it costs to keep a file of rows, and the same with one edited row."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = folder / "rows.jsonl"
        line = ROW % 12345678
        with file.open("w") as out:
            for number in range(megabytes * 1_000_000 // len(line)):
                out.write(ROW % (10_000_000 + number))
        size = file.stat().st_size
        shutil.copyfile(file, folder / "warm")
        for what in ("first", "one row edited"):
            if what != "first":
                with file.open("r+") as out:
                    out.write(ROW % 20_000_000)
            began = time.perf_counter()
            digest = digest_file(file)
            hashed = time.perf_counter() - began
            began = time.perf_counter()
            Snapshots(folder / "kept").keep(str(file), Digest(digest))
            kept = time.perf_counter() - began
            began = time.perf_counter()
            subprocess.run(["cp", file, folder / f"copy-{what}"], check=True)
            copied = time.perf_counter() - began
            began = time.perf_counter()
            subprocess.run(["sync", folder / f"copy-{what}"], check=True)
            copied_to_disk = copied + time.perf_counter() - began
            its = sum(path.stat().st_size for path in (folder / "kept").iterdir())
            print(
                f"{what:<15} {size / 1e6:.0f} MB: kept in {kept:.2f} s; hashed in "
                f"{hashed:.2f} s; cp {copied:.2f} s, and to the disk "
                f"{copied_to_disk:.2f} s; snapshots hold {its / size:.2f} of its size"
            )


def noop(chains: int = 500) -> None:
    """Print the CPU seconds of a run with nothing to do, with and without snapshots."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "project"
        furnish(folder)
        files = [f"datasets/d{number}.jsonl" for number in range(chains // SEEDS)]
        declare("wide", files, SEEDS)
        run = [sys.executable, "-m", "doit", "run", "wide"]
        subprocess.run(
            run, cwd=folder, env=ENVIRON, check=True, stdout=subprocess.DEVNULL
        )
        time.sleep(2.5)
        without, with_them = cpu([*run, "snapshots=no"], folder), cpu(run, folder)
        print(f"nothing to do: {with_them:.2f} CPU s; snapshots=no {without:.2f} CPU s")
        os.chdir(ROOT)


def main() -> None:
    given = [int(word) for word in sys.argv[1:]]
    too_much = status(*(given[:2] + [30_000, 1_000][len(given[:2]) :]))
    rows(given[2] if given[2:] else 200)
    noop()
    assert not too_much, "; ".join(too_much)


if __name__ == "__main__":
    main()
