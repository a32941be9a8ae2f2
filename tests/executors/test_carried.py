"""Jobs of a Ray that shares no disk with the run: their files travel through the
team's store, and each is done once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from motools_build.backends.job import Made, StageJob
from motools_build.errors import (
    ArtifactError,
    Deferred,
    InputError,
    StageFailed,
    StoreUnreachable,
)
from motools_build.running.executors.jobs import ClusterJobs
from motools_build.running.executors.registry import cluster_of
from motools_build.store.artifacts import ArtifactStore
from motools_build.store.shared.address import Address
from motools_build.store.shared.objects import Objects
from motools_build.store.shared.sweep import sweep
from tests.conftest import Project
from tests.executors.ray_server import RayServer, until
from tests.executors.toy import BACKEND, ROOT, USED, folders, job, one, ran

pytestmark = pytest.mark.real_process

KILLS = int(os.environ.get("MOTOOLS_KILLS", "4"))


@pytest.fixture
def bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ray: RayServer
) -> Iterator[Path]:
    """The store that files travel through. The folder of the run is renamed as soon as
    the run is in it, so that nobody finds it by the path that it had."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(BACKEND)
    (tmp_path / "toy").mkdir()
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}/site{os.pathsep}{ROOT}")
    monkeypatch.setenv("MOTOOLS_TESTS_TOY", f"{tmp_path}/toy")
    monkeypatch.setenv(USED, "ray")
    monkeypatch.setenv("MOTOOLS_TESTS_STORE", f"{tmp_path}/bucket")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    yield tmp_path / "bucket"


