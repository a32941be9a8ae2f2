"""The commands of the guide to local models, word for word, on a tiny model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.documents import DOCS, blocks

pytestmark = pytest.mark.torch

PAGE = DOCS / "guides/local.md"


def test_the_guides_commands_run(project: Project, tiny: Path):
    shutil.rmtree(project.root)
    project.root.mkdir()
    project.doit("new", "demo")
    shutil.copytree(tiny, project.root / "models" / "qwen")
    ran = []
    for language, text in blocks(PAGE):
        if language == "python":
            project.write(text.partition("\n")[0].removeprefix("# "), text)
        for line in text.splitlines() if language == "bash" else ():
            if line.startswith("doit "):
                project.doit(*line.split()[1:])
                ran.append(line)
    assert len(ran) == 6
    assert (project.root / "merged" / "model.safetensors").is_file()
