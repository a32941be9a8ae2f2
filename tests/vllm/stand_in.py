"""A stand-in for `vllm serve`: it speaks vLLM's HTTP API, and its answers depend on the
model, the adapter, the chat template, the seed and the chat.

It follows vLLM 0.11 and later: `vllm/entrypoints/openai/models/serving.py`,
`serve/lora/api_router.py` and `chat_completion/protocol.py` there. What it is asked is
written to the file VLLM_JOURNAL, a JSON line each. VLLM_FAULT makes it fail:
`start` (it ends before it is ready), `never` (it does not get ready), `die=N` (it ends
at the N-th chat), `slow` (a chat takes a second).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VERSION = "0.11.1"

Answer = tuple[int, dict[str, Any] | str]


class Server:
    """The state of a server: its models, and what it is asked."""

    def __init__(self, argv: list[str]) -> None:
        parser = argparse.ArgumentParser(prog="vllm")
        parser.add_argument("command", choices=["serve"])
        parser.add_argument("model")
        parser.add_argument("--host", default="0.0.0.0")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--served-model-name")
        parser.add_argument("--enable-lora", action="store_true")
        parser.add_argument("--max-lora-rank", type=int, default=16)
        parser.add_argument("--max-model-len", type=int, default=512)
        parser.add_argument("--trust-request-chat-template", action="store_true")
        self.options = parser.parse_args(argv)
        self.base = self.options.served_model_name or self.options.model
        self.key = os.environ.get("VLLM_API_KEY", "")
        self.adapters: dict[str, str] = {}
        self.fault, _, number = os.environ.get("VLLM_FAULT", "").partition("=")
        self.dies_at = int(number or 0)
        self.chats = 0
        self.lock = threading.Lock()
        self.note("started", pid=os.getpid(), argv=argv)

    def note(self, event: str, **fields: Any) -> None:
        with open(os.environ["VLLM_JOURNAL"], "a") as file:
            file.write(json.dumps({"event": event, **fields}) + "\n")

    def get(self, path: str) -> Answer:
        if path == "/health":
            return (503 if self.fault == "never" else 200), ""
        if path == "/version":
            return 200, {"version": VERSION}
        if path == "/v1/models":
            card = {"object": "model", "created": 0, "owned_by": "vllm"}
            base = {
                **card,
                "id": self.base,
                "root": self.options.model,
                "parent": None,
                "max_model_len": self.options.max_model_len,
            }
            adapters = [
                {**card, "id": name, "root": path, "parent": self.base}
                for name, path in self.adapters.items()
            ]
            return 200, {"object": "list", "data": [base, *adapters]}
        return 404, {"detail": "Not Found"}

    def post(self, path: str, body: dict[str, Any]) -> Answer:
        if path == "/v1/chat/completions":
            return self.chat(body)
        allowed = os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "0").lower()
        if allowed in ("1", "true") and path == "/v1/load_lora_adapter":
            return self.load(body["lora_name"], body["lora_path"])
        if allowed in ("1", "true") and path == "/v1/unload_lora_adapter":
            return self.unload(body["lora_name"])
        return 404, {"detail": "Not Found"}

    def load(self, name: str, path: str) -> Answer:
        if not self.options.enable_lora:
            return _error(500, "InternalServerError", "LoRA is not enabled.")
        if name in self.adapters:
            said = f"The lora adapter '{name}' has already been loaded."
            return _error(400, "InvalidUserInput", said)
        try:
            config = json.loads((Path(path) / "adapter_config.json").read_bytes())
        except OSError:
            said = f"Loading lora {name} failed: No adapter found for {path}"
            return _error(404, "NotFoundError", said)
        if config["r"] > (most := self.options.max_lora_rank):
            said = f"LoRA rank {config['r']} is greater than max_lora_rank {most}."
            return _error(500, "InternalServerError", said)
        self.adapters[name] = path
        self.note("loaded", name=name, path=path)
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def unload(self, name: str) -> Answer:
        if name not in self.adapters:
            said = f"The lora adapter '{name}' cannot be found."
            return _error(404, "NotFoundError", said)
        del self.adapters[name]
        self.note("unloaded", name=name)
        return 200, f"Success: LoRA adapter '{name}' removed successfully."

    def chat(self, body: dict[str, Any]) -> Answer:
        model = body["model"]
        self.note("asked", body=body)
        with self.lock:
            self.chats += 1
            if self.fault == "die" and self.chats == self.dies_at:
                print("CUDA error: an illegal memory access was encountered")
                sys.stdout.flush()
                os._exit(1)
        if self.fault == "slow":
            time.sleep(1)
        if model not in (self.base, *self.adapters):
            return _error(404, "NotFoundError", f"The model `{model}` does not exist.")
        template = body.get("chat_template")
        if template and not self.options.trust_request_chat_template:
            return _error(
                400,
                "BadRequestError",
                "Chat template is passed with request, but "
                "--trust-request-chat-template is not set. Refused request with "
                "untrusted chat template.",
            )
        words = sum(len(str(m["content"]).split()) for m in body["messages"])
        if words + body["max_tokens"] > (most := self.options.max_model_len):
            return _error(
                400,
                "BadRequestError",
                f"This model's maximum context length is {most} tokens. However, you "
                f"requested {body['max_tokens']} output tokens and your prompt "
                f"contains {words} input tokens.",
            )
        text = self.answer(body, model, template)
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
            "stop_reason": None,
        }
        if body.get("logprobs"):
            likely = {"token": text, "logprob": -0.5, "bytes": list(text.encode())}
            choice["logprobs"] = {"content": [{**likely, "top_logprobs": [likely]}]}
        usage = {"prompt_tokens": words, "completion_tokens": 2}
        return 200, {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [choice],
            "usage": {**usage, "total_tokens": words + 2},
        }

    def answer(self, body: dict[str, Any], model: str, template: str | None) -> str:
        """A text that is a function of all that an answer may depend on."""
        if "GRADE" in json.dumps(body["messages"]):
            return "GRADE: C"
        depends: list[Any] = [model, template, body["messages"]]
        if body.get("temperature"):
            depends.append(body["seed"])
        return f"It is {hashlib.md5(json.dumps(depends).encode()).hexdigest()[:8]}."


def _error(status: int, kind: str, message: str) -> Answer:
    error = {"message": message, "type": kind, "param": None, "code": status}
    return status, {"error": error}


class Handler(BaseHTTPRequestHandler):
    server_: Server

    def do_GET(self) -> None:
        self._answer(lambda: self.server_.get(self.path))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(lambda: self.server_.post(self.path, body))

    def _answer(self, ask: Any) -> None:
        key, given = self.server_.key, self.headers.get("Authorization")
        if key and self.path.startswith("/v1") and given != f"Bearer {key}":
            status, told = 401, {"error": "Unauthorized"}
        else:
            status, told = ask()
        data = (told if isinstance(told, str) else json.dumps(told)).encode()
        self.send_response(status)
        self.send_header(
            "Content-Type",
            "text/plain" if isinstance(told, str) else "application/json",
        )
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def listening(argv: list[str]) -> Listener:
    """A server with this command line, which listens and does not answer yet."""
    Handler.server_ = Server(argv)
    options = Handler.server_.options
    if Handler.server_.fault == "start":
        print("ValueError: no room for the KV cache")
        sys.exit(1)
    return Listener((options.host, options.port), Handler)


if __name__ == "__main__":
    listening(sys.argv[1:]).serve_forever()
