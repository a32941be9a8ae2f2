"""Projects whose `vllm` is the stand-in, with a model that nothing loads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Project
from tests.vllm.lab import Lab, write_model


@pytest.fixture
def lab(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    write_model(project.root / "models" / "tiny")
    made = Lab.of(project, tmp_path_factory.mktemp("lab") / "of")
    yield made
    made.close()
