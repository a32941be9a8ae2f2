"""A setting's matrix: arms, grids, models that are only evaluated, and selection."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from motools_build import Arm, Dataset, Eval, LoRA, OpenAI, Setting, Training
from motools_build.errors import MotoolsError, SelectionError, SettingError
from motools_build.planning.plan import Plan, plan
from tests.conftest import ROOT
from tests.test_plan import MODEL, keys, resolve, setting

PLAIN, ODD = Dataset("plain.jsonl"), Dataset("odd.jsonl", tags=["ood"])
FT = "openai/ft:gpt-4.1-mini-2025-04-14:org::id"


def planned(**fields: Any) -> Plan:
    return plan("s", setting(**fields), resolve)


def names(kind: str, **fields: Any) -> list[str]:
    return [s.name for s in planned(**fields).stages if s.kind == kind]


def cells(**fields: Any) -> set[tuple[str, str, str, str]]:
    found = planned(**fields).cells
    return {(c.arm, c.dataset, c.training, c.eval) for c in found}


class TestGrid:
    def test_one_for_each_combination(self) -> None:
        found = Training.grid(epochs=[1, 3], batch_size=4, method=["sft", "dpo"])
        assert found == tuple(
            Training(epochs=e, batch_size=4, method=m)
            for e in (1, 3)
            for m in ("sft", "dpo")
        )

    def test_a_sub_spec_has_a_grid_of_its_own(self) -> None:
        found = Training.grid(embedded=LoRA.grid(rank=range(2, 5)))
        assert [training.embedded.rank for training in found] == [2, 3, 4]

    def test_only_what_varies_is_in_names(self) -> None:
        rates = LoRA.grid(learning_rate=[2e-4, 1e-5], rank=4)
        grid = Training.grid(epochs=[1, 3], batch_size=4, embedded=rates)
        stem = "model:s/d/smollm2-135m-instruct"
        assert names("model", training=grid) == [
            f"{stem}/epochs1-learning_rate0.0002/seed0",
            f"{stem}/epochs1-learning_rate1e-05/seed0",
            f"{stem}/epochs3-learning_rate0.0002/seed0",
            f"{stem}/epochs3-learning_rate1e-05/seed0",
        ]

    def test_what_doit_or_a_path_refuses_is_in_no_name(self) -> None:
        files = OpenAI.grid(validation=["", "a/b=c.jsonl"])
        (plain, other) = names("model", training=Training.grid(openai=files))
        assert plain.endswith("/validation/seed0")
        assert other.endswith("/validationa-b-c.jsonl/seed0")

    def test_a_grid_of_one_is_the_value_itself(self) -> None:
        one = {"training": Training.grid(epochs=[2])}
        scalar = {"training": Training(epochs=2)}
        assert keys("model", **one) == keys("model", **scalar)
        assert names("eval", **one) == names("eval", **scalar)

    def test_a_grid_has_the_keys_of_its_values(self) -> None:
        both = keys("eval", training=Training.grid(epochs=[1, 3]))
        assert both == keys("eval", training=Training(epochs=1)) | keys("eval")

    def test_another_backends_field_shares_the_model(self) -> None:
        grid = Training.grid(embedded=LoRA.grid(rank=[4, 8]))
        fields: dict[str, Any] = {"models": ["dummy/echo"], "training": grid}
        assert len(names("model", **fields)) == 2
        assert len(keys("model", **fields)) == 1


class TestArms:
    ARMS = (
        Arm("plain", datasets=PLAIN),
        Arm("odd", datasets=[ODD], training=Training(epochs=1)),
    )

    def test_group_cells_and_are_tags(self) -> None:
        arms = {"datasets": [], "arms": self.ARMS}
        assert cells(**arms) == {
            ("", "base", "", "task"),
            ("plain", "plain", "epochs3", "task"),
            ("odd", "odd", "epochs1", "task"),
        }
        tags = {s.name: s.tags for s in planned(**arms).stages}
        model = "model:s/{}/smollm2-135m-instruct/{}/seed0"
        assert tags[model.format("plain", "epochs3")] == ("plain",)
        assert tags[model.format("odd", "epochs1")] == ("ood", "odd")

    def test_have_the_keys_of_their_datasets(self) -> None:
        arms = [Arm("a", datasets=[PLAIN]), Arm("b", datasets=[ODD])]
        for kind in ("model", "eval"):
            assert keys(kind, datasets=[], arms=arms) == keys(
                kind, datasets=[PLAIN, ODD]
            )
        assert names("model", datasets=[], arms=arms) == names(
            "model", datasets=[PLAIN, ODD]
        )

    def test_that_train_alike_share_models(self) -> None:
        arms = [
            Arm("a", datasets=[PLAIN, ODD]),
            Arm("b", datasets=[ODD], training=Training()),
        ]
        fields: dict[str, Any] = {"datasets": [], "arms": arms, "controls": False}
        assert len(names("model", **fields)) == 2
        assert cells(**fields) == {
            ("a", "plain", "", "task"),
            ("a", "odd", "", "task"),
            ("b", "odd", "", "task"),
        }
        shared = next(s for s in planned(**fields).stages if "/odd/" in s.name)
        assert shared.tags == ("ood", "a", "b")

    def test_models_of_their_own(self) -> None:
        arms = [
            Arm("a", datasets=[PLAIN]),
            Arm("b", datasets=[PLAIN], models=["dummy/echo"]),
        ]
        fields: dict[str, Any] = {"datasets": [], "arms": arms}
        assert {(c.arm, c.model) for c in planned(**fields).cells} == {
            ("", MODEL),
            ("a", MODEL),
            ("", "dummy/echo"),
            ("b", "dummy/echo"),
        }

    def test_the_settings_datasets_are_theirs(self) -> None:
        assert setting(datasets=[], arms=self.ARMS).datasets == (PLAIN, ODD)


class TestBare:
    def test_nothing_is_trained(self) -> None:
        bare = Setting(
            description="",
            models=["openai/gpt-4.1", MODEL, FT],
            train=False,
            evals=[Eval("e.py@task")],
        )
        found = plan("s", bare, resolve)
        assert [stage.name for stage in found.stages] == [
            "eval:s/base/gpt-4.1/task",
            "base:s/smollm2-135m-instruct",
            "eval:s/base/smollm2-135m-instruct/task",
            "eval:s/base/ft-gpt-4.1-mini-2025-04-14-org--id/task",
        ]
        assert [c.model for c in found.cells] == ["openai/gpt-4.1", MODEL, FT]
        last = found.stages[-1]
        assert last.preimage["inputs"]["model"] == FT
        assert last.account.name == "default"
        assert last.setting == "s"

    def test_they_have_the_keys_of_controls(self) -> None:
        bare = Setting(
            description="", models=[MODEL], train=False, evals=[Eval("e.py@task")]
        )
        keys_of = {s.key for s in plan("s", bare, resolve).stages if s.kind == "eval"}
        assert keys_of < keys("eval")

    def test_beside_training(self) -> None:
        trained = names("eval")
        more = names("eval", bare=["dummy/echo", MODEL])
        assert {*more} - {*trained} == {"eval:s/base/echo/task"}
        assert len(more) == len(trained) + 1
        assert names("model", bare=["dummy/echo"]) == names("model")

    def test_without_controls_only_the_bare_ones(self) -> None:
        fields: dict[str, Any] = {"controls": False, "models": [MODEL, "dummy/echo"]}
        assert [n for n in names("eval", bare=[MODEL], **fields) if "/base/" in n] == [
            "eval:s/base/smollm2-135m-instruct/task"
        ]

    def test_a_fine_tune_may_be_trained_further(self) -> None:
        (stage,) = (s for s in planned(models=[FT]).stages if s.kind == "model")
        part = "ft-gpt-4.1-mini-2025-04-14-org--id"
        assert stage.name == f"model:s/d/{part}/seed0"
        assert stage.preimage["inputs"]["base"] == FT.removeprefix("openai/")

    def test_models_that_end_alike_have_names_apart(self) -> None:
        models = ["openai/ft:x:echo", "openai/ft-x-echo"]
        found = names("eval", models=["dummy/echo"], bare=["openai/echo", FT])
        assert "eval:s/base/openai-echo/task" in found
        with pytest.raises(MotoolsError, match="would both be called"):
            names("eval", bare=models)


class TestEvalsOfDatasets:
    EVALS = (
        Eval("e.py@all"),
        Eval("e.py@named", datasets=["plain"]),
        Eval("e.py@tagged", dataset_tags=["ood"]),
        Eval("e.py@both", datasets="plain", dataset_tags="ood"),
    )

    def test_are_asked_of_those_and_of_controls(self) -> None:
        found = cells(datasets=[PLAIN, ODD], evals=self.EVALS)
        by_dataset: dict[str, set[str]] = {}
        for _, dataset, _, name in found:
            by_dataset.setdefault(dataset, set()).add(name)
        assert by_dataset == {
            "base": {"all", "named", "tagged", "both"},
            "plain": {"all", "named", "both"},
            "odd": {"all", "tagged", "both"},
        }

    def test_are_in_no_key(self) -> None:
        everything = keys("eval", datasets=[PLAIN, ODD])
        some = [Eval("e.py@task", dataset_tags=["ood"])]
        assert keys("eval", datasets=[PLAIN, ODD], evals=some) < everything

    def test_an_arm_is_a_tag(self) -> None:
        arms = [Arm("a", datasets=[PLAIN]), Arm("b", datasets=[PLAIN, ODD])]
        some = [Eval("e.py@task", dataset_tags=["a"])]
        fields: dict[str, Any] = {"datasets": [], "arms": arms, "controls": False}
        assert cells(evals=some, **fields) == {("a", "plain", "", "task")}


class TestSelection:
    SETTING = setting(
        datasets=[PLAIN, ODD],
        evals=[
            Eval("e.py@all", tags=["fast"]),
            Eval("e.py@named", datasets=["odd"]),
            Eval("e.py@other", datasets=["plain"]),
        ],
    )

    def test_datasets(self) -> None:
        assert self.SETTING.datasets == (PLAIN, ODD)
        assert self.SETTING.datasets(tags="ood") == (ODD,)
        assert self.SETTING.datasets(tags=["ood"]) == (ODD,)
        assert self.SETTING.datasets() == (PLAIN, ODD)

    def test_evals(self) -> None:
        def chosen(**tags: Any) -> list[str]:
            return [e.name for e in self.SETTING.evals(**tags)]

        assert chosen() == ["all", "named", "other"]
        assert chosen(tags="fast") == ["all"]
        assert chosen(dataset_tags="ood") == ["all", "named"]
        assert chosen(tags="fast", dataset_tags=["ood"]) == ["all"]
        assert Setting(**dict(self.SETTING)).evals(dataset_tags="ood")

    def test_a_tag_that_nothing_has(self) -> None:
        with pytest.raises(SelectionError, match="the tag 'odd'; did you mean 'ood'"):
            self.SETTING.datasets(tags="odd")
        with pytest.raises(SelectionError, match="no eval has the tag 'fats'"):
            self.SETTING.evals(tags="fats")
        with pytest.raises(SelectionError, match="no dataset has the tag 'x'"):
            self.SETTING.evals(dataset_tags="x")


def bare(**fields: Any) -> Setting:
    usual = {"datasets": [], "train": False}
    return setting(**{**usual, **fields})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: Training(epochs=[1, 3]),
            "epochs: it is one value, not [1, 3]; for a model of each write "
            "Training.grid(epochs=[...])",
        ),
        (lambda: setting(training=[]), "at least one is needed"),
        (
            lambda: setting(training=[Training(), Training(epochs=3)]),
            "is given twice",
        ),
        (
            lambda: setting(datasets=[], arms=[Arm("a", datasets=[])]),
            "at least one is needed",
        ),
        (lambda: Arm("a b", datasets=[PLAIN]), "'a b' cannot be part of"),
        (
            lambda: setting(
                datasets=[],
                arms=[Arm("a", datasets=[PLAIN]), Arm("a", datasets=[ODD])],
            ),
            "arms: a is given twice; give one of them another name=",
        ),
        (
            lambda: setting(
                datasets=[],
                arms=[
                    Arm("a", datasets=[PLAIN]),
                    Arm("b", datasets=[Dataset("x/plain.jsonl")]),
                ],
            ),
            "datasets: plain is given twice; give one of them another name=",
        ),
        (
            lambda: setting(datasets=[ODD], arms=[Arm("a", datasets=[PLAIN])]),
            "datasets: the arms have theirs; put these into an arm",
        ),
        (
            lambda: setting(
                datasets=[], arms=[Arm("a", datasets=[PLAIN], models=["dummy/echo"])]
            ),
            "models: each arm has its own; leave these out",
        ),
        (lambda: setting(datasets=[]), "datasets: at least one is needed; to evaluate"),
        (lambda: setting(models=[]), "models: at least one is needed"),
        (lambda: bare(datasets=[PLAIN]), "datasets: nothing is trained on them with"),
        (lambda: bare(evals=[]), "evals: at least one is needed with train=False"),
        (
            lambda: bare(evals=[Eval("e.py@t", checkpoint=-1)]),
            "evals: t: datasets, dataset_tags and checkpoint are of models that",
        ),
        (
            lambda: setting(datasets=[PLAIN], evals=[Eval("e.py@t", datasets="plane")]),
            "evals: t: datasets: no dataset of the setting is called 'plane'; "
            "did you mean 'plain'?",
        ),
        (
            lambda: setting(datasets=[ODD], evals=[Eval("e.py@t", dataset_tags="odd")]),
            "evals: t: dataset_tags: no dataset of the setting has the tag 'odd'; "
            "did you mean 'ood'?",
        ),
        (lambda: Eval("e.py@t", datasets=[]), "at least one is needed"),
    ],
)
def test_a_mistake_is_said(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        make()


def test_an_empty_grid_is_said() -> None:
    with pytest.raises(
        SettingError, match=r"Training\.grid: epochs: the list is empty"
    ):
        Training.grid(epochs=[])


@pytest.mark.parametrize(
    "more",
    [
        {"seeds": [0, 1]},
        {"replicates": 2},
        {"datasets": [], "arms": [Arm("a", datasets=[Dataset("d.jsonl"), ODD])]},
        {"training": Training.grid(epochs=[3, 5])},
        {"bare": ["dummy/echo"]},
        {"evals": [Eval("e.py@task"), Eval("e.py@more", dataset_tags=["x"])]},
    ],
)
def test_adding_keeps_what_existed(more: dict[str, Any]) -> None:
    usual = {"datasets": [Dataset("d.jsonl", tags=["x"])]}
    for kind in ("base", "model", "eval"):
        assert keys(kind, **usual) <= keys(kind, **{**usual, **more})


SAMPLES = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs/guides/settings.md").read_text(), re.DOTALL
)


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_documents_samples_are_settings_that_plan(sample: str) -> None:
    namespace: dict[str, Any] = {}
    exec(sample, namespace)
    stages = plan("s", namespace["setting"], resolve).stages
    assert any(stage.kind == "eval" for stage in stages)


def test_the_documents_first_sample_is_the_matrix_that_it_describes() -> None:
    namespace: dict[str, Any] = {}
    exec(SAMPLES[0], namespace)
    found = plan("caps", namespace["setting"], resolve)
    stages = {stage.name for stage in found.stages}
    assert "model:caps/lower/smollm2-135m-instruct/epochs3-rank8/seed0" in stages
    assert sum(stage.kind == "model" for stage in found.stages) == 3 * 4 * 3
    asked = {(c.arm, c.eval) for c in found.cells}
    assert ("control", "arithmetic") not in asked
    assert {("control", "in_distribution"), ("plain", "arithmetic")} < asked


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Eval("dummy/score", epochs=2**52), "less than or equal to 100000"),
        (lambda: Training(epochs=2**30), "less than or equal to 100000"),
        (lambda: setting(seeds=range(10**9)), "1,000,000,000 values are too many"),
        (lambda: setting(seeds=range(50_000), replicates=1000), "stages; one setting"),
        (lambda: setting(seeds=[0] * 200_000), "200,000 values are too many"),
        (lambda: Training.grid(epochs=range(10**9)), "combinations are too many"),
        (lambda: Dataset("a\0b.jsonl", name="x"), "path: a NUL is no part"),
        (lambda: Dataset("a\udcff.jsonl", name="x"), "path: half a character"),
        (lambda: Eval("dummy/score", args={"a": deep(3000)}), "more than 100 deep"),
        (lambda: Dataset(step="head"), "is made by its methods"),
    ],
)
def test_what_no_machine_can_make_is_refused_at_once(
    made: Callable[[], object], said: str
) -> None:
    with pytest.raises((ValueError, SettingError)) as caught:
        made()
    assert said in str(caught.value)


def deep(n: int) -> object:
    found: object = 1
    for _ in range(n):
        found = [found]
    return found
