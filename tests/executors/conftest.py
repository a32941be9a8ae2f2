from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.executors.cluster import Cluster


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster whose commands are on PATH."""
    made = Cluster(tmp_path / "cluster")
    monkeypatch.setenv("PATH", made.path)
    yield made
    made.close()
