"""The openai backend at a server that nobody here wrote."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests.conformance.servers import Aimock, Prism
from tests.conftest import Project
from tests.rehearsal.server import Rehearsal

pytestmark = pytest.mark.node

BASE = "gpt-4.1-mini-2025-04-14"
JOBS = "/v1/fine_tuning/jobs"

TASK = """\
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate


@task
def sums():
    samples = [
        Sample(input="What is 1 + 0?", target="ANSWER: 1"),
        Sample(input="What is 1 + 7?", target="ANSWER: 8"),
    ]
    return Task(dataset=samples, solver=generate(), scorer=includes())
"""


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, aimock: Aimock) -> None:
    """The SDK's own variables lead to aimock."""
    monkeypatch.setenv("OPENAI_BASE_URL", aimock.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("MOTOOLS_SETTLE_SECONDS", "0.2")
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("account")
def test_a_sweep_is_paid_once(project: Project, aimock: Aimock) -> None:
    project.dataset("tiny", rows=10)
    project.write("zoo/evals/sums.py", TASK)
    project.setting(
        "tiny",
        models=f'["openai/{BASE}"]',
        seeds="[0, 1]",
        evals='[Eval("zoo/evals/sums.py@sums")]',
    )
    project.doit("run", "tiny")
    models = project.records("model")
    assert len(models) == 2
    names = {record["output"] for record in models.values()}
    assert all(name.startswith(f"ft:{BASE}:aimock:") for name in names)
    assert len(names) == 2
    (upload,) = aimock.posted("files", "/v1/files")
    assert upload["purpose"] == "fine-tune"
    sent = aimock.posted("fine-tuning", JOBS)
    assert sorted(body["seed"] for body in sent) == [0, 1]
    assert {body["model"] for body in sent} == {BASE}
    assert {body["training_file"] for body in sent} == {
        record["output"] for record in project.records("upload").values()
    }

    # One of two answers is right, of the base and of both models alike.
    results = project.results("tiny")
    assert len(results) == 3
    for result in results:
        assert result["status"] == "ok"
        assert result["scores"]["includes"]["accuracy"] == 0.5

    again = project.doit("run", "tiny")
    assert again.made == set()

    # A machine that lost its artifacts finds its file and its jobs again; aimock does
    # not filter by metadata, so each run sees the other's job too.
    shutil.rmtree(project.root / "artifacts")
    (project.root / "artifacts").mkdir()
    project.doit("run", "model:tiny/*")
    assert {name: r["output"] for name, r in project.records("model").items()} == {
        name: record["output"] for name, record in models.items()
    }
    assert len(aimock.posted("files", "/v1/files")) == 1
    assert len(aimock.posted("fine-tuning", JOBS)) == 2


def test_all_that_the_backend_says_is_in_openais_document(
    project: Project, prism: Callable[[str], Prism]
) -> None:
    """A sweep wide enough to be followed by lists, through the validating proxy."""
    project.dataset("wide", rows=10)
    project.dataset("held_out", rows=10, first=50)
    project.setting(
        "wide",
        models=f'["openai/{BASE}"]',
        seeds="[*range(5)]",
        training='Training(openai={"validation": "datasets/held_out.jsonl"})',
        evals='[Eval("dummy/score", checkpoint=-1)]',
    )
    with Rehearsal().start("--seconds", "1") as rehearsal:
        proxy = prism(rehearsal.url)
        environ = {
            "OPENAI_BASE_URL": proxy.url,
            "OPENAI_API_KEY": "sk-test",
            "MOTOOLS_SETTLE_SECONDS": "0.5",
        }
        project.doit("run", "wide", **environ)
        seed0 = f"model:wide/wide/{BASE}/seed0"
        project.doit("clean", "wide", **environ)
        project.doit("run", "wide", **environ)
        project.doit("verify", "--remote", **environ)
        project.doit("plan", "wide", "--remote", "seeds=9", **environ)
        rehearsal.settings(seconds=600)  # a job that can still be cancelled
        made = project.doit("run", "wide", "wait=no", "seeds=9", **environ)
        assert "deferred: submitted as ftjob-" in made.out
        project.doit("cancel", f"{seed0[:-1]}9", "seeds=9", **environ)
        asked = rehearsal.requests()["counts"]
        assert asked["POST /v1/fine_tuning/jobs"] == 6
        assert asked["POST /v1/fine_tuning/jobs/{id}/cancel"] == 1
        assert proxy.violations() == []
