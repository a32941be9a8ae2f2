"""A provider for each test, and projects that use it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.harness import SERVER
from tests.rehearsal.server import Rehearsal


@pytest.fixture
def server() -> Iterator[Rehearsal]:
    """A provider that is never killed."""
    with Rehearsal().start(*SERVER) as started:
        yield started
