"""CPU time of a `doit run` with nothing to do (a no-op), compared with baselines.

    python benchmarks/noop.py [CHAINS ...]

A chain is a model and two evals; a setting has 100 seeds. For each number of chains,
the no-op over all settings is compared with a bare `os.stat` loop over the same files,
and with stock doit and its sqlite3 database on the same graph. A run in which one stage
of every setting fails again is compared with stock doit, too. `one` is the no-op of one
setting among all. CPU seconds are user + system, the lowest of three.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

from motools_build import Dataset, Eval, Setting
from motools_build.keys import DigestMemo
from motools_build.planning.plan import plan
from motools_build.planning.sources import Resolver
from motools_build.store.artifacts import ArtifactStore

ROOT = Path(__file__).parents[1]
SEEDS = 100
ROW = '{"messages": [{"role": "user", "content": "%d"}, {"role": "assistant", '
ROW += '"content": "yes"}]}\n'

STOCK = """
import glob, os
DOIT_CONFIG = {{"backend": "sqlite3", "dep_file": "stock.db", "verbosity": 0}}

def touch(targets):
    for target in targets:
        open(target, "w").close()

def task_chain():
    for s in range({settings}):
        for n in range({seeds}):
            model = f"out/model-{{s}}-{{n}}"
            yield {{"name": f"model-{{s}}-{{n}}", "actions": [touch],
                   "file_dep": [f"datasets/d{{s}}.jsonl"], "targets": [model]}}
            for e in "ab":
                yield {{"name": f"eval-{{s}}-{{n}}-{{e}}", "actions": [touch],
                       "file_dep": [model], "targets": [f"out/eval-{{s}}-{{n}}-{{e}}"]}}
"""


def cpu(command: list[str], folder: Path, fail: str = "") -> float:
    """CPU seconds of a command, the lowest of three runs. The dummy backend fails
    stages that `fail` matches; empty for none."""
    lowest = float("inf")
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environ = {**ENVIRON, "MOTOOLS_DUMMY_FAIL": fail}
        subprocess.run(
            command,
            cwd=folder,
            check=not fail,
            stdout=subprocess.DEVNULL,
            env=environ,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        lowest = min(lowest, spent)
    return lowest


ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT)}


def furnish(folder: Path) -> None:
    """Make the folder a project without settings, and the working directory."""
    for name in ("zoo", "datasets", "artifacts", "out"):
        (folder / name).mkdir(parents=True)
    ours = (ROOT / "pyproject.toml").read_text()
    section = ours[ours.index("[tool.doit]") : ours.index("[tool.motools_build]")]
    (folder / "pyproject.toml").write_text(section)
    (folder / "dodo.py").write_text((ROOT / "dodo.py").read_text())
    os.chdir(folder)


def declare(name: str, files: list[str], seeds: int, first: int = 0) -> Setting:
    """Write and return a setting with a dataset of ten rows in each of these files,
    and two evals. `first` is a number that makes the rows differ among settings."""
    for number, file in enumerate(files, first):
        Path(file).write_text("".join(ROW % (number * 10 + n) for n in range(10)))
    source = (
        "from motools_build import Dataset, Eval, Setting\n"
        f"setting = Setting(description='', datasets=[Dataset(f) for f in {files!r}], "
        f"models=['dummy/echo'], seeds=list(range({seeds})), controls=False, "
        "evals=[Eval('dummy/a'), Eval('dummy/b')])\n"
    )
    Path(f"zoo/{name}.py").write_text(source)
    return Setting(
        description="",
        datasets=[Dataset(file) for file in files],
        models=["dummy/echo"],
        seeds=list(range(seeds)),
        controls=False,
        evals=[Eval("dummy/a"), Eval("dummy/b")],
    )


def project(folder: Path, settings: int, seeds: int) -> list[str]:
    """Write a project in which every stage is made. Returns the files that a no-op must
    look at."""
    furnish(folder)
    store = ArtifactStore()
    memo = DigestMemo(Path("artifacts/memo.json"))
    files = []
    for s in range(settings):
        dataset = f"datasets/d{s}.jsonl"
        setting = declare(f"s{s}", [dataset], seeds, first=s)
        files.append(dataset)
        with mock.patch("os.fsync"):  # thousands would be slow, and a crash is no loss
            for stage in plan(f"s{s}", setting, Resolver(memo)).roots:
                work = store.work_folder(stage)
                (work / "payload").write_text("x")
                scores = {"s": {"mean": 1.0, "n": 1}}
                store.put(
                    stage,
                    work,
                    output="x",
                    details={"scores": scores, "samples": 1},
                    inputs={used.key: "x" for used in stage.upstream},
                    made={"seconds": 1.0},
                )
                folder_of = store.root / stage.folder
                files += [f"{folder_of}/record.json", f"{folder_of}/payload"]
    return files


def stat_loop(files: list[str]) -> float:
    lowest = float("inf")
    for _ in range(3):
        began = time.process_time()
        for file in files:
            os.stat(file)
        lowest = min(lowest, time.process_time() - began)
    return lowest


def measure(chains: int) -> None:
    seeds = min(chains, SEEDS)
    settings = max(1, chains // seeds)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = project(folder, settings, seeds)
        time.sleep(2.5)  # the memo keeps digests only of files older than two seconds
        names = [f"s{s}" for s in range(settings)]
        doit = [sys.executable, "-m", "doit"]
        ours = cpu([*doit, "run", *names], folder)
        one = cpu([*doit, "run", "s0"], folder)
        bare = stat_loop([str(folder / file) for file in files])
        for record in (folder / "artifacts/model").glob("*/record.json"):
            if b"/seed0" in record.read_bytes():
                shutil.rmtree(record.parent)
        failed = cpu([*doit, "run", *names], folder, fail="model:")
        (folder / "stock.py").write_text(STOCK.format(settings=settings, seeds=seeds))
        (folder / "pyproject.toml").unlink()
        run_stock = [*doit, "run", "-f", "stock.py"]
        subprocess.run(run_stock, check=True, stdout=subprocess.DEVNULL)
        stock = cpu(run_stock, folder)
        os.chdir(ROOT)
    stages = settings * seeds * 3
    print(
        f"{stages:>7} {ours:>8.2f} {stock:>8.2f} {bare:>8.3f} {one:>8.2f} "
        f"{ours / stock:>10.2f} {failed / stock:>10.2f} {ours / bare:>10.1f}"
    )


def main() -> None:
    chains = [int(word) for word in sys.argv[1:]] or [1, 100, 10_000]
    print(
        f"{'stages':>7} {'ours':>8} {'stock':>8} {'stat':>8} {'one':>8} "
        f"{'ours/stock':>10} {'fail/stock':>10} {'ours/stat':>10}   (CPU seconds)"
    )
    for count in chains:
        measure(count)


if __name__ == "__main__":
    main()
