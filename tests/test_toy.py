"""A backend of another package, from a plan to its results: a shop of parrots, which is
in tests/toy and in one line of an entry point, and nowhere in motools_build."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import ROOT, Project, Ran
from tests.lab import KEY, TASK, Lab
from tests.packages import installed

PARROT = "toy/Acme/Parrot-1b"
MODEL = "model:birds/birds/Parrot-1b/seed"
EVAL = "eval:birds/birds/Parrot-1b/seed"

JUDGED = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import get_model
from inspect_ai.scorer import Score, accuracy, scorer
from inspect_ai.solver import generate

@scorer(metrics=[accuracy()])
def judged():
    async def score(state, target):
        said = await get_model(role="grader").generate("well?")
        return Score(value=1.0, explanation=said.completion)
    return score

@task
def ask():
    return Task(dataset=[Sample(input="hi")], solver=generate(), scorer=judged())
"""


@dataclass
class Shop:
    """A project whose environment has the toy, and an account at a shop."""

    project: Project

    def __post_init__(self) -> None:
        self.project.dataset("birds")
        self.project.write("ask.py", TASK)
        self.account("shop")

    @property
    def path(self) -> str:
        folder = self.project.root / "installed"
        shutil.copytree(ROOT / "tests/toy", folder, dirs_exist_ok=True)
        source = (ROOT / "tests/toy/toy_backend.py").read_text()
        return installed(folder, "toy_backend", source, toy="BACKEND")

    def setting(self, **replaced: str) -> None:
        usual = {"models": f'["{PARROT}"]', "controls": "False", "account": '"shop"'}
        usual["training"] = 'Training(epochs=1, options={"toy": {"loudness": 2}})'
        self.project.setting("birds", **{**usual, **replaced})

    def account(self, name: str, **fields: object) -> None:
        given = {"provider": "toy", "shop": str(self.project.root / name), **fields}
        lines = [f"{field} = {json.dumps(value)}" for field, value in given.items()]
        text = "\n".join([f"[tool.motools_build.accounts.{name}]", *lines])
        file = self.project.root / "pyproject.toml"
        file.write_text(f"{file.read_text()}\n{text}\n")

    def doit(self, *args: str, code: int = 0, **environ: str) -> Ran:
        usual = {"TOY_KEY": KEY, "MOTOOLS_SETTLE_SECONDS": "0.2"}
        ran = self.project.doit(
            *args, code=code, **{"PYTHONPATH": self.path, **usual, **environ}
        )
        assert KEY not in ran.out + ran.err
        assert "Traceback" not in ran.out + ran.err, ran.out + ran.err
        return ran

    def jobs(self, name: str = "shop") -> list[dict[str, Any]]:
        """What was ordered there."""
        file = self.project.root / name / "jobs.jsonl"
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text().splitlines()]

    def planned(self, *args: str) -> dict[str, dict[str, Any]]:
        out = self.doit("plan", "birds", "--json", *args).out
        return {intent["stage"]: intent for intent in json.loads(out)}


@pytest.fixture
def shop(project: Project) -> Shop:
    return Shop(project)


def test_from_a_plan_to_results(shop: Shop) -> None:
    shop.setting(seeds="[0, 1]", evals='[Eval("ask.py@ask")]')
    plan = shop.planned()
    assert plan[f"{MODEL}0"]["tokens"] > 0
    assert plan[f"{EVAL}0/ask"]["action"] == "run"
    ran = shop.doit("run", "birds")
    assert "paid to toy@shop by account shop" in ran.out
    assert [job["base"] for job in shop.jobs()] == [PARROT] * 2
    records = shop.project.records("model")
    assert {job["loud"] for job in shop.jobs()} == {2}
    for name, record in records.items():
        assert record["preimage"]["backend"] == "toy@shop", name
        assert record["preimage"]["version"] == 3
        assert record["preimage"]["spec"]["toy"] == {"loudness": 2}
        assert record["details"]["account"] == "shop"
    found = shop.doit("results", "birds", "--json").out
    results = json.loads(found)["results"]
    assert [r["status"] for r in results] == ["ok", "ok"]
    assert all(r["scores"]["includes"]["accuracy"] == 1 for r in results)
    # nothing more to do, and nobody is asked
    assert shop.doit("run", "birds").made == set()
    assert len(shop.jobs()) == 2
    told = json.loads(shop.doit("jobs", "--json").out)
    assert [(job["state"], job["account"]) for job in told] == [
        ("succeeded", "shop")
    ] * 2
    remote = json.loads(shop.doit("verify", "--remote", "--json").out)["remote"]
    assert {one["health"] for one in remote} == {"alive"}
    assert json.loads(shop.doit("status", "--json").out)["settings"]["birds"]


