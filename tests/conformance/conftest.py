"""Servers that nobody here wrote, for the tests marked `node`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance import openapi
from tests.conformance.servers import Aimock, Prism, Server, start_aimock, start_prism

ANSWERS = [("1 + 0", "ANSWER: 1"), ("", "ANSWER: 0")]


@pytest.fixture(scope="session")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OpenAI's document, cut to the paths in use."""
    return openapi.write(tmp_path_factory.mktemp("openapi") / "openapi.json")


@pytest.fixture(scope="module")
def prism(
    tmp_path_factory: pytest.TempPathFactory, document: Path
) -> Iterator[Callable[[str], Prism]]:
    """`prism("http://127.0.0.1:4000/v1")`: a validating proxy before that server."""
    folder = tmp_path_factory.mktemp("prism")
    running: list[Server] = []

    def start(upstream: str) -> Prism:
        server = start_prism(folder, document, upstream)
        running.append(server)
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def aimock(tmp_path: Path) -> Iterator[Aimock]:
    """An empty aimock; its chat models answer as ANSWERS says."""
    server = start_aimock(tmp_path, ANSWERS)
    yield server
    server.stop()
