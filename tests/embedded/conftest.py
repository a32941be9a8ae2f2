"""A toy model, written for the tests, and the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from motools_build.backends.embedded.engine.model import Model
from motools_build.backends.embedded.weights import ensure_base

from .toy import toy_metadata, toy_tensors, write_gguf


@pytest.fixture(scope="session")
def toy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("toy") / "toy.gguf"
    return write_gguf(path, toy_metadata(), toy_tensors())


@pytest.fixture(scope="session")
def toy(toy_file: Path) -> Model:
    return Model.load(toy_file)


@pytest.fixture(scope="session")
def base_gguf() -> Path:
    """SmolLM2-135M-Instruct."""
    return ensure_base()


@pytest.fixture(scope="session")
def base(base_gguf: Path) -> Model:
    return Model.load(base_gguf)