def test_it_is_paid_once(shop: Shop) -> None:
    shop.setting()
    shop.doit("run", "birds", TOY_LOSES="1")
    (job,) = shop.jobs()
    assert shop.project.records("model")[f"{MODEL}0"]["details"]["job"] == job["id"]
    # where all is lost but what the shop knows, its job is taken up
    shutil.rmtree(shop.project.root / "artifacts")
    assert shop.planned("--remote")[f"{MODEL}0"]["action"] == "adopt"
    shop.doit("run", "birds")
    assert shop.jobs() == [job]


def test_a_failure_is_paid_again_by_a_retry_alone(shop: Shop) -> None:
    shop.setting()
    assert "sold out" in shop.doit("run", "birds", code=2, TOY_FAILS="1").out
    shop.doit("run", "birds", code=2)
    assert len(shop.jobs()) == 1
    shop.doit("retry", f"{MODEL}0")
    shop.doit("run", "birds")
    assert [job["attempt"] for job in shop.jobs()] == [1, 2]


def test_money_is_the_accounts(shop: Shop) -> None:
    shop.setting(seeds="[0, 1, 2, 3, 4]")
    shop.account("poor", month_budget=1)
    said = shop.doit("run", "birds", "account=poor", code=2).out
    assert "account poor has spent or reserved $1.00 of the $1 of this month" in said
    assert len(shop.jobs("poor")) == 4


def test_options_and_accounts_are_its_own(shop: Shop) -> None:
    shop.setting()
    plain = shop.planned()[f"{MODEL}0"]["key"]
    shop.account("other")
    assert shop.planned("account=other")[f"{MODEL}0"]["key"] != plain
    shop.setting(training='Training(epochs=1, toy={"loudness": 2, "echo": False})')
    assert shop.planned()[f"{MODEL}0"]["key"] == plain
    shop.setting(training='Training.grid(epochs=1, toy={"loudness": [2, 3]})')
    keys = {name: intent["key"] for name, intent in shop.planned().items()}
    stem = MODEL.removesuffix("seed")
    assert keys[f"{stem}loudness2/seed0"] == plain
    assert keys[f"{stem}loudness3/seed0"] != plain
    for training, said in (
        ('toy={"loudnes": 2}', "there is no such option; did you mean 'loudness'?"),
        ('toy={"loudness": 12}', "toy.loudness: Input should be less than or equal"),
        ('tory={"loudness": 1}', "there is no such field; did you mean 'toy'?"),
    ):
        shop.setting(training=f"Training({training})")
        assert said in shop.doit("plan", "birds", code=3).err
    shop.setting(account="()")
    assert "at least one is needed" in shop.doit("plan", "birds", code=3).err
    shop.setting(account='"nobody"')
    assert "there is no account 'nobody'" in shop.doit("plan", "birds", code=3).err
    shop.account("empty", shop="")
    said = shop.doit("plan", "birds", "account=empty", code=3).err
    assert "accounts.empty] needs shop, the folder of its jobs" in said


def test_it_is_uninstalled(shop: Shop) -> None:
    """What it made is kept, one sentence says what is missing, and it may come back."""
    shop.setting()
    shop.project.dataset("plain")
    shop.project.setting("plain")
    shop.doit("run", "birds")
    tree = shop.project.tree()
    without = {"PYTHONPATH": str(ROOT)}
    gone = "there is no backend 'toy'; "
    for command in ("run", "plan", "results"):
        ran = shop.doit(command, "birds", code=3, **without)
        assert ran.err.count(gone) == 1, command
    shop.doit("run", "plain", **without)
    shop.doit("status", code=1, **without)
    assert (
        json.loads(shop.doit("jobs", "--json", **without).out)[0]["account"] == "shop"
    )
    remote = json.loads(
        shop.doit("verify", "--remote", "--json", code=1, **without).out
    )["remote"]
    assert {one["health"] for one in remote} == {"unknown"}
    (job,) = shop.jobs()
    assert shop.project.tree().items() >= tree.items()
    assert shop.doit("run", "birds").made == set()
    assert shop.jobs() == [job]


def test_trained_here_and_judged_there(shop: Shop, lab: Lab) -> None:
    """Each role has its account: the shop trains and is asked, OpenAI's judges."""
    shop.project.write("ask.py", JUDGED)
    judge = '{"grader": "openai/gpt-4.1-2025-04-14"}'
    shop.setting(
        account='["shop", "lab"]', evals=f'[Eval("ask.py@ask", roles={judge})]'
    )
    lab.account("lab")
    ran = shop.doit("run", "birds", **lab.environ)
    assert "paid to toy@shop by account shop" in ran.out
    assert f"by account lab ({lab.server.url})" in ran.out
    (record,) = shop.project.records("eval").values()
    identity = lab.server.url.removeprefix("http://").removesuffix("/v1")
    assert record["preimage"]["spec"]["roles"] == {
        "grader": f"openai@{identity}/gpt-4.1-2025-04-14"
    }
    assert lab.counts()["POST /v1/chat/completions"] == 1
