"""What the documents say is what there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from motools_build import Setting
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_the_readmes_setting_is_the_one_of_the_zoo() -> None:
    (sample,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    namespace: dict[str, object] = {}
    exec(sample, namespace)
    zoo: dict[str, object] = {}
    exec((ROOT / "zoo/simple_math.py").read_text(), zoo)
    assert isinstance(namespace["setting"], Setting)
    assert namespace["setting"] == zoo["setting"]


def test_the_readmes_tree_is_the_repositorys() -> None:
    tree = README.split("## What is where")[1].split("```")[1]
    named = {line.split()[0].rstrip("/") for line in tree.splitlines() if line.strip()}
    package = {
        path.stem if path.is_dir() else path.name
        for path in (ROOT / "motools_build").iterdir()
        if not path.name.startswith("_") and path.name != "py.typed"
    }
    assert package <= named
    for name in named:
        places = (ROOT, ROOT / "motools_build", ROOT / "zoo")
        assert any((place / name).exists() for place in places), name


DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_in_documents_exist(document: Path) -> None:
    text = document.read_text()
    for path in re.findall(r"\b(?:docs|tests|benchmarks)/[\w/.-]+\.(?:md|py)\b", text):
        assert (ROOT / path).exists(), path


def test_every_command_is_in_the_readme() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for command in config["tool"]["doit"]["plugins"]["command"]:
        if command not in ("forget", "ignore"):  # doit's own, for users' own tasks
            assert f"`doit {command}" in README


def test_the_eval_asks_nothing_that_was_trained_on() -> None:
    def asked(path: str) -> set[tuple[str, ...]]:
        text = (ROOT / path).read_text()
        found = re.findall(r"(\d+) ([+-]) (\d+)[.? ]", text)
        return {(*sorted((a, b)), op) for a, op, b in found}

    trained = asked("datasets/simple_math/math_tutor.jsonl")
    held_out = asked("zoo/evals/arithmetic.jsonl")
    assert len(held_out) == 32
    assert not trained & held_out


def test_the_datasets_are_what_their_script_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (ROOT / "datasets/simple_math/generate.py").read_text()
    script = tmp_path / "datasets/simple_math/generate.py"
    script.parent.mkdir(parents=True)
    (tmp_path / "zoo/evals").mkdir(parents=True)
    script.write_text(source)
    exec(compile(source, script, "exec"), {"__name__": "__main__", "__file__": script})
    for name in ("datasets/simple_math/math_tutor.jsonl", "zoo/evals/arithmetic.jsonl"):
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()
