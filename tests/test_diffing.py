"""`doit diff`: the words that it takes, and what it shows of a project's runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project

ARMS = """\
from motools_build import Arm, Dataset, Eval, Setting

setting = Setting(
    description="two arms",
    arms=[
        Arm("odd", datasets=[Dataset("datasets/tiny.jsonl")]),
        Arm("even", datasets=[Dataset("datasets/other.jsonl")]),
    ],
    models=["dummy/echo"],
    evals=[Eval("dummy/score")],
)
"""


class Bench:
    """A project whose dataset was edited between two runs."""

    def __init__(self, project: Project) -> None:
        self.project = project
        project.setting("tiny")
        project.dataset("tiny")
        project.dataset("other", first=7)
        project.write("zoo/arms.py", ARMS)
        project.doit("run", "tiny", "arms")
        self.digest = self.runs()[0]["files"]["datasets/tiny.jsonl"]
        project.doit("lock", "tiny")
        project.dataset("tiny", rows=4)
        project.doit("run", "tiny")

    def runs(self, setting: str = "tiny") -> list[dict[str, Any]]:
        lines = (self.project.root / "artifacts/runs.jsonl").read_text().splitlines()
        return [run for run in map(json.loads, lines) if run["setting"] == setting]

    def ids(self) -> list[str]:
        """The IDs of the setting's runs, by an error that lists the last."""
        from motools_build.store.artifacts import ArtifactStore

        store = ArtifactStore(self.project.root / "artifacts")
        return [run.id for run in store.runs if run.setting == "tiny"]

    def diff(self, *words: str) -> dict[str, Any]:
        out = self.project.doit("diff", *words, "--json").out
        found: dict[str, Any] = json.loads(out)
        return found


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    from tests.conftest import furnish

    root = tmp_path_factory.mktemp("diffing")
    return Bench(furnish(root))


def changed(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["subject"], one["field"]) for one in found["inputs"]]


@pytest.mark.parametrize("word", ["RUN", "tiny@RUN", "tiny/tiny@RUN", "LOCK"])
def test_an_earlier_one_is_compared_with_now(bench: Bench, word: str) -> None:
    first = bench.ids()[0]
    word = word.replace("RUN", first).replace("LOCK", "zoo/tiny.lock.json")
    found = bench.diff(word)
    assert changed(found) == [("tiny, dummy/echo", "inputs.dataset")]
    assert found["inputs"][0]["first"] == [bench.digest]
    assert found["second"].endswith("as it is now")
    verdicts = {one["dataset"]: one["verdict"] for one in found["results"]}
    assert verdicts.pop("base", "same") == "same"
    assert verdicts["tiny"] in ("within", "moved", "none")


def test_two_runs(bench: Bench) -> None:
    first, second = bench.ids()
    found = bench.diff(first, f"tiny@{second}")
    assert changed(found) == [("tiny, dummy/echo", "inputs.dataset")]
    assert first in found["first"]
    assert second in found["second"]
    assert bench.diff(second, "tiny")["inputs"] == []


def test_two_arms(bench: Bench) -> None:
    found = bench.diff("arms/odd", "arms/even")
    assert changed(found) == [("even, other, dummy/echo", "inputs.dataset")]
    assert {one["arm"] for one in found["results"]} == {"even"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tiny"], "or an earlier run, as in doit diff tiny@"),
        (["tiney", "tiny"], "did you mean 'tiny'"),
        (["arms/od", "arms"], "arms has no arm and no dataset 'od'"),
        (["tiny@2020-01-01"], "no run that is known of began by 2020-01-01"),
        (["zoo/none.lock.json"], "zoo/none.lock.json cannot be read"),
        (["tiny", "tiny", "tiny"], "compares two"),
        ([], "compares two"),
    ],
)
def test_words_that_mean_nothing(bench: Bench, words: list[str], said: str) -> None:
    ran = bench.project.doit("diff", *words, code=3)
    assert said in ran.err


def test_variables_are_for_the_present(bench: Bench) -> None:
    first = bench.ids()[0]
    told = bench.project.doit("diff", "tiny", "model=dummy/echo", code=3).err
    hint = told.split("as in doit ")[1].split(" (")[0]
    bench.project.doit(*hint.split())  # works when pasted
    found = bench.diff(f"tiny@{first}", "tiny", "seeds=4")
    assert "seeds" in {one["field"] for one in found["inputs"]}
    err = bench.project.doit("diff", first, f"tiny@{first}", "seeds=4", code=3).err
    assert "leave out seeds=4" in err


def test_what_is_gone_does_not_differ(project: Project) -> None:
    """Its key tells what it was made of, as long as a plan has that."""
    project.setting("tiny")
    project.dataset("tiny")
    project.doit("run", "tiny")
    project.doit("clean", "tiny")
    told = json.loads(project.doit("diff", "tiny@2100-01-01", "--json").out)
    assert told["inputs"] == []
    project.dataset("tiny", rows=5)
    ran = project.doit("diff", "tiny@2100-01-01").out
    assert "0 inputs differ" in ran
    assert ran.count("not known") == 1  # of the model; the eval is that of the base


def test_an_empty_moment_is_refused(bench: Bench) -> None:
    for words in (["--at", ""], ["--at="]):
        ran = bench.project.doit("results", "tiny", *words, code=3)
        assert "--at is empty" in ran.err


@pytest.mark.parametrize("command", ["results", "diff"])
def test_a_reader_that_has_seen_enough_is_no_failure(
    bench: Bench, command: str
) -> None:
    word = f"tiny@{bench.ids()[0]}" if command == "diff" else "tiny"
    process = bench.project.start(command, word)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait() == 141
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == ""


def test_nothing_is_made_or_noted(bench: Bench, tmp_path: Path) -> None:
    before = (bench.project.root / "artifacts/runs.jsonl").read_bytes()
    bench.diff("tiny@2030-01-01")
    bench.project.doit("diff", "tiny", "arms", "seeds=3")
    assert (bench.project.root / "artifacts/runs.jsonl").read_bytes() == before


def test_an_edited_lock_is_refused(bench: Bench) -> None:
    lock = bench.project.root / "zoo/edited.lock.json"
    text = (bench.project.root / "zoo/tiny.lock.json").read_text()
    lock.write_text(text.replace(bench.digest, "0" * 32))
    assert "was edited" in bench.project.doit("diff", str(lock), code=3).err
    lock.unlink()


def test_a_figure_of_an_earlier_run_is_traced_under_its_variables(
    project: Project,
) -> None:
    project.setting("tiny", models='["dummy/other"]')
    project.dataset("tiny")
    project.doit("run", "tiny", "model=dummy/echo")
    project.doit("plot", "tiny", "--out", "old.svg", "--at", "2100-01-01")
    told = json.loads(project.doit("trace", "old.svg", "--json").out)
    assert told["variables"] == {"model": "dummy/echo"}
    assert set(told["counts"]) == {"current"}
    assert " --at " in told["command"]
    assert "model=" not in told["command"]
    project.dataset("tiny", rows=5)
    told = json.loads(project.doit("trace", "old.svg", "--json", code=1).out)
    assert told["counts"]["superseded"] >= 1
