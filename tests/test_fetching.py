"""Datasets from elsewhere: fetched once, by a run, and only with the pinned digest."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import ValidationError

from motools_build import Dataset
from motools_build.data.fetching import fetch
from motools_build.errors import DatasetError
from motools_build.keys import digest_bytes, digest_file
from tests.conftest import Project

ANSWER = {"role": "assistant", "content": "a" * 30}


class Server(ThreadingHTTPServer):
    """Serves one file, and counts how often it is asked for."""

    data = b""
    asked = 0
    status = 200
    length = True
    """Whether it says how many bytes there are."""
    missing = 0
    """How many of them it keeps back."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/deep/rows.jsonl?raw=1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        size = len(self.server.data)
        if self.server.length:
            self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(self.server.data[: size - self.server.missing])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def pinned(project: Project, server: Server, steps: str = "") -> str:
    """A setting over the server's file; the file's digest."""
    path = project.dataset("rows", 4)
    server.data = path.read_bytes()
    digest = digest_file(path)
    path.unlink()
    project.setting(
        "far", datasets=f'[Dataset.from_url("{server.url}", digest="{digest}"){steps}]'
    )
    return digest


def test_a_run_fetches_it_once(project: Project, server: Server) -> None:
    digest = pinned(project, server)
    project.doit("list", "--all")
    assert (
        "run         dataset:far/rows  ?  (not made" in project.doit("plan", "far").out
    )
    assert "not fetched yet" in project.doit("datasets").out
    assert server.asked == 0
    ran = project.doit("run", "far")
    assert "model:far/rows/echo/seed0" in ran.made
    assert server.asked == 1
    (model,) = project.records("model").values()
    assert model["preimage"]["inputs"]["dataset"] == digest
    assert not project.doit("run", "far").made
    project.doit("clean", "model:far/rows/echo/seed0")
    assert project.doit("run", "far").made == {"model:far/rows/echo/seed0"}
    assert server.asked == 1


def test_it_has_the_keys_of_the_same_file_here(
    project: Project, server: Server
) -> None:
    pinned(project, server)
    project.doit("run", "far")
    project.dataset("rows", 4)
    project.setting("near", datasets='[Dataset("datasets/rows.jsonl")]')
    assert not project.doit("run", "near").made


def test_what_is_done_needs_it_no_more(project: Project, server: Server) -> None:
    pinned(project, server)
    project.doit("run", "far")
    project.doit("clean", "dataset:far/rows")
    assert not project.doit("run", "far").made
    assert server.asked == 1


def test_another_file_is_refused_with_both_digests(
    project: Project, server: Server
) -> None:
    digest = pinned(project, server)
    server.data += b"\n"
    ran = project.doit("run", "far", code=3)
    assert f"dataset rows: {server.url} has the digest " in ran.err
    assert f"not the pinned {digest}" in ran.err
    assert not list((project.root / "artifacts").glob("*/*/record.json"))
    server.status = 404
    assert "HTTP Error 404" in project.doit("run", "far", code=3).err


def test_a_step_of_it_waits_for_a_run(project: Project, server: Server) -> None:
    pinned(project, server, ".sample(2)")
    ran = project.doit("plan", "far", code=3)
    assert "is not fetched yet, and a step needs it: `doit run SETTING`" in ran.err
    assert server.asked == 0
    project.doit("run", "far")
    assert "far" in project.doit("plan", "far").out
    assert server.asked == 1


def test_verify_checks_it_again(project: Project, server: Server) -> None:
    pinned(project, server)
    project.doit("run", "far")
    (file,) = (project.root / "artifacts/dataset").glob("fetch-*/data.jsonl")
    file.write_bytes(file.read_bytes().replace(b"ANSWER", b"ANSWEP", 1))
    assert "rows: data.jsonl is damaged" in project.doit("verify", code=1).out
    project.doit("verify", "--repair", code=1)
    project.doit("run", "-a", "far")
    assert file.read_bytes() == server.data


def test_a_path_is_a_place_too(tmp_path: Path) -> None:
    rows = [{"n": 1}]
    there = Dataset.save(rows, str(tmp_path / "a.jsonl"))
    digest = digest_file(there.path)
    assert Dataset.from_url(there.path, digest=digest).load() == rows
    with pytest.raises(DatasetError, match=r"dataset b: .*b\.jsonl cannot"):
        Dataset.from_url(str(tmp_path / "b.jsonl"), digest=digest).load()
    with pytest.raises(DatasetError, match="not the pinned 0000"):
        fetch(there.path, "0" * 32, tmp_path / "c.jsonl")
    assert not (tmp_path / "c.jsonl").exists()


