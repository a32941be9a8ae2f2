"""The commands and files of the tutorial and the guides, word for word and in order."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from motools_build.store.artifacts import ArtifactStore
from tests.conftest import ROOT, Project, Ran
from tests.documents import DOCS, blocks, ids, section, words_of
from tests.test_properties import doit_here

DUMMY = "model=dummy/echo"
OWN_PROJECT = ("tutorial.md",)
"""Pages that begin in an empty folder; the others have that of `doit new demo`."""

RUN = [page for page in sorted(DOCS.rglob("*.md")) if "```console" in page.read_text()]
RUNS = ("3fa91c02", "7c0de512")
"""The IDs of the project's first runs, as pages have them."""

FILE = re.compile(r"# ([\w/]+\.(?:py|yaml|toml))\n")
PLANNED = ("run", "plan", "results", "samples", "datasets", "status")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of `doit new demo`, run once on the dummy model."""
    folder = tmp_path_factory.mktemp("demo")
    for command in ("new demo", f"run demo {DUMMY}"):
        ran = doit_here(folder, *command.split())
        assert ran.code == 0, ran.out + ran.err
    return folder


@pytest.fixture
def again(demo: Path, tmp_path: Path) -> Path:
    """A copy of that project, for a page that changes more than it adds."""
    return shutil.copytree(demo, tmp_path / "again")


def _installs(page: Path) -> bool:
    """Whether a page has a package that is to be installed."""
    return any("entry-points" in text for _, text in blocks(page, "toml"))


@pytest.mark.parametrize("page", [p for p in RUN if not _installs(p)], ids=ids)
def test_a_pages_commands_run(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    own = page.name in OWN_PROJECT
    _follow(page, tmp_path if own else request.getfixturevalue("again"), apart=False)


@pytest.mark.parametrize("page", [p for p in RUN if _installs(p)], ids=ids)
def test_a_pages_package_works_once_it_is_installed(page: Path, again: Path) -> None:
    _follow(page, again, apart=True)


def _follow(page: Path, folder: Path, apart: bool) -> None:
    """Write the page's files and run its commands, in order."""
    for language, text in blocks(page):
        name = FILE.match(text)
        if language == "console":
            for line in text.splitlines():
                assert line.startswith("$ "), line
                _run(line.removeprefix("$ "), folder, apart=apart)
        elif name:
            _write(folder, name[1], text)


def _write(folder: Path, name: str, text: str) -> None:
    """A file of a page: of the project, or of a package that is installed beside it."""
    file = folder / name
    if name == "pyproject.toml" and "entry-points" in text:
        _install(folder / "site", text)
        return
    if name == "pyproject.toml":
        before = file.read_text()
        text = before[: before.index("[tool.motools_build]")] + text
    elif name.startswith("my_package/"):
        file = folder / "site" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _install(site: Path, pyproject: str) -> None:
    """A package as pip installs it: its metadata, with its entry points."""
    groups = tomllib.loads(pyproject)["project"]["entry-points"]
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{n} = {at}" for n, at in points.items()))
    ]
    info = site / "my_package-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: my_package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def test_the_tutorial_is_run_and_has_files() -> None:
    console = "".join(text for _, text in blocks(DOCS / "tutorial.md", "console"))
    assert DOCS / "tutorial.md" in RUN
    assert console.count("$ ") >= 12
    assert len(RUN) >= 9


def _run(command: str, folder: Path, apart: bool = False) -> Ran:
    """The command must end well; `status` may find something that was not run. With
    `apart`, in a process of its own, which finds the packages of `site`."""
    program, *words = words_of(_with_ids(command, folder))
    assert program in ("doit", "python"), command
    if program == "python":
        (script,) = words
        file = folder / script
        code = compile(file.read_text(), file, "exec")
        exec(code, {"__name__": "__main__", "__file__": str(file)})
        return Ran(0, "", "")
    # the dummy trains in no time; what reads a real model's training is the same
    if folder.name != "again" and words[0] in PLANNED and DUMMY not in words:
        words.append(DUMMY)
    if apart:
        path = os.pathsep.join([str(folder / "site"), str(ROOT)])
        ran = Project(folder).doit(*words, code=None, PYTHONPATH=path)
    else:
        ran = doit_here(folder, *words)
    allowed = (0, 1) if words[0] == "status" else (0,)
    assert ran.code in allowed, f"{command}\n{ran.out}{ran.err}"
    return ran


def _with_ids(command: str, folder: Path) -> str:
    """A command with the IDs of this project's runs in place of the page's."""
    if not any(run in command for run in RUNS):
        return command
    there = [run.id for run in ArtifactStore(folder / "artifacts").runs]
    for printed, run in zip(RUNS, there, strict=False):
        command = command.replace(printed, run)
    return command


@pytest.mark.filterwarnings("ignore:The inplace keyword in")  # Inspect's data frames
def test_the_guide_to_python_runs(
    again: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = again / "zoo/demo.py"
    embedded = "embedded/smollm2-135m-instruct"
    setting.write_text(setting.read_text().replace(embedded, "dummy/echo"))
    monkeypatch.chdir(again)
    namespace: dict[str, Any] = {}
    examples = [text for _, text in blocks(DOCS / "guides/python.md", "python")]
    assert len(examples) >= 7
    for example in examples:
        exec(example, namespace)
    assert "model:demo/demo/echo/seed1" in capsys.readouterr().out


JSON = {
    "plan": "demo",
    "status": "demo",
    "results": "demo",
    "samples": "eval:demo/*",
    "why": "model:demo/demo/echo/seed0",
    "datasets": "",
    "gc": "",
    "verify": "",
    "spent": "",
}
FREE = {
    *("scores", "settings", "preimage", "messages", "artifacts", "observed"),
    "versions",
}
"""Fields whose own fields are names: of scorers, settings, stages, packages."""


@pytest.mark.parametrize("name", JSON)
def test_every_field_of_a_commands_json_is_documented(name: str, demo: Path) -> None:
    ran = doit_here(demo, name, *filter(None, [JSON[name]]), "--json", DUMMY)
    text = section(DOCS / "reference/commands.md", f"`doit {name}`")
    fields = _fields(json.loads(ran.out))
    assert fields
    assert {field for field in fields if f"`{field}`" not in text} == set()


def _fields(document: Any) -> set[str]:
    if isinstance(document, list):
        return {field for item in document for field in _fields(item)}
    if not isinstance(document, dict):
        return set()
    inner = (v for name, v in document.items() if name not in FREE)
    return {*document, *(field for value in inner for field in _fields(value))}
