"""One server for a module; each test finds it without faults, lag or delay."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.rehearsal.server import Rehearsal, rows


@pytest.fixture(scope="module")
def running() -> Iterator[Rehearsal]:
    with Rehearsal().start("--list-lag", "0") as server:
        yield server


@pytest.fixture
def server(running: Rehearsal) -> Rehearsal:
    running.faults([])
    running.settings(seconds=0, list_lag=0, processing=0, file_limit=512 * 2**20)
    running.forget()
    return running


@pytest.fixture
def client(
    server: Rehearsal, request: pytest.FixtureRequest
) -> Iterator[openai.OpenAI]:
    """A client with a project of its own, so that no test sees another's jobs."""
    with server.client(project=request.node.name[:60]) as client:
        yield client


@pytest.fixture
def file(client: openai.OpenAI) -> str:
    """A training file's ID."""
    return client.files.create(file=("rows.jsonl", rows()), purpose="fine-tune").id
