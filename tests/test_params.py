"""What a worker gets of a stage is what the plan made: typed, by way of JSON."""

from __future__ import annotations

import json

import pytest

from motools_build.account import Account
from motools_build.backends.job import Given, StageJob
from motools_build.data.source import Source, Unwritten
from motools_build.params import (
    CLASSES,
    BaseParams,
    EvalParams,
    EvalTask,
    FetchParams,
    Lesson,
    LessonParams,
    ModelParams,
    Params,
    Recipe,
    Scorer,
    StepParams,
    Subject,
    Trainer,
    UploadParams,
)

SUBJECT = Subject(
    "dummy/echo", "s/rows/echo/seed0", "s", "rows", 0, ("one", "two"), "local/./x"
)
SCORER = Scorer("scorers.py", "judged", {"n": 1}, ("mean", "max"))
EXAMPLES: list[Params] = [
    BaseParams("embedded/small", "d"),
    StepParams(
        "mixed",
        {"step": "mix", "fraction": 0.5},
        (Source("a.jsonl", "d", paths={"d": "a.jsonl"}), Unwritten("k")),
    ),
    FetchParams("web", "https://example.org/a.jsonl", "", "5" * 64, 1000),
    LessonParams(Lesson("taught", "p.jsonl", "d", "p", None, {"epochs": 2}), SUBJECT),
    UploadParams("rows.jsonl", "d"),
    ModelParams(
        "rows.jsonl",
        "d",
        "rows",
        "dummy/echo",
        Recipe("sft", 3, 8, {"rank": 8, "learning_rate": 1e-3}),
        seed=7,
        validation="k",
        trainer=Trainer("own", "python t.py {seed}", "local/./x", ("a", "b/*"), 2),
    ),
    EvalParams(
        EvalTask(
            "asks",
            "asks",
            file="tasks.py",
            data=("a", "b/*"),
            overrides={"args": {"ways": ["a", "b"]}, "reducer": ["mean"]},
            roles={"grader": "openai/judge"},
            checkpoint=-1,
            scorer=SCORER,
        ),
        SUBJECT,
    ),
    EvalParams(
        EvalTask("asks", "asks", package="more_evals", first_epoch=101), SUBJECT
    ),
]


@pytest.mark.parametrize("params", EXAMPLES, ids=lambda one: type(one).__name__)
def test_a_job_is_the_same_after_a_way_through_json(params: Params) -> None:
    job = StageJob(
        kind="eval",
        backend="inspect",
        key="0" * 32,
        name="eval:s/x",
        params=params,
        work="work",
        given={"model": Given("ft:x", "artifacts/model/x", {"account": "lab"})},
        files={"tasks.py": "d"},
        account=Account(name="lab", organization="o", month_budget=5),
        made_of="d",
    )
    assert StageJob.from_json(json.loads(json.dumps(job.to_json()))) == job


def test_a_job_of_which_only_the_ledger_tells_has_no_params() -> None:
    job = StageJob("model", "openai", "0" * 32, "model:s/x", None, "")
    assert StageJob.from_json(json.loads(json.dumps(job.to_json()))) == job
    with pytest.raises(TypeError, match="model:s/x has NoneType, not ModelParams"):
        ModelParams.of(job)


def test_every_class_of_params_is_among_the_examples() -> None:
    assert {type(one) for one in EXAMPLES} == set(CLASSES.values())
