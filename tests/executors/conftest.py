from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.executors.cluster import Cluster
from tests.executors.ray_server import RayServer
from tests.executors.toy import BACKEND, PLACE, STORE, USED, AnyCluster

OF_USERS = (
    *("RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"),
    "RAY_JOB_HEADERS",
)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A Slurm whose commands are on PATH."""
    made = Cluster(tmp_path / "cluster")
    monkeypatch.setenv("PATH", made.path)
    yield made
    made.close()


@pytest.fixture
def ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayServer]:
    """A Ray whose address is in the environment."""
    made = RayServer(tmp_path / "ray")
    for name in OF_USERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    yield made
    made.close()


@pytest.fixture
def carried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ray: RayServer
) -> RayServer:
    """A Ray whose nodes share no disk with the run: files travel through a store."""
    for name in ("bucket", "nodes"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv(STORE, f"{tmp_path}/bucket")
    monkeypatch.setenv(PLACE, f"{tmp_path}/nodes")
    return ray


@pytest.fixture(params=["slurm", "ray", "carried"])
def cluster(request: pytest.FixtureRequest) -> AnyCluster:
    """A cluster of each kind."""
    found: AnyCluster = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: AnyCluster) -> None:
    """A folder in which the cluster does the jobs of `toy.py`."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(BACKEND)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}/site{os.pathsep}{ROOT}")
    monkeypatch.setenv(USED, cluster.name)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
