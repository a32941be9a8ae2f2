"""Buckets for tests: a server of S3, and a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.rehearsal.server import Rehearsal
from tests.shared.servers import AZURITE, Bucket, Proxy, azurite, moto

SERVER = ("--seconds", "0.3", "--list-lag", "0.5")


@pytest.fixture(scope="session")
def _moto() -> Iterator[Bucket]:
    with moto() as bucket:
        yield bucket


@pytest.fixture
def s3(_moto: Bucket, tmp_path: Path) -> Iterator[Bucket]:
    """A prefix of its own in a bucket of moto's server, behind a proxy without
    faults."""
    proxy = _moto.proxy
    proxy.counts.clear()
    proxy.log.clear()
    yield replace(_moto, address=f"s3://bucket/{tmp_path.name}")
    proxy.cuts, proxy.ignores_conditions, proxy.is_down = 0.0, False, False


@pytest.fixture(scope="session")
def _azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    if not AZURITE:
        pytest.skip("needs the npm package azurite; MOTOOLS_AZURITE names its program")
    with azurite(tmp_path_factory.mktemp("azurite")) as bucket:
        yield bucket


@pytest.fixture
def az(_azurite: Bucket, tmp_path: Path) -> Iterator[Bucket]:
    """The same of Azurite."""
    proxy = _azurite.proxy
    yield replace(_azurite, address=f"az://bucket/{tmp_path.name}")
    proxy.cuts, proxy.ignores_conditions, proxy.is_down = 0.0, False, False


@pytest.fixture
def disk(tmp_path: Path) -> Bucket:
    """A folder."""
    return Bucket(str(tmp_path / "team"), Proxy(""), {})


@pytest.fixture
def server() -> Iterator[Rehearsal]:
    """A provider that is never killed."""
    with Rehearsal().start(*SERVER) as started:
        yield started
