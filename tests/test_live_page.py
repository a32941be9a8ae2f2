"""The live page: what it shows, what it lets in, and what it sees of runs."""

from __future__ import annotations

import http.client
import re
import select
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any, cast

import pytest

from motools_build.doit_host.serving_page import PageServer
from motools_build.project import watching
from motools_build.project.watching import Watch
from motools_build.report.page.live import fragment, page, page_policy
from motools_build.report.paid_jobs import JobLine
from motools_build.report.results import Result
from motools_build.report.table import table_of
from motools_build.report.watched import OfSetting, Watched
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.progress import FailedStage, RunningStage, Snapshot, UnderWay
from tests.conftest import Project
from tests.test_comparisons import found
from tests.test_page import HOSTILE, Tags

__all__ = ["found"]  # a fixture

NOW = 1_800_000_000.0

RUNNING = RunningStage(
    *("model:s/d/m/seed0", "k1", "model", NOW - 60, 12, 48, "steps", "loss 0.123"),
    eta=42.0,
)
WAITING = RunningStage(
    "model:s/d/m/seed1", "k2", "model", NOW - 30, note="waits for a worker", queue=2
)
TOLD = Snapshot(
    *(("s",), 77, "host-1", NOW - 100, NOW - 2),
    variables={"seeds": "0,1", "notify": "json://token@host"},
    counts={"model": {"made": 1, "running": 2, "waiting": 5}, "upload": {"made": 3}},
    cost=1.2,
    running=(WAITING, RUNNING),
    failed=(FailedStage("eval:s/base/m/e", "k3", "eval", NOW - 5, "it broke"),),
)
ALIVE = UnderWay("a1", True, TOLD)
SETTING = OfSetting("s", {"model": {"ok": 1, "stale": 2, "missing": 5}})


def watched(**fields: Any) -> Watched:
    given = {"settings": (SETTING,), "looked": NOW, **fields}
    return Watched(("s",), NOW, **given)


