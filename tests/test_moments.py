"""The words for moments, and what `--at` shows."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import motools_build
from motools_build.errors import SelectionError
from motools_build.project.moments import Moment, moment
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.runs import Run
from tests.conftest import Project

COMMIT = "abc1234" + "0" * 33


def run_of(time: str, setting: str = "tiny", **fields: Any) -> Run:
    return Run(time, setting, {"eval:tiny/base/echo/score": "0" * 32}, **fields)


RUNS = [
    run_of("2026-11-19T23:59:59Z"),
    run_of("2026-11-20T10:44:00Z", commit=COMMIT, dirty=True),
    run_of("2026-11-20T10:44:59Z", variables={"smoke": "yes"}),
    run_of("2026-11-20T10:45:00Z", "other"),
    run_of("2026-11-21T00:00:00Z", variables={"seeds": "3"}),
]


def meant(word: str, setting: str = "tiny", folder: Path = Path()) -> int:
    """The number of the run that a word means."""
    return RUNS.index(moment(word, RUNS, folder).of(setting))


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("2026-11-19", 0),
        ("2026-11-20", 1),
        ("2026-11-20T10:43", 0),
        ("2026-11-20T10:44", 1),
        ("2026-11-20 10:44", 1),
        ("2026-11-20T10:43:59Z", 0),
        ("2027-01-01", 4),
        (COMMIT[:7], 1),
        (COMMIT, 1),
        (RUNS[0].id, 0),
        (RUNS[2].id, 2),  # a smoke run is meant only by its ID
        (RUNS[4].id[:5], 4),
    ],
)
def test_a_word_means_the_last_run_by_then(word: str, number: int) -> None:
    assert meant(word) == number


def test_a_date_means_a_run_of_each_setting() -> None:
    found = moment("2026-11-20", RUNS)
    assert {name: RUNS.index(run) for name, run in found.runs.items()} == {
        "tiny": 1,
        "other": 3,
    }


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("yesterday", "'yesterday' is no moment"),
        ("2026-11-18", "no run that is known of began by 2026-11-18"),
        ("abc1235", "did you mean 'abc1234'"),
        ("--help", "is no moment"),
        ("", "is no moment"),
    ],
)
def test_a_word_that_means_nothing_is_told_with_what_there_is(
    word: str, said: str
) -> None:
    with pytest.raises(SelectionError) as error:
        moment(word, RUNS)
    assert said in str(error.value)
    assert RUNS[4].id in str(error.value)
    assert "doit history" in str(error.value)


def test_a_day_that_there_is_not_is_refused() -> None:
    with pytest.raises(SelectionError, match="'2026-11-31' is no date"):
        moment("2026-11-31", RUNS)


def test_the_beginning_of_two_ids_is_refused() -> None:
    several = [run_of(f"2026-11-20T10:44:{n % 60:02}Z", f"s{n}") for n in range(3000)]
    by_begin: dict[str, int] = {}
    for run in several:
        by_begin[run.id[:4]] = by_begin.get(run.id[:4], 0) + 1
    twice = next(begin for begin, count in by_begin.items() if count > 1)
    with pytest.raises(SelectionError, match="may mean several runs"):
        moment(twice, several)


def test_a_run_of_another_setting_is_no_run_of_this_one() -> None:
    found = moment(RUNS[3].id, RUNS)
    with pytest.raises(SelectionError, match="is a run of other, not of tiny"):
        found.of("tiny")
    # a setting that was renamed has none of its own
    assert found.of("renamed") == RUNS[3]


def test_without_runs_the_error_says_who_notes_them() -> None:
    with pytest.raises(SelectionError, match="doit run"):
        moment("2026-11-20", [])
    with pytest.raises(SelectionError, match="no run that is known of"):
        Moment("2026-11-20", {}).of("tiny")


@pytest.mark.skipif(shutil.which("git") is None, reason="without git")
def test_a_tag_and_a_branch_mean_their_commit(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        call = ("git", *who, *words)
        return subprocess.check_output(call, cwd=tmp_path, text=True).strip()

    git("init", "-q", "-b", "trunk")
    git("commit", "-q", "--allow-empty", "-m", "one")
    git("tag", "paper")
    first = run_of("2026-11-20T10:44:00Z", commit=git("rev-parse", "HEAD"))
    git("commit", "-q", "--allow-empty", "-m", "two")
    second = run_of("2026-11-20T11:44:00Z", commit=git("rev-parse", "HEAD"))
    third = run_of("2026-11-20T12:44:00Z", commit=None)
    runs = [first, second, third]
    assert moment("paper", runs, tmp_path).of("tiny") is first
    assert moment("trunk", runs, tmp_path).of("tiny") is second
    with pytest.raises(SelectionError, match="is no moment"):
        moment("nowhere", runs, tmp_path)


# ---- what --at shows


def runs(project: Project) -> list[Run]:
    return [*ArtifactStore(project.root / "artifacts").runs]


@pytest.fixture
def twice(tiny: Project) -> Project:
    """The setting `tiny`, run with three rows, then with four and another seed."""
    tiny.doit("run", "tiny")
    tiny.dataset("tiny", 4)
    tiny.setting("tiny", seeds="[0, 1]")
    tiny.doit("run", "tiny")
    return tiny


def scores(out: str) -> dict[str, tuple[str, str]]:
    """Stage name -> its key and status, of `doit results --json`."""
    found = json.loads(out)["results"]
    return {one["stage"]: (one["key"], one["status"]) for one in found}


def test_a_past_result_is_shown_as_it_was(twice: Project) -> None:
    first, last = runs(twice)
    shown = json.loads(twice.doit("results", "tiny", "--json", "--at", first.id).out)
    assert shown["at"] == {
        "run": first.id,
        "setting": "tiny",
        "time": first.time,
        "commit": first.commit,
        "dirty": first.dirty,
        "variables": {},
    }
    evals = {n: key for n, key in first.stages.items() if n.startswith("eval:")}
    assert {one["stage"]: one["key"] for one in shown["results"]} == evals
    assert {one["status"] for one in shown["results"]} == {"ok"}
    assert all(one["estimates"] for one in shown["results"])
    tuned = [one for one in shown["results"] if one["seed"] == 0]
    assert [one["dataset_digest"] for one in tuned] == [
        first.files["datasets/tiny.jsonl"]
    ]
    assert shown["off_plan"] == []
    present = twice.doit("results", "tiny", "--json").out
    assert "at" not in json.loads(present)
    now = twice.doit("results", "tiny", "--json", "--at", last.id).out
    assert scores(now) == scores(present)


@pytest.mark.parametrize(
    "words",
    [
        ("results", "tiny"),
        ("results", "tiny", "--format", "md"),
        ("results", "tiny", "--format", "latex"),
        ("results", "tiny", "--differences"),
        ("results", "tiny", "--by", "seed"),
        ("samples", "eval:tiny/*"),
        ("why", "model:tiny/tiny/echo/seed0"),
        ("status", "tiny"),
        ("status",),
    ],
    ids=" ".join,
)
def test_every_form_says_which_run_it_shows(
    twice: Project, words: tuple[str, ...]
) -> None:
    first = runs(twice)[0]
    time = f"{first.time[:10]} {first.time[11:16]} UTC"
    out = twice.doit(*words, "--at", first.id, code=None).out
    assert f"tiny as of run {first.id}, {time}" in out
    assert "seed1" not in out


def test_the_rows_of_csv_and_the_answers_are_those_of_the_run(twice: Project) -> None:
    first = runs(twice)[0]
    out = twice.doit("results", "tiny", "--csv", "--at", first.id).out
    keys = {key for name, key in first.stages.items() if name.startswith("eval:")}
    assert {word for line in out.splitlines() for word in line.split(",")} > keys
    assert (
        twice.doit("results", "--samples", "--csv", "tiny", "--at", first.id).code == 0
    )


def test_nothing_is_written_by_looking_back(twice: Project) -> None:
    first = runs(twice)[0]

    def there() -> dict[str, bytes]:
        files = (twice.root / "artifacts").rglob("*")
        return {
            str(file): file.read_bytes()
            for file in files
            if file.is_file() and file.name != "memo.json"
        }

    before = there()
    twice.doit("results", "tiny", "--at", first.id)
    twice.doit("status", "--at", first.id)
    assert there() == before


def test_an_artifact_that_is_gone_is_missing_with_the_reason(twice: Project) -> None:
    first = runs(twice)[0]
    name = "eval:tiny/tiny/echo/seed0/score"
    shutil.rmtree(twice.root / f"artifacts/eval/dummy-{first.stages[name]}")
    out = twice.doit("results", "tiny", "--json", "--at", first.id).out
    (lost,) = (one for one in json.loads(out)["results"] if one["stage"] == name)
    assert lost["status"] == "missing"
    assert lost["note"] == "not made then, or removed since"
    assert lost["scores"] is None
    table = twice.doit("results", "tiny", "--at", first.id).out
    assert f"missing  {name}: not made then, or removed since" in table
    assert twice.doit("status", "--at", first.id, code=1).out


def test_a_model_that_is_gone_leaves_its_past_result(twice: Project) -> None:
    first = runs(twice)[0]
    key = first.stages["model:tiny/tiny/echo/seed0"]
    shutil.rmtree(twice.root / f"artifacts/model/dummy-{key}")
    out = twice.doit("results", "tiny", "--json", "--at", first.id).out
    (tuned,) = (one for one in json.loads(out)["results"] if one["seed"] == 0)
    assert (tuned["status"], tuned["model_key"]) == ("ok", key)
    assert tuned["dataset_digest"] is None


def test_arms_are_those_that_the_setting_still_has(tiny: Project) -> None:
    arms = '[Arm("one", datasets=[Dataset("datasets/tiny.jsonl")])]'
    file = tiny.setting("tiny", arms=arms, datasets="[]")
    file.write_text(file.read_text().replace("import Dataset", "import Arm, Dataset"))
    tiny.doit("run", "tiny")
    tiny.dataset("tiny", 4)
    out = tiny.doit("results", "tiny", "--json", "--at", runs(tiny)[0].id).out
    found = json.loads(out)["results"]
    assert {(one["arm"], one["model"]) for one in found} == {
        ("", "dummy/echo"),
        ("one", "dummy/echo"),
    }


def test_a_setting_that_is_gone_or_broken_is_shown_as_it_was(twice: Project) -> None:
    first = runs(twice)[0]
    (twice.root / "zoo/tiny.py").write_text("raise ValueError")
    for word in ("tiny", "eval:tiny/tiny/echo/seed0/score"):
        out = twice.doit("results", word, "--json", "--at", first.id).out
        assert len(scores(out)) == 2
    (twice.root / "zoo/tiny.py").rename(twice.root / "zoo/renamed.py")
    assert (
        len(scores(twice.doit("results", "tiny", "--json", "--at", first.id).out)) == 2
    )
    twice.setting("renamed", datasets='[Dataset("datasets/tiny.jsonl")]')
    renamed = twice.doit("results", "renamed", "--json", "--at", first.id).out
    assert scores(renamed).keys() == {
        name for name in first.stages if name.startswith("eval:")
    }


@pytest.mark.parametrize("variable", ["seeds=1", "model=dummy/other", "smoke=yes"])
def test_a_variable_that_changes_plans_is_refused(
    twice: Project, variable: str
) -> None:
    ran = twice.doit("results", "tiny", "--at", "2030-01-01", variable, code=3)
    assert "leave out" in ran.err
    assert variable in ran.err


def test_smoke_runs_are_shown_by_their_id_alone(tiny: Project) -> None:
    tiny.doit("run", "tiny", "smoke=yes")
    (smoke,) = runs(tiny)
    assert (
        "there was no run"
        in tiny.doit("results", "tiny", "--at", "2099-01-01", code=3).err
    )
    shown = scores(tiny.doit("results", "tiny", "--json", "--at", smoke.id).out)
    assert shown
    assert all(name.startswith("eval:tiny/smoke/") for name in shown)


def test_an_input_that_an_eval_observed_may_have_changed_since(
    tiny: Project, edit: Callable[[Path, str, str], None]
) -> None:
    tiny.write(
        "zoo/evals/asks.py",
        """\
from pathlib import Path
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def asks():
    name = "".join(["ques", "tion.txt"])
    text = (Path(__file__).parent / name).read_text()
    return Task([Sample(text, target="a")], solver=generate(), scorer=includes())
""",
    )
    question = tiny.write("zoo/evals/question.txt", "a?")
    tiny.setting("tiny", evals='[Eval("zoo/evals/asks.py@asks")]')
    tiny.doit("run", "tiny")
    question.write_text("b?")
    now = scores(tiny.doit("results", "tiny", "--json").out)
    assert {status for _, status in now.values()} == {"stale"}
    then = scores(tiny.doit("results", "tiny", "--json", "--at", "2099-01-01").out)
    assert {status for _, status in then.values()} == {"ok"}


def test_python_has_the_same_results(twice: Project) -> None:
    pytest.importorskip("pandas")
    first = runs(twice)[0]
    project = motools_build.open_project(twice.root)
    frame = project.results("tiny", at=first.id)
    keys = {key for name, key in first.stages.items() if name.startswith("eval:")}
    assert {*frame["key"]} == keys
    assert {*project.results("tiny")["key"]} > {*frame["key"]} - keys
