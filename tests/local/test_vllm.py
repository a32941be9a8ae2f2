"""Models that torch has trained, answered for by vLLM: only a server that speaks its
API runs here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project
from tests.vllm.lab import Lab

pytestmark = [pytest.mark.torch, pytest.mark.real_process]

KEY = "of-the-server-0123"

JUDGED = 'Eval(E + "judged", roles={"grader": "local/./models/tiny"})'
SAMPLED = 'Eval(E + "plain", name="sampled", temperature=1.0, epochs=2)'
EARLY = 'Eval(E + "plain", name="early", checkpoint=2)'

SETTING = """\
from motools_build import Dataset, Eval, Setting, Training

E = "zoo/evals/e.py@"

setting = Setting(
    description="two trained models and their base",
    datasets=[Dataset("datasets/sums.jsonl")],
    models=["local/./models/tiny"],
    bare=["local/./models/tiny"],
    seeds=[0, 1],
    evals=[%s],
    training=Training(epochs=2, batch_size=5, local={"keep_epochs": True}),
)
"""


@pytest.fixture
def lab(unset: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab.of(unset, tmp_path_factory.mktemp("lab") / "of")
    yield made
    made.close()


def served(lab: Lab, stage: str) -> dict[str, Any]:
    found: dict[str, Any] = lab.project.records("eval")[stage]["details"]["served"]
    return found


@pytest.mark.long
def test_base_adapters_and_judge_share_a_server_and_serve_is_in_no_key(lab: Lab):
    lab.project.write("zoo/s.py", SETTING % f"{JUDGED}, {SAMPLED}")
    lab.configure('serve = "vllm"\nvllm = ["--max-model-len", "480"]')
    lab.doit("run", "s")
    (started,) = lab.journal("started")
    assert started["argv"][-6:-4] == ["--max-model-len", "480"]
    loaded = lab.journal("loaded")
    assert len(loaded) == len({one["name"] for one in loaded}) == 2
    assert all(Path(one["path"]).is_absolute() for one in loaded)
    assert lab.statuses("s") == ["ok"] * 6
    asked = [one["body"] for one in lab.journal("asked")]
    assert len(asked) == 3 * (4 + 4 + 8)  # judged: a question and its grade
    assert {body["max_tokens"] for body in asked} == {256}
    sampled = [body for body in asked if body["temperature"]]
    assert len({(body["model"], body["seed"]) for body in sampled}) == 24
    about = {
        "by": "vllm",
        "arguments": ["--max-model-len", "480"],
        "version": "0.11.1",
    }
    assert served(lab, "eval:s/sums/tiny/seed0/judged") == {
        "motools/s/sums/tiny/seed0": about,
        "motools/local/./models/tiny": about,
    }
    for serve in ('serve = "torch"', ""):  # who answers is in no key
        lab.configure(serve)
        assert lab.doit("run", "s").made == set()

    # torch answers an eval that is new, and so does a server that is there already
    few = SAMPLED.replace("sampled", "few").replace("epochs=2", "limit=1")
    lab.project.write("zoo/s.py", SETTING % few)
    lab.doit("run", "eval:s/sums/tiny/seed0/few")
    (one,) = served(lab, "eval:s/sums/tiny/seed0/few").values()
    assert (one["by"], one["dtype"]) == ("torch", "float32")
    assert set(one["versions"]) == {"torch", "transformers", "peft"}
    url = lab.serve(
        *("models/tiny", "--enable-lora"),
        VLLM_ALLOW_RUNTIME_LORA_UPDATING="1",
        VLLM_API_KEY=KEY,
    )
    lab.configure(f'base_url = "{url}"')
    lab.project.write("zoo/s.py", SETTING % f"{few}, {EARLY}")
    ran = lab.doit("run", "s", code=None)
    assert "Unauthorized" in ran.out + ran.err
    assert "VLLM_API_KEY" in ran.out + ran.err
    lab.doit("run", "eval:s/sums/*", VLLM_API_KEY=KEY)
    assert served(lab, "eval:s/sums/tiny/seed1/early") == {
        "motools/s/sums/tiny/seed1": {"by": "vllm", "url": url, "version": "0.11.1"}
    }
    assert len(lab.journal("started")) == 2
    # of seed1 the last epoch, and the first of both
    paths = [Path(one["path"]) for one in lab.journal("loaded")[2:]]
    assert sorted(path.name == "step-2" for path in paths) == [False, True, True]
    for path in (lab.project.root / "artifacts").rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path
    assert json.dumps(lab.project.results("s"))
