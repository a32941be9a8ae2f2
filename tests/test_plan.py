"""What enters a key, and what does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from motools_build import Dataset, Eval, LoRA, OpenAI, Setting, Training
from motools_build.errors import InputError
from motools_build.keys import digest_bytes
from motools_build.params import UploadParams
from motools_build.planning.evals import Sources
from motools_build.planning.plan import plan

MODEL = "embedded/smollm2-135m-instruct"


def resolve(spec: Dataset | Eval) -> Sources:
    """Digests of the paths stand for digests of the files."""
    if isinstance(spec, Dataset):
        digest = digest_bytes(spec.path.split("#")[0].encode())
        return Sources({"dataset": digest}, (spec.path,))
    if spec.file is None:
        return Sources({}, ())
    digest = digest_bytes(spec.file.split("#")[0].encode())
    return Sources({"task": digest}, (spec.file,))


def setting(**fields: Any) -> Setting:
    usual = {
        "description": "",
        "datasets": [Dataset("d.jsonl")],
        "models": [MODEL],
        "evals": [Eval("e.py@task")],
    }
    return Setting(**{**usual, **fields})


def keys(kind: str, **fields: Any) -> set[str]:
    stages = plan("s", setting(**fields), resolve).stages
    return {stage.key for stage in stages if stage.kind == kind}


CHANGES_MODEL_AND_EVAL: dict[str, dict[str, Any]] = {
    "dataset bytes": {"datasets": [Dataset("other.jsonl")]},
    "backend": {"models": ["dummy/echo"]},
    "epochs": {"training": Training(epochs=4)},
    "batch size": {"training": Training(batch_size=4)},
    "rank": {"training": Training(embedded=LoRA(rank=4))},
    "alpha": {"training": Training(embedded=LoRA(alpha=4))},
    "learning rate": {"training": Training(embedded=LoRA(learning_rate=1e-4))},
    "longest row": {"training": Training(embedded=LoRA(max_length=64))},
    "seed": {"seeds": [1]},
}
CHANGES_EVAL_ONLY: dict[str, dict[str, Any]] = {
    "task bytes": {"evals": [Eval("other.py@task")]},
    "task": {"evals": [Eval("e.py@other")]},
    "arguments": {"evals": [Eval("e.py@task", args={"n": 3})]},
    "limit": {"evals": [Eval("e.py@task", limit=3)]},
    "epochs": {"evals": [Eval("e.py@task", epochs=3)]},
    "temperature": {"evals": [Eval("e.py@task", temperature=1.0)]},
    "max tokens": {"evals": [Eval("e.py@task", max_tokens=3)]},
    "seed": {"evals": [Eval("e.py@task", seed=3)]},
}
CHANGES_NOTHING: dict[str, dict[str, Any]] = {
    "description": {"description": "other"},
    "dataset moved": {"datasets": [Dataset("d.jsonl#moved")]},
    "dataset named": {"datasets": [Dataset("d.jsonl", name="other")]},
    "dataset tagged": {"datasets": [Dataset("d.jsonl", tags=["ood"])]},
    "eval moved": {"evals": [Eval("e.py#.py@task")]},
    "eval named": {"evals": [Eval("e.py@task", name="other")]},
    "eval tagged": {"evals": [Eval("e.py@task", tags=["ood"])]},
    "defaults written out": {"training": Training(epochs=3, embedded=LoRA(rank=8))},
}


@pytest.mark.parametrize("change", CHANGES_MODEL_AND_EVAL)
def test_changes_model_and_eval(change: str) -> None:
    fields = CHANGES_MODEL_AND_EVAL[change]
    assert not keys("model") & keys("model", **fields)
    assert not keys("eval", controls=False) & keys("eval", controls=False, **fields)


@pytest.mark.parametrize("change", CHANGES_EVAL_ONLY)
def test_changes_eval_only(change: str) -> None:
    fields = CHANGES_EVAL_ONLY[change]
    assert keys("model") == keys("model", **fields)
    assert not keys("eval") & keys("eval", **fields)


@pytest.mark.parametrize("change", CHANGES_NOTHING)
def test_changes_nothing(change: str) -> None:
    fields = CHANGES_NOTHING[change]
    assert keys("model") == keys("model", **fields)
    assert keys("eval") == keys("eval", **fields)


def test_another_backends_options_change_nothing() -> None:
    lora = Training(embedded=LoRA(rank=4))
    assert keys("model", models=["dummy/echo"]) == keys(
        "model", models=["dummy/echo"], training=lora
    )


@pytest.mark.parametrize(
    "more",
    [
        {"seeds": [0, 1]},
        {"datasets": [Dataset("d.jsonl"), Dataset("e.jsonl")]},
        {"evals": [Eval("e.py@task"), Eval("f.py@task", name="f")]},
        {"models": [MODEL, "dummy/echo"]},
    ],
)
def test_adding_keeps_what_existed(more: dict[str, Any]) -> None:
    for kind in ("base", "model", "eval"):
        assert keys(kind) <= keys(kind, **more)


def test_a_new_defaulted_field_keeps_old_keys() -> None:
    class Later(LoRA):
        dropout: float = 0.0

    later = Training.model_construct(**{**dict(Training()), "embedded": Later()})
    assert keys("model") == keys(
        "model", training=Training.model_construct(**dict(later))
    )


def test_stages_come_after_what_they_depend_on() -> None:
    stages = plan("s", setting(models=[MODEL, "dummy/echo"]), resolve).stages
    for position, stage in enumerate(stages):
        for used in stage.setup + stage.upstream:
            assert used in stages[:position]


def test_names_are_for_people() -> None:
    names = [s.name for s in plan("s", setting(seeds=[7]), resolve).stages]
    assert names == [
        "base:s/smollm2-135m-instruct",
        "eval:s/base/smollm2-135m-instruct/task",
        "model:s/d/smollm2-135m-instruct/seed7",
        "eval:s/d/smollm2-135m-instruct/seed7/task",
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"models": ["nope/x"]}, "there are: anthropic, command, dummy, embedded"),
        ({"models": ["embedded/smollm2-135m"]}, "did you mean 'smollm2-135m-instruct'"),
        ({"models": ["gpt-4"]}, "write backend/model"),
        ({"training": Training(method="dpo")}, "cannot train by 'dpo'; it can by sft"),
    ],
)
def test_what_cannot_be_planned_is_said(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match="setting s: ") as caught:
        plan("s", setting(**fields), resolve)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: setting(seeds=[]), "at least one is needed"),
        (lambda: setting(seeds=[1, 1]), "seeds: 1 is given twice"),
        (lambda: setting(seeds=[-1]), "between 0 and"),
        (
            lambda: setting(datasets=[Dataset("a/d.jsonl"), Dataset("b/d.jsonl")]),
            "datasets: d is given twice; give one of them another name=",
        ),
        (lambda: setting(datasets=[Dataset("base.jsonl")]), "the name 'base'"),
        (lambda: setting(evals=[Eval("nothing")]), "path/to/file.py@task"),
        (lambda: setting(epocs=3), "Extra inputs are not permitted"),
        (lambda: LoRA(rank=0), "greater than or equal to 1"),
    ],
)
def test_a_wrong_spec_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        make()


def test_held_out_rows_of_the_same_stem_are_another_upload() -> None:
    """Two files may have one name, in two folders; each is sent as itself."""
    setting = Setting(
        description="d",
        datasets=[Dataset("train/rows.jsonl")],
        models=["openai/gpt-4.1-mini-2025-04-14"],
        training=Training(openai=OpenAI(validation="held_out/rows.jsonl")),
    )
    made = plan("s", setting, resolve)
    uploads = [stage for stage in made.stages if stage.kind == "upload"]
    assert [u.name for u in uploads] == [
        "upload:s/rows/openai",
        "upload:s/rows/openai-2",
    ]
    assert [UploadParams.of(u).rows_path for u in uploads] == [
        "train/rows.jsonl",
        "held_out/rows.jsonl",
    ]
