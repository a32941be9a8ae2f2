"""What is no number is never a zero: counted apart with what it was; nothing that a
scorer gave is lost, overwritten or rounded. Real Inspect, one eval a task."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest

from motools_build.backends.inspect.backend import InspectBackend
from motools_build.backends.inspect.counted import outcomes_of
from motools_build.backends.inspect.scores import number
from motools_build.backends.job import Given, Made, StageJob
from motools_build.errors import EvalFailed
from motools_build.params import EvalParams, EvalTask, Scorer, Subject
from motools_build.report.outcomes import noticed, values

# what Inspect and its dependencies deprecate or leave open is not ours to mend
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning"),
]

TASKS = '''
import asyncio, math

from inspect_ai import Epochs, Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import (
    SampleScore, Score, accuracy, includes, mean, metric, scorer, stderr
)
from inspect_ai.solver import generate, solver

SAMPLES = [Sample(id=2**60 + n, input=f"say {n}", target=f"say {n}") for n in range(4)]

def giving(name, first, rest, metrics):
    """A scorer that gives the first two samples one value and the others another."""
    @scorer(metrics=metrics, name=name)
    def made():
        async def score(state, target):
            value = first if state.sample_id < 2**60 + 2 else rest
            return value if isinstance(value, Score) else Score(value=value)
        return score
    return made()

@metric
def n():
    return lambda scores: 99

@metric
def unscored():
    return lambda scores: 98

@metric(scores="unreduced")
def refusals():
    def compute(scores: list[SampleScore]):
        return sum(score.score.value == "refusal" for score in scores)
    return compute

@metric
def broken():
    def compute(scores: list[SampleScore]):
        assert len(scores) == 4
        return 1
    return compute

@scorer(metrics=[mean(), stderr()])
def sparse():
    async def score(state, target):
        return None if state.sample_id == 2**60 else Score(value=1)
    return score

BOTH = {"aligned": [mean(), stderr()], "coherent": [mean()]}

@scorer(metrics=BOTH)
def judge(k: float = 0.0):
    async def score(state, target):
        return Score(value={"aligned": k, "coherent": k + 0.5})
    return score

@scorer(metrics=[mean()])
def aligned():
    async def score(state, target):
        return Score(value=0.7)
    return score

ODD = [
    giving("words", "refusal", 1, [mean()]),
    giving("grades", "Refused", "C", [accuracy(), stderr()]),
    giving("yes", "yes", "No", [mean()]),
    giving("text", "0.25", "1e0", [mean()]),
    giving("true", True, False, [mean()]),
    giving("lists", [1, 0, 1], [1], [mean()]),
    giving("leaves", {"a": 1, "b": None}, {"a": 1, "b": 0.5}, {"*": [mean()]}),
    giving("worded", {"x": "so so", "y": 2}, {"x": 1, "y": 4}, {"*": [mean()]}),
    giving("lacking", {"a": 1}, {"a": 1, "z": 3}, {"a": [mean()], "z": [mean()]}),
    giving("whole", {"a": 1}, {"a": 0}, [{"a": [mean()]}, accuracy()]),
    giving("infinite", math.inf, 1, [mean()]),
    giving("below", -math.inf, -1, [mean()]),
    giving("huge", 2**60 + 1, 2**60 + 1, [mean()]),
    giving("beyond", 1e308, 1e308, [mean()]),
    giving("counts", 1, 1, [n(), unscored(), mean()]),
    giving("told", Score.unscored(reason="grader_failed"), 1, [mean()]),
    giving("kinds", "refusal", 1, [mean(), refusals()]),
    giving("esc", "\\x1b[31m\\u202ered", 1, [mean()]),
]

@task
def odd():
    return Task(dataset=SAMPLES, solver=generate(), scorer=[*ODD, sparse()])

@task
def repeated():
    return Task(
        dataset=SAMPLES,
        solver=generate(),
        scorer=giving("words", "refusal", 1, [mean()]),
        epochs=Epochs(3, ["mean", "max"]),
    )

@task
def judges():
    return Task(
        dataset=SAMPLES,
        solver=generate(),
        scorer=[judge(0.1), judge(0.2), judge(0.3), aligned(), includes(), includes()],
    )

@task
def reduced():
    return Task(
        dataset=SAMPLES,
        solver=generate(),
        scorer=[judge(0.1), judge(0.2), includes()],
        epochs=Epochs(2, ["mean", "max"]),
    )

@task
def ended():
    lacking = giving("lacking", {"a": 1, "z": 3}, {"a": 1}, {"*": [mean()]})
    huge = giving("huge", 10**400, 1, [mean()])
    return Task(dataset=SAMPLES, solver=generate(), scorer=[lacking, huge])

@metric
def raising():
    def compute(scores: list[SampleScore]):
        raise KeyError("no such group")
    return compute

@task
def failing():
    scorer = giving("fails", 1, 2, [mean(), raising()])
    return Task(dataset=SAMPLES, solver=generate(), scorer=scorer)

@task
def needing():
    words = giving("needs", "refusal", 1, [mean(), broken()])
    return Task(dataset=SAMPLES, solver=generate(), scorer=words)

@solver
def slow():
    async def solve(state, generate):
        if state.sample_id == 2**60:
            await asyncio.Event().wait()
        return await generate(state)
    return solve

@task
def timed():
    return Task(dataset=SAMPLES, solver=slow(), scorer=includes(), time_limit=1)

@task
def short():
    return Task(
        dataset=SAMPLES,
        solver=[generate(), generate()],
        scorer=includes(),
        message_limit=2,
    )

@solver
def silent():
    async def solve(state, generate):
        return state
    return solve

@task
def unasked():
    return Task(dataset=SAMPLES, solver=silent(), scorer=includes())
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("scores")
    (made / "tasks.py").write_text(TASKS)
    return made


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INSPECT_DISPLAY", "none")
    return folder


def run(task: str, kind: str = "eval", **more: Any) -> Made:
    asked = EvalTask(task, task, file="tasks.py", **more.pop("params", {}))
    subject = Subject("dummy/echo", "s/base/echo", "s", "base", None)
    params = EvalParams(asked, subject)
    work = f"work/{kind}-{task}"
    Path(work).mkdir(parents=True, exist_ok=True)
    job = StageJob(kind, "inspect", "0" * 32, f"{kind}:{task}", params, work, **more)
    return InspectBackend().work(job, lambda _: None)


def rows(task: str) -> list[dict[str, Any]]:
    lines = Path(f"work/eval-{task}/scores.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("value", "is_number"),
    [
        *[("C", 1.0), ("I", 0.0), ("P", 0.5), ("N", 0.0), ("YES", 1.0), ("no", 0.0)],
        *[("True", 1.0), ("false", 0.0), ("-1e3", -1000.0), (True, 1.0), (3, 3.0)],
        *[("c", None), ("refusal", None), ("inf", None), ("nan", None), ("", None)],
        *[(None, None), ([1], None), ({"a": 1}, None), (float("nan"), None)],
    ],
)
def test_what_inspect_takes_for_a_number(value: Any, is_number: float | None) -> None:
    assert number(value) == is_number


def test_what_is_no_number_is_counted_apart(here: Path) -> None:
    details = run("odd").details
    scores, counts = details["scores"], details["counts"]
    expected: dict[str, tuple[float | None, int, dict[str, int]]] = {
        # mean or accuracy, of how many, what the others were
        "words": (1.0, 2, {"'refusal'": 2}),
        "grades": (1.0, 2, {"'Refused'": 2}),
        "yes": (0.5, 4, {}),
        "text": (0.625, 4, {}),
        "true": (0.5, 4, {}),
        "lists": (None, 0, {"a list": 4}),
        "leaves.a": (1.0, 4, {}),
        "b": (0.5, 2, {"None": 2}),
        "x": (1.0, 2, {"'so so'": 2}),
        "y": (3.0, 4, {}),
        "lacking.a": (1.0, 4, {}),
        "z": (3.0, 2, {"missing": 2}),
        "whole": (None, 0, {"a mapping": 4}),
        "whole.a": (0.5, 4, {}),
        "infinite": (None, 4, {}),
        "below": (None, 4, {}),
        "huge": (float(2**60), 4, {}),
        "told": (1.0, 2, {"grader_failed": 2}),
        "kinds": (1.0, 2, {"'refusal'": 2}),
        "esc": (1.0, 2, {"'\\x1b[31m\\u202ered'": 2}),
        "sparse": (1.0, 3, {"none": 1}),
    }
    for name, (value, scored, was) in expected.items():
        found, count = scores[name], counts[name]
        metric = "accuracy" if "accuracy" in found else "mean"
        assert (name, found[metric]) == (name, value)
        assert (name, found["n"], found["unscored"]) == (name, scored, 4 - scored)
        assert (count["asked"], count["scored"]) == (4, scored)
        assert (name, count.get("was", {})) == (name, was)
    assert scores["kinds/unreduced"]["refusals"] == 2.0  # reads texts by itself
    assert scores["grades"]["stderr"] == 0.0

    assert counts["infinite"]["not_finite"] == {"mean": "inf"}
    assert counts["below"]["not_finite"] == {"mean": "-inf"}
    assert counts["beyond"]["not_finite"] == {"mean": "inf"}  # the sum overflows
    assert details["counts"]["infinite"]["not_finite"]["mean"] == "inf"

    assert (scores["counts"]["n"], scores["counts"]["unscored"]) == (99.0, 98.0)
    own = counts["counts"]["metrics"]
    assert values(scores["counts"], own) == ["n", "unscored", "mean"]
    assert values(scores["words"]) == ["mean"]

    said = list(noticed(details))
    assert "words: 2 of 4 answers have no number, and are in no mean: 2 'refusal'" in (
        said
    )
    assert "infinite: mean is inf" in said


def test_each_answer_says_why_it_has_no_number(here: Path) -> None:
    run("odd")
    first, *_, last = rows("odd")
    assert first["id"] == 2**60  # exact, as is what was scored
    assert first["scores"]["huge"] == 2**60 + 1
    assert first["why"] == {
        **{"words": "'refusal'", "grades": "'Refused'", "kinds": "'refusal'"},
        **{"leaves.b": "None", "worded.x": "'so so'", "lacking.z": "missing"},
        **{"lists": "a list", "told": "grader_failed", "sparse": "none"},
        **{"infinite": "inf", "below": "-inf", "esc": "'\\x1b[31m\\u202ered'"},
    }
    assert last["why"] == {"lists": "a list"}


def test_every_judge_and_reducer_has_its_name(here: Path) -> None:
    found = run("judges").details["scores"]
    means = {name: m["mean"] for name, m in found.items() if "mean" in m}
    assert means == {
        **{"judge.aligned": 0.1, "judge1.aligned": 0.2, "judge2.aligned": 0.3},
        **{"judge.coherent": 0.6, "judge1.coherent": 0.7, "judge2.coherent": 0.8},
        "aligned": 0.7,
    }
    assert {"includes", "includes1"} <= found.keys()
    found = run("reduced").details["scores"]
    assert {name: m["mean"] for name, m in found.items() if "mean" in m} == {
        f"{judge}.{key}/{reducer}": value + more
        for judge, value in (("judge", 0.1), ("judge1", 0.2))
        for key, more in (("aligned", 0.0), ("coherent", 0.5))
        for reducer in ("mean", "max")
    }
    assert {"includes", "includes/max"} <= found.keys()  # one scorer: as it was


def test_reducers_leave_out_what_is_no_number(here: Path) -> None:
    run("repeated")
    asked = {"overrides": {"epochs": 3, "reducer": ["median", "max"]}}
    details = run("repeated", params=asked).details  # in place of the task's own
    assert rows("repeated")[0]["why"] == {"words": "'refusal'"}
    assert details["counts"].keys() == {"words", "words/max"}
    for name in ("words", "words/max"):
        assert details["scores"][name] == {"mean": 1.0, "n": 2, "unscored": 6}
        assert details["counts"][name]["scored"] == 6


def test_a_metric_that_needs_what_is_no_number_fails_by_its_name(here: Path) -> None:
    with pytest.raises(EvalFailed) as caught:
        run("needing")
    for said in ("epoch 1", "'refusal'", "needs", "AssertionError", "Score.unscored()"):
        assert said in str(caught.value)


def test_metrics_that_inspect_gave_up_are_computed(here: Path) -> None:
    """All is answered and paid for; one answer lacks a key, one is no float."""
    details = run("ended").details
    scores, counts = details["scores"], details["counts"]
    assert scores["a"] == {"mean": 1.0, "n": 4, "unscored": 0}
    assert scores["z"] == {"mean": 3.0, "n": 2, "unscored": 2}
    assert counts["z"]["was"] == {"missing": 2}
    assert scores["huge"] == {"mean": 1.0, "n": 2, "unscored": 2}
    assert rows("ended")[0]["scores"]["huge"] == 10**400
    with pytest.raises(EvalFailed, match="no such group"):
        run("failing")
    gc.collect()  # what Inspect leaves open after an error is this test's, not pytest's


def test_what_a_limit_ended_is_told(here: Path) -> None:
    details = run("timed").details
    assert details["limits"] == {"time": 1}
    score = details["scores"]["includes"]
    assert (score["accuracy"], score["n"], score["unscored"]) == (1.0, 3, 1)
    assert "1 of 4 ended by its time limit: unscored" in list(noticed(details))
    assert rows("timed")[0]["scores"] == {"includes": None}
    assert rows("timed")[0]["why"] == {"includes": "ended by its time limit"}

    details = run("short").details  # of the task itself: counts as scored
    assert details["scores"]["includes"]["n"] == 4
    assert "4 of 4 ended by their message limit: scored as they were" in list(
        noticed(details)
    )


def test_a_limit_is_known_where_answers_are_scored_apart(here: Path) -> None:
    made = run("timed", "samples")
    assert made.details["limits"] == {"time": 1}
    apart = {"scorer": Scorer("tasks.py", "sparse", {}, ())}
    given = {"samples:1": Given("x", "work/samples-timed", made.details)}
    details = run("sparse", params=apart, given=given).details
    assert details["counts"]["sparse"]["was"] == {"ended by its time limit": 1}
    assert details["limits"] == {"time": 1}
    assert "never_asked" not in details


def test_a_model_that_was_never_asked_is_told(here: Path) -> None:
    details = run("unasked").details
    assert details["never_asked"] is True
    assert any("never asked" in line for line in noticed(details))
    assert "never_asked" not in run("judges").details


@pytest.mark.parametrize(
    ("group", "values", "counts"),
    [
        ("anything", {"scored": 3, "evasive": 1}, True),
        ("anything", {"scored": 0.5, "evasive": 1}, False),  # no whole numbers
        ("anything", {"yes": 3, "no": 1}, False),  # nothing says how many are scored
        (None, {"scored": 3, "evasive": 1}, False),  # metrics of their own
    ],
)
def test_a_metric_of_several_counts_is_known_by_its_form(
    group: str | None, values: dict[str, float], counts: bool
) -> None:
    from inspect_ai.log import EvalMetric, EvalScore

    metrics = {
        name: EvalMetric(name=name, group=group, value=value)
        for name, value in values.items()
    }
    metrics["mean"] = EvalMetric(name="mean", value=2)
    score = EvalScore(name="judge", scorer="judge", metrics=metrics)
    assert list(outcomes_of(score)) == (list(values) if counts else [])
