"""Servers of vLLM: started once, shared, ended when their GPU is wanted; adapters."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.model import ChatMessageUser, GenerateConfig, ModelOutput

from motools_build.backends.local import devices
from motools_build.backends.local.serving import server
from motools_build.backends.local.serving.asked import asked, template_of
from motools_build.backends.local.serving.server import Server
from motools_build.backends.local.table import Table
from motools_build.errors import EngineError
from tests.vllm.lab import Lab, gone, write_adapter, write_model


@pytest.fixture
def here(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The lab, whose servers this process starts and asks."""
    monkeypatch.chdir(lab.project.root)
    for name, value in lab.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(devices, "cards", lambda: [])
    monkeypatch.setattr(devices, "POLL", 0.1)
    yield lab
    let_go()
    for name in ("no_proxy", "NO_PROXY"):
        os.environ.pop(name, None)


def let_go(use_only: bool = False) -> None:
    """Give back what this process holds of servers, as at the end of an eval, or of
    the run."""
    for held in (server._used, *(() if use_only else (server._tied,))):
        for lock in held.values():
            os.close(lock)
        held.clear()
    if not use_only:
        for guardian in server._guardians:
            guardian.wait(60)
        server._guardians.clear()


def generated(model: Any, text: str = "Hi", **config: Any) -> ModelOutput:
    async def ask() -> Any:
        settings = GenerateConfig(max_tokens=16, **config)
        answer = await model.generate(
            [ChatMessageUser(content=text)], [], "auto", settings
        )
        await model.aclose()
        return answer

    answer = asyncio.run(ask())
    output = answer[0] if isinstance(answer, tuple) else answer
    if isinstance(output, Exception):
        raise output
    assert isinstance(output, ModelOutput)
    return output


def test_a_server_is_started_once_and_ends_with_the_last_that_may_use_it(
    here: Lab,
) -> None:
    base = Path("models/tiny")
    first = Server.for_model(base, 0, []).address()
    assert Server.for_model(base, 16, []).address() == first
    assert Server.for_model(base, 64, []).address() == first
    (started,) = here.journal("started")
    let_go(use_only=True)
    assert Server.for_model(base, 0, []).address() == first  # between two evals
    assert Server.for_model(base, 65, []).address() != first  # of a larger rank
    assert Server.for_model(base, 0, ["--max-model-len=100"]).address() != first
    let_go()
    assert gone([started["pid"]])
    assert len(here.journal("started")) == 3


def test_a_model_that_was_changed_has_another_server(here: Lab) -> None:
    base = Path("models/tiny")
    first = Server.for_model(base, 0, []).address()
    (base / "model.safetensors").write_bytes(b"other weights")
    assert Server.for_model(base, 0, []).address() != first


def test_a_server_that_nobody_asks_ends_when_its_gpu_is_wanted(
    here: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "cards", lambda: ["0"])
    first = Server.for_model(Path("models/tiny"), 0, []).address()
    (started,) = here.journal("started")
    taken: list[Any] = []
    training = threading.Thread(target=lambda: taken.extend(devices.hold(["0"], 1)))
    training.start()
    training.join(2)
    assert not taken  # an eval asks it
    let_go(use_only=True)
    training.join(60)
    assert len(taken) == 1
    assert gone([started["pid"]])
    # the next eval waits for the training, and has a new server
    waiting: list[Any] = []
    asking = threading.Thread(
        target=lambda: waiting.append(
            Server.for_model(Path("models/tiny"), 0, []).address()
        )
    )
    asking.start()
    asking.join(2)
    assert not waiting
    os.close(taken[0][1])
    asking.join(60)
    assert waiting
    assert waiting != [first]


def test_an_eval_of_two_servers_does_not_wait_for_its_own_gpu(
    here: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "cards", lambda: ["0"])
    monkeypatch.setattr(server, "PATIENCE", 0.5)
    Server.for_model(Path("models/tiny"), 0, []).address()
    other = write_model(Path("models/other"))
    with pytest.raises(EngineError, match="no GPU was free for it, and this eval asks"):
        Server.for_model(other, 0, []).address()


def test_more_gpus_than_there_are_are_refused(
    here: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "cards", lambda: ["0"])
    parallel = ["--tensor-parallel-size", "2"]
    with pytest.raises(EngineError, match="needs 2 GPUs by its arguments, and there"):
        Server.for_model(Path("models/tiny"), 0, parallel).address()


def test_a_server_that_does_not_get_ready_is_told(
    here: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "READY_SECONDS", 0.5)
    monkeypatch.setenv("VLLM_FAULT", "never")
    with pytest.raises(EngineError, match="it was not ready after 0 s; its log is"):
        Server.for_model(Path("models/tiny"), 0, []).address()


def test_adapters_are_called_by_their_weights_and_loaded_once(here: Lab) -> None:
    adapters = [write_adapter(Path("artifacts") / name) for name in ("a", "b")]
    models = [
        asked("./models/tiny", "models/tiny", folder, Table(serve="vllm"))
        for folder in (None, *map(str, adapters), *map(str, adapters))
    ]
    loaded = here.journal("loaded")
    assert [Path(one["path"]) for one in loaded] == [a.resolve() for a in adapters]
    texts = [generated(model).completion for model in models]
    assert len(set(texts)) == 3
    assert texts[1:3] == texts[3:]
    # the folder is there no more, and the same adapter is elsewhere
    adapters[0].rename("artifacts/moved")
    again = asked(
        "./models/tiny", "models/tiny", "artifacts/moved", Table(serve="vllm")
    )
    assert generated(again).completion == texts[1]
    assert len(here.journal("loaded")) == 3
    assert again.about == {"by": "vllm", "arguments": [], "version": "0.11.1"}


