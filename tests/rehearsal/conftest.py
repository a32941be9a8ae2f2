"""One server; each test finds it without faults, lag or delay."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.rehearsal.server import Rehearsal, rows


@pytest.fixture(scope="session")
def running() -> Iterator[Rehearsal]:
    with Rehearsal().start("--list-lag", "0") as server:
        yield server


@pytest.fixture
def server(running: Rehearsal) -> Rehearsal:
    running.faults([])
    running.settings(seconds=0, list_lag=0, processing=0, file_limit=512 * 2**20)
    running.forget()
    return running


@pytest.fixture(scope="session")
def connections() -> Iterator[openai.DefaultHttpxClient]:
    """Shared by all clients: a pool of its own for each would cost the most time."""
    with openai.DefaultHttpxClient() as http:
        yield http


@pytest.fixture
def client(
    server: Rehearsal,
    connections: openai.DefaultHttpxClient,
    request: pytest.FixtureRequest,
) -> openai.OpenAI:
    """A client with a project of its own, so that no test sees another's jobs."""
    return server.client(project=request.node.name[:60], http_client=connections)


@pytest.fixture
def file(client: openai.OpenAI) -> str:
    """A training file's ID."""
    return client.files.create(file=("rows.jsonl", rows()), purpose="fine-tune").id
