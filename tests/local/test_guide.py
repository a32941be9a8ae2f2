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


def test_a_trainer_of_ones_own_runs(project: Project, tiny: Path):
    """The script of the guide to trainers, which knows nothing of this package."""
    shutil.rmtree(project.root)
    project.root.mkdir()
    project.doit("new", "demo")
    shutil.copytree(tiny, project.root / "models" / "smol")
    for _, text in blocks(DOCS / "guides/trainers.md"):
        name = text.partition("\n")[0].removeprefix("# ")
        before = (project.root / name).read_text() if name == "pyproject.toml" else ""
        project.write(name, f"{before}\n{text}")
    project.doit("run", "tutor", "seeds=0")
    by_model = {line["model"]: line for line in project.results("tutor", "seeds=0")}
    assert {line["status"] for line in by_model.values()} == {"ok"}
    assert by_model.keys() == {"command/own", "local/./models/smol"}
    project.doit("export", "model:tutor/demo/own/seed0", "--to", "merged", "--merge")
    assert (project.root / "merged" / "model.safetensors").is_file()
    assert not project.doit("run", "tutor", "seeds=0").made
