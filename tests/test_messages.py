"""Messages about a run, by Apprise."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.conftest import Project, Ran

TOKEN = "a-token-never-to-be-seen"
SECRET = "sk-in-the-environment-1"


class Mailbox(BaseHTTPRequestHandler):
    got: list[dict[str, Any]]
    status = 200

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.got.append(json.loads(self.rfile.read(length)))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mailbox() -> Iterator[tuple[type[Mailbox], str]]:
    class Own(Mailbox):
        got: list[dict[str, Any]] = []  # noqa: RUF012 - one for each test

    server = HTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Own, f"json://127.0.0.1:{server.server_port}/{TOKEN}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tiny(project: Project) -> Project:
    project.dataset("tiny")
    project.setting("tiny")
    tool(project, "notify_after = 0")
    return project


def tool(project: Project, line: str) -> None:
    file = project.root / "pyproject.toml"
    text = file.read_text()
    section = "[tool.motools_build]"
    if section not in text:
        text += f"\n{section}\n"
    file.write_text(text.replace(section, f"{section}\n{line}"))


def kept(project: Project, ran: Ran) -> None:
    """The token is in nothing that the run has shown or written."""
    assert TOKEN not in ran.out + ran.err
    for path in (project.root / "artifacts").rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


def test_the_end_and_the_first_failure(
    tiny: Project, mailbox: tuple[type[Mailbox], str]
) -> None:
    box, url = mailbox
    tool(tiny, 'notify = "env:WHERE"')
    environ = {"WHERE": url, "OTHER_API_KEY": SECRET}
    fails = {"MOTOOLS_DUMMY_FAIL": "tiny/base", **environ}
    ran = tiny.doit("run", "tiny", code=None, **fails)
    first, last = sorted(box.got, key=lambda told: "ended" in told["title"])
    assert first["title"] == "tiny: the first failure; the run goes on"
    assert "failed: eval:tiny/base/echo/score: the dummy" in first["message"]
    assert last["title"].endswith(", 1 failed")
    assert "1 failed" in last["message"]
    assert "left: 1 eval: doit run tiny" in last["message"]
    assert "warning" not in ran.out
    kept(tiny, ran)
    box.got.clear()
    tiny.doit("run", "tiny", **environ)
    (told,) = box.got
    assert "1 made" in told["message"]
    tiny.doit("run", "tiny", **environ)
    assert len(box.got) == 1  # nothing was to do


def test_a_variable_says_who(tiny: Project, mailbox: tuple[type[Mailbox], str]) -> None:
    box, url = mailbox
    tool(tiny, 'notify = ["json://127.0.0.1:9/nobody"]')
    ran = tiny.doit("run", "tiny", f"notify={url}")
    assert len(box.got) == 1
    kept(tiny, ran)
    tiny.doit("run", "tiny", "seeds=1", "notify=no")
    assert len(box.got) == 1


def test_one_that_cannot_be_sent_is_a_warning(
    tiny: Project, mailbox: tuple[type[Mailbox], str]
) -> None:
    box, url = mailbox
    box.status = 500
    ran = tiny.doit("run", "tiny", f"notify={url}")
    assert ran.out.count("warning: a message about the run could not be sent") == 1
    kept(tiny, ran)


def test_a_wrong_one_is_refused_first(tiny: Project) -> None:
    ran = tiny.doit("run", "tiny", f"notify=nosuch://{TOKEN}", code=3)
    assert "URL 1 (nosuch) is none that Apprise knows" in ran.err
    kept(tiny, ran)
    ran = tiny.doit("run", "tiny", "notify=env:NOT_SET", code=3)
    assert "NOT_SET is not set" in ran.err
    assert not list((tiny.root / "artifacts").glob("model/*"))


def test_a_short_run_sends_nothing(
    project: Project, mailbox: tuple[type[Mailbox], str]
) -> None:
    project.dataset("tiny")
    project.setting("tiny")
    box, url = mailbox
    project.doit("run", "tiny", f"notify={url}")
    assert box.got == []