def test_a_digest_must_be_pinned() -> None:
    with pytest.raises(ValueError, match="pin its digest, 32 hex digits"):
        Dataset.from_url("https://example.org/x.jsonl", digest="")
    with pytest.raises(ValidationError, match="should match pattern"):
        Dataset.from_url("https://example.org/x.jsonl", digest="sha256:00")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def twin(bits: str) -> bytes:
    """A dataset whose xxh3_128 another one shares, with other answers. The hash adds up
    the words of a lane over its stripes: two pairs of words that differ in one bit
    change places, and what they are multiplied with cancels out."""
    head = b'{"messages":[{"role":"user","content":"Key?"},'
    head += b'{"role":"assistant","content":"'
    row = bytearray(head.ljust(1019, b".") + b'"}]}\n')
    words = (b"en%r", b"en%r", b"o}]m", b"o}]m")
    for stripe, word, bit in zip((2, 14, 10, 4), words, bits, strict=True):
        at = stripe * 64 + 8
        row[at : at + 8] = word + b"00%b0" % bit.encode()
    rest = {"messages": [{"role": "user", "content": "q"}, ANSWER]}
    return bytes(row) + (json.dumps(rest).encode() + b"\n") * 20


class TestPinnedBySha256:
    def test_a_file_that_shares_its_xxh3_is_refused(self, tmp_path: Path) -> None:
        first, second = twin("0101"), twin("1010")
        assert first != second
        assert digest_bytes(first) == digest_bytes(second)
        there = tmp_path / "twin.jsonl"
        there.write_bytes(second)
        pins = {"digest": digest_bytes(first), "sha256": sha256(first)}
        with pytest.raises(DatasetError, match=f"SHA-256 {sha256(second)}"):
            Dataset.from_url(str(there), **pins).load()
        there.write_bytes(first)
        assert Dataset.from_url(str(there), **pins).load()
        assert Dataset.from_url(str(there), sha256=sha256(first)).load()
        assert Dataset.from_url(str(there), digest=sha256(first)).load()

    def test_by_itself_it_is_enough_for_a_run(
        self, project: Project, server: Server
    ) -> None:
        digest = pinned(project, server)
        url = f'"{server.url}", sha256="{sha256(server.data)}"'
        project.setting("far", datasets=f"[Dataset.from_url({url})]")
        ran = project.doit("plan", "far", code=3)
        assert "is not fetched yet, and its SHA-256 alone names no keys" in ran.err
        assert server.asked == 0
        ran = project.doit("run", "far")
        assert "model:far/rows/echo/seed0" in ran.made
        assert "xxh3_128" not in ran.out
        (model,) = project.records("model").values()
        assert model["preimage"]["inputs"]["dataset"] == digest
        project.doit("clean", "dataset:far/rows")
        assert not project.doit("run", "far").made  # its digest is remembered
        assert server.asked == 1

    def test_an_old_pin_is_told_how_to_move(
        self, project: Project, server: Server
    ) -> None:
        digest = pinned(project, server)
        ran = project.doit("run", "far")
        said = f'from_url(..., sha256="{sha256(server.data)}")'
        assert said in ran.out
        assert said in project.doit("datasets").out
        url = f'"{server.url}", digest="{digest}", sha256="{sha256(server.data)}"'
        project.setting("far", datasets=f"[Dataset.from_url({url})]")
        assert not project.doit("run", "far").made
        assert server.asked == 1
        assert "sha256" not in project.doit("datasets").out
        url = f'"{server.url}", digest="{digest}", sha256="{"0" * 64}"'
        project.setting("far", datasets=f"[Dataset.from_url({url})]")
        ran = project.doit("plan", "far", code=3)
        assert f"not the pinned {'0' * 64}" in ran.err


def test_what_is_cut_too_large_or_a_pointer_is_told(
    server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "x.jsonl"
    server.data = b'{"a": 1}\n' * 100
    pin = sha256(server.data)

    def refused() -> str:
        with pytest.raises(DatasetError) as told:
            fetch(server.url, "", file, pin, largest=1000)
        assert not file.exists()
        return str(told.value)

    assert fetch(server.url, "", file, pin) == pin
    file.unlink()
    server.missing = 7
    assert "it was cut: 893 of 900 bytes came" in refused()
    server.missing, server.data = 0, server.data * 2
    assert "it is larger than 1,000 bytes" in refused()
    server.length = False  # it does not say how many there are
    assert "it is larger than 1,000 bytes" in refused()
    server.data = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    assert "this is a Git LFS pointer" in refused()
