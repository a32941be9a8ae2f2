"""Models of Inspect's providers, asked and paid for once: as judge, and bare."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from motools_build import Dataset, Setting
from motools_build.errors import InputError
from motools_build.planning.plan import plan
from tests.conftest import Project

KEY = "sk-ant-of-a-test-0123456789abcdef"

MODEL = "claude-of-a-test-1"

TASK = """\
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes, model_graded_qa

SAMPLES = [Sample(input=f"Say {n}.", target=f"{n}") for n in (1, 2, 3)]

@task
def says():
    return Task(dataset=SAMPLES, scorer=includes())

@task
def judged():
    return Task(dataset=SAMPLES, scorer=model_graded_qa(model_role="grader"))
"""

SETTING = """\
from motools_build import Dataset, Eval, Setting

setting = Setting(
    description="asked, not trained",
    models=["{model}"],
    train=False,
    evals=[Eval("zoo/evals/e.py@{task}"{roles})],
)
"""


@dataclass
class Server:
    """A stand-in for Anthropic's Messages API and OpenAI's chat completions."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    refuses: bool = False


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.asked.append(body)
            bearer = self.headers.get("Authorization", "").removeprefix("Bearer ")
            told.keys.add(self.headers.get("x-api-key") or bearer)
            if told.refuses:
                said = f"invalid key {KEY}"
                self._answer(401, {"type": "error", "error": {"message": said}})
                return
            asked = json.dumps(body["messages"])
            text = "GRADE: C" if "GRADE" in asked else "I say 1."
            if self.path == "/v1/chat/completions":
                self._answer(200, openai(body["model"], text))
            elif body.get("stream"):
                self._send(200, streamed(body["model"], text), "text/event-stream")
            else:
                self._answer(200, anthropic(body["model"], text))

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            self._send(status, json.dumps(body).encode(), "application/json")

        def _send(self, status: int, data: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    there = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{there.server_port}"
    threading.Thread(target=there.serve_forever, daemon=True).start()
    yield told
    there.shutdown()
    there.server_close()


def anthropic(model: str, text: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 4},
    }


def streamed(model: str, text: str) -> bytes:
    """The answer as the events of Anthropic's streams."""
    whole = anthropic(model, text)
    begun = {**whole, "content": [], "stop_reason": None}
    block = {"index": 0, "content_block": {"type": "text", "text": ""}}
    events: list[tuple[str, dict[str, Any]]] = [
        ("message_start", {"message": begun}),
        ("content_block_start", block),
        (
            "content_block_delta",
            {"index": 0, "delta": {"type": "text_delta", "text": text}},
        ),
        ("content_block_stop", {"index": 0}),
        (
            "message_delta",
            {
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": whole["usage"],
            },
        ),
        ("message_stop", {}),
    ]
    lines = (
        f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n"
        for name, data in events
    )
    return "".join(lines).encode()


def openai(model: str, text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "c-1",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14},
    }


@pytest.fixture
def environ(server: Server) -> dict[str, str]:
    return {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url}


def write(project: Project, model: str, task: str, roles: str = "") -> None:
    project.write("zoo/evals/e.py", TASK)
    project.write("zoo/s.py", SETTING.format(model=model, task=task, roles=roles))


def results(project: Project, environ: dict[str, str]) -> list[dict[str, Any]]:
    out = project.doit("results", "s", "--json", **environ).out
    found: list[dict[str, Any]] = json.loads(out)["results"]
    return found


@pytest.mark.anthropic
def test_a_bare_model_is_asked_and_paid_once(
    project: Project, server: Server, environ: dict[str, str]
) -> None:
    write(project, f"anthropic/{MODEL}", "says")
    ran = project.doit("run", "s", **environ)
    assert "paid to anthropic@127.0.0.1" in ran.out
    assert len(server.asked) == 3
    assert {body["model"] for body in server.asked} == {MODEL}
    assert server.keys == {KEY}
    (result,) = results(project, environ)
    assert result["scores"]["includes"]["accuracy"] == pytest.approx(1 / 3)
    project.doit("run", "s", **environ)
    assert len(server.asked) == 3
    (record,) = project.records("eval").values()
    assert record["details"]["usage"] == {f"anthropic/{MODEL}": [30, 12]}
    for path in (project.root / "artifacts").rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


@pytest.mark.anthropic
def test_a_judge_is_in_the_key_and_its_verdicts_count(
    project: Project, server: Server, environ: dict[str, str]
) -> None:
    judge = f', roles={{"grader": "anthropic/{MODEL}"}}'
    write(project, "embedded/smollm2-135m-instruct", "judged", f"{judge}, limit=1")
    ran = project.doit("run", "s", **environ)
    assert "paid to anthropic@127.0.0.1" in ran.out
    assert len(server.asked) == 1
    (result,) = results(project, environ)
    assert result["scores"]["model_graded_qa"]["accuracy"] == 1
    (record,) = project.records("eval").values()
    host = server.url.removeprefix("http://")
    assert record["preimage"]["spec"]["roles"] == {
        "grader": f"anthropic@{host}/{MODEL}"
    }


@pytest.mark.anthropic
def test_a_refused_key_is_told_and_not_shown(
    project: Project, server: Server, environ: dict[str, str]
) -> None:
    write(project, f"anthropic/{MODEL}", "says")
    server.refuses = True
    ran = project.doit("run", "s", code=None, **environ)
    assert ran.code in (1, 2)
    assert KEY not in ran.out + ran.err
    assert not project.records("eval")
    for path in (project.root / "artifacts").rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


def test_without_a_key_nothing_is_asked(project: Project, server: Server) -> None:
    write(project, f"anthropic/{MODEL}", "says")
    ran = project.doit("run", "s", code=3, ANTHROPIC_API_KEY="")
    assert "the environment variable ANTHROPIC_API_KEY is not set" in ran.err
    assert not server.asked


def test_any_server_with_openais_api(project: Project, server: Server) -> None:
    write(project, "openai-api/lab/some-model", "says")
    ran = project.doit("run", "s", code=3)
    assert 'declare an account with provider = "openai-api" and base_url' in ran.err
    text = (project.root / "pyproject.toml").read_text()
    project.write(
        "pyproject.toml",
        f'{text}\n[tool.motools_build.accounts.lab]\nprovider = "openai-api"\n'
        f'base_url = "{server.url}/v1"\nkey_variable = "LAB_KEY"\n',
    )
    project.doit("run", "s", "account=lab", LAB_KEY=KEY)
    assert {body["model"] for body in server.asked} == {"some-model"}
    assert server.keys == {KEY}
    project.doit("run", "s", "account=lab", LAB_KEY=KEY)
    assert len(server.asked) == 3


def test_a_server_of_vllm_that_is_there(project: Project, server: Server) -> None:
    write(project, "vllm/some-model", "says")
    ran = project.doit("run", "s", code=3)
    assert "export VLLM_BASE_URL" in ran.err
    environ = {"VLLM_BASE_URL": f"{server.url}/v1"}
    project.doit("run", "s", **environ)
    assert {body["model"] for body in server.asked} == {"some-model"}
    assert [r["status"] for r in results(project, environ)] == ["ok"]
    project.doit("run", "s", **environ)
    assert len(server.asked) == 3


def test_what_is_only_asked_cannot_be_trained() -> None:
    setting = Setting(
        description="d",
        datasets=[Dataset("datasets/x.jsonl")],
        models=[f"anthropic/{MODEL}"],
    )

    def resolve(spec: Any) -> Any:
        raise AssertionError

    with pytest.raises(InputError, match="are asked, and cannot be trained"):
        plan("s", setting, resolve)