def test_requests_have_what_was_asked_for_and_no_defaults_of_the_model(
    here: Lab,
) -> None:
    model = asked("./models/tiny", "models/tiny", None, Table(serve="vllm"))
    output = generated(
        model,
        temperature=0.5,
        seed=2**63 - 1,
        logprobs=True,
        top_logprobs=1,
        stop_seqs=["\n"],
    )
    assert output.choices[0].logprobs is not None
    assert output.choices[0].logprobs.content[0].logprob == -0.5
    (one,) = here.journal("asked")
    assert {
        name: value for name, value in one["body"].items() if name != "messages"
    } == {
        "model": model.base_model,
        "max_tokens": 16,
        "temperature": 0.5,
        "seed": 2**63 - 1,
        "stop": ["\n"],
        "logprobs": True,
        "top_logprobs": 1,
        "top_p": 1.0,
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
    }


def test_a_prompt_that_is_too_long_is_no_answer(here: Lab) -> None:
    model = asked("./models/tiny", "models/tiny", None, Table(serve="vllm"))
    with pytest.raises(EngineError, match="maximum context length is 512 tokens"):
        generated(model, "word " * 600)


def test_a_model_is_asked_by_the_template_that_it_was_trained_with(here: Lab) -> None:
    adapter = write_adapter(Path("artifacts/a"), template="{{ 'mine' }}")
    for folder in (None, str(adapter)):
        table = Table(serve="vllm")
        generated(asked("./models/tiny", "models/tiny", folder, table))
    base, own = (one["body"] for one in here.journal("asked"))
    assert "chat_template" not in base
    assert own["chat_template"] == "{{ 'mine' }}"


def test_a_template_that_writes_the_date_writes_always_the_same(tmp_path: Path) -> None:
    base = write_model(tmp_path / "base")
    assert template_of(base, None) is None
    dated = "{{ strftime_now('%d %b %Y') }}"
    (base / "chat_template.jinja").write_text(dated)
    assert template_of(base, None) == "{{ '26 Jul 2024' }}"
    adapter = write_adapter(tmp_path / "a", template=dated)
    assert template_of(base, adapter) == "{{ '26 Jul 2024' }}"


def test_a_judge_has_the_server_of_the_adapter_that_it_judges() -> None:
    base = Path("models/tiny")
    server.expect(base, 128)
    assert Server.for_model(base, 0, []) == Server.for_model(base, 128, [])
    assert Server.for_model(Path("models/other"), 0, []).rank == 64
    server.expect(None)
    assert Server.for_model(base, 0, []).rank == 64


def test_ranks_are_those_of_vllm() -> None:
    base = Path("models/tiny")
    ranks = (0, 1, 64, 65, 200, 300, 512)
    found = [Server.for_model(base, rank, []).rank for rank in ranks]
    assert found == [64, 64, 64, 128, 256, 320, 512]
    with pytest.raises(EngineError, match="rank 513, and vLLM takes up to 512; ask by"):
        Server.for_model(base, 513, [])
    with pytest.raises(EngineError, match="vllm says --max-lora-rank 8; raise it"):
        Server.for_model(base, 16, ["--max-lora-rank", "8"])
    with pytest.raises(EngineError, match="--max-lora-rank is a number, not ''"):
        Server.for_model(base, 16, ["--max-lora-rank"])


REFUSED: dict[str, tuple[list[str], str, int, str, str]] = {
    "another model": (
        *(["models/other"], "", 16, ""),
        "has no .*models/tiny; it has models/other. If one of them is it",
    ),
    "no adapters": (
        *(["models/tiny"], "", 16, ""),
        "start it with --enable-lora, and with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True",
    ),
    "not enabled": (
        *(["models/tiny"], "1", 16, ""),
        "LoRA is not enabled.*started with --max-lora-rank 16",
    ),
    "a rank": (
        *(["models/tiny", "--enable-lora", "--max-lora-rank", "8"], "True", 16, ""),
        r"rank 16 is greater than max_lora_rank 8\..*--max-lora-rank 16 or more",
    ),
    "a template": (
        *(["models/tiny", "--enable-lora"], "True", 16, "{{ 'mine' }}"),
        "start it with --trust-request-chat-template",
    ),
    "a colon": (
        *(["models/tiny", "--served-model-name", "a:b"], "", 16, ""),
        "start it with another --served-model-name",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_server_refuses_is_told_with_the_remedy(here: Lab, case: str) -> None:
    argv, allowed, rank, template, told = REFUSED[case]
    url = here.serve(*argv, VLLM_ALLOW_RUNTIME_LORA_UPDATING=allowed)
    adapter = write_adapter(Path("artifacts/a"), rank, template)
    with pytest.raises(EngineError, match=told):
        generated(
            asked("./models/tiny", "models/tiny", str(adapter), Table(base_url=url))
        )
    here.servers[0].kill()
    here.servers[0].wait()
    with pytest.raises(EngineError, match=r"does not answer .*: start it, or"):
        asked("./models/tiny", "models/tiny", str(adapter), Table(base_url=url))


@pytest.mark.parametrize("named", ["./models/tiny", "local/./models/tiny", "lab/tiny"])
def test_the_names_of_a_base_model_at_a_server(here: Lab, named: str) -> None:
    url = here.serve("elsewhere", "--served-model-name", named)
    model = "lab/tiny@" + 40 * "a" if named == "lab/tiny" else "./models/tiny"
    found = asked(model, "models/tiny", None, Table(base_url=url))
    assert found.base_model == named
    assert found.about == {"by": "vllm", "url": url, "version": "0.11.1"}
    # a model trained whole is another
    whole = write_model(Path("artifacts/whole"))
    with pytest.raises(EngineError, match=r"has no .*/artifacts/whole"):
        asked(model, "models/tiny", str(whole), Table(base_url=url))
