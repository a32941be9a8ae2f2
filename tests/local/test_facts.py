"""Models on this machine's disk: their names, identities and keys. Without torch."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from motools_build.backends.local.facts import BACKEND, Local
from motools_build.backends.local.folders import folder_of
from motools_build.errors import BaseModelError, InputError
from motools_build.keys import DigestMemo
from motools_build.specs import ModelName
from tests.conftest import Project

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def a_model(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.parametrize(
    "name", ["./models/x", "../x", "/models/x", f"Qwen/Qwen3-8B@{COMMIT}"]
)
def test_names(name: str):
    model = ModelName.parse(f"local/{name}")
    assert (model.backend, model.model) == ("local", name)
    assert model.short in ("x", "Qwen3-8B")


@pytest.mark.parametrize("name", ["x", "a/b/c", "Qwen/", "Qwen/Q@", "Qwen/Q W", "~/x"])
def test_what_is_no_name(name: str):
    with pytest.raises(InputError, match="local/"):
        ModelName.parse(f"local/{name}")


@pytest.mark.parametrize("branch", ["", "@main", "@v1.0"])
def test_a_name_that_may_mean_another_model_tomorrow_is_refused(branch: str, hub: Path):
    with pytest.raises(InputError, match=r"local/Qwen/Qwen3-8B@COMMIT .*hf download"):
        ModelName.parse(f"local/Qwen/Qwen3-8B{branch}")
    refs = hub / "models--Qwen--Qwen3-8B" / "refs"
    refs.mkdir(parents=True)
    (refs / (branch[1:] or "main")).write_text(COMMIT)
    with pytest.raises(match=f"name a commit: local/Qwen/Qwen3-8B@{COMMIT}"):
        ModelName.parse(f"local/Qwen/Qwen3-8B{branch}")


def test_a_folder_is_identified_by_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    def pinned(model: str) -> str:
        return BACKEND.pinned(model, DigestMemo(tmp_path / "memo.json"))

    a_model(tmp_path / "one")
    a_model(tmp_path / "same")
    first = pinned("./one")
    assert first == pinned("./same") == pinned(str(tmp_path / "one"))
    (tmp_path / "one" / "README.md").write_text("not of the model")
    assert pinned("./one") == first
    a_model(tmp_path / "one", b"others")
    assert pinned("./one") != first


def test_a_folder_without_a_model_is_told(tmp_path: Path):
    memo = DigestMemo(tmp_path / "memo.json")
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(
            InputError, match="no model of Hugging Face: it has no conf"
        ):
            BACKEND.pinned(str(path), memo)


def test_a_repository_is_found_in_the_cache_of_the_hub(hub: Path):
    name = f"Qwen/Qwen3-8B@{COMMIT}"
    with pytest.raises(BaseModelError, match="is not on this machine"):
        folder_of(name)
    snapshot = a_model(hub / "models--Qwen--Qwen3-8B" / "snapshots" / COMMIT)
    assert folder_of(name) == snapshot


@pytest.mark.torch  # whose extra has huggingface_hub
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"XDG_CACHE_HOME": "/x"},
        {"HF_HOME": "~/h", "XDG_CACHE_HOME": "/x"},
        {"HUGGINGFACE_HUB_CACHE": "$HOME/old", "HF_HOME": "/h"},
        {"HF_HUB_CACHE": "/hub", "HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/h"},
    ],
)
def test_the_cache_is_where_huggingface_hub_has_it(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    from motools_build.backends.local.folders import _cache

    names = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    said = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    theirs = subprocess.check_output([sys.executable, "-c", said], text=True).strip()
    assert _cache("a/b") == Path(theirs) / "models--a--b"


def test_options_that_do_not_go_together():
    with pytest.raises(InputError, match="beta: only method='dpo' has one"):
        Local(beta=0.2).check("sft")
    with pytest.raises(InputError, match="keep_epochs: adapter='full' keeps no"):
        Local(adapter="full", keep_epochs=True).check("sft")
    with pytest.raises(InputError, match="dropout: adapter='full' has none"):
        Local(adapter="full", dropout=0.1).check("sft")
    Local(adapter="qlora", keep_epochs=True).check("dpo")


SETTING = """\
from motools_build import Dataset, Eval, Setting, Training

setting = Setting(
    description="a model on the disk",
    datasets=[Dataset("datasets/rows.jsonl")],
    models=["local/./models/one"],
    evals=[Eval("zoo/evals/asks.py@asks"{judge})],
    training=Training({options}),
)
"""

TASK = """\
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes

@task
def asks():
    return Task(dataset=[Sample(input="Hi", target="Hi")], scorer=includes())
"""


@pytest.fixture
def ours(project: Project) -> Project:
    project.dataset("rows")
    project.write("zoo/evals/asks.py", TASK)
    project.write("zoo/ours.py", SETTING.format(judge="", options=""))
    a_model(project.root / "models" / "one")
    return project


def keys(project: Project) -> dict[str, str]:
    """Kind -> key of the setting's stages, seed 0."""
    told = json.loads(project.doit("plan", "ours", "--json").out)
    return {line["stage"].partition(":")[0]: line["key"] for line in told}


def test_the_weights_are_in_the_keys(ours: Project):
    before = keys(ours)
    assert before.keys() == {"base", "model", "eval"}
    assert keys(ours) == before
    a_model(ours.root / "models" / "one", b"others")
    after = keys(ours)
    assert not set(before.values()) & set(after.values())
    a_model(ours.root / "models" / "one")
    assert keys(ours) == before


def test_a_judges_weights_are_in_the_keys_of_its_evals(ours: Project):
    plain = keys(ours)
    a_model(ours.root / "models" / "judge")
    judge = ', roles={"grader": "local/./models/judge"}'
    ours.write("zoo/ours.py", SETTING.format(judge=judge, options=""))
    before = keys(ours)
    assert before["model"] == plain["model"]
    assert before["eval"] != plain["eval"]
    a_model(ours.root / "models" / "judge", b"others")
    after = keys(ours)
    assert after["model"] == plain["model"]
    assert after["eval"] != before["eval"]


def test_held_out_rows_are_in_the_key_and_checked(ours: Project):
    plain = keys(ours)
    ours.dataset("held", rows=2, first=50)
    options = 'local={"validation": "datasets/held.jsonl"}'
    ours.write("zoo/ours.py", SETTING.format(judge="", options=options))
    before = keys(ours)
    assert before["model"] != plain["model"]
    ours.write("datasets/held.jsonl", '{"messages": []}\n')
    assert keys(ours)["model"] != before["model"]
    ran = ours.doit("run", "ours", code=None)
    assert ran.code != 0
    assert "datasets/held.jsonl:1: " in ran.out + ran.err
    assert not ours.records("base")


def test_a_missing_model_is_told_before_anything_runs(ours: Project):
    (ours.root / "models" / "one" / "config.json").unlink()
    ran = ours.doit("run", "ours", code=None)
    assert ran.code != 0
    assert "local/./models/one: the folder is no model of Hugging Face" in (
        ran.out + ran.err
    )


def test_a_folder_that_changes_after_planning_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Also if sizes and times stay: digests tell. Files that did not change are not
    read again."""
    from motools_build import keys
    from motools_build.backends.job import Given, StageJob
    from motools_build.backends.local.backend import LocalBackend
    from motools_build.errors import BaseModelError
    from motools_build.params import BaseParams

    folder, payload = tmp_path / "model", tmp_path / "artifacts" / "base" / "local-x"
    payload.mkdir(parents=True)
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_bytes(b"0123456789")
        os.utime(folder / name, ns=(0, 0))
    memo = DigestMemo(tmp_path / "artifacts" / keys.MEMO)
    digest = BACKEND.pinned(str(folder), memo)
    params = BaseParams(f"local/{folder}", digest)
    job = StageJob("base", "local", "x", "base:model", params, str(payload))
    made = asyncio.run(LocalBackend().make(job, lambda told: None))
    base = Given(made.output, str(payload), {})
    assert LocalBackend().weights(str(folder), base) == str(folder)

    read: list[object] = []
    digest_stream = keys.digest_stream
    monkeypatch.setattr(
        keys, "digest_stream", lambda file: read.append(file) or digest_stream(file)
    )
    time.sleep(keys.RACY_NS / 1e9)  # before, a signature does not stand for bytes
    LocalBackend().weights(str(folder), base)
    assert len(read) == 3
    LocalBackend().weights(str(folder), base)
    assert len(read) == 3

    with open(folder / "model.safetensors", "r+b") as file:
        file.write(b"1")
    os.utime(folder / "model.safetensors", ns=(0, 0))
    with pytest.raises(BaseModelError, match="was changed after this run was planned"):
        LocalBackend().weights(str(folder), base)
    assert len(read) == 4
