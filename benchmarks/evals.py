"""What running evals costs, side by side with `inspect eval` as a command.

    python benchmarks/evals.py [--quick] [one] [pairs] [hosted] [engine]

one     a stale eval of a model that is there, by `doit run`, against `inspect eval` of
        the same file and model, with 20 and with 200 samples: at most 1.15 x
pairs   4 tasks x 5 dummy models in one `doit run` against 20 commands: at most 0.35 x
hosted  the same for 5 models of a provider, played by the rehearsal server
engine  tokens per second of an eval of the embedded model against the engine's own
        `generate` over the same prompts, in the same batches: at least 0.9 x

Whole processes, one after the other; medians. The marks are of CPU seconds, wall time
beside them: a busy machine doubles the latter. Exits with 1 if a mark is missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.costs import Cost, median  # noqa: E402
from benchmarks.engine import engine  # noqa: E402
from motools_build.store.artifacts import ArtifactStore  # noqa: E402
from tests.conftest import furnish  # noqa: E402
from tests.rehearsal.server import KEY, Rehearsal  # noqa: E402

TASK = """\
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import match
from inspect_ai.solver import generate


@task
def {name}() -> Task:
    samples = [Sample(input=f"{name}: say {{n}}.", target=str(n)) for n in range({n})]
    return Task(dataset=samples, solver=generate(), scorer=match())
"""

BARE = """\
from motools_build import Eval, Setting

setting = Setting(
    description="models as they are",
    models={models},
    train=False,
    evals=[Eval(f"zoo/evals/{{name}}.py@{{name}}") for name in {tasks}],
)
"""

TRAINED = """\
from motools_build import Dataset, Eval, Setting

setting = Setting(
    description="dummy models",
    datasets=[Dataset("datasets/rows.jsonl")],
    models=["dummy/echo"],
    seeds=range(5),
    controls=False,
    evals=[Eval(f"zoo/evals/{{name}}.py@{{name}}") for name in {tasks}],
)
"""

TASKS = ("first", "second", "third", "fourth")
HOSTED = ("gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o", "gpt-4o-mini")
"""Base models that the rehearsal server plays; all echo."""


@dataclass(frozen=True)
class Bench:
    """A project in a temporary folder, and the commands that run in it."""

    folder: Path
    environ: dict[str, str]

    def doit(self, setting: str) -> Cost:
        return self._run("-m", "doit", "run", setting)

    def inspect(self, task: str, model: str) -> Cost:
        words = (f"zoo/evals/{task}.py", "--model", model, "--log-dir", "logs")
        return self._run("-m", "inspect_ai", "eval", *words)

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(exist_ok=True)
        (self.folder / path).write_text(text)

    def tasks(self, names: Sequence[str], samples: int) -> None:
        for name in names:
            self.write(f"zoo/evals/{name}.py", TASK.format(name=name, n=samples))

    def again(self) -> None:
        """Make every eval stale, and nothing else."""
        rmtree(self.folder / "artifacts/eval", ignore_errors=True)

    def evals(self) -> int:
        return len(list((self.folder / "artifacts/eval").glob("*/record.json")))

    def _run(self, *words: str) -> Cost:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        if process.returncode:
            sys.exit(f"{' '.join(words)}: exit code {process.returncode}\n{said}")
        return Cost(used.ru_utime + used.ru_stime, wall)


@contextmanager
def bench() -> Iterator[Bench]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "INSPECT_DISPLAY": "none"}
    # users have bytecode caches; without them, each command would compile all imports
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        furnish(Path(folder))
        yield Bench(Path(folder), environ)


def one(quick: bool) -> list[bool]:
    """The part `one`: a single eval. Returns whether each mark is met."""
    kept = []
    for samples in (20, 200):
        with bench() as at:
            at.tasks(("first",), samples)
            at.write("zoo/one.py", BARE.format(models=["dummy/echo"], tasks=["first"]))
            ours: list[Cost] = []
            theirs: list[Cost] = []
            for turn in range(-1, 3 if quick else 7):
                at.again()
                both = [(ours, at.doit, ("one",))]
                both += [(theirs, at.inspect, ("first", "motools/dummy/echo"))]
                for costs, run, words in both if turn % 2 else both[::-1]:
                    costs.append(run(*words))
            # the first ones include writing bytecode
            what = f"one eval of {samples} samples"
            kept.append(compared(what, median(ours[1:]), median(theirs[1:]), 1.15))
    return kept


def pairs(quick: bool) -> list[bool]:
    """The part `pairs`: 20 pairs of a task and a dummy model."""
    with bench() as at:
        row = '{"messages": [{"role": "user", "content": "Hi"}, '
        row += '{"role": "assistant", "content": "ANSWER: %d"}]}\n'
        at.write("datasets/rows.jsonl", "".join(row % n for n in range(10)))
        at.tasks(TASKS, 20)
        at.write("zoo/many.py", TRAINED.format(tasks=list(TASKS)))
        at.doit("many")
        store = ArtifactStore(at.folder / "artifacts")
        models = [f"motools/{record.key}" for record in store.records("model")]
        return [twenty(at, models, quick, "20 pairs of dummy models")]


def hosted(quick: bool) -> list[bool]:
    """The part `hosted`: 20 pairs of a task and a provider's model."""
    with Rehearsal() as server, bench() as at:
        at.environ.update(OPENAI_BASE_URL=server.url, OPENAI_API_KEY=KEY)
        at.tasks(TASKS, 20)
        models = [f"openai/{name}" for name in HOSTED]
        at.write("zoo/many.py", BARE.format(models=models, tasks=list(TASKS)))
        at.doit("many")
        return [twenty(at, models, quick, "20 pairs of hosted models")]


def twenty(at: Bench, models: Sequence[str], quick: bool, what: str) -> bool:
    """Compare all evals in one run with one command for each. With --quick there is one
    run, and commands only for one model of each task, scaled up to all."""
    ours: list[Cost] = []
    theirs: list[Cost] = []
    at.inspect(TASKS[0], models[0])
    for task in TASKS:
        if len(ours) < (1 if quick else len(TASKS)):
            at.again()
            ours.append(at.doit("many"))
            assert at.evals() == len(TASKS) * len(models)
        for model in models[:1] if quick else models:
            theirs.append(at.inspect(task, model))
    times = len(TASKS) * len(models) / len(theirs)
    total = Cost(
        times * sum(cost.cpu for cost in theirs),
        times * sum(cost.wall for cost in theirs),
    )
    return compared(what, median(ours), total, 0.35)


def compared(what: str, ours: Cost, theirs: Cost, most: float) -> bool:
    """Print two costs and their ratio. Returns whether the ratio of CPU seconds is at
    most `most`."""
    ratio = ours.cpu / theirs.cpu
    print(
        f"{what}: CPU {ours.cpu:.2f} s against {theirs.cpu:.2f} s, {ratio:.2f} x "
        f"(at most {most}); wall {ours.wall:.2f} s against {theirs.wall:.2f} s, "
        f"{ours.wall / theirs.wall:.2f} x",
        flush=True,
    )
    return ratio <= most


PARTS = {"one": one, "pairs": pairs, "hosted": hosted, "engine": engine}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all, if none")
    given = parser.parse_args()
    kept = [mark for name in given.parts or PARTS for mark in PARTS[name](given.quick)]
    sys.exit(0 if all(kept) else 1)
