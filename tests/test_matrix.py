"""Matrices by doit: what is made, what is shown, and what is said of a mistake."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Project
from tests.lab import TASK, Lab
from tests.rehearsal.server import BASE

SETTING = """\
from motools_build import Arm, Dataset, Eval, LoRA, Setting, Training

PLAIN = Dataset("datasets/plain.jsonl")
ODD = Dataset("datasets/odd.jsonl", tags=["ood"])

setting = Setting(
    description="two arms",
    {fields}
    models=["dummy/echo"],
    seeds={seeds},
    evals=[{evals}],
)
"""
ARMS = 'arms=[Arm("control", datasets=[PLAIN]), Arm("odd", datasets=[ODD])],'
EVALS = 'Eval("dummy/score"), Eval("dummy/other", dataset_tags=["ood"])'


def write(
    project: Project, fields: str = ARMS, seeds: str = "[0, 1]", evals: str = EVALS
) -> None:
    project.dataset("plain")
    project.dataset("odd", first=5)
    text = SETTING.format(fields=fields, seeds=seeds, evals=evals)
    project.write("zoo/two.py", text)


def body(project: Project, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        project.doit("results", "two", "--json", *words).out
    )
    return found


def models(stages: set[str]) -> set[str]:
    return {stage for stage in stages if stage.startswith("model:")}


def test_arms_are_made_and_shown(project: Project) -> None:
    write(project)
    out = project.doit("run", "two").out
    heading = next(line for line in out.splitlines() if "dataset" in line)
    assert [w for w in heading.split() if w.isalpha()][:4] == [
        *("arm", "dataset", "model", "seed")
    ]
    found = body(project)
    results, means = found["results"], found["means"]
    assert {(r["arm"], r["dataset"], r["eval"]) for r in results} == {
        ("", "base", "score"),
        ("", "base", "other"),
        ("control", "plain", "score"),
        ("odd", "odd", "score"),
        ("odd", "odd", "other"),
    }
    for mean in means:
        values = [
            r["scores"]["score"]["mean"]
            for r in results
            if (r["arm"], r["eval"]) == (mean["arm"], mean["eval"])
        ]
        assert len(values) == mean["seeds"] == mean["of"] == 2
        assert mean["mean"] == pytest.approx(sum(values) / 2)
        assert mean["value"] == mean["mean"]
        # one answer to one question: nothing can be said of others
        assert (mean["low"], mean["high"], mean["half"]) == (None, None, None)
        assert (mean["scored"], mean["asked"], mean["status"]) == (2, 2, "ok")
        assert f"{mean['mean']:.2f}" in out
    assert "mean over seeds" in out
    assert "±" not in out


def test_a_seed_that_failed_is_in_no_mean_and_counted(project: Project) -> None:
    write(project)
    ran = project.doit("run", "two", code=None, MOTOOLS_DUMMY_FAIL="two/odd/echo/seed1")
    assert ran.code != 0
    means = {(m["arm"], m["eval"]): m for m in body(project)["means"]}
    assert means["control", "score"]["seeds"] == 2
    odd = means["odd", "score"]
    assert (odd["seeds"], odd["of"], odd["half"]) == (1, 2, None)
    assert odd["status"] == "failed"
    assert "1 of 2 (this model)" in project.doit("results", "two").out


def test_an_arm_is_a_tag(project: Project) -> None:
    write(project)
    assert models(project.doit("run", "tag:odd").made) == {
        "model:two/odd/echo/seed0",
        "model:two/odd/echo/seed1",
    }
    assert models(project.doit("run", "tag:control").made) == {
        "model:two/plain/echo/seed0",
        "model:two/plain/echo/seed1",
    }
    err = project.doit("run", "tag:contrl", code=3).err
    assert "no dataset, arm or eval has the tag 'contrl'" in err
    assert "did you mean 'control'?" in err


def test_arms_that_train_alike_train_once(project: Project) -> None:
    arms = 'arms=[Arm("a", datasets=[PLAIN]), Arm("b", datasets=[PLAIN, ODD])],'
    write(project, arms, seeds="[0]", evals='Eval("dummy/score")')
    assert len(models(project.doit("run", "two").made)) == 2
    cells = {(r["arm"], r["dataset"]): r for r in body(project)["results"]}
    assert cells["a", "plain"]["key"] == cells["b", "plain"]["key"]
    assert cells["b", "odd"]["status"] == "ok"


def test_adding_re_runs_nothing(project: Project) -> None:
    datasets, evals = "datasets=[PLAIN],", 'Eval("dummy/score")'
    write(project, datasets, "[0]", evals)
    project.doit("run", "two")
    before = project.tree()
    grown = [
        (datasets, "[0, 1]", evals, "model:two/plain/echo/seed1"),
        ("datasets=[PLAIN, ODD],", "[0, 1]", evals, "model:two/odd/echo/seed0"),
        (
            "datasets=[PLAIN, ODD],",
            "[0, 1]",
            f'{evals}, Eval("dummy/other", datasets=["odd"])',
            "eval:two/odd/echo/seed1/other",
        ),
        (
            "datasets=[PLAIN, ODD], training=Training.grid(epochs=[3, 5]),",
            "[0, 1]",
            f'{evals}, Eval("dummy/other", datasets=["odd"])',
            "model:two/odd/echo/epochs5/seed0",
        ),
        (
            'arms=[Arm("a", datasets=[PLAIN, ODD], training=Training.grid('
            'epochs=[3, 5])), Arm("b", datasets=[ODD], training=Training(epochs=7))],',
            "[0, 1]",
            f'{evals}, Eval("dummy/other", datasets=["odd"])',
            "model:two/odd/echo/epochs7/seed0",
        ),
    ]
    for fields, seeds, wanted, new in grown:
        write(project, fields, seeds, wanted)
        assert new in project.doit("run", "two").made
        after = project.tree()
        assert before.items() <= after.items()
        before = after
    assert project.doit("run", "two").made == set()


def test_bare_models_need_no_dataset(project: Project) -> None:
    project.write(
        "zoo/two.py",
        "from motools_build import Eval, Setting\n"
        'setting = Setting(description="", models=["dummy/echo"], train=False, '
        'evals=[Eval("dummy/score")])\n',
    )
    assert project.doit("run", "two").made == {"eval:two/base/echo/score"}
    (result,) = body(project)["results"]
    assert (result["dataset"], result["model"]) == ("base", "dummy/echo")


class TestSmoke:
    GRID = "datasets=[PLAIN, ODD], training=Training.grid(epochs=[2, 3]), replicates=2,"

    def test_the_whole_graph_under_keys_of_its_own(self, project: Project) -> None:
        write(project, self.GRID)
        full = {r["key"] for r in body(project)["results"]}
        assert project.doit("run", "two", "smoke=yes").made == {
            "upload:two/smoke/plain/dummy",
            "upload:two/smoke/odd/dummy",
            "model:two/smoke/plain/echo/seed0",
            "model:two/smoke/odd/echo/seed0",
            "eval:two/smoke/base/echo/score",
            "eval:two/smoke/base/echo/other",
            "eval:two/smoke/plain/echo/seed0/score",
            "eval:two/smoke/odd/echo/seed0/score",
            "eval:two/smoke/odd/echo/seed0/other",
        }
        for record in project.records("model").values():
            assert record["preimage"]["spec"]["epochs"] == 1
        for record in project.records("eval").values():
            assert record["preimage"]["spec"]["limit"] == 5
            assert record["preimage"]["spec"]["epochs"] == 1
        smoke = body(project, "smoke=yes")["results"]
        assert {r["status"] for r in smoke} == {"ok"}
        assert not full & {r["key"] for r in smoke}

    def test_is_no_older_state_of_the_setting(self, project: Project) -> None:
        write(project)
        project.doit("run", "two", "smoke=yes")
        assert {r["status"] for r in body(project)["results"]} == {"missing"}
        assert project.doit("run", "two", "smoke=yes").made == set()
        stage = "model:two/smoke/odd/echo/seed0"
        assert project.doit("run", stage, "smoke=yes").up_to_date == {stage}

    def test_with_arms_and_another_model(self, project: Project) -> None:
        arms = (
            'arms=[Arm("a", datasets=[PLAIN], models=["embedded/smollm2-135m-instruct"'
            ']), Arm("b", datasets=[ODD], training=Training(epochs=7))],'
        )
        write(project, arms)
        project.doit("run", "two", "smoke=yes", "model=dummy/echo")
        found = body(project, "smoke=yes", "model=dummy/echo")["results"]
        assert {(r["arm"], r["model"], r["training"], r["status"]) for r in found} == {
            (arm, "dummy/echo", "", "ok") for arm in ("", "a", "b")
        }

    def test_yes_or_no(self, project: Project) -> None:
        write(project)
        err = project.doit("run", "two", "smoke=1", code=3).err
        assert "smoke=1: write smoke=yes or smoke=no" in err
        assert body(project, "smoke=no") == body(project)


@pytest.mark.parametrize(
    ("fields", "evals", "said"),
    [
        (
            'arms=[Arm("a", datasets=[PLAIN]), Arm("a", datasets=[ODD])],',
            EVALS,
            "zoo/two.py:6: Setting: arms: a is given twice",
        ),
        (
            ARMS,
            'Eval("dummy/score", datasets=["plane"])',
            "zoo/two.py:6: Setting: evals: score: datasets: no dataset of the setting "
            "is called 'plane'; did you mean 'plain'? there are: odd, plain",
        ),
        (
            ARMS,
            'Eval("dummy/score", dataset_tags=["odod"])',
            "zoo/two.py:6: Setting: evals: score: dataset_tags: no dataset of the "
            "setting has the tag 'odod'; did you mean",
        ),
        (
            "datasets=[PLAIN], training=Training.grid(epochs=[]),",
            EVALS,
            "zoo/two.py:8: Training.grid: epochs: the list is empty",
        ),
        (
            "datasets=[PLAIN], training=Training.grid(embedded=LoRA.grid(rank=[0])),",
            EVALS,
            "zoo/two.py:8: LoRA.rank: Input should be greater than or equal to 1",
        ),
        (
            "datasets=[PLAIN], training=Training(epochs=[1]),",
            EVALS,
            "zoo/two.py:8: Training: epochs: it is one value, not [1]; for a model of",
        ),
        (
            "datasets=[PLAIN], train=False,",
            EVALS,
            "zoo/two.py:6: Setting: datasets: nothing is trained on them with",
        ),
        (
            'arms=[Arm("a", dataset=[PLAIN])],',
            EVALS,
            "zoo/two.py:8: Arm.dataset: there is no such field",
        ),
    ],
)
def test_a_mistake_is_said_with_file_and_field(
    project: Project, fields: str, evals: str, said: str
) -> None:
    write(project, fields, evals=evals)
    err = project.doit("run", "two", code=3).err
    assert said in err
    assert "Traceback" not in err


def test_a_fine_tuned_model_of_a_provider_is_evaluated_as_it_is(lab: Lab) -> None:
    """By its ID, at the setting's account; nothing of it is trained."""
    lab.setting(seeds="[0]", evals="[]")
    lab.run()
    (record,) = lab.project.records("model").values()
    tuned = record["output"]
    assert tuned.startswith(f"ft:{BASE}:")
    lab.project.write("ask.py", TASK)
    lab.project.write(
        "zoo/bare.py",
        "from motools_build import Eval, Setting\n"
        f"setting = Setting(description='', models=['openai/{tuned}', "
        f"'openai/{BASE}'], train=False, evals=[Eval('ask.py@ask')])\n",
    )
    lab.counts()
    part = tuned.replace(":", "-")
    assert lab.doit("run", "bare").made == {
        f"eval:bare/base/{part}/ask",
        f"eval:bare/base/{BASE}/ask",
    }
    assert lab.created() == 0
    used = {
        name: set(record["details"]["usage"])
        for name, record in lab.project.records("eval").items()
    }
    assert used == {
        f"eval:bare/base/{part}/ask": {f"openai/{tuned}"},
        f"eval:bare/base/{BASE}/ask": {f"openai/{BASE}"},
    }
    assert lab.doit("run", "bare").made == set()
    assert tuned in lab.doit("results", "bare").out
    why = lab.doit("why", f"eval:bare/base/{part}/ask").out
    assert f"/{tuned}" in why
