"""Files that are edited while an eval runs, and what it reads that no key holds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from motools_build.keys import digest_bytes
from tests.conftest import Ran, furnish

READING = """
import os, subprocess, sys
from pathlib import Path
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, solver

HERE = Path(__file__).parent
OUTSIDE = Path(os.environ["OUTSIDE"])

def another_process(path, text):
    code = "import sys; open(sys.argv[1], 'w').write(sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, path, text], check=True)

def a_task(*solvers):
    samples = [Sample(id=n, input=f"say {n}", target="say") for n in range(4)]
    return Task(dataset=samples, solver=[*solvers, generate()], scorer=includes())
"""

TASKS = {
    # the helper that it loads is not the planned one; it is put back at once
    "swapped": """
helper = HERE / "swapped_helper.py"
another_process(helper, "VALUE = 2")
try:
    import swapped_helper
finally:
    another_process(helper, "VALUE = 1")

@task
def swapped():
    return a_task()
""",
    # as above, but of data that a library reads by itself
    "aside": """
@task
def aside():
    data = HERE / "aside.txt"
    another_process(data, "edited")
    assert subprocess.check_output(["cat", data], text=True) == "edited"
    another_process(data, "planned")
    return a_task()
""",
    # what was read before is none the worse for being touched
    "touched": """
import touched_helper

@solver
def touching():
    async def solve(state, generate):
        another_process(HERE / "touched_helper.py", "VALUE = 1")
        return state
    return solve

@task
def touched():
    return a_task(touching())
""",
    # answers that are paid for: one sample fails until the flag is gone
    "failing": """
@solver
def failing_solver():
    async def solve(state, generate):
        (HERE / "rules" / (state.sample_id and "more" or "first")).read_text()
        if state.sample_id == 3 and (OUTSIDE / "flag").exists():
            raise ValueError("not yet")
        with open(OUTSIDE / "asked", "a") as file:
            print(state.sample_id, file=file)
        return state
    return solve

@task
def failing():
    os.environ.get("FAILING_TEMPERATURE"), os.getenv("HOME")
    return a_task(failing_solver())
""",
}

SETTING = """
from motools_build import Eval, Setting

NAMES = ["swapped", "aside", "touched", "failing"]
setting = Setting(
    description="x",
    models=["dummy/echo"],
    train=False,
    evals=[Eval(f"zoo/evals/{name}.py@{name}") for name in NAMES],
)
"""


class Bench:
    """A project whose first run is over."""

    def __init__(self, root: Path) -> None:
        self.project = furnish(root / "project")
        self.outside = root / "outside"
        self.outside.mkdir()
        (self.outside / "flag").touch()
        for name, text in TASKS.items():
            self.project.write(f"zoo/evals/{name}.py", READING + text)
        for name in ("swapped", "touched"):
            self.project.write(f"zoo/evals/{name}_helper.py", "VALUE = 1")
        self.project.write("zoo/evals/aside.txt", "planned")
        for name in ("first", "more"):
            self.project.write(f"zoo/evals/rules/{name}", name)
        self.project.write("zoo/reading.py", SETTING)
        self.first = self.run(code=2)

    def run(self, *words: str, code: int = 0) -> Ran:
        return self.project.doit(
            "run", *(words or ("reading",)), code=code, OUTSIDE=str(self.outside)
        )

    def asked(self) -> list[str]:
        """The samples that the run before asked."""
        file = self.outside / "asked"
        said = file.read_text().split() if file.exists() else []
        file.unlink(missing_ok=True)
        return sorted(said)

    def observed(self, name: str) -> dict[str, str]:
        record = self.project.records("eval")[f"eval:reading/base/echo/{name}"]
        found: dict[str, str] = record["details"].get("observed", {})
        return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    root = tmp_path_factory.mktemp("observed")
    (root / "project").mkdir()
    return Bench(root)


def test_what_is_edited_while_it_is_read_is_not_recorded(bench: Bench) -> None:
    made = {name.rsplit("/")[-1] for name in bench.project.records("eval")}
    assert made >= {"touched"}
    assert not made & {"swapped", "aside"}
    helper, data = "zoo/evals/swapped_helper.py", "zoo/evals/aside.txt"
    assert f"{helper} was edited after this run was planned" in bench.first.out
    assert f"{data} was edited, or touched, while its eval read it" in bench.first.out
    assert (bench.project.root / helper).read_text() == "VALUE = 1"
    assert bench.observed("touched") == {}


def test_answers_to_other_inputs_are_not_used_again(bench: Bench) -> None:
    """A sample failed. What another one read is edited before the next run."""
    eval_, rules = "eval:reading/base/echo/failing", bench.project.root / "zoo/evals"
    assert bench.asked() == ["0", "1", "2"]
    bench.run(eval_, code=1)
    assert bench.asked() == []
    (rules / "rules/first").write_text("edited")  # only sample 0 read it
    (bench.outside / "flag").unlink()
    out = bench.run(eval_).out
    assert bench.asked() == ["0", "1", "2", "3"]
    digests = {
        n: digest_bytes(text) for n, text in (("first", b"edited"), ("more", b"more"))
    }
    assert bench.observed("failing") == {
        f"zoo/evals/rules/{name}": digest for name, digest in digests.items()
    }
    assert "it read zoo/evals/rules/first, zoo/evals/rules/more, not in its key" in out
    assert "environment variables FAILING_TEMPERATURE, HOME, OUTSIDE: in no key" in out
    why = json.loads(bench.project.doit("why", eval_, "--json").out)
    assert list(why["observed"]) == list(bench.observed("failing"))
    assert why["stale"] is None


def test_a_change_of_what_it_read_runs_it_again(bench: Bench) -> None:
    eval_ = "eval:reading/base/echo/failing"
    rules = bench.project.root / "zoo/evals/rules"
    (rules / "more").write_text("other")
    reason = "zoo/evals/rules/more changed since (observed)"
    planned = bench.project.doit("plan", eval_, OUTSIDE=str(bench.outside)).out
    assert reason in planned
    assert bench.project.doit("why", eval_).out.splitlines()[1] == reason
    (result,) = (r for r in bench.project.results("reading") if r["eval"] == "failing")
    assert (result["status"], result["note"]) == ("stale", reason)
    bench.asked()
    assert f"({reason})" in bench.run(eval_).out
    assert len(bench.asked()) == 4  # it asks all of them again
    assert bench.run(eval_).made == set()


def test_what_a_killed_attempt_read_is_in_the_record(bench: Bench) -> None:
    """Sample 0 alone reads `first`; its answer is taken from the attempt before."""
    eval_ = "eval:reading/base/echo/failing"
    (bench.outside / "flag").touch()
    rules = bench.project.root / "zoo/evals/rules"
    (rules / "more").write_text("yet another")
    bench.asked()
    bench.run(eval_, code=1)
    assert bench.asked() == ["0", "1", "2"]
    os.unlink(bench.outside / "flag")
    bench.run(eval_)
    assert bench.asked() == ["3"]
    assert set(bench.observed("failing")) == {
        "zoo/evals/rules/first",
        "zoo/evals/rules/more",
    }
    assert not list((bench.project.root / "artifacts/eval").glob("*/read.jsonl"))
