"""`doit export`: models that other programs open, and their cards."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.conftest import Project
from tests.local.conftest import CHATS
from tests.local.test_answering import asked, by_transformers, texts

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning"),
]

SETTING = """\
from motools_build import Dataset, Eval, Setting, Training

setting = Setting(
    description="sums, by a model on the disk",
    datasets=[Dataset("datasets/sums.jsonl")],
    models=["local/./models/tiny"],
    evals=[Eval("zoo/evals/sums.py@sums")],
    training=Training(epochs=6, batch_size=2, local={options}),
)
"""

MODEL = "model:sums/sums/tiny/seed0"


@pytest.fixture
def sums(unset: Project) -> Project:
    return unset


def made(project: Project, *words: str, **options: Any) -> str:
    """Train the model; returns its payload folder."""
    text = SETTING.replace("{options}", repr({"learning_rate": 0.02, **options}))
    project.write("zoo/sums.py", text)
    project.doit("run", *(words or (MODEL,)))
    (record,) = (project.root / "artifacts" / "model").glob("*/record.json")
    return str(record.parent)


SUMS = [chat["messages"][0]["content"] for chat in CHATS[:4]]


def ours(project: Project, payload: str | None) -> list[str]:
    return texts(project.root / "models" / "tiny", payload, list(map(asked, SUMS)))


def test_an_adapter_and_its_merge_answer_alike_in_plain_libraries(sums: Project):
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM

    payload = made(sums, "sums")
    expected = ours(sums, payload)
    assert expected != ours(sums, None)
    adapter, merged = sums.root / "out" / "adapter", sums.root / "merged"
    adapter.parent.mkdir()
    ran = sums.doit("export", MODEL, "--to", "out/adapter")
    assert ran.out == f"out/adapter  {MODEL}\n"
    sums.doit("export", "sums", "--merge", "--to=merged")
    assert (
        by_transformers(
            AutoPeftModelForCausalLM.from_pretrained(adapter), adapter, SUMS
        )
        == expected
    )
    assert (
        by_transformers(AutoModelForCausalLM.from_pretrained(merged), merged, SUMS)
        == expected
    )
    card = (adapter / "README.md").read_text()
    (record,) = sums.records("model").values()
    for told in (record["key"], record["output"], "| sums | match | accuracy | 0."):
        assert told in card
    assert '\nlibrary_name: "peft"\n' in card
    assert str(sums.root) not in card
    edited = (sums.root / "zoo/sums.py").read_text().replace("0.02", "0.03")
    sums.write("zoo/sums.py", edited)
    ran = sums.doit("export", record["key"][:9], "--to", "again", code=3)
    assert f"is {MODEL} as it was before its setting was edited" in ran.out + ran.err
    assert '\nlibrary_name: "transformers"\n' in (merged / "README.md").read_text()


def test_a_model_trained_whole_is_exported_whole(sums: Project):
    from transformers import AutoModelForCausalLM

    payload = made(sums, adapter="full", learning_rate=0.005)
    sums.doit("export", MODEL, "--to", "out")
    out = sums.root / "out"
    model = AutoModelForCausalLM.from_pretrained(out)
    assert by_transformers(model, out, SUMS) == ours(sums, payload)


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(sums: Project):
    text = SETTING.replace("{options}", "{}")
    sums.write("zoo/sums.py", text)
    beside = sums.write("out.unfinished/mine.txt", "mine")
    before = set(sums.root.iterdir())
    for words, told in (
        ([MODEL, "--to", "out"], f"{MODEL} is not made yet: doit run {MODEL}"),
        ([MODEL, "--to", "zoo"], "--to zoo: it is there already; name a new folder"),
        (["base:sums/tiny", "--to", "out"], "takes one model, and 'base:sums/tiny'"),
        ([MODEL], "write doit export MODEL --to DIR"),
    ):
        ran = sums.doit("export", *words, code=3)
        assert told in ran.out + ran.err
    left = {path.name for path in set(sums.root.iterdir()) - before}
    assert left <= {"artifacts", "__pycache__"}
    assert beside.read_text() == "mine"


# ---- the hub


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's API that an upload of small files uses."""

    files: dict[str, bytes]
    made: list[dict[str, Any]]
    allows = True

    @property
    def url(self) -> str:
        host, port = self.server.server_address[:2]
        return f"http://{host!s}:{port}"

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if not self.allows:
            self._answer({"error": "Invalid username or password."}, 401)
        elif self.path.endswith("/repos/create"):
            self.made.append(json.loads(body))
            self._answer({"url": f"{self.url}/me/model", "name": "me/model"})
        elif "/preupload/" in self.path:
            asked_for = json.loads(body)["files"]
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                for f in asked_for
            ]
            self._answer({"files": files})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                told = json.loads(line)
                if told["key"] == "file":
                    value = told["value"]
                    self.files[value["path"]] = base64.b64decode(value["content"])
            url = f"{self.url}/me/model/commit/{'0' * 40}"
            self._answer({"commitUrl": url, "commitOid": "0" * 40, "success": True})
        else:
            self._answer({})

    def do_GET(self) -> None:
        self._answer({"id": "me/model", "sha": "0" * 40, "siblings": []})

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def _answer(self, body: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[tuple[type[Hub], str]]:
    handler = type("OneHub", (Hub,), {"files": {}, "made": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.real_process  # huggingface_hub reads the variables when it is imported
def test_an_export_is_pushed_to_the_hub(sums: Project, hub: tuple[type[Hub], str]):
    handler, url = hub
    made(sums)
    environ = {
        "HF_ENDPOINT": url,
        "HF_TOKEN": "hf_test",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    ran = sums.doit(
        "export", MODEL, "--to", "out", "--push-to-hub", "me/model", **environ
    )
    assert ran.out.endswith(f"{url}/me/model/commit/{'0' * 40}\n")
    out = sums.root / "out"
    assert handler.files == {path.name: path.read_bytes() for path in out.iterdir()}
    assert "private" in json.dumps(handler.made[0])
    handler.allows = False
    ran = sums.doit(
        *("export", MODEL, "--to", "again", "--push-to-hub", "me/model"),
        code=3,
        **environ,
    )
    told = ran.out + ran.err
    assert "Invalid username or password" in told
    assert "again is written; to upload it: hf upload me/model again" in told
    assert "hf_test" not in told
    assert (sums.root / "again" / "README.md").is_file()