def said(markup: str) -> str:
    """The text of HTML, with single spaces."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup)).split())


# ---- what it shows


def test_a_run_under_way_is_told() -> None:
    markup = fragment(watched(runs=(ALIVE,)))
    told = said(markup)
    for part in (
        "Run under way 1:40 so far, $1.20",
        "models 1 of 8 done, 2 running, 5 waiting",
        "12/48 steps, loss 0.123 0:40 left",
        "waits for a worker, 2 in line 0:30",
        "1 failure eval:s/base/m/e",
        "it broke",
        "doit run s seeds=0,1 ,",
        "process 77 on host-1",
    ):
        assert part in told
    assert "token" not in markup
    assert "upload" not in told  # it is made on demand, and tells nothing here
    assert told.index("seed0") < told.index("seed1")  # what counts comes first
    assert "models 1 of 8 up to date" not in told  # the run's own bar is there
    assert '<progress max="100" value="25.0"' in markup
    assert 'data-title="1/8 s"' in markup
    assert "last news" not in told
    quiet = replace(TOLD, written=NOW - 75)
    told = said(fragment(watched(runs=(UnderWay("a1", True, quiet),))))
    assert "last news 1:15 ago" in told
    assert "left" not in told.split("model:s/d/m/seed0")[1].split("model:")[0]
    soon = replace(TOLD, running=(replace(RUNNING, eta=1.0),))
    told = said(fragment(watched(runs=(UnderWay("a1", True, soon),))))
    assert "0:00 left" in told  # never less


def test_many_running_stages_are_counted() -> None:
    running = tuple(replace(RUNNING, name=f"m{n}", key=f"k{n}") for n in range(200))
    told = replace(TOLD, running=running, counts={"model": {"running": 500}})
    markup = fragment(watched(runs=(UnderWay("a", True, told),)))
    assert markup.count('<li id="r-') == 40
    assert "and 460 more" in said(markup)


def test_a_killed_run_is_told_with_what_goes_on() -> None:
    markup = fragment(watched(runs=(UnderWay("a1", False, TOLD),)))
    told = said(markup)
    at = time.strftime("%H:%M:%S", time.localtime(TOLD.written))
    said_of = (
        f"It ended without a word; it was last heard of at {at}. It had cost $1.20."
    )
    assert f"Run killed {said_of}" in told
    assert "What is made is kept; doit run s seeds=0,1 goes on." in told
    assert "At work then: model:s/d/m/seed1 model:s/d/m/seed0" in told
    assert "models 1 of 8 done, 2 cut off, 5 waiting" in told
    assert " left" not in told
    assert "models 1 of 8 up to date, 2 stale, 5 missing" in told
    assert 'data-title="s"' in markup
    silent = said(fragment(watched(runs=(UnderWay("a1", False, None),))))
    assert "Run killed It ended without a word, before it told anything." in silent


def test_an_ended_run_is_told_until_the_next_one() -> None:
    last = replace(
        TOLD, running=(), ended=NOW - 1, summary=("3 made, 1 failed", "took 99.0 s")
    )
    stopped = {"model": {"made": 1, "interrupted": 2, "not run": 3, "ignored": 1}}
    told = said(fragment(watched(last=replace(last, counts=stopped))))
    assert "models 1 of 7 done, 2 interrupted, 3 not run, 1 ignored" in told
    told = said(fragment(watched(last=last)))
    at = time.strftime("%H:%M:%S", time.localtime(NOW - 1))
    assert f"Last run, ended at {at} 3 made, 1 failed took 99.0 s" in told
    assert "No run is under way. To make what is missing: doit run s" in told
    for run in (ALIVE, UnderWay("a1", False, TOLD)):
        assert "Last run" not in said(fragment(watched(last=last, runs=(run,))))


def test_no_run_and_runs_of_others_are_told() -> None:
    told = said(fragment(watched()))
    assert "No run is under way. To make what is missing: doit run s" in told
    whole = replace(SETTING, counts={"model": {"ok": 8}})
    told = said(fragment(watched(settings=(whole,))))
    assert "No run is under way, and everything is up to date." in told
    other = UnderWay("a2", True, replace(TOLD, settings=("t", "u")))
    told = said(fragment(watched(runs=(other,))))
    assert "Another run is under way: t, u" in told
    assert "12/48" not in told
    begins = said(fragment(watched(runs=(UnderWay("a3", True, None),))))
    assert "Run under way It begins." in begins


def test_results_are_those_of_the_terminal(
    found: Callable[..., list[Result]],
) -> None:
    table = table_of("s", found())
    job = JobLine(
        "model:s/x", "k", 1, "ftjob-1", "submitted", NOW, "lab", None, False, ""
    )
    setting = replace(SETTING, table=table)
    told = said(fragment(watched(settings=(setting,), jobs=(job,))))
    numbers = [str(m.estimate) for row in table.rows for m in row.metrics]
    assert len(numbers) > 5
    for number in numbers:
        assert number in told
    assert "ftjob-1 submitted" in told


def test_hostile_text_is_inert() -> None:
    stage = replace(RUNNING, name=HOSTILE, key=HOSTILE, note=HOSTILE, unit=HOSTILE)
    failed = FailedStage(HOSTILE, HOSTILE, HOSTILE, NOW, HOSTILE)
    told = Snapshot(
        *((HOSTILE, "s"), 1, HOSTILE, NOW, NOW),
        variables={HOSTILE: HOSTILE},
        counts={HOSTILE: {"running": 1, HOSTILE: 2}},
        running=(stage,),
        failed=(failed,),
        summary=(HOSTILE,),
    )
    setting = OfSetting(HOSTILE, broken=HOSTILE)
    runs = (UnderWay(HOSTILE, True, told), UnderWay(HOSTILE, False, told))
    plain = page(watched(runs=(ALIVE, UnderWay("b", False, TOLD))), "doit report s")
    kinds = {tag for tag, _ in Tags(plain).found}
    for one in (
        watched(runs=runs, settings=(setting,), problem=HOSTILE),
        watched(last=replace(told, ended=NOW), settings=(setting,)),
    ):
        markup = page(replace(one, names=(HOSTILE, "s")), HOSTILE)
        assert "\x1b" not in markup
        assert "\u202e" not in markup
        tags = Tags(markup).found
        assert {tag for tag, _ in tags} <= kinds | {"pre"}
        assert [tag for tag, _ in tags].count("script") == 1
        for _, attributes in tags:
            assert not [name for name in attributes if name.startswith("on")]
            assert "style" not in attributes


def test_the_policy_of_header_and_page_allows_only_the_page_itself() -> None:
    (inside,) = re.findall(
        r'"Content-Security-Policy" content="([^"]+)"', page(watched(), "")
    )
    header = page_policy()
    own = {part.strip() for part in header.split(";")} - {""}
    assert own - {part.strip() for part in inside.split(";")} == {
        "frame-ancestors 'none'"
    }
    assert {"default-src 'none'", "connect-src 'self'", "base-uri 'none'"} <= own
    assert "unsafe" not in header


# ---- what it lets in


class Fixed:
    """A watch that always finds the same."""

    def __init__(self) -> None:
        self.found = watched(runs=(ALIVE,))
        self.broken = False

    def now(self) -> Watched:
        if self.broken:
            raise ZeroDivisionError
        return self.found


@contextmanager
def served(watch: Any) -> Iterator[PageServer]:
    with PageServer(cast(Watch, watch), 0) as server:
        server.daemon_threads = False  # so that its end waits for them
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(
    port: int, path: str = "/", method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=given)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read().decode()
    finally:
        connection.close()


def test_only_this_machine_is_answered() -> None:
    with served(Fixed()) as server:
        host, port = server.server_address[:2]
        assert host == "127.0.0.1"
        for name in ("127.0.0.1", "localhost", f"LOCALHOST:{port}", "127.0.0.1:80"):
            assert ask(port, Host=name)[0] == 200, name
        for name in (
            *("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", ""),
            *("localhost.evil.example", "localhost:", "[::1]", "0.0.0.0", "127.0.0.2"),
            *("localhost:80@evil.example", "user@localhost", "localhost/", "127.1"),
        ):
            for path in ("/", "/now"):
                status, headers, body = ask(port, path, Host=name)
                assert status == 403, name
                assert "Run under way" not in body
                assert headers["Content-Security-Policy"]
        for request in (b"GET / HTTP/1.1\r\n\r\n", b"GET /\r\n\r\n", TWO_HOSTS):
            assert b"Run under way" not in raw(port, request)


TWO_HOSTS = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"


def raw(port: int, request: bytes) -> bytes:
    """All that the server answers to these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_only_the_page_and_its_fragment_are_served(tmp_path: Path) -> None:
    with served(Fixed()) as server:
        port = server.server_address[1]
        for path in (
            *("/index.html", "/now/", "/../pyproject.toml", "/pyproject.toml"),
            *("/%2e%2e/etc/passwd", "/?x", "/now?x", "/favicon.ico", "now"),
            "http://127.0.0.1/",
        ):
            assert ask(port, path)[0] == 404, path
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            assert ask(port, "/", method)[0] == 405, method
            assert ask(port, "/", method, Host="evil.example")[0] == 403, method
        assert ask(port, "/", "BREW")[0] == 501
        for path in ("/", "/now"):
            status, headers, body = ask(port, path)
            assert status == 200
            assert headers["Content-Security-Policy"] == page_policy()
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"
            assert headers["Content-Type"] == "text/html; charset=utf-8"
            assert "Access-Control-Allow-Origin" not in headers
            assert "Python" not in headers["Server"]
            assert len(body.encode()) == int(headers["Content-Length"])
            head = ask(port, path, "HEAD")
            assert (head[0], head[2]) == (200, "")
            assert head[1]["Content-Length"] == headers["Content-Length"]
            assert body.startswith("<!doctype html>") == (path == "/")


