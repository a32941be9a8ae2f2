"""What goes wrong with the openai backend: one clear sentence, and nothing paid."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.lab import BASE_EVAL, MODEL, Lab
from tests.rehearsal.server import Rehearsal

Answering = Callable[[int, str, bytes], str]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """`answering(404, "text/html", b"...")`: a server that always answers this."""
    running = []

    def start(status: int, kind: str, body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = handle_any

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def failure(lab: Lab, *args: str, code: int = 2, **environ: str) -> str:
    """The one sentence that a run says of its failed upload or job; the ledger stays
    without a job."""
    ran = lab.run(*args, code=code, **environ)
    assert not [e for e in lab.ledger() if e["kind"] == "model" and e["id"]]
    if code == 3:
        return ran.err
    said = ran.out.split("\nFAILED ")[1].splitlines()
    assert said[2].startswith("   to try it again:"), "one sentence"
    return said[1].strip()


class TestNoWayIn:
    def test_no_key(self, lab: Lab) -> None:
        lab.setting()
        said = failure(lab, code=3, OPENAI_API_KEY="")
        assert "the environment variable OPENAI_API_KEY is not set" in said
        assert "account=NAME" in said
        lab.doit("plan", "tutor", OPENAI_API_KEY="")  # asks nobody, so needs none
        assert lab.counts() == {}

    def test_a_key_that_no_header_can_hold(self, lab: Lab) -> None:
        lab.setting()
        said = failure(lab, code=3, OPENAI_API_KEY="sk-\u201cpasted\u201d")
        assert "OPENAI_API_KEY" in said
        assert "pasted" not in said

    def test_a_bad_key(self, lab: Lab) -> None:
        lab.setting()
        with Rehearsal().start("--key", "sk-another") as strict:
            said = failure(lab, OPENAI_BASE_URL=strict.url)
            assert "does not accept the key in OPENAI_API_KEY (401" in said
            assert "POST /v1/files" not in strict.requests()["counts"]
        assert lab.ledger() == []

    def test_no_network(self, lab: Lab) -> None:
        lab.setting()
        said = failure(lab, OPENAI_BASE_URL="http://127.0.0.1:9/v1")
        assert "http://127.0.0.1:9/v1 cannot be reached" in said
        assert said.endswith("look at the network and at the base URL")
        assert lab.ledger() == []

    @pytest.mark.parametrize(
        ("status", "kind", "body"),
        [
            (200, "text/html", b"<html>It works!</html>"),
            (404, "text/html", b"<html>no such page</html>"),
            (200, "application/json", b'{"status": "ok"}'),
            (200, "application/json", b"{"),
        ],
    )
    def test_not_a_server_of_the_api(
        self, lab: Lab, answering: Answering, status: int, kind: str, body: bytes
    ) -> None:
        lab.setting()
        url = answering(status, kind, body)
        said = failure(lab, OPENAI_BASE_URL=url)
        assert url in said
        assert "base URL" in said
        assert "\n" not in said
        assert lab.ledger() == []

    def test_a_wrong_path_is_no_word_on_a_job(self, lab: Lab) -> None:
        """A 404 of a base URL without /v1 does not mean that the job is gone."""
        lab.setting(seeds="[0]")
        lab.run("wait=no")
        ran = lab.run(code=2, OPENAI_BASE_URL=lab.server.url.removesuffix("/v1"))
        assert "404" in ran.out
        assert "gone" not in {entry["event"] for entry in lab.ledger()}
        lab.created()
        lab.run()
        assert lab.created() == 0


class TestRefused:
    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            ("forbidden", "account default may not do this at"),
            ("quota", "account default has no quota left (429"),
        ],
    )
    def test_no_job_for_this_account(self, lab: Lab, fault: str, said: str) -> None:
        lab.setting(seeds="[0]")
        lab.server.faults([{"fault": fault}])
        assert said in failure(lab)
        assert lab.created() == 1
        assert lab.there("jobs") == []
        assert BASE_EVAL in lab.project.records("eval")
        assert lab.plan()[f"{MODEL}0"]["action"] == "run"

    def test_an_unknown_model(self, lab: Lab) -> None:
        lab.setting(models='["openai/gpt-17"]', seeds="[0]")
        said = failure(lab)
        assert "(400: Model gpt-17 is not available for fine-tuning" in said

    def test_too_few_rows(self, lab: Lab) -> None:
        lab.setting(rows=9)
        said = failure(lab, code=3)
        assert "nothing was run" in said
        assert "10" in said
        assert lab.counts() == {}