def test_what_did_not_change_is_not_sent_again() -> None:
    watch = Fixed()
    with served(watch) as server:
        port = server.server_address[1]
        tag = ask(port, "/now")[1]["ETag"]
        assert ask(port, "/now", If_None_Match=tag)[::2] == (304, "")
        watch.found = watched()
        status, headers, body = ask(port, "/now", If_None_Match=tag)
        assert (status, "No run is under way" in body) == (200, True)
        assert headers["ETag"] != tag


def test_an_error_of_ours_is_told_and_the_server_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    watch = Fixed()
    with served(watch) as server:
        port = server.server_address[1]
        watch.broken = True
        assert ask(port, "/now")[0] == 500
        watch.broken = False
        assert ask(port, "/now")[0] == 200
        with socket.create_connection(("127.0.0.1", port)):
            pass  # a client that is gone
        assert ask(port, "/now")[0] == 200
    err = capsys.readouterr().err
    assert err.count("Traceback") == err.count("\nZeroDivisionError") == 1


# ---- what it sees


@pytest.fixture
def here(tiny: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project `tiny` as working directory, looked at without rests."""
    monkeypatch.chdir(tiny.root)
    monkeypatch.setattr(watching, "SHARED", 0.0)
    monkeypatch.setattr(watching, "REST", 0.0)
    return tiny


def test_edits_are_seen_and_nothing_else_is_looked_up(here: Project) -> None:
    watch = Watch(("tiny",), {})
    (first,) = watch.now().settings
    assert first.counts == {"model": {"missing": 1}, "eval": {"missing": 2}}
    for _ in range(5):
        assert watch.now().settings[0] is first
    assert watch.look_ups == 1
    here.setting("tiny", seeds="[0, 1]")
    (edited,) = watch.now().settings
    assert edited.counts["model"] == {"missing": 2}
    assert watch.look_ups == 2
    here.write("zoo/tiny.py", "setting = 1 / 0")
    (broken,) = watch.now().settings
    assert "zoo/tiny.py:1: ZeroDivisionError" in broken.broken
    assert "division by zero" in said(fragment(watch.now()))
    here.setting("tiny")
    assert watch.now().settings[0].counts == first.counts
    pyproject = here.root / "pyproject.toml"
    text = pyproject.read_text()
    pyproject.write_text("[tool.doit\n")
    assert "pyproject.toml" in watch.now().problem
    assert watch.now().settings == ()
    pyproject.write_text(text)
    assert watch.now().settings[0].counts == first.counts
    here.doit("run", "tiny")
    (made,) = watch.now().settings
    assert made.complete
    here.dataset("tiny", rows=4)
    (stale,) = watch.now().settings
    assert stale.counts["model"] == {"stale": 1}
    (here.root / "zoo/tiny.py").unlink()
    (gone,) = watch.now().settings
    assert "no setting is called 'tiny'" in gone.broken


def test_a_helper_module_is_imported_anew(here: Project) -> None:
    here.write("zoo/_common.py", "SEEDS = [0]\n")
    text = (here.root / "zoo/tiny.py").read_text()
    here.write(
        "zoo/tiny.py",
        "from zoo._common import SEEDS\n" + text.replace("seeds=[0]", "seeds=SEEDS"),
    )
    modules = {*sys.modules}
    watch = Watch(("tiny",), {})
    assert watch.now().settings[0].counts["model"] == {"missing": 1}
    here.write("zoo/_common.py", "SEEDS = [0, 1, 2, 3]\n")
    assert watch.now().settings[0].counts["model"] == {"missing": 4}
    assert not {name for name in {*sys.modules} - modules if name.startswith("zoo.")}


def test_variables_apply(here: Project) -> None:
    found = Watch(("tiny",), {"seeds": "0,1,2"}).now().settings[0]
    assert found.counts["model"] == {"missing": 3}
    wrong = Watch(("tiny",), {"seeds": "x"}).now().settings[0]
    assert "seeds=x" in wrong.broken


def test_requests_within_a_second_share_a_look(
    tiny: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.root)
    monkeypatch.setattr(watching, "SHARED", 3600.0)
    watch = Watch(("tiny",), {})
    moments: list[Watched] = []
    threads = [
        threading.Thread(target=lambda: moments.append(watch.now())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in moments}) == 1
    assert watch.look_ups == 1


def test_what_cannot_be_known_to_change_is_looked_up_now_and_then(
    here: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(("tiny",), {})
    watch.now()
    monkeypatch.setattr(watching, "UNCHANGED", 0.0)
    monkeypatch.setattr(watching, "REST_UNCHANGED", 0.0)
    watch.now()
    assert watch.look_ups == 2


def test_a_long_look_up_does_not_hide_the_runs(
    here: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(("tiny",), {})
    go_on = threading.Event()
    usual = watch._found

    def slow() -> Any:
        assert go_on.wait(60)
        return usual()

    monkeypatch.setattr(watch, "_found", slow)
    monkeypatch.setattr(watching, "PATIENCE", 0.0)
    with ArtifactStore().live.using([]) as place:
        place.tell(replace(TOLD, settings=("tiny",)))
        for _ in range(3):
            told = said(fragment(watch.now()))
            assert "Run under way" in told
            assert "Results of tiny" not in told
    assert "Results are being looked up" in said(fragment(watch.now()))
    assert watch.look_ups == 1
    go_on.set()
    monkeypatch.setattr(watching, "PATIENCE", 60.0)
    assert "Results of tiny" in said(fragment(watch.now()))


def test_what_a_setting_does_wrong_ends_nothing(
    here: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(("tiny",), {})
    for text in ("raise KeyboardInterrupt", "raise SystemExit(3)", "import nothing_"):
        here.write("zoo/tiny.py", text)
        found = watch.now()
        assert found.problem or found.settings[0].broken, text
    here.setting("tiny")
    assert not watch.now().settings[0].broken
    monkeypatch.setattr(watch, "_found", lambda: 1 / 0)  # a mistake of ours
    here.setting("tiny", seeds="[5]")
    with pytest.raises(ZeroDivisionError):
        watch.now()


def test_the_last_run_of_another_setting_hides_nothing(here: Project) -> None:
    here.dataset("other", rows=5)
    here.setting("other")
    here.doit("run", "tiny")
    watch = Watch(("tiny",), {})
    last = watch.now().last
    assert last is not None
    assert last.settings == ("tiny",)
    here.doit("run", "other")
    assert watch.now().last == last
    assert Watch(("tiny",), {}).now().last is None  # only the latest is kept


def test_a_run_that_was_killed_after_its_last_word_has_ended(here: Project) -> None:
    store = ArtifactStore()
    folder = here.root / "artifacts/live"
    folder.mkdir()
    (folder / "abc.json").write_text("[]")
    told = replace(TOLD, settings=("tiny",))
    (folder / "abc.progress").write_bytes(told.to_json())
    (run,) = Watch(("tiny",), {}).now().runs
    assert not run.alive
    ended = replace(told, ended=NOW, summary=("3 made",))
    (here.root / "artifacts/last-run.json").write_bytes(ended.to_json())
    assert store.live.last_run() == ended
    found = Watch(("tiny",), {}).now()
    assert (found.runs, found.last) == ((), ended)


# ---- the command


@contextmanager
def serving(project: Project, *words: str, **environ: str) -> Iterator[tuple[Any, int]]:
    """`doit report --serve WORDS` as a process, and its port."""
    process = project.start("report", "--serve", *words, **environ)
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0]
        line = process.stdout.readline()
        match = re.match(r"http://127\.0\.0\.1:(\d+)/ ", line)
        if match is None:
            process.kill()
            raise AssertionError((line, process.communicate()))
        yield process, int(match[1])
    finally:
        process.kill()
        process.communicate()


def until(port: int, *parts: str, seconds: float = 60) -> str:
    """The text of the fragment, once it has all of these parts."""
    end = time.monotonic() + seconds
    while True:
        told = said(ask(port, "/now")[2])
        if all(part in told for part in parts):
            return told
        if time.monotonic() > end:
            raise AssertionError(told)
        time.sleep(0.1)


@pytest.mark.real_process
def test_a_run_is_watched_from_its_begin_to_its_end_and_to_its_death(
    tiny: Project,
) -> None:
    tiny.setting("tiny", seeds="[0, 1]")
    with serving(tiny, "tiny") as (process, port):
        until(port, "No run is under way", "doit run tiny", "evals 0 of 3 up to date")
        run = tiny.start("run", "tiny", MOTOOLS_DUMMY_DELAY="60")
        try:
            told = until(port, "Run under way", "models 0 of 2 done, 2 running")
            assert "model:tiny/tiny/echo/seed0 0/1 jobs, waits 60 s" in told
            assert f"process {run.pid} on" in told
        finally:
            run.kill()
            run.communicate()
        told = until(port, "Run killed", "ended without a word; it was last heard of")
        assert "What is made is kept; doit run tiny goes on." in told
        run = tiny.start("run", "tiny", "seeds=0", MOTOOLS_DUMMY_DELAY="2")
        until(port, "Run under way", "doit run tiny seeds=0 ,")
        out, _ = run.communicate(timeout=60)
        assert run.returncode == 0, out
        told = until(port, "Last run, ended at", "models 1 of 2 up to date, 1 missing")
        assert "3 made, 1 up to date took" in told
        assert "To make what is missing: doit run tiny" in told
        tiny.write("zoo/tiny.py", "setting = (")
        until(port, "The setting is broken", "zoo/tiny.py:1: SyntaxError")
        tiny.setting("tiny")
        until(port, "everything is up to date", "0.77")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (130, "", "")


@pytest.mark.real_process
def test_a_broken_setting_is_served_and_a_taken_port_is_told(tiny: Project) -> None:
    tiny.write("zoo/tiny.py", "setting = 1 / 0")
    with serving(tiny, "tiny", "seeds=0,1") as (_, port):
        until(port, "ZeroDivisionError")
        tiny.setting("tiny")
        until(port, "models 0 of 2 up to date", "doit run tiny seeds=0,1")
        ran = tiny.doit("report", "tiny", "--serve", "--port", str(port), code=3)
        assert f"port {port} of this machine cannot be used" in ran.err


@pytest.mark.real_process
def test_the_browser_is_opened_with_the_pages_address(tiny: Project) -> None:
    browser = tiny.write(
        "browser", '#!/bin/sh\necho "$1" > opened.new\nmv opened.new opened\n'
    )
    browser.chmod(0o755)
    with serving(tiny, "tiny", "--open", BROWSER=str(browser)) as (_, port):
        opened = tiny.root / "opened"
        end = time.monotonic() + 60
        while not opened.exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert opened.read_text() == f"http://127.0.0.1:{port}/\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--serve", "nothing_like"), "no setting or stage is called 'nothing_like'"),
        (("tiny", "--serve", "--out", "x.html"), "neither --out"),
        (("tiny", "--serve", "--answers", "3"), "nor --answers"),
        (("tiny", "--port", "8000"), "--port is for --serve alone"),
        (("tiny", "--serve", "--port", "99999"), "0 to 65535"),
        (("tiny", "--serve", "--port", "x"), "option --port x: write a number"),
        (("tiny", "--serve", "--port", "-1"), "0 to 65535"),
    ],
)
def test_wrong_words_are_refused(
    tiny: Project, words: tuple[str, ...], why: str
) -> None:
    assert why in tiny.doit("report", *words, code=3).err
    assert not (tiny.root / "x.html").exists()


@pytest.mark.real_process
def test_nothing_heavy_and_no_extra_is_needed(tiny: Project) -> None:
    code = """
        import sys
        for name in ("altair", "vl_convert", "pandas", "torch", "openai", "inspect_ai"):
            sys.modules[name] = None
        from motools_build.project.watching import Watch
        from motools_build.report.page.live import page
        assert "Results of tiny" in page(Watch(("tiny",), {}).now(), "")
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tiny.root,
        env=tiny._environ({}),
        check=True,
        timeout=60,
    )
